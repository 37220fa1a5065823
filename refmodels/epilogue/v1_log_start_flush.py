"""Starting dirty logging drops the whole TLB.

An environment of later code: there the start commits a memory transaction, and whoever runs
translated code flushes the TLB when one is committed. Claim: same, but that no entry
outlives the start.
"""

from refmodels.delta import VM, Fix

STEP = Fix("log-start-flush", home="memory.c")


@STEP.changes
def memory_global_dirty_log_start(vm: VM) -> None:
    vm.core_log_global_start()
    if vm.tcg:
        vm.tlb_flush()

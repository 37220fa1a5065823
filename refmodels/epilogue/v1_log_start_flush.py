"""Starting dirty logging drops the whole TLB: an environment of later code.

There the start commits a memory transaction, and whoever runs translated code flushes the
TLB when one is committed.
"""

from refmodels.delta import VM, Fix

STEP = Fix("log-start-flush", home="exec.c")


@STEP.adds
def tcg_commit(vm: VM) -> None:
    """A memory transaction was committed: what the TLB holds may no longer be so."""
    if vm.tcg:
        vm.tlb_flush()


STEP.file("memory.c")


@STEP.changes
def memory_global_dirty_log_start(vm: VM) -> None:
    vm.core_log_global_start()
    vm.tcg_commit()

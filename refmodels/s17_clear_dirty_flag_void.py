"""memory: cpu_physical_memory_clear_dirty_flag() result is never used.

So it is not returned. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(17, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_clear_dirty_flag(vm: VM, addr: int, client: int) -> None:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    mask = ~(1 << client) & 0xFF
    try:
        vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] &= mask
    except IndexError:
        vm.stray += 1

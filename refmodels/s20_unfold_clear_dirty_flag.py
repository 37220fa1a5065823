"""memory: unfold cpu_physical_memory_clear_dirty_flag() in its only user.

The range clears the bits itself. The assertion on the client stands once before the
loop, so it also guards an empty range. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(20, home="include/exec/memory-internal.h")
STEP.removes("cpu_physical_memory_clear_dirty_flag")


@STEP.changes
def cpu_physical_memory_mask_dirty_range(vm: VM, start: int, length: int, client: int) -> None:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        vm.clear_bit(addr >> vm.TARGET_PAGE_BITS, vm.dirty_memory[client])

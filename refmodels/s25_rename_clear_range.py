"""memory: s/mask/clear/ cpu_physical_memory_mask_dirty_range.

A pure rename: the function clears a range, and says so. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(25, home="include/exec/memory-internal.h")
STEP.removes("cpu_physical_memory_mask_dirty_range")


@STEP.adds
def cpu_physical_memory_clear_dirty_range(vm: VM, start: int, length: int, client: int) -> None:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        vm.clear_bit(addr >> vm.TARGET_PAGE_BITS, vm.dirty_memory[client])


STEP.file("exec.c")


@STEP.changes
def cpu_physical_memory_reset_dirty(vm: VM, start: int, end: int, client: int) -> None:
    start &= vm.TARGET_PAGE_MASK
    end = (end + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    length = end - start
    if length == 0:
        return
    vm.cpu_physical_memory_clear_dirty_range(start, length, client)
    if vm.tcg:
        vm.tlb_reset_dirty_range_all(start, end, length)

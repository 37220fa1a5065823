"""memory: cpu_physical_memory_mask_dirty_range() always clear a single flag.

Nobody clears two flags at once, so the range and the reset take one, and the function
that clears a page is named for one. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(12, home="include/exec/memory-internal.h")
STEP.removes("cpu_physical_memory_clear_dirty_flags")


@STEP.adds
def cpu_physical_memory_clear_dirty_flag(vm: VM, addr: int, dirty_flag: int) -> int:
    page = addr >> vm.TARGET_PAGE_BITS
    mask = ~dirty_flag & 0xFF
    try:
        vm.phys_dirty[page] &= mask
    except IndexError:
        vm.stray += 1
        return 0
    return vm.phys_dirty[page]


@STEP.changes
def cpu_physical_memory_mask_dirty_range(vm: VM, start: int, length: int, dirty_flag: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        vm.cpu_physical_memory_clear_dirty_flag(addr, dirty_flag)


STEP.file("exec.c")


@STEP.changes
def cpu_physical_memory_reset_dirty(vm: VM, start: int, end: int, dirty_flag: int) -> None:
    start &= vm.TARGET_PAGE_MASK
    end = (end + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    length = end - start
    if length == 0:
        return
    vm.cpu_physical_memory_mask_dirty_range(start, length, dirty_flag)
    if vm.tcg:
        vm.tlb_reset_dirty_range_all(start, end, length)

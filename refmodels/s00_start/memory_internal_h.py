"""include/exec/memory-internal.h: the dirty-tracking API on the byte map.

A *flag* is a mask in a page's byte. An access past the end of the map is a heap
overflow in C (log bits and resets may reach there); the model counts and ignores it.
"""

from refmodels.delta import VM
from refmodels.s00_start.table import STEP

STEP.file("include/exec/memory-internal.h")

STEP.defines(VGA_DIRTY_FLAG=0x01, CODE_DIRTY_FLAG=0x02, MIGRATION_DIRTY_FLAG=0x08)


@STEP.adds
def cpu_physical_memory_get_dirty_flags(vm: VM, addr: int) -> int:
    try:
        return vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS]
    except IndexError:
        vm.stray += 1
        return 0


@STEP.adds
def cpu_physical_memory_is_dirty(vm: VM, addr: int) -> int:
    return vm.cpu_physical_memory_get_dirty_flags(addr) == 0xFF


@STEP.adds
def cpu_physical_memory_get_dirty(vm: VM, start: int, length: int, dirty_flags: int) -> int:
    ret = 0
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        ret |= vm.cpu_physical_memory_get_dirty_flags(addr) & dirty_flags
    return ret


@STEP.adds
def cpu_physical_memory_set_dirty_flags(vm: VM, addr: int, dirty_flags: int) -> int:
    page = addr >> vm.TARGET_PAGE_BITS
    try:
        vm.phys_dirty[page] |= dirty_flags & 0xFF
    except IndexError:
        vm.stray += 1
        return 0
    return vm.phys_dirty[page]


@STEP.adds
def cpu_physical_memory_set_dirty(vm: VM, addr: int) -> None:
    vm.cpu_physical_memory_set_dirty_flags(addr, 0xFF)


@STEP.adds
def cpu_physical_memory_clear_dirty_flags(vm: VM, addr: int, dirty_flags: int) -> int:
    page = addr >> vm.TARGET_PAGE_BITS
    mask = ~dirty_flags & 0xFF
    try:
        vm.phys_dirty[page] &= mask
    except IndexError:
        vm.stray += 1
        return 0
    return vm.phys_dirty[page]


@STEP.adds
def cpu_physical_memory_set_dirty_range(vm: VM, start: int, length: int, dirty_flags: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    addr = start & vm.TARGET_PAGE_MASK
    while addr < end:
        vm.cpu_physical_memory_set_dirty_flags(addr, dirty_flags)
        addr += vm.TARGET_PAGE_SIZE
    # The loop variable, not the start: Xen is told of the memory after the range.
    vm.xen_modified_memory(addr, length)


@STEP.adds
def cpu_physical_memory_mask_dirty_range(vm: VM, start: int, length: int, dirty_flags: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        vm.cpu_physical_memory_clear_dirty_flags(addr, dirty_flags)

"""memory: cpu_physical_memory_set_dirty_range() allways dirty all flags.

Every caller passed all flags, so the parameter said nothing; a page of the range is
set dirty by the function for that. With it goes the last user of
cpu_physical_memory_set_dirty_flags. Claim: same.
"""

from refmodels.delta import VM, Step
from refmodels.machine import RAMBlock

STEP = Step(11, home="include/exec/memory-internal.h")
STEP.removes("cpu_physical_memory_set_dirty_flags")


@STEP.changes
def cpu_physical_memory_set_dirty_range(vm: VM, start: int, length: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    addr = start & vm.TARGET_PAGE_MASK
    while addr < end:
        vm.cpu_physical_memory_set_dirty(addr)
        addr += vm.TARGET_PAGE_SIZE
    vm.xen_modified_memory(addr, length)


STEP.file("memory.c")


@STEP.changes
def memory_region_set_dirty(vm: VM, addr: int, size: int) -> None:
    vm.cpu_physical_memory_set_dirty_range(addr, size)


STEP.file("exec.c")


@STEP.changes
def qemu_ram_alloc(vm: VM, size: int) -> int:
    new_block = RAMBlock(vm.find_ram_offset(size), size)
    vm.ram_list_insert(new_block)
    first = new_block.offset >> vm.TARGET_PAGE_BITS
    pages = size >> vm.TARGET_PAGE_BITS
    vm.renew(vm.phys_dirty, vm.last_ram_offset() >> vm.TARGET_PAGE_BITS)
    vm.memset(vm.phys_dirty, first, pages)
    vm.cpu_physical_memory_set_dirty_range(new_block.offset, size)
    return new_block.offset

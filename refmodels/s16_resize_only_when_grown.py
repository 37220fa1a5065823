"""memory: only resize dirty bitmap when memory size increases.

Memory freed and allocated again below the end needs no new map. The new block's bytes
are then stale, not zero, but they are marked dirty in the next statement, and nobody
looks between. Growth is measured against the end just before this allocation, so a map
left too long by a freed last block is cut when the next block ends beyond the last one.
Claim: same, under the invariant that a new block is marked whole.
"""

from refmodels.delta import VM, Step
from refmodels.machine import RAMBlock

STEP = Step(16, home="exec.c")


@STEP.changes
def qemu_ram_alloc(vm: VM, size: int) -> int:
    old_ram_size = vm.last_ram_offset() >> vm.TARGET_PAGE_BITS
    new_block = RAMBlock(vm.find_ram_offset(size), size)
    vm.ram_list_insert(new_block)
    new_ram_size = vm.last_ram_offset() >> vm.TARGET_PAGE_BITS
    if new_ram_size > old_ram_size:
        first = new_block.offset >> vm.TARGET_PAGE_BITS
        pages = size >> vm.TARGET_PAGE_BITS
        vm.renew(vm.phys_dirty, new_ram_size)
        vm.memset(vm.phys_dirty, first, pages)
    vm.cpu_physical_memory_set_dirty_range(new_block.offset, size)
    return new_block.offset

"""ram: split function that synchronizes a range.

The loop over the pages of a block gets its own function, and the function that marks a
page takes its address. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(38, home="arch_init.c")


@STEP.changes
def migration_bitmap_set_dirty(vm: VM, addr: int) -> bool:
    nr = addr >> vm.TARGET_PAGE_BITS
    ret = vm.test_and_set_bit(nr, vm.migration_bitmap)
    if not ret:
        vm.migration_dirty_pages += 1
    return ret


@STEP.adds
def migration_bitmap_sync_range(vm: VM, start: int, length: int) -> None:
    for addr in range(0, length, vm.TARGET_PAGE_SIZE):
        if vm.cpu_physical_memory_get_dirty(
            start + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
        ):
            vm.cpu_physical_memory_reset_dirty(
                start + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
            )
            vm.migration_bitmap_set_dirty(start + addr)


@STEP.changes
def migration_bitmap_sync(vm: VM) -> None:
    for block in vm.blocks:
        vm.migration_bitmap_sync_range(block.offset, block.length)

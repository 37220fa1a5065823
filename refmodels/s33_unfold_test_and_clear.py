"""memory: unfold memory_region_test_and_clear().

The migration sync knows its block's address in RAM, so it asks and resets the dirty
store directly, without the detour through the region. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(33, home="arch_init.c")


@STEP.changes
def migration_bitmap_sync(vm: VM) -> None:
    for block in vm.blocks:
        for addr in range(0, block.length, vm.TARGET_PAGE_SIZE):
            if vm.cpu_physical_memory_get_dirty(
                block.offset + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
            ):
                vm.cpu_physical_memory_reset_dirty(
                    block.offset + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
                )
                vm.migration_bitmap_set_dirty(block.offset, addr)

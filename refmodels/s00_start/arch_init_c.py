"""arch_init.c: the migration bitmap, filled by a sync and emptied by sending pages."""

from refmodels.delta import VM
from refmodels.s00_start.table import STEP

STEP.file("arch_init.c")


@STEP.adds
def migration_bitmap_set_dirty(vm: VM, mr_addr: int, offset: int) -> bool:
    """Mark the page to be sent; True when it already was."""
    nr = (mr_addr + offset) >> vm.TARGET_PAGE_BITS
    ret = vm.test_and_set_bit(nr, vm.migration_bitmap)
    if not ret:
        vm.migration_dirty_pages += 1
    return ret


@STEP.adds
def migration_bitmap_find_and_reset_dirty(vm: VM, mr_addr: int, mr_size: int, start: int) -> int:
    """Take the next page to send of a block, from ``start`` on; ``mr_size`` when none."""
    base = mr_addr >> vm.TARGET_PAGE_BITS
    nr = base + (start >> vm.TARGET_PAGE_BITS)
    size = base + (mr_size >> vm.TARGET_PAGE_BITS)
    following = vm.find_next_bit(vm.migration_bitmap, size, nr)
    if following < size:
        vm.clear_bit(following, vm.migration_bitmap)
        vm.migration_dirty_pages -= 1
    return (following - base) << vm.TARGET_PAGE_BITS


@STEP.adds
def migration_bitmap_sync(vm: VM) -> None:
    for block in vm.blocks:
        for addr in range(0, block.length, vm.TARGET_PAGE_SIZE):
            if vm.memory_region_test_and_clear_dirty(
                block.offset + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
            ):
                vm.migration_bitmap_set_dirty(block.offset, addr)


@STEP.adds
def ram_save_setup(vm: VM) -> None:
    ram_pages = vm.last_ram_offset() >> vm.TARGET_PAGE_BITS
    vm.migration_bitmap = vm.bitmap_new(ram_pages)
    vm.bitmap_set(vm.migration_bitmap, 0, ram_pages)
    vm.migration_dirty_pages = ram_pages
    vm.memory_global_dirty_log_start()
    vm.migration_bitmap_sync()


@STEP.adds
def migration_end(vm: VM) -> None:
    vm.memory_global_dirty_log_stop()
    vm.migration_bitmap = None

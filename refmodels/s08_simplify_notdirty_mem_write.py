"""exec: simplify notdirty_mem_write().

The handler needs no copy of the flags: it sets the two bits that a store dirties, one
by one, and leaves CODE to the invalidation. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(8, home="exec.c")


@STEP.changes
def notdirty_mem_write(vm: VM, ram_addr: int, size: int) -> None:
    if not vm.cpu_physical_memory_get_dirty_flag(ram_addr, vm.CODE_DIRTY_FLAG):
        vm.tb_invalidate_phys_page_fast(ram_addr, size)
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.MIGRATION_DIRTY_FLAG)
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.VGA_DIRTY_FLAG)
    if vm.cpu_physical_memory_is_dirty(ram_addr):
        vm.tlb_set_dirty(ram_addr)

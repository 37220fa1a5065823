"""exec: use accessor function to know if memory is dirty.

The write handler asked its local copy of the byte whether all of it is set; it asks
the store now, which it has just written. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(4, home="exec.c")


@STEP.changes
def notdirty_mem_write(vm: VM, ram_addr: int, size: int) -> None:
    dirty_flags = vm.cpu_physical_memory_get_dirty_flags(ram_addr)
    if not dirty_flags & vm.CODE_DIRTY_FLAG:
        vm.tb_invalidate_phys_page_fast(ram_addr, size)
        dirty_flags = vm.cpu_physical_memory_get_dirty_flags(ram_addr)
    dirty_flags |= 0xFF & ~vm.CODE_DIRTY_FLAG
    vm.cpu_physical_memory_set_dirty_flags(ram_addr, dirty_flags)
    if vm.cpu_physical_memory_is_dirty(ram_addr):
        vm.tlb_set_dirty(ram_addr)

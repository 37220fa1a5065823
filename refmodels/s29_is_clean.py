"""memory: s/dirty/clean/ in cpu_physical_memory_is_dirty().

Nearly every caller asked whether a page is not dirty for all clients, that is clean
for one of them. The function answers that, and all callers flip. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(29, home="include/exec/memory-internal.h")
STEP.removes("cpu_physical_memory_is_dirty")


@STEP.adds
def cpu_physical_memory_is_clean(vm: VM, addr: int) -> bool:
    vga = vm.cpu_physical_memory_get_dirty_flag(addr, vm.DIRTY_MEMORY_VGA)
    code = vm.cpu_physical_memory_get_dirty_flag(addr, vm.DIRTY_MEMORY_CODE)
    migration = vm.cpu_physical_memory_get_dirty_flag(addr, vm.DIRTY_MEMORY_MIGRATION)
    return not (vga and code and migration)


STEP.file("cputlb.c")


@STEP.changes
def tlb_set_page(vm: VM, addr: int) -> None:
    vm.tlb[addr >> vm.TARGET_PAGE_BITS] = not vm.cpu_physical_memory_is_clean(addr)


STEP.file("exec.c")


@STEP.changes
def notdirty_mem_write(vm: VM, ram_addr: int, size: int) -> None:
    if not vm.cpu_physical_memory_get_dirty_flag(ram_addr, vm.DIRTY_MEMORY_CODE):
        vm.tb_invalidate_phys_page_fast(ram_addr, size)
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.DIRTY_MEMORY_MIGRATION)
    vm.cpu_physical_memory_set_dirty_flag(ram_addr, vm.DIRTY_MEMORY_VGA)
    if not vm.cpu_physical_memory_is_clean(ram_addr):
        vm.tlb_set_dirty(ram_addr)


@STEP.changes
def invalidate_and_set_dirty(vm: VM, addr: int, length: int) -> None:
    if vm.cpu_physical_memory_is_clean(addr):
        vm.tb_invalidate_phys_page_range(addr, addr + length, False)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_VGA)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_MIGRATION)
    vm.xen_modified_memory(addr, length)


@STEP.changes
def stl_phys_notdirty(vm: VM, addr: int) -> None:
    if vm.in_migration and vm.cpu_physical_memory_is_clean(addr):
        vm.tb_invalidate_phys_page_range(addr, addr + 4, False)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_MIGRATION)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_VGA)


STEP.file("(operations)")


@STEP.changes
def page_is_dirty(vm: VM, addr: int) -> bool:
    return not vm.cpu_physical_memory_is_clean(addr)

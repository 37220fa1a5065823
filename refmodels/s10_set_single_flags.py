"""memory: set single dirty flags when possible.

Whoever sets known flags sets them one by one. The five unused bits are no longer set
along the way, which nobody can tell: since step 7 no reader looks at them. Claim: same,
under that invariant.
"""

from refmodels.delta import VM, Step

STEP = Step(10, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_set_dirty(vm: VM, addr: int) -> None:
    vm.cpu_physical_memory_set_dirty_flag(addr, vm.MIGRATION_DIRTY_FLAG)
    vm.cpu_physical_memory_set_dirty_flag(addr, vm.VGA_DIRTY_FLAG)
    vm.cpu_physical_memory_set_dirty_flag(addr, vm.CODE_DIRTY_FLAG)


STEP.file("exec.c")


@STEP.changes
def invalidate_and_set_dirty(vm: VM, addr: int, length: int) -> None:
    if not vm.cpu_physical_memory_is_dirty(addr):
        vm.tb_invalidate_phys_page_range(addr, addr + length, False)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.VGA_DIRTY_FLAG)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.MIGRATION_DIRTY_FLAG)
    vm.xen_modified_memory(addr, length)


@STEP.changes
def stl_phys_notdirty(vm: VM, addr: int) -> None:
    if vm.in_migration and not vm.cpu_physical_memory_is_dirty(addr):
        vm.tb_invalidate_phys_page_range(addr, addr + 4, False)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.MIGRATION_DIRTY_FLAG)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.VGA_DIRTY_FLAG)

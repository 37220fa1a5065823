"""memory: unfold cpu_physical_memory_set_dirty() in its only user.

The range sets the three flags of each page itself. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(21, home="include/exec/memory-internal.h")
STEP.removes("cpu_physical_memory_set_dirty")


@STEP.changes
def cpu_physical_memory_set_dirty_range(vm: VM, start: int, length: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    addr = start & vm.TARGET_PAGE_MASK
    while addr < end:
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_MIGRATION)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_VGA)
        vm.cpu_physical_memory_set_dirty_flag(addr, vm.DIRTY_MEMORY_CODE)
        addr += vm.TARGET_PAGE_SIZE
    vm.xen_modified_memory(addr, length)

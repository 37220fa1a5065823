"""memory: unfold cpu_physical_memory_set_dirty_flag().

The range sets the three bits itself; the function stays for its other callers.
Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(22, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_set_dirty_range(vm: VM, start: int, length: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    addr = start & vm.TARGET_PAGE_MASK
    while addr < end:
        page = addr >> vm.TARGET_PAGE_BITS
        vm.set_bit(page, vm.dirty_memory[vm.DIRTY_MEMORY_MIGRATION])
        vm.set_bit(page, vm.dirty_memory[vm.DIRTY_MEMORY_VGA])
        vm.set_bit(page, vm.dirty_memory[vm.DIRTY_MEMORY_CODE])
        addr += vm.TARGET_PAGE_SIZE
    vm.xen_modified_memory(addr, length)

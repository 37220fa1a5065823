"""memory: make cpu_physical_memory_get_dirty() the main function.

It tests the bits itself, with one assertion before the loop; asking for the flag of a
page becomes asking for a range of one byte. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(23, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_get_dirty(vm: VM, start: int, length: int, client: int) -> int:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    ret = 0
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        ret |= vm.test_bit(addr >> vm.TARGET_PAGE_BITS, vm.dirty_memory[client])
    return ret


@STEP.changes
def cpu_physical_memory_get_dirty_flag(vm: VM, addr: int, client: int) -> bool:
    return bool(vm.cpu_physical_memory_get_dirty(addr, 1, client))

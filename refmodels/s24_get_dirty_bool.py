"""memory: cpu_physical_memory_get_dirty() is used as returning a bool.

So it returns one, and can stop at the first dirty page. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(24, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_get_dirty(vm: VM, start: int, length: int, client: int) -> bool:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        if vm.test_bit(addr >> vm.TARGET_PAGE_BITS, vm.dirty_memory[client]):
            return True
    return False

"""memory: use find_next_bit() to find dirty bits.

Looking for the first dirty page of a range is what find_next_bit does, a word at a
time. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(26, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_get_dirty(vm: VM, start: int, length: int, client: int) -> bool:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) >> vm.TARGET_PAGE_BITS
    page = start >> vm.TARGET_PAGE_BITS
    following = vm.find_next_bit(vm.dirty_memory[client], end, page)
    return following < end

"""memory: cpu_physical_memory_clear_dirty_range() now uses bitmap operations.

One bitmap_clear instead of a loop over pages. Claim: same.
"""

from refmodels.delta import VM, Step

STEP = Step(28, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_clear_dirty_range(vm: VM, start: int, length: int, client: int) -> None:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) >> vm.TARGET_PAGE_BITS
    page = start >> vm.TARGET_PAGE_BITS
    vm.bitmap_clear(vm.dirty_memory[client], page, end - page)

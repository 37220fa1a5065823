"""memory: cpu_physical_memory_set_dirty_range() now uses bitmap operations.

Three bitmap_set calls instead of a loop over pages. There is no loop variable left to
tell Xen by mistake: it is told the start of the range, as given. Claim: a fix, and one
that an observer of the notifications sees at every call.
"""

from refmodels.delta import VM, Step

STEP = Step(27, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_set_dirty_range(vm: VM, start: int, length: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) >> vm.TARGET_PAGE_BITS
    page = start >> vm.TARGET_PAGE_BITS
    vm.bitmap_set(vm.dirty_memory[vm.DIRTY_MEMORY_MIGRATION], page, end - page)
    vm.bitmap_set(vm.dirty_memory[vm.DIRTY_MEMORY_VGA], page, end - page)
    vm.bitmap_set(vm.dirty_memory[vm.DIRTY_MEMORY_CODE], page, end - page)
    vm.xen_modified_memory(start, length)

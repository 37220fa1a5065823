"""memory: all users of cpu_physical_memory_get_dirty used only one flag.

So it takes one flag and asks page by page for that bit. What it returns changes from
the mask to 0 or 1; every caller takes it as a truth value. The function that read the
whole byte has no user left and goes. Claim: same for callers; the inner value differs.
"""

from refmodels.delta import VM, Step

STEP = Step(9, home="include/exec/memory-internal.h")
STEP.removes("cpu_physical_memory_get_dirty_flags")


@STEP.changes
def cpu_physical_memory_get_dirty(vm: VM, start: int, length: int, dirty_flag: int) -> int:
    ret = 0
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    for addr in range(start, end, vm.TARGET_PAGE_SIZE):
        ret |= vm.cpu_physical_memory_get_dirty_flag(addr, dirty_flag)
    return ret


STEP.file("(operations)")


@STEP.changes
def page_get_flag(vm: VM, addr: int, client: int) -> bool:
    return vm.cpu_physical_memory_get_dirty_flag(addr, 1 << vm.clients[client])

"""memory: make sure that client is always inside range.

The client will be an array index; a wrong one was an unused bit, or nothing at all,
and is an abort from now on. Claim: same for the three clients; a narrowed domain.
"""

from refmodels.delta import VM, Step

STEP = Step(15, home="include/exec/memory-internal.h")


@STEP.changes
def cpu_physical_memory_get_dirty_flag(vm: VM, addr: int, client: int) -> bool:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    try:
        return bool(vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] & (1 << client))
    except IndexError:
        vm.stray += 1
        return False


@STEP.changes
def cpu_physical_memory_set_dirty_flag(vm: VM, addr: int, client: int) -> None:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    try:
        vm.phys_dirty[addr >> vm.TARGET_PAGE_BITS] |= (1 << client) & 0xFF
    except IndexError:
        vm.stray += 1


@STEP.changes
def cpu_physical_memory_clear_dirty_flag(vm: VM, addr: int, client: int) -> int:
    vm.abort(client < vm.DIRTY_MEMORY_NUM)
    page = addr >> vm.TARGET_PAGE_BITS
    mask = ~(1 << client) & 0xFF
    try:
        vm.phys_dirty[page] &= mask
    except IndexError:
        vm.stray += 1
        return 0
    return vm.phys_dirty[page]

"""memory: make cpu_physical_memory_reset_dirty() take a length parameter.

Every caller has a start and a length, so the reset takes those. It clears the range as
given; the alignment to pages moves into the re-arming of the TLB. Two things change on
the way, neither of them in the claim. A length of 0 returns at once, also where the
start is unaligned and the page of start used to be reset. And the re-arm aligns the
start down but keeps the length, so that an unaligned range ending in a further page
leaves that page's `direct` entry as it was, with its bit cleared: a store that is lost.
"""

from refmodels.delta import VM, Step

STEP = Step(30, home="exec.c")


@STEP.changes
def tlb_reset_dirty_range_all(vm: VM, start: int, length: int) -> None:
    end = (start + length + vm.TARGET_PAGE_SIZE - 1) & vm.TARGET_PAGE_MASK
    start &= vm.TARGET_PAGE_MASK
    block = vm.qemu_get_ram_block(start)
    vm.abort(block is vm.qemu_get_ram_block(end - 1))
    vm.cpu_tlb_reset_dirty_all(start, length)


@STEP.changes
def cpu_physical_memory_reset_dirty(vm: VM, start: int, length: int, client: int) -> None:
    if length == 0:
        return
    vm.cpu_physical_memory_clear_dirty_range(start, length, client)
    if vm.tcg:
        vm.tlb_reset_dirty_range_all(start, length)


STEP.file("cputlb.c")


@STEP.changes
def tlb_protect_code(vm: VM, ram_addr: int) -> None:
    vm.cpu_physical_memory_reset_dirty(ram_addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_CODE)


STEP.file("memory.c")


@STEP.changes
def memory_region_test_and_clear_dirty(vm: VM, addr: int, size: int, client: int) -> bool:
    ret = vm.cpu_physical_memory_get_dirty(addr, size, client)
    if ret:
        vm.cpu_physical_memory_reset_dirty(addr, size, client)
    return bool(ret)


@STEP.changes
def memory_region_reset_dirty(vm: VM, addr: int, size: int, client: int) -> None:
    vm.cpu_physical_memory_reset_dirty(addr, size, client)

"""cputlb.c: one CPU's TLB, identity mapped, at most one entry a page."""

from refmodels.delta import VM
from refmodels.s00_start.table import STEP

STEP.file("cputlb.c")


@STEP.adds
def tlb_set_page(vm: VM, addr: int) -> None:
    """Enter a writable RAM page; whether it is still clean for anyone decides its kind."""
    vm.tlb[addr >> vm.TARGET_PAGE_BITS] = bool(vm.cpu_physical_memory_is_dirty(addr))


@STEP.adds
def tlb_set_dirty(vm: VM, addr: int) -> None:
    """Stores to the page go fast from now on."""
    page = addr >> vm.TARGET_PAGE_BITS
    if vm.tlb.get(page) is False:
        vm.tlb[page] = True


@STEP.adds
def tlb_reset_dirty_range(vm: VM, page: int, start: int, length: int) -> None:
    """Make one entry slow again when its page starts inside [start, start + length)."""
    if vm.tlb[page] and 0 <= (page << vm.TARGET_PAGE_BITS) - start < length:
        vm.tlb[page] = False


@STEP.adds
def cpu_tlb_reset_dirty_all(vm: VM, start: int, length: int) -> None:
    for page in vm.tlb:
        vm.tlb_reset_dirty_range(page, start, length)


@STEP.adds
def tlb_flush(vm: VM) -> None:
    vm.tlb.clear()


@STEP.adds
def tlb_flush_page(vm: VM, addr: int) -> None:
    vm.tlb.pop(addr >> vm.TARGET_PAGE_BITS, None)


@STEP.adds
def tlb_protect_code(vm: VM, ram_addr: int) -> None:
    """Stores to the page have to be seen, since it holds translated code now."""
    vm.cpu_physical_memory_reset_dirty(ram_addr, ram_addr + vm.TARGET_PAGE_SIZE, vm.CODE_DIRTY_FLAG)


@STEP.adds
def tlb_unprotect_code_phys(vm: VM, ram_addr: int) -> None:
    """The page holds no code any more; its TLB entry turns fast at the next store."""
    vm.cpu_physical_memory_set_dirty_flags(ram_addr, vm.CODE_DIRTY_FLAG)

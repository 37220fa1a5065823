"""translate-all.c: which pages hold translated code, and how a store invalidates it.

A translated block covers its whole page, so that any write to a page takes all of its
code. Each call is an event, whether there was code or not.
"""

from refmodels.delta import VM
from refmodels.s00_start.table import STEP

STEP.file("translate-all.c")


@STEP.adds
def tb_alloc_page(vm: VM, page_addr: int) -> None:
    """Code was translated on a page; the first one protects the page against stores."""
    page = page_addr >> vm.TARGET_PAGE_BITS
    page_already_protected = page in vm.has_code
    vm.page_descs.add(page)
    vm.has_code.add(page)
    if not page_already_protected:
        vm.tlb_protect_code(page_addr)


@STEP.adds
def tb_invalidate_page(vm: VM, start: int, is_cpu_write_access: bool) -> None:
    page = start >> vm.TARGET_PAGE_BITS
    if page not in vm.page_descs:
        return
    vm.has_code.discard(page)
    if is_cpu_write_access:
        vm.tlb_unprotect_code_phys(start)


@STEP.adds
def tb_invalidate_phys_page_range(vm: VM, start: int, end: int, is_cpu_write_access: bool) -> None:
    """Drop the code of [start, end), a range of one page."""
    vm.tell("tb_invalidate", start, end)
    vm.tb_invalidate_page(start, is_cpu_write_access)


@STEP.adds
def tb_invalidate_phys_page_fast(vm: VM, start: int, length: int) -> None:
    """The variant of the write handler: a page left without code is unprotected."""
    vm.tb_invalidate_phys_page_range(start, start + length, True)


@STEP.adds
def tb_free_block(vm: VM, addr: int, length: int) -> None:
    """The code of a freed RAM block goes; that its pages held code is not forgotten."""
    first = addr >> vm.TARGET_PAGE_BITS
    vm.has_code.difference_update(range(first, first + (length >> vm.TARGET_PAGE_BITS)))

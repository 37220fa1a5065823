"""kvm-all.c: the kernel's log of dirty host pages is merged into the dirty store."""

from collections.abc import Sequence

from refmodels.delta import VM
from refmodels.s00_start.table import STEP

STEP.file("kvm-all.c")


@STEP.adds
def kvm_get_dirty_pages_log_range(
    vm: VM, section_addr: int, pages: int, bitmap: Sequence[int]
) -> None:
    """``bitmap``: ceil(pages / word) words, bit i for the i-th host page of the section.

    Every bit of the last word counts, also one past ``pages``.
    """
    length = (pages + vm.BITS_PER_LONG - 1) // vm.BITS_PER_LONG
    hpratio = vm.hpratio
    for i in range(length):
        c = bitmap[i]
        while c:
            j = (c & -c).bit_length() - 1
            c &= ~(1 << j)
            page_number = (i * vm.BITS_PER_LONG + j) * hpratio
            addr1 = page_number * vm.TARGET_PAGE_SIZE
            addr = section_addr + addr1
            vm.memory_region_set_dirty(addr, vm.TARGET_PAGE_SIZE * hpratio)

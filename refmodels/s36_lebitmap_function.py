"""memory: move bitmap synchronization to its own function.

The loop over a log's words and bits moves from kvm-all.c to the dirty-tracking API,
where it can come to know how the store is made. Claim: same.
"""

from collections.abc import Sequence

from refmodels.delta import VM, Step

STEP = Step(36, home="include/exec/memory-physical.h")


@STEP.adds
def cpu_physical_memory_set_dirty_lebitmap(
    vm: VM, bitmap: Sequence[int], start: int, pages: int
) -> None:
    length = (pages + vm.BITS_PER_LONG - 1) // vm.BITS_PER_LONG
    hpratio = vm.hpratio
    for i in range(length):
        c = bitmap[i]
        while c:
            j = (c & -c).bit_length() - 1
            c &= ~(1 << j)
            page_number = (i * vm.BITS_PER_LONG + j) * hpratio
            addr = page_number * vm.TARGET_PAGE_SIZE
            vm.cpu_physical_memory_set_dirty_range(start + addr, vm.TARGET_PAGE_SIZE * hpratio)


STEP.file("kvm-all.c")


@STEP.changes
def kvm_get_dirty_pages_log_range(
    vm: VM, section_addr: int, pages: int, bitmap: Sequence[int]
) -> None:
    vm.cpu_physical_memory_set_dirty_lebitmap(bitmap, section_addr, pages)

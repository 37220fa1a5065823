"""kvm: refactor start address calculation.

The section's start is the same for every bit, so it is worked out once. Claim: same.
"""

from collections.abc import Sequence

from refmodels.delta import VM, Step

STEP = Step(35, home="kvm-all.c")


@STEP.changes
def kvm_get_dirty_pages_log_range(
    vm: VM, section_addr: int, pages: int, bitmap: Sequence[int]
) -> None:
    length = (pages + vm.BITS_PER_LONG - 1) // vm.BITS_PER_LONG
    hpratio = vm.hpratio
    start = section_addr
    for i in range(length):
        c = bitmap[i]
        while c:
            j = (c & -c).bit_length() - 1
            c &= ~(1 << j)
            page_number = (i * vm.BITS_PER_LONG + j) * hpratio
            addr = page_number * vm.TARGET_PAGE_SIZE
            vm.cpu_physical_memory_set_dirty_range(start + addr, vm.TARGET_PAGE_SIZE * hpratio)

"""kvm: use directly cpu_physical_memory_* api for tracking dirty pages.

The merge of the kernel's log marks ranges of RAM addresses itself. Claim: same.
"""

from collections.abc import Sequence

from refmodels.delta import VM, Step

STEP = Step(34, home="kvm-all.c")


@STEP.changes
def kvm_get_dirty_pages_log_range(
    vm: VM, section_addr: int, pages: int, bitmap: Sequence[int]
) -> None:
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
            vm.cpu_physical_memory_set_dirty_range(addr, vm.TARGET_PAGE_SIZE * hpratio)

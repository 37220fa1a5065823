"""memory: syncronize kvm bitmap using bitmaps operations.

Where the section starts at the first page of a word, the log's words and the store's
words line up, and a word of the log is merged by one OR into each bitmap. That holds
only while a log bit stands for one target page: with larger host pages `hpratio` is
forgotten here, and the wrong pages are marked. Xen is told once, with the number of
pages where a number of bytes is meant, and also when no bit was set. Elsewhere the old
loop stays. Claim: same; in truth a defect and a changed notification.
"""

from collections.abc import Sequence

from refmodels.delta import VM, Step

STEP = Step(37, home="include/exec/memory-physical.h")


@STEP.changes
def cpu_physical_memory_set_dirty_lebitmap(
    vm: VM, bitmap: Sequence[int], start: int, pages: int
) -> None:
    length = (pages + vm.BITS_PER_LONG - 1) // vm.BITS_PER_LONG
    word = start >> vm.TARGET_PAGE_BITS >> vm.LONG_SHIFT

    if word << vm.LONG_SHIFT << vm.TARGET_PAGE_BITS == start:
        for k in range(length):
            temp = bitmap[k]
            try:
                vm.dirty_memory[vm.DIRTY_MEMORY_MIGRATION][word + k] |= temp
                vm.dirty_memory[vm.DIRTY_MEMORY_VGA][word + k] |= temp
                vm.dirty_memory[vm.DIRTY_MEMORY_CODE][word + k] |= temp
            except IndexError:
                vm.stray += 1
        vm.xen_modified_memory(start, pages)
        return

    hpratio = vm.hpratio
    for i in range(length):
        c = bitmap[i]
        while c:
            j = (c & -c).bit_length() - 1
            c &= ~(1 << j)
            page_number = (i * vm.BITS_PER_LONG + j) * hpratio
            addr = page_number * vm.TARGET_PAGE_SIZE
            vm.cpu_physical_memory_set_dirty_range(start + addr, vm.TARGET_PAGE_SIZE * hpratio)

"""After the series: each fix that came later, a delta on step 39, in any combination.

Two functions of step 39 were fixed twice each. So that every fix is a delta of its own, and
goes with any other, each decision that one of them corrects gets a function of its own here,
and nothing else. Claim: same. No commit stands for this; in C the fixes are patches on
step 39 itself.
"""

from collections.abc import Sequence

from refmodels.delta import VM, Fix

STEP = Fix("", home="include/exec/memory-physical.h")


@STEP.adds
def lebitmap_by_words(vm: VM, start: int) -> bool:
    """Whether a log is merged word by word: its first page is the first of a word."""
    word = start >> vm.TARGET_PAGE_BITS >> vm.LONG_SHIFT
    return bool(word << vm.LONG_SHIFT << vm.TARGET_PAGE_BITS == start)


@STEP.adds
def lebitmap_told_length(vm: VM, pages: int) -> int:
    """How much of a log merged word by word Xen is told of."""
    return pages


@STEP.changes
def cpu_physical_memory_set_dirty_lebitmap(
    vm: VM, bitmap: Sequence[int], start: int, pages: int
) -> None:
    length = (pages + vm.BITS_PER_LONG - 1) // vm.BITS_PER_LONG

    if vm.lebitmap_by_words(start):
        word = start >> vm.TARGET_PAGE_BITS >> vm.LONG_SHIFT
        for k in range(length):
            temp = bitmap[k]
            try:
                vm.dirty_memory[vm.DIRTY_MEMORY_MIGRATION][word + k] |= temp
                vm.dirty_memory[vm.DIRTY_MEMORY_VGA][word + k] |= temp
                vm.dirty_memory[vm.DIRTY_MEMORY_CODE][word + k] |= temp
            except IndexError:
                vm.stray += 1
        vm.xen_modified_memory(start, vm.lebitmap_told_length(pages))
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


STEP.file("arch_init.c")


@STEP.adds
def sync_by_words(vm: VM, start: int, length: int) -> bool:
    """Whether a block is synced word by word: its first page is the first of a word."""
    word = start >> vm.TARGET_PAGE_BITS >> vm.LONG_SHIFT
    return bool(word << vm.LONG_SHIFT << vm.TARGET_PAGE_BITS == start)


@STEP.adds
def sync_words_done(vm: VM, start: int, length: int, num_dirty: int, taken: int) -> None:
    """A block was synced word by word.

    So many pages were new in the migration bitmap; so many words held a dirty page at all.
    """


@STEP.changes
def migration_bitmap_sync_range(vm: VM, start: int, length: int) -> None:
    if vm.sync_by_words(start, length):
        word = start >> vm.TARGET_PAGE_BITS >> vm.LONG_SHIFT
        pages = length >> vm.TARGET_PAGE_BITS
        nr = (pages + vm.BITS_PER_LONG - 1) >> vm.LONG_SHIFT
        src = vm.dirty_memory[vm.DIRTY_MEMORY_MIGRATION]
        num_dirty = taken = 0
        for k in range(word, word + nr):
            if src[k]:
                new_dirty = ~vm.migration_bitmap[k] & src[k]
                vm.migration_bitmap[k] |= src[k]
                num_dirty += new_dirty.bit_count()
                src[k] = 0
                taken += 1
        vm.migration_dirty_pages += num_dirty
        vm.sync_words_done(start, length, num_dirty, taken)
        return

    for addr in range(0, length, vm.TARGET_PAGE_SIZE):
        if vm.cpu_physical_memory_get_dirty(
            start + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
        ):
            vm.cpu_physical_memory_reset_dirty(
                start + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
            )
            vm.migration_bitmap_set_dirty(start + addr)

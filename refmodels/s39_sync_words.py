"""migration: synchronize memory bitmap 64bits at a time.

Where a block starts at the first page of a word, whole words move from the dirty
bitmap into the migration bitmap, and a population count gives the new pages. Two
things go wrong, neither in the claim. The word path never re-arms the TLB: a page
synced while its entry is `direct` loses every later store. And the last word is moved
whole: with it go the first pages of a following block, and bits that belong to no page
at all, which are counted. Elsewhere the old loop stays. Claim: same; in truth a defect.
"""

from refmodels.delta import VM, Step

STEP = Step(39, home="arch_init.c")


@STEP.changes
def migration_bitmap_sync_range(vm: VM, start: int, length: int) -> None:
    word = start >> vm.TARGET_PAGE_BITS >> vm.LONG_SHIFT

    if word << vm.LONG_SHIFT << vm.TARGET_PAGE_BITS == start:
        pages = length >> vm.TARGET_PAGE_BITS
        nr = (pages + vm.BITS_PER_LONG - 1) >> vm.LONG_SHIFT
        src = vm.dirty_memory[vm.DIRTY_MEMORY_MIGRATION]
        for k in range(word, word + nr):
            if src[k]:
                new_dirty = ~vm.migration_bitmap[k] & src[k]
                vm.migration_bitmap[k] |= src[k]
                vm.migration_dirty_pages += new_dirty.bit_count()
                src[k] = 0
        return

    for addr in range(0, length, vm.TARGET_PAGE_SIZE):
        if vm.cpu_physical_memory_get_dirty(
            start + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
        ):
            vm.cpu_physical_memory_reset_dirty(
                start + addr, vm.TARGET_PAGE_SIZE, vm.DIRTY_MEMORY_MIGRATION
            )
            vm.migration_bitmap_set_dirty(start + addr)

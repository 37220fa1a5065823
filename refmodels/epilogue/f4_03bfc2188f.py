"""A sync by words re-arms the TLB where it counted a page that is new.

Of March 2024. The pages of the whole block are re-armed, as a reset of the client does it:
under TCG. Where every page that the sync took was in the migration bitmap already, nothing
is re-armed. Says that it fixes step 39.
"""

from refmodels.delta import VM, Fix

STEP = Fix("03bfc2188f", home="arch_init.c")


@STEP.changes
def sync_words_done(vm: VM, start: int, length: int, num_dirty: int, taken: int) -> None:
    if num_dirty and vm.tcg:
        vm.tlb_reset_dirty_range_all(start, length)

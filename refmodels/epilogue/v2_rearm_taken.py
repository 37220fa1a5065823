"""A sync by words re-arms the TLB where it took a page at all.

A proposal: no commit of anyone. A page that the sync takes is clean afterwards, whether the
migration bitmap held it already or not, so its entry must not stay `direct` in either case.
"""

from refmodels.delta import VM, Fix

STEP = Fix("rearm-taken", home="arch_init.c")


@STEP.changes
def sync_words_done(vm: VM, start: int, length: int, num_dirty: int, taken: int) -> None:
    if taken and vm.tcg:
        vm.tlb_reset_dirty_range_all(start, length)

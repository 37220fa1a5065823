"""A block is synced by words only where it ends with a word, too.

Of January 2018. The last word of another block holds pages of the next one, and bits of no
page at all. These were moved and counted: pages that are never sent, so that a migration
never ends. Fixes step 39.
"""

from refmodels.delta import VM, Fix

STEP = Fix("sync-length", home="arch_init.c")


@STEP.changes
def sync_by_words(vm: VM, start: int, length: int) -> bool:
    word_bytes = vm.BITS_PER_LONG << vm.TARGET_PAGE_BITS
    return bool((start | length) & (word_bytes - 1) == 0)

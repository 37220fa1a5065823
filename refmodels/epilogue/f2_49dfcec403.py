"""Xen is told how many bytes a merged log covers, not how many pages.

Of 2015. Fixes step 37. Xen is told also of a log with no bit set, as before.
"""

from refmodels.delta import VM, Fix

STEP = Fix("49dfcec403", home="include/exec/memory-physical.h")


@STEP.changes
def lebitmap_told_length(vm: VM, pages: int) -> int:
    told: int = pages << vm.TARGET_PAGE_BITS
    return told

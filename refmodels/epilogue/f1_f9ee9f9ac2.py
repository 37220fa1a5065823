"""The log of a host with larger pages is merged bit by bit again.

Of January 2014. A bit of the log stands for a host page. Only where that is one target page
do the words of the log line up with those of the store. Fixes step 37.
"""

from refmodels.delta import VM, Fix

STEP = Fix("f9ee9f9ac2", home="include/exec/memory-physical.h")


@STEP.changes
def lebitmap_by_words(vm: VM, start: int) -> bool:
    word = start >> vm.TARGET_PAGE_BITS >> vm.LONG_SHIFT
    return bool(word << vm.LONG_SHIFT << vm.TARGET_PAGE_BITS == start and vm.hpratio == 1)

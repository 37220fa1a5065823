"""bitmap: Add bitmap_zero_extend operation.

A bitmap that grows: the old bits stay, those between the old and the new end are
cleared. What lies past the new end in the last word is not touched, so it is whatever
was there before; step 39 will come to read it. Nothing calls it yet. Claim: same.
"""

from refmodels.delta import VM, Step
from refmodels.machine import Words

STEP = Step(18, home="include/qemu/bitmap.h")


@STEP.adds
def bitmap_zero_extend(vm: VM, old: Words, old_nbits: int, new_nbits: int) -> Words:
    vm.renew(old, (new_nbits + vm.BITS_PER_LONG - 1) >> vm.LONG_SHIFT)
    vm.bitmap_clear(old, old_nbits, new_nbits - old_nbits)
    return old

"""include/qemu/bitops.h and bitmap.h: operations on arrays of words.

At step 0 only the migration bitmap is made of these; from step 19 on the dirty store
is too. A bitmap does not know its length in bits; an access past its last word is a
heap overflow in C, counted and ignored here.
"""

from refmodels.delta import VM
from refmodels.machine import Words
from refmodels.s00_start.table import STEP

STEP.file("include/qemu/bitops.h")


@STEP.adds
def test_bit(vm: VM, nr: int, map: Words) -> bool:
    try:
        return bool(map[nr >> vm.LONG_SHIFT] >> (nr & vm.LONG_MASK) & 1)
    except IndexError:
        vm.stray += 1
        return False


@STEP.adds
def set_bit(vm: VM, nr: int, map: Words) -> None:
    try:
        map[nr >> vm.LONG_SHIFT] |= 1 << (nr & vm.LONG_MASK)
    except IndexError:
        vm.stray += 1


@STEP.adds
def clear_bit(vm: VM, nr: int, map: Words) -> None:
    try:
        map[nr >> vm.LONG_SHIFT] &= ~(1 << (nr & vm.LONG_MASK))
    except IndexError:
        vm.stray += 1


@STEP.adds
def test_and_set_bit(vm: VM, nr: int, map: Words) -> bool:
    word, mask = nr >> vm.LONG_SHIFT, 1 << (nr & vm.LONG_MASK)
    old = map[word]
    map[word] = old | mask
    return bool(old & mask)


@STEP.adds
def find_next_bit(vm: VM, map: Words, size: int, offset: int) -> int:
    """The first set bit in [offset, size), ``size`` when there is none."""
    if offset >= size:
        return size
    word = offset >> vm.LONG_SHIFT
    last = (size - 1) >> vm.LONG_SHIFT
    if last >= len(map):
        vm.stray += 1
        last = len(map) - 1
        if word > last:
            return size
    bits = map[word] >> (offset & vm.LONG_MASK) << (offset & vm.LONG_MASK)
    while not bits:
        word += 1
        if word > last:
            return size
        bits = map[word]
    found: int = (word << vm.LONG_SHIFT) + (bits & -bits).bit_length() - 1
    return min(found, size)


STEP.file("include/qemu/bitmap.h")


@STEP.adds
def bitmap_new(vm: VM, nbits: int) -> Words:
    """A bitmap of ``nbits``, rounded up to words, all clear."""
    return vm.new_words((nbits + vm.BITS_PER_LONG - 1) >> vm.LONG_SHIFT)


@STEP.adds
def bitmap_set(vm: VM, map: Words, start: int, nr: int) -> None:
    """Set ``nr`` bits from ``start``: a first word in part, whole words, a last in part."""
    end = start + nr
    limit = len(map) << vm.LONG_SHIFT
    if end > limit:
        vm.stray += 1
        end = limit
    if start >= end:
        return
    word, last = start >> vm.LONG_SHIFT, (end - 1) >> vm.LONG_SHIFT
    ones = vm.LONG_MAX
    mask = ones << (start & vm.LONG_MASK) & ones
    while word < last:
        map[word] |= mask
        mask = ones
        word += 1
    map[word] |= mask & ones >> (-end & vm.LONG_MASK)


@STEP.adds
def bitmap_clear(vm: VM, map: Words, start: int, nr: int) -> None:
    """Clear ``nr`` bits from ``start``, as :func:`bitmap_set` sets them."""
    end = start + nr
    limit = len(map) << vm.LONG_SHIFT
    if end > limit:
        vm.stray += 1
        end = limit
    if start >= end:
        return
    word, last = start >> vm.LONG_SHIFT, (end - 1) >> vm.LONG_SHIFT
    ones = vm.LONG_MAX
    mask = ones << (start & vm.LONG_MASK) & ones
    while word < last:
        map[word] &= ~mask
        mask = ones
        word += 1
    map[word] &= ~(mask & ones >> (-end & vm.LONG_MASK))

/*
 * Ranges of bits, a word at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/bitmap.h"

/* The bits of word number @word that lie in [start, end). */
static unsigned long range_mask(long word, long start, long end)
{
    unsigned long mask = LONG_ONES;

    if (word == BIT_WORD(start)) {
        mask &= LONG_ONES << (start % BITS_PER_LONG);
    }
    if (word == BIT_WORD(end)) {
        mask &= BIT_MASK(end) - 1;
    }
    return mask;
}

void bitmap_set(unsigned long *map, int start, int nr)
{
    long end = (long)start + nr;

    for (long word = BIT_WORD(start); word < BITS_TO_LONGS(end); word++) {
        map[word] |= range_mask(word, start, end);
    }
}

void bitmap_clear(unsigned long *map, int start, int nr)
{
    long end = (long)start + nr;

    for (long word = BIT_WORD(start); word < BITS_TO_LONGS(end); word++) {
        map[word] &= ~range_mask(word, start, end);
    }
}

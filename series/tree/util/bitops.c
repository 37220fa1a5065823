/*
 * Searching an array of words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/bitops.h"

unsigned long find_next_bit(const unsigned long *map, unsigned long size,
                            unsigned long offset)
{
    unsigned long word, bit;

    if (offset >= size) {
        return size;
    }
    /* In the first word the bits below @offset do not count. */
    word = map[BIT_WORD(offset)] & -BIT_MASK(offset);
    offset -= offset % BITS_PER_LONG;
    while (!word) {
        offset += BITS_PER_LONG;
        if (offset >= size) {
            return size;
        }
        word = map[BIT_WORD(offset)];
    }
    bit = offset + __builtin_ctzl(word);
    return MIN(bit, size);
}

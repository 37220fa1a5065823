/*
 * Ranges of bits in arrays of words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_BITMAP_H
#define QEMU_BITMAP_H

#include "qemu/bitops.h"

/* The caller frees it with g_free(). */
static inline unsigned long *bitmap_new(long nbits)
{
    return g_new0(unsigned long, BITS_TO_LONGS(nbits));
}

/* Copy @words words of a map of @nbits bits; there are zeroes behind it. */
static inline void bitmap_to_words(uint64_t *out, size_t words,
                                   const unsigned long *map, size_t nbits)
{
    size_t count = MIN(words, DIV_ROUND_UP(nbits, 64));

    bits_to_words(out, map, MIN(nbits, count * 64));
    if (count < words) {
        memset(out + count, 0, (words - count) * sizeof(*out));
    }
}

/* Set, or clear, @nr bits from @start on. */
void bitmap_set(unsigned long *map, int start, int nr);
void bitmap_clear(unsigned long *map, int start, int nr);

#endif

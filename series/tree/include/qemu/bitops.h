/*
 * Single bits in arrays of words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_BITOPS_H
#define QEMU_BITOPS_H

#include "qemu/osdep.h"

/* A word of fewer bits lies in the low ones of an unsigned long. */
#ifndef BITS_PER_LONG
#define BITS_PER_LONG 64
#endif

_Static_assert(BITS_PER_LONG >= 2 && 64 % BITS_PER_LONG == 0,
               "a word has 2, 4, 8, 16, 32 or 64 bits");

#define LONG_ONES (~0UL >> (64 - BITS_PER_LONG))
#define BIT_MASK(nr) (1UL << ((nr) % BITS_PER_LONG))
#define BIT_WORD(nr) ((nr) / BITS_PER_LONG)
#define BITS_TO_LONGS(nr) DIV_ROUND_UP(nr, BITS_PER_LONG)

static inline void set_bit(int nr, unsigned long *map)
{
    map[BIT_WORD(nr)] |= BIT_MASK(nr);
}

static inline void clear_bit(int nr, unsigned long *map)
{
    map[BIT_WORD(nr)] &= ~BIT_MASK(nr);
}

static inline int test_bit(int nr, const unsigned long *map)
{
    return (map[BIT_WORD(nr)] & BIT_MASK(nr)) != 0;
}

/* Returns what the bit was. */
static inline int test_and_set_bit(int nr, unsigned long *map)
{
    int was_set = test_bit(nr, map);

    set_bit(nr, map);
    return was_set;
}

/* The number of bits set in a word. */
static inline int ctpopl(unsigned long word)
{
    return __builtin_popcountl(word);
}

/* Copy a map of @nbits bits to the numbers of 64 bits that hold them. */
static inline void bits_to_words(uint64_t *out, const unsigned long *map,
                                 size_t nbits)
{
    const size_t each = 64 / BITS_PER_LONG;

    if (each == 1) {
        /* Mostly a word or two, for which a call would take longer. */
        for (size_t i = 0; i < BITS_TO_LONGS(nbits); i++) {
            out[i] = map[i];
        }
        return;
    }
    memset(out, 0, DIV_ROUND_UP(nbits, 64) * sizeof(*out));
    for (size_t i = 0; i < BITS_TO_LONGS(nbits); i++) {
        out[i / each] |= (uint64_t)map[i] << (i % each * BITS_PER_LONG);
    }
}

/* The first set bit of [offset, size), or @size when there is none. */
unsigned long find_next_bit(const unsigned long *map, unsigned long size,
                            unsigned long offset);

#endif

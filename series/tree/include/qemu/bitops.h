/*
 * Single bits in arrays of words.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_BITOPS_H
#define QEMU_BITOPS_H

#include "qemu/osdep.h"

#define BITS_PER_LONG 64

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

/* The first set bit of [offset, size), or @size when there is none. */
unsigned long find_next_bit(const unsigned long *map, unsigned long size,
                            unsigned long offset);

#endif

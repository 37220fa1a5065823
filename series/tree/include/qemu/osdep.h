/*
 * The system headers, and the few services the rest is written against.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_OSDEP_H
#define QEMU_OSDEP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(unsigned long) == 8, "a word has 64 bits");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little end first");

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define DIV_ROUND_UP(n, d) (((n) + (d) - 1) / (d))
#define ROUND_UP(n, d) (DIV_ROUND_UP(n, d) * (d))

/*
 * An abort ends the operation, not the process: the driver takes over and
 * reports it.
 */
void dirty_abort(void) __attribute__((noreturn));

#undef assert
#define assert(expr) ((expr) ? (void)0 : dirty_abort())
#define abort() dirty_abort()

/* Zeroed memory for objects of a fixed size. */
void *g_malloc0(size_t size);
void g_free(void *mem);

#define g_new0(type, count) ((type *)g_malloc0(sizeof(type) * (count)))

/*
 * Memory for arrays that follow the size of RAM.
 *
 * Every such array has GUARD_SIZE bytes behind it, as zero as the memory
 * gained by growing.  An operation may stray into them; if it may have written
 * there, the driver wipes them before the next one.  Size 0 frees.  What
 * g_realloc() returned must not go to g_free(), nor the reverse.
 */
#define GUARD_SIZE 2048

void *g_realloc(void *mem, size_t size);

#define g_renew(type, mem, count) \
    ((type *)g_realloc((mem), sizeof(type) * (count)))

/* Zeroes the first @size bytes behind every array. */
void guard_wipe(size_t size);

/* For the driver: a number that grows whenever an array is renewed. */
const uint64_t *array_renewals(void);
/* The array after @mem, or the first for NULL, and its @size; NULL at last. */
void *array_next(void *mem, size_t *size);

#endif

/*
 * Allocation.  Arrays have a guard behind them, see osdep.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <sys/queue.h>

#include "qemu/osdep.h"

#undef abort

/* From data + size to data + capacity + GUARD_SIZE there are only zeroes. */
typedef struct Array {
    LIST_ENTRY(Array) next;
    size_t size;
    size_t capacity;
    unsigned char data[];
} Array;

/* The arrays, the last one made first, and how often one was renewed. */
static struct {
    Array *lh_first;
    uint64_t renewals;
} arrays;

static void *no_null(void *mem)
{
    if (!mem) {
        abort();
    }
    return mem;
}

void *g_malloc0(size_t size)
{
    return no_null(calloc(1, size));
}

void g_free(void *mem)
{
    free(mem);
}

static Array *array_new(size_t capacity)
{
    Array *array = no_null(calloc(1, sizeof(Array) + capacity + GUARD_SIZE));

    array->capacity = capacity;
    LIST_INSERT_HEAD(&arrays, array, next);
    return array;
}

static void array_free(Array *array)
{
    LIST_REMOVE(array, next);
    free(array);
}

static Array *array_of(void *mem)
{
    return (Array *)((unsigned char *)mem - offsetof(Array, data));
}

void *g_realloc(void *mem, size_t size)
{
    Array *array = NULL;

    arrays.renewals++;
    if (mem) {
        array = array_of(mem);
        if (size < array->size) {
            memset(array->data + size, 0, array->size - size);
        }
    }
    if (size == 0) {
        if (array) {
            array_free(array);
        }
        return NULL;
    }
    if (!array) {
        array = array_new(size);
    } else if (size > array->capacity) {
        Array *bigger = array_new(MAX(size, 2 * array->capacity));

        memcpy(bigger->data, array->data, array->size);
        array_free(array);
        array = bigger;
    }
    array->size = size;
    return array->data;
}

void guard_wipe(size_t size)
{
    Array *array;

    LIST_FOREACH(array, &arrays, next) {
        memset(array->data + array->size, 0, MIN(size, GUARD_SIZE));
    }
}

const uint64_t *array_renewals(void)
{
    return &arrays.renewals;
}

void *array_next(void *mem, size_t *size)
{
    Array *array = mem ? LIST_NEXT(array_of(mem), next) : LIST_FIRST(&arrays);

    *size = array ? array->size : 0;
    return array ? array->data : NULL;
}

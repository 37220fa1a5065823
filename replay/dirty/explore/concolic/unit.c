/*
 * The frame of a step's sources: all of them are one unit, so that what is static can be
 * reached. What they call of the C library goes to the engine, which has to know of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <limits.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "concolic.h"

void *concolic_calloc(size_t count, size_t size);
void *concolic_malloc(size_t size);
void *concolic_realloc(void *mem, size_t size);
void concolic_free(void *mem);
void *concolic_memcpy(void *to, const void *from, size_t size);
void *concolic_memmove(void *to, const void *from, size_t size);
void *concolic_memset(void *to, int byte, size_t size);
int concolic_memcmp(const void *one, const void *two, size_t size);

#define calloc concolic_calloc
#define malloc concolic_malloc
#define realloc concolic_realloc
#define free concolic_free
#define memcpy concolic_memcpy
#define memmove concolic_memmove
#define memset concolic_memset
#define memcmp concolic_memcmp

/* SOURCES */

#undef calloc
#undef malloc
#undef realloc
#undef free
#undef memcpy
#undef memmove
#undef memset
#undef memcmp

/* What the engine asks for itself is no load of the operation under way. */
#define UNSEEN __attribute__((no_sanitize("kernel-address")))

/* A field more would be a part of the state that nobody compares. */
_Static_assert(sizeof(MemoryRegion) == 16, "a region is its address and its size");
_Static_assert(sizeof(RAMBlock) == 40, "a block is its region, address, length and links");
#ifdef BYTEWISE
_Static_assert(sizeof(RAMList) == sizeof(ram_list.phys_dirty) + 16, "a store and the blocks");
#else
_Static_assert(sizeof(RAMList) == sizeof(ram_list.dirty_memory) + 16, "a store and the blocks");
_Static_assert(sizeof(ram_list.dirty_memory) == 3 * sizeof(long *), "a bitmap a client");
#endif

UNSEEN static size_t array_size(const void *mem)
{
    return mem ? ((const Array *)((const char *)mem - offsetof(Array, data)))->size : 0;
}

UNSEEN static size_t words_of(size_t pages)
{
    return BITS_TO_LONGS(pages);
}

UNSEEN static int blocks_parts(struct parts *parts)
{
    int found = !machine.last_block;
    ram_addr_t end = 0;
    RAMBlock *block;

    parts->nr_blocks = 0;
    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        if (parts->nr_blocks == MOST_BLOCKS || !block->mr ||
            block->mr->ram_addr != block->offset || block->mr->size != block->length) {
            return 0;
        }
        parts->blocks[parts->nr_blocks][0] = block->offset >> TARGET_PAGE_BITS;
        parts->blocks[parts->nr_blocks++][1] = block->length >> TARGET_PAGE_BITS;
        end = MAX(end, block->offset + block->length);
        found |= block == machine.last_block;
    }
    return found && end == machine.ram_end;
}

UNSEEN void concolic_parts(struct parts *parts)
{
    size_t tlb = array_size(tlb_direct) / sizeof(long);
    size_t code = array_size(page_has_code) / sizeof(long);

    parts->sound = blocks_parts(parts);
#ifdef BYTEWISE
    parts->bytes = ram_list.phys_dirty;
    parts->nr_bytes = array_size(ram_list.phys_dirty);
    parts->nr_dirty[0] = parts->nr_dirty[1] = parts->nr_dirty[2] = 0;
#else
    parts->bytes = NULL;
    parts->nr_bytes = 0;
    for (size_t i = 0; i < CLIENTS; i++) {
        parts->dirty[i] = ram_list.dirty_memory[client_number[i]];
        parts->nr_dirty[i] = array_size(parts->dirty[i]) / sizeof(long);
    }
#endif
    parts->bitmap = migration_bitmap;
    parts->bitmap_pages = migration_bitmap ? migration_bitmap_pages : -1;
    parts->nr_bitmap = migration_bitmap ? words_of(migration_bitmap_pages) : 0;
    parts->tlb[0] = tlb_notdirty;
    parts->tlb[1] = tlb_direct;
    parts->tlb_pages = tlb_pages;
    parts->nr_tlb = words_of(tlb_pages);
    parts->sound &= tlb == parts->nr_tlb &&
                    array_size(tlb_notdirty) / sizeof(long) == tlb;
    parts->code[0] = page_has_code;
    parts->code[1] = page_had_code;
    parts->code_pages = page_count;
    parts->nr_code = words_of(page_count);
    parts->sound &= code == parts->nr_code &&
                    array_size(page_had_code) / sizeof(long) == code;
    parts->logging = in_migration;
    parts->sound &= in_migration == 0 || in_migration == 1;
    parts->dirty_pages = migration_dirty_pages;
    parts->events = (const struct event *)current.events;
    parts->nr_events = current.nr_events;
}

UNSEEN void concolic_level(uint64_t dirty_pages)
{
    machine.last_block = NULL;
    migration_dirty_pages = dirty_pages;
}

UNSEEN static RAMBlock *listed(ram_addr_t addr)
{
    RAMBlock *block;

    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        if (addr >= block->offset && addr < block->offset + block->length) {
            return block;
        }
    }
    return NULL;
}

UNSEEN int concolic_finds_blocks(void)
{
    RAMBlock *last = NULL;
    int sound = 1;

    do {
        last = last ? TAILQ_NEXT(last, next) : TAILQ_FIRST(&ram_list.blocks);
        for (ram_addr_t addr = 0; addr <= machine.ram_end; addr += TARGET_PAGE_SIZE / 2) {
            machine.last_block = last;
            sound &= block_at(addr) == listed(addr);
        }
    } while (last);
    return sound;
}

UNSEEN int concolic_behind(const void *at)
{
    const unsigned char *end = (const unsigned char *)at + 8;
    Array *array;

    LIST_FOREACH(array, &arrays, next) {
        if (end > (const unsigned char *)array &&
            end <= array->data + array->capacity + GUARD_SIZE) {
            return end <= array->data || end > array->data + array->size;
        }
    }
    return 0;
}

UNSEEN int concolic_clean_behind(void)
{
    Array *array;

    LIST_FOREACH(array, &arrays, next) {
        const unsigned char *at = array->data + array->size;
        const unsigned char *end = array->data + array->capacity + GUARD_SIZE;

        for (; (uintptr_t)at % 8 && at < end; at++) {
            if (*at) {
                return 0;
            }
        }
        for (; at + 8 <= end; at += 8) {
            if (*(const uint64_t *)at) {
                return 0;
            }
        }
    }
    return 1;
}

#define KNOWN(name) (at[n] = &(name), size[n++] = sizeof(name))

size_t concolic_known(const void **at, size_t *size, size_t max)
{
    size_t n = 0;

    if (max < 16) {
        return 0;
    }
    KNOWN(machine);
    KNOWN(current);
    KNOWN(ram_list);
    KNOWN(arrays);
    KNOWN(in_migration);
    KNOWN(migration_bitmap);
    KNOWN(migration_bitmap_pages);
    KNOWN(migration_dirty_pages);
    KNOWN(tlb_direct);
    KNOWN(tlb_notdirty);
    KNOWN(tlb_pages);
    KNOWN(page_has_code);
    KNOWN(page_had_code);
    KNOWN(page_count);
    return n;
}

unsigned concolic_client(unsigned number)
{
    return client_number[number];
}

void concolic_probe(void *at)
{
    unsigned char *bytes = at;
    unsigned long *words = (unsigned long *)at + 2;

    bytes[0] |= 1;
    bytes[1 + bytes[2]] &= bytes[3];
    words[0] |= words[3];
    words[2] = words[3] + words[4];
}

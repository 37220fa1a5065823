/*
 * Guest RAM: its blocks and its dirty store.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef CPU_ALL_H
#define CPU_ALL_H

#include <sys/queue.h>

#include "exec/memory.h"

typedef struct RAMBlock {
    MemoryRegion *mr;
    ram_addr_t offset;
    ram_addr_t length;
    TAILQ_ENTRY(RAMBlock) next;
} RAMBlock;

typedef struct RAMList {
    /* One byte a page, one bit a client; 0xff: never cleaned. */
    uint8_t *phys_dirty;
    /* Longest first; equals in the order they came. */
    TAILQ_HEAD(, RAMBlock) blocks;
} RAMList;

extern RAMList ram_list;

#endif

/*
 * The TLB of the one CPU: identity mapped, at most one entry a page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef CPUTLB_H
#define CPUTLB_H

#include "exec/cpu-common.h"

/* The kinds of entry, by how a store to the page goes. */
typedef enum TLBEntry {
    TLB_NONE,           /* a miss */
    TLB_NOTDIRTY,       /* the slow way, through notdirty_mem_write() */
    TLB_DIRECT,         /* the fast way, past dirty tracking */
} TLBEntry;

/* Have the next store to the page noticed, so that its code can go. */
void tlb_protect_code(ram_addr_t ram_addr);
/* The page holds no code any more. */
void tlb_unprotect_code_phys(ram_addr_t ram_addr);

/* Enter a writable RAM page; returns the entry. */
TLBEntry tlb_set_page(ram_addr_t addr);
/* A notdirty entry becomes direct. */
void tlb_set_dirty(ram_addr_t addr);
/*
 * Direct entries become notdirty if their page begins in the range, which
 * begins with a page.
 */
void tlb_reset_dirty_range(ram_addr_t start, ram_addr_t length);

/* Drop the entries of the range, or all. */
void tlb_flush_range(ram_addr_t start, ram_addr_t length);
void tlb_flush(void);

/* A store by the CPU; true if it took the fast way. */
bool cpu_store(ram_addr_t addr, unsigned size);

/* For the driver: start afresh, and look at @words words of entries. */
void tlb_reset(void);
void tlb_words(uint64_t *direct, uint64_t *notdirty, size_t words);

#endif

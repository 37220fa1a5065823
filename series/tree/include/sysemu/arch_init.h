/*
 * Migration of RAM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_ARCH_INIT_H
#define QEMU_ARCH_INIT_H

#include "exec/memory.h"

/* The pages still to send, NULL when no migration runs; its length in bits. */
extern unsigned long *migration_bitmap;
extern long migration_bitmap_pages;
/* How many pages are still to send; keeps its last value. */
extern uint64_t migration_dirty_pages;

/* Begin with all pages, switch dirty logging on, and synchronize. */
void ram_save_setup(void);
/* Move what has become dirty into the migration bitmap. */
void migration_bitmap_sync(void);
/*
 * Take the first page to send of the region, from @start on.  Returns its
 * offset, or the size of the region when there is none.
 */
ram_addr_t migration_bitmap_find_and_reset_dirty(MemoryRegion *mr,
                                                 ram_addr_t start);
/* Dirty logging off; the migration bitmap goes. */
void migration_end(void);

/* For the driver: start afresh. */
void migration_reset(void);

#endif

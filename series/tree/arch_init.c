/*
 * Migration of RAM: the bitmap of pages still to send.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "exec/memory-internal.h"
#include "qemu/bitmap.h"
#include "sysemu/arch_init.h"

unsigned long *migration_bitmap;
long migration_bitmap_pages;
uint64_t migration_dirty_pages;

ram_addr_t migration_bitmap_find_and_reset_dirty(MemoryRegion *mr,
                                                 ram_addr_t start)
{
    unsigned long base = mr->ram_addr >> TARGET_PAGE_BITS;
    unsigned long end = base + (mr->size >> TARGET_PAGE_BITS);
    unsigned long page = find_next_bit(migration_bitmap, end,
                                       base + (start >> TARGET_PAGE_BITS));

    if (page < end) {
        clear_bit(page, migration_bitmap);
        migration_dirty_pages--;
    }
    return (ram_addr_t)(page - base) << TARGET_PAGE_BITS;
}

/* Returns whether the page was to be sent already. */
static bool migration_bitmap_set_dirty(MemoryRegion *mr, ram_addr_t offset)
{
    int nr = (mr->ram_addr + offset) >> TARGET_PAGE_BITS;
    bool was_set = test_and_set_bit(nr, migration_bitmap);

    if (!was_set) {
        migration_dirty_pages++;
    }
    return was_set;
}

void migration_bitmap_sync(void)
{
    RAMBlock *block;
    ram_addr_t addr;

    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        for (addr = 0; addr < block->length; addr += TARGET_PAGE_SIZE) {
            if (memory_region_test_and_clear_dirty(block->mr, addr,
                                                   TARGET_PAGE_SIZE,
                                                   DIRTY_MEMORY_MIGRATION)) {
                migration_bitmap_set_dirty(block->mr, addr);
            }
        }
    }
}

void ram_save_setup(void)
{
    migration_bitmap_pages = last_ram_offset() >> TARGET_PAGE_BITS;
    migration_bitmap = bitmap_new(migration_bitmap_pages);
    bitmap_set(migration_bitmap, 0, migration_bitmap_pages);
    migration_dirty_pages = migration_bitmap_pages;

    memory_global_dirty_log_start();
    migration_bitmap_sync();
}

void migration_end(void)
{
    memory_global_dirty_log_stop();
    g_free(migration_bitmap);
    migration_bitmap = NULL;
}

void migration_reset(void)
{
    g_free(migration_bitmap);
    migration_bitmap = NULL;
    migration_dirty_pages = 0;
}

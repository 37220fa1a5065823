/*
 * What the core of memory keeps to itself: the dirty store and its functions.
 *
 * A range start, length covers the pages from that of start up to, but without,
 * that of start + length rounded up to a page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef MEMORY_INTERNAL_H
#define MEMORY_INTERNAL_H

#include "exec/cpu-all.h"
#include "hw/xen/xen.h"

#define VGA_DIRTY_FLAG       0x01
#define CODE_DIRTY_FLAG      0x02
#define MIGRATION_DIRTY_FLAG 0x08

/* Place a block of whole pages, make it dirty, and return its address. */
ram_addr_t qemu_ram_alloc(ram_addr_t size, MemoryRegion *mr);
/* Remove the block at @addr. */
void qemu_ram_free(ram_addr_t addr);
/* Where a block of @size bytes would be placed. */
ram_addr_t find_ram_offset(ram_addr_t size);
/* The end of the last block. */
ram_addr_t last_ram_offset(void);

/* A store to a page that is not dirty for all clients. */
void notdirty_mem_write(ram_addr_t ram_addr, unsigned size);

/* For the driver: start afresh, and look. */
void ram_reset(void);
/* The pages dirty for @client, in @words words: not more than RAM has. */
void ram_dirty_words(uint64_t *out, size_t words, unsigned client);
/* Is the page of @addr dirty for all clients? */
bool ram_page_is_dirty(ram_addr_t addr);
/* Is dirty logging on? */
bool ram_dirty_logging(void);

static inline int cpu_physical_memory_get_dirty_flags(ram_addr_t addr)
{
    return ram_list.phys_dirty[addr >> TARGET_PAGE_BITS];
}

/* Is the page of @addr dirty for all clients? */
static inline int cpu_physical_memory_is_dirty(ram_addr_t addr)
{
    return cpu_physical_memory_get_dirty_flags(addr) == 0xff;
}

/* Those of the flags that some page of the range has. */
static inline int cpu_physical_memory_get_dirty(ram_addr_t start,
                                                ram_addr_t length,
                                                int dirty_flags)
{
    ram_addr_t addr, end;
    int found = 0;

    end = TARGET_PAGE_ALIGN(start + length);
    start &= TARGET_PAGE_MASK;
    for (addr = start; addr < end; addr += TARGET_PAGE_SIZE) {
        found |= cpu_physical_memory_get_dirty_flags(addr) & dirty_flags;
    }
    return found;
}

/* Returns the flags that the page has now. */
static inline int cpu_physical_memory_set_dirty_flags(ram_addr_t addr,
                                                      int dirty_flags)
{
    return ram_list.phys_dirty[addr >> TARGET_PAGE_BITS] |= dirty_flags;
}

static inline void cpu_physical_memory_set_dirty(ram_addr_t addr)
{
    cpu_physical_memory_set_dirty_flags(addr, 0xff);
}

/* Returns the flags that the page has now. */
static inline int cpu_physical_memory_clear_dirty_flags(ram_addr_t addr,
                                                        int dirty_flags)
{
    return ram_list.phys_dirty[addr >> TARGET_PAGE_BITS] &= ~dirty_flags;
}

static inline void cpu_physical_memory_set_dirty_range(ram_addr_t start,
                                                       ram_addr_t length,
                                                       int dirty_flags)
{
    ram_addr_t addr, end;

    end = TARGET_PAGE_ALIGN(start + length);
    start &= TARGET_PAGE_MASK;
    for (addr = start; addr < end; addr += TARGET_PAGE_SIZE) {
        cpu_physical_memory_set_dirty_flags(addr, dirty_flags);
    }
    xen_modified_memory(addr, length);
}

static inline void cpu_physical_memory_mask_dirty_range(ram_addr_t start,
                                                        ram_addr_t length,
                                                        int dirty_flags)
{
    ram_addr_t addr, end;

    end = TARGET_PAGE_ALIGN(start + length);
    start &= TARGET_PAGE_MASK;
    for (addr = start; addr < end; addr += TARGET_PAGE_SIZE) {
        cpu_physical_memory_clear_dirty_flags(addr, dirty_flags);
    }
}

/*
 * Clear the flags in the pages that [start, end) touches, and under TCG have
 * the next store to each of them noticed.
 */
void cpu_physical_memory_reset_dirty(ram_addr_t start, ram_addr_t end,
                                     int dirty_flags);

/* Switch dirty logging on or off.  Returns 0. */
int cpu_physical_memory_set_dirty_tracking(int enable);

#endif

/*
 * Memory regions: what devices and displays see of guest RAM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef MEMORY_H
#define MEMORY_H

#include "exec/cpu-common.h"

/* The clients of dirty tracking. */
#define DIRTY_MEMORY_VGA       0
#define DIRTY_MEMORY_CODE      1
#define DIRTY_MEMORY_MIGRATION 3

typedef struct MemoryRegion {
    ram_addr_t ram_addr;
    hwaddr size;
} MemoryRegion;

/* A part of a region. */
typedef struct MemoryRegionSection {
    MemoryRegion *mr;
    hwaddr offset_within_region;
    hwaddr size;
} MemoryRegionSection;

/* Give the region a RAM block of its own. */
void memory_region_init_ram(MemoryRegion *mr, hwaddr size);

/*
 * The dirty state of [addr, addr + size), relative to the region.  @client is
 * one of DIRTY_MEMORY_*; setting dirties for all of them.
 */
bool memory_region_get_dirty(MemoryRegion *mr, hwaddr addr, hwaddr size,
                             unsigned client);
void memory_region_set_dirty(MemoryRegion *mr, hwaddr addr, hwaddr size);
bool memory_region_test_and_clear_dirty(MemoryRegion *mr, hwaddr addr,
                                        hwaddr size, unsigned client);
void memory_region_reset_dirty(MemoryRegion *mr, hwaddr addr, hwaddr size,
                               unsigned client);

/* Switch dirty logging on and off for all of memory. */
void memory_global_dirty_log_start(void);
void memory_global_dirty_log_stop(void);

/* A device writes to RAM: a piece for each page that it touches. */
void address_space_write(hwaddr addr, hwaddr length);
/* A 4-byte store that leaves no dirty mark unless memory is being logged. */
void stl_phys_notdirty(hwaddr addr);

#endif

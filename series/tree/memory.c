/*
 * Memory regions: translate to addresses of RAM, and clients to flags.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "exec/memory-internal.h"

void memory_region_init_ram(MemoryRegion *mr, hwaddr size)
{
    mr->size = size;
    mr->ram_addr = qemu_ram_alloc(size, mr);
}

bool memory_region_get_dirty(MemoryRegion *mr, hwaddr addr, hwaddr size,
                             unsigned client)
{
    return cpu_physical_memory_get_dirty(mr->ram_addr + addr, size,
                                         1 << client);
}

void memory_region_set_dirty(MemoryRegion *mr, hwaddr addr, hwaddr size)
{
    return cpu_physical_memory_set_dirty_range(mr->ram_addr + addr, size, -1);
}

bool memory_region_test_and_clear_dirty(MemoryRegion *mr, hwaddr addr,
                                        hwaddr size, unsigned client)
{
    bool dirty = cpu_physical_memory_get_dirty(mr->ram_addr + addr, size,
                                               1 << client);

    if (dirty) {
        cpu_physical_memory_reset_dirty(mr->ram_addr + addr,
                                        mr->ram_addr + addr + size,
                                        1 << client);
    }
    return dirty;
}

void memory_region_reset_dirty(MemoryRegion *mr, hwaddr addr, hwaddr size,
                               unsigned client)
{
    cpu_physical_memory_reset_dirty(mr->ram_addr + addr,
                                    mr->ram_addr + addr + size, 1 << client);
}

void memory_global_dirty_log_start(void)
{
    cpu_physical_memory_set_dirty_tracking(1);
}

void memory_global_dirty_log_stop(void)
{
    cpu_physical_memory_set_dirty_tracking(0);
}

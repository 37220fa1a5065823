/*
 * Merging the dirty logs of the kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/bitops.h"
#include "sysemu/kvm.h"

int kvm_get_dirty_pages_log_range(MemoryRegionSection *section,
                                  unsigned long *bitmap)
{
    const ram_addr_t host_page = host_page_size();
    size_t words = BITS_TO_LONGS(section->size / host_page);

    for (size_t i = 0; i < words; i++) {
        for (unsigned long left = bitmap[i]; left; left &= left - 1) {
            size_t nr = i * BITS_PER_LONG + __builtin_ctzl(left);

            memory_region_set_dirty(section->mr,
                                    section->offset_within_region
                                    + nr * host_page, host_page);
        }
    }
    return 0;
}

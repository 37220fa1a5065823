/*
 * Dirty logs from the kernel.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_KVM_H
#define QEMU_KVM_H

#include "exec/memory.h"

/* Merge the kernel's log of a section: one bit a host page.  Returns 0. */
int kvm_get_dirty_pages_log_range(MemoryRegionSection *section,
                                  unsigned long *bitmap);

#endif

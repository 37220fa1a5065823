/*
 * Xen keeps a record of its own of the memory that QEMU writes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef QEMU_HW_XEN_H
#define QEMU_HW_XEN_H

#include "exec/cpu-common.h"

/* Tell Xen that @length bytes from @start on were written. */
void xen_modified_memory(ram_addr_t start, ram_addr_t length);

#endif

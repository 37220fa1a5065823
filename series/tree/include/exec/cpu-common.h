/*
 * Addresses and pages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef CPU_COMMON_H
#define CPU_COMMON_H

#include "qemu/osdep.h"

/* A byte of guest RAM: the blocks lie in one space of these addresses. */
typedef uint64_t ram_addr_t;
/* A guest physical address; here RAM is mapped where its ram_addr_t says. */
typedef uint64_t hwaddr;

#ifndef TARGET_PAGE_BITS
#define TARGET_PAGE_BITS 12
#endif
#if TARGET_PAGE_BITS != 12
#error "the miniature has pages of 4096 bytes"
#endif

#define TARGET_PAGE_SIZE ((ram_addr_t)1 << TARGET_PAGE_BITS)
#define TARGET_PAGE_MASK (~(TARGET_PAGE_SIZE - 1))
#define TARGET_PAGE_ALIGN(addr) \
    (((addr) + TARGET_PAGE_SIZE - 1) & TARGET_PAGE_MASK)

/* Is this the interpreter, whose TLB must follow the dirty state? */
bool tcg_enabled(void);

/* The host's page size in bytes: what one bit of a KVM log covers. */
ram_addr_t host_page_size(void);

#endif

/*
 * The TLB: which stores must be noticed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "exec/cputlb.h"
#include "exec/memory-internal.h"
#include "qemu/bitmap.h"

/* One bit a page in each, at most one of them set; @tlb_pages have bits. */
static unsigned long *tlb_direct;
static unsigned long *tlb_notdirty;
static size_t tlb_pages;

static void tlb_resize(size_t pages)
{
    tlb_direct = g_renew(unsigned long, tlb_direct, BITS_TO_LONGS(pages));
    tlb_notdirty = g_renew(unsigned long, tlb_notdirty, BITS_TO_LONGS(pages));
    tlb_pages = pages;
}

static TLBEntry tlb_lookup(size_t page)
{
    if (page >= tlb_pages) {
        return TLB_NONE;
    }
    if (test_bit(page, tlb_direct)) {
        return TLB_DIRECT;
    }
    return test_bit(page, tlb_notdirty) ? TLB_NOTDIRTY : TLB_NONE;
}

static void tlb_enter(size_t page, TLBEntry entry)
{
    clear_bit(page, tlb_direct);
    clear_bit(page, tlb_notdirty);
    set_bit(page, entry == TLB_DIRECT ? tlb_direct : tlb_notdirty);
}

void tlb_protect_code(ram_addr_t ram_addr)
{
    cpu_physical_memory_reset_dirty(ram_addr, ram_addr + TARGET_PAGE_SIZE,
                                    CODE_DIRTY_FLAG);
}

void tlb_unprotect_code_phys(ram_addr_t ram_addr)
{
    cpu_physical_memory_set_dirty_flags(ram_addr, CODE_DIRTY_FLAG);
}

TLBEntry tlb_set_page(ram_addr_t addr)
{
    size_t page = addr >> TARGET_PAGE_BITS;
    TLBEntry entry;

    if (page >= tlb_pages) {
        tlb_resize(last_ram_offset() >> TARGET_PAGE_BITS);
    }
    if (cpu_physical_memory_is_dirty(addr)) {
        entry = TLB_DIRECT;
    } else {
        entry = TLB_NOTDIRTY;
    }
    tlb_enter(page, entry);
    return entry;
}

void tlb_set_dirty(ram_addr_t addr)
{
    size_t page = addr >> TARGET_PAGE_BITS;

    if (tlb_lookup(page) == TLB_NOTDIRTY) {
        tlb_enter(page, TLB_DIRECT);
    }
}

void tlb_reset_dirty_range(ram_addr_t start, ram_addr_t length)
{
    size_t page = start >> TARGET_PAGE_BITS;
    size_t end = TARGET_PAGE_ALIGN(start + length) >> TARGET_PAGE_BITS;

    for (; page < end; page++) {
        if (tlb_lookup(page) == TLB_DIRECT) {
            tlb_enter(page, TLB_NOTDIRTY);
        }
    }
}

void tlb_flush_range(ram_addr_t start, ram_addr_t length)
{
    size_t page = start >> TARGET_PAGE_BITS;
    size_t end = MIN((start + length) >> TARGET_PAGE_BITS, tlb_pages);

    if (page < end) {
        bitmap_clear(tlb_direct, page, end - page);
        bitmap_clear(tlb_notdirty, page, end - page);
    }
}

void tlb_flush(void)
{
    tlb_flush_range(0, (ram_addr_t)tlb_pages << TARGET_PAGE_BITS);
}

bool cpu_store(ram_addr_t addr, unsigned size)
{
    TLBEntry entry = tlb_lookup(addr >> TARGET_PAGE_BITS);

    if (entry == TLB_NONE) {
        entry = tlb_set_page(addr);
    }
    if (entry == TLB_DIRECT) {
        return true;
    }
    notdirty_mem_write(addr, size);
    return false;
}

void tlb_reset(void)
{
    tlb_resize(0);
}

void tlb_words(uint64_t *direct, uint64_t *notdirty, size_t words)
{
    bitmap_to_words(direct, words, tlb_direct, tlb_pages);
    bitmap_to_words(notdirty, words, tlb_notdirty, tlb_pages);
}

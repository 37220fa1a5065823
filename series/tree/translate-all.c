/*
 * Which pages hold translated code, and how it is invalidated.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "exec/memory-internal.h"
#include "qemu/bitmap.h"

/*
 * One bit a page in each: it holds code, it ever did.  The second stands for
 * the page descriptor, which the first code makes and nothing removes.
 */
static unsigned long *page_has_code;
static unsigned long *page_had_code;
static size_t page_count;

static void page_resize(size_t pages)
{
    size_t words = BITS_TO_LONGS(pages);

    page_has_code = g_renew(unsigned long, page_has_code, words);
    page_had_code = g_renew(unsigned long, page_had_code, words);
    page_count = pages;
}

void tb_gen_code(ram_addr_t addr)
{
    size_t page = addr >> TARGET_PAGE_BITS;

    if (page >= page_count) {
        page_resize(last_ram_offset() >> TARGET_PAGE_BITS);
    }
    set_bit(page, page_had_code);
    if (!test_and_set_bit(page, page_has_code)) {
        tlb_protect_code(addr & TARGET_PAGE_MASK);
    }
}

void tb_invalidate_phys_page_range(ram_addr_t start, ram_addr_t end,
                                   int is_cpu_write_access)
{
    size_t page = start >> TARGET_PAGE_BITS;

    trace_tb_invalidate(start, end);
    if (page >= page_count || !test_bit(page, page_had_code)) {
        return;
    }
    clear_bit(page, page_has_code);
    if (is_cpu_write_access) {
        /* No code is left to protect: later stores need not come here. */
        tlb_unprotect_code_phys(start);
    }
}

void tb_invalidate_phys_page_fast(ram_addr_t start, int size)
{
    tb_invalidate_phys_page_range(start, start + size, 1);
}

void tb_remove_range(ram_addr_t start, ram_addr_t length)
{
    size_t page = start >> TARGET_PAGE_BITS;
    size_t end = MIN((start + length) >> TARGET_PAGE_BITS, page_count);

    if (page < end) {
        bitmap_clear(page_has_code, page, end - page);
    }
}

void tb_reset(void)
{
    page_resize(0);
}

void tb_code_words(uint64_t *has_code, size_t words)
{
    bitmap_to_words(has_code, words, page_has_code, page_count);
}

/*
 * Translated code.  A translated block covers the whole of its page.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef EXEC_ALL_H
#define EXEC_ALL_H

#include "exec/cpu-common.h"

/* Code is translated on the page of @addr. */
void tb_gen_code(ram_addr_t addr);

/* Drop the code in [start, end), a range of one page. */
void tb_invalidate_phys_page_range(ram_addr_t start, ram_addr_t end,
                                   int is_cpu_write_access);
/* The same for a store of @size bytes by the CPU. */
void tb_invalidate_phys_page_fast(ram_addr_t start, int size);

/* The RAM of the range goes, and its code with it. */
void tb_remove_range(ram_addr_t start, ram_addr_t length);

/* For the driver: start afresh, and look at @words words of pages. */
void tb_reset(void);
void tb_code_words(uint64_t *has_code, size_t words);

/* Called for each invalidation by range, whether there is code or not. */
void trace_tb_invalidate(ram_addr_t start, ram_addr_t end);

#endif

/*
 * Guest RAM: blocks, the dirty store, and the writes that must mark it.
 * The miniature keeps no contents of RAM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "exec/memory-internal.h"

RAMList ram_list = { .blocks = TAILQ_HEAD_INITIALIZER(ram_list.blocks) };

static int in_migration;

/* Best fit behind an existing block: the smallest gap that holds @size. */
ram_addr_t find_ram_offset(ram_addr_t size)
{
    RAMBlock *block, *other;
    ram_addr_t offset = 0;
    ram_addr_t smallest = 0;
    bool found = false;

    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        ram_addr_t end = block->offset + block->length;
        ram_addr_t gap = UINT64_MAX;

        TAILQ_FOREACH(other, &ram_list.blocks, next) {
            if (other->offset >= end) {
                gap = MIN(gap, other->offset - end);
            }
        }
        if (gap >= size && (!found || gap < smallest)) {
            offset = end;
            smallest = gap;
            found = true;
        }
    }
    return offset;
}

ram_addr_t last_ram_offset(void)
{
    RAMBlock *block;
    ram_addr_t last = 0;

    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        last = MAX(last, block->offset + block->length);
    }
    return last;
}

static RAMBlock *qemu_get_ram_block(ram_addr_t addr)
{
    RAMBlock *block;

    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        if (addr - block->offset < block->length) {
            return block;
        }
    }
    abort();
}

ram_addr_t qemu_ram_alloc(ram_addr_t size, MemoryRegion *mr)
{
    RAMBlock *block;
    RAMBlock *new_block = g_new0(RAMBlock, 1);

    new_block->mr = mr;
    new_block->offset = find_ram_offset(size);
    new_block->length = size;

    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        if (block->length < size) {
            break;
        }
    }
    if (block) {
        TAILQ_INSERT_BEFORE(block, new_block, next);
    } else {
        TAILQ_INSERT_TAIL(&ram_list.blocks, new_block, next);
    }

    ram_list.phys_dirty = g_renew(uint8_t, ram_list.phys_dirty,
                                  last_ram_offset() >> TARGET_PAGE_BITS);
    memset(ram_list.phys_dirty + (new_block->offset >> TARGET_PAGE_BITS), 0,
           size >> TARGET_PAGE_BITS);
    cpu_physical_memory_set_dirty_range(new_block->offset, size, 0xff);

    return new_block->offset;
}

void qemu_ram_free(ram_addr_t addr)
{
    RAMBlock *block;

    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        if (block->offset == addr) {
            TAILQ_REMOVE(&ram_list.blocks, block, next);
            g_free(block);
            return;
        }
    }
}

void ram_reset(void)
{
    RAMBlock *block;

    while ((block = TAILQ_FIRST(&ram_list.blocks))) {
        TAILQ_REMOVE(&ram_list.blocks, block, next);
        g_free(block);
    }
    ram_list.phys_dirty = g_renew(uint8_t, ram_list.phys_dirty, 0);
    in_migration = 0;
}

/* Bit i of the result is bit @shift of bytes[i]; 64 bytes are read. */
static uint64_t gather_bits(const uint8_t *bytes, unsigned shift)
{
    uint64_t bits = 0;

    for (int i = 0; i < 8; i++) {
        uint64_t eight;

        memcpy(&eight, bytes + 8 * i, 8);
        eight = (eight >> shift) & 0x0101010101010101u;
        /* The product collects bit 0 of each byte in its top byte. */
        bits |= (eight * 0x0102040810204080u) >> 56 << (8 * i);
    }
    return bits;
}

void ram_dirty_words(uint64_t *out, size_t words, unsigned client)
{
    for (size_t i = 0; i < words; i++) {
        out[i] = gather_bits(ram_list.phys_dirty + i * 64, client);
    }
}

bool ram_page_is_dirty(ram_addr_t addr)
{
    return cpu_physical_memory_is_dirty(addr);
}

bool ram_dirty_logging(void)
{
    return in_migration;
}

static void tlb_reset_dirty_range_all(ram_addr_t start, ram_addr_t end,
                                      ram_addr_t length)
{
    RAMBlock *block = qemu_get_ram_block(start);

    /* The range must not leave its block. */
    assert(block == qemu_get_ram_block(end - 1));
    tlb_reset_dirty_range(start, length);
}

void cpu_physical_memory_reset_dirty(ram_addr_t start, ram_addr_t end,
                                     int dirty_flags)
{
    ram_addr_t length;

    start &= TARGET_PAGE_MASK;
    end = TARGET_PAGE_ALIGN(end);
    length = end - start;
    if (length == 0) {
        return;
    }
    cpu_physical_memory_mask_dirty_range(start, length, dirty_flags);

    if (tcg_enabled()) {
        tlb_reset_dirty_range_all(start, end, length);
    }
}

int cpu_physical_memory_set_dirty_tracking(int enable)
{
    in_migration = enable;
    return 0;
}

void notdirty_mem_write(ram_addr_t ram_addr, unsigned size)
{
    int dirty_flags;

    dirty_flags = cpu_physical_memory_get_dirty_flags(ram_addr);
    if (!(dirty_flags & CODE_DIRTY_FLAG)) {
        tb_invalidate_phys_page_fast(ram_addr, size);
        dirty_flags = cpu_physical_memory_get_dirty_flags(ram_addr);
    }
    /* Here the store itself would happen. */
    dirty_flags |= 0xff & ~CODE_DIRTY_FLAG;
    cpu_physical_memory_set_dirty_flags(ram_addr, dirty_flags);
    /* Once the page is dirty for all, later stores need not come here. */
    if (dirty_flags == 0xff) {
        tlb_set_dirty(ram_addr);
    }
}

static void invalidate_and_set_dirty(hwaddr addr, hwaddr length)
{
    if (!cpu_physical_memory_is_dirty(addr)) {
        /* The code there is stale now. */
        tb_invalidate_phys_page_range(addr, addr + length, 0);
        /* CODE stays as it is: the TLB has not been told. */
        cpu_physical_memory_set_dirty_flags(addr, 0xff & ~CODE_DIRTY_FLAG);
    }
    xen_modified_memory(addr, length);
}

void address_space_write(hwaddr addr, hwaddr length)
{
    while (length > 0) {
        hwaddr rest_of_page = TARGET_PAGE_SIZE - (addr & ~TARGET_PAGE_MASK);
        hwaddr piece = MIN(length, rest_of_page);

        invalidate_and_set_dirty(addr, piece);
        addr += piece;
        length -= piece;
    }
}

void stl_phys_notdirty(hwaddr addr)
{
    if (in_migration) {
        if (!cpu_physical_memory_is_dirty(addr)) {
            tb_invalidate_phys_page_range(addr, addr + 4, 0);
            cpu_physical_memory_set_dirty_flags(addr,
                                                0xff & ~CODE_DIRTY_FLAG);
        }
    }
}

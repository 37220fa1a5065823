/*
 * Units of memory, and the values that they can have.
 * A part of engine.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/* --- where a cell stands in a state --- */

static int shift_of(enum plane plane)
{
    if (plane <= BITMAP) {
        return plane * job.room;
    }
    return 4 * job.room + (plane - HAS_CODE) * job.pages;
}

static uint64_t ones(int64_t count)
{
    return count >= 64 ? ~0ull : (1ull << count) - 1;
}

/* The pages of a shape, a bit each. */
static uint64_t inside(const struct parts *parts)
{
    uint64_t pages = 0;

    for (size_t i = 0; i < parts->nr_blocks; i++) {
        pages |= ones(parts->blocks[i][1]) << parts->blocks[i][0];
    }
    return pages;
}

/* Bit i becomes bits 2i and 2i + 1 of a number, times @factor. */
static uint64_t spread(uint64_t bits, uint64_t factor)
{
    uint64_t wide = 0;

    for (int i = 0; bits; bits >>= 1, i++) {
        wide |= (bits & 1) * factor << 2 * i;
    }
    return wide;
}

static uint8_t flags_of(uint64_t clients)
{
    uint8_t flags = 0;

    for (int i = 0; i < 3; i++) {
        flags |= (clients >> i & 1) << unit_of_step.client(i);
    }
    return flags;
}

static uint8_t client_flags[8], all_clients;

/* The cells of a byte, at page 0; false if its unused bits are not alike. */
static bool byte_cells(uint8_t byte, uint64_t *cells)
{
    uint8_t rest = byte & ~all_clients;

    *cells = 0;
    for (int i = 0; i < 3; i++) {
        if (byte & client_flags[1 << i]) {
            *cells |= 1ull << shift_of(i);
        }
    }
    if (rest) {
        *cells |= 1ull << shift_of(UNUSED);
    }
    return !rest || (rest | all_clients) == 0xff;
}

/* --- units --- */

#include "possible.h"

/* A value more of a unit, if its cells can be so. */
static void may_have(struct unit *unit, const struct can *may, uint64_t cells, struct value value)
{
    if (possible(may, cells, value.state)) {
        values[nr_values++] = value;
    }
    unit->cells = cells;
}

static void end_unit(struct unit *unit)
{
    unit->count = nr_values - unit->first;
    if (!unit->count) {
        tell(BROKEN, "a machine begins in no state of its model");
    }
}

static struct unit *new_unit(enum plane plane, size_t index, const void *at, size_t size)
{
    struct unit *unit = &units[nr_units];

    if (nr_units == UNITS || nr_values + 65536 > VALUES) {
        tell(FULL, "the state has more units than are kept track of");
    }
    *unit = (struct unit){
        .first = nr_values, .at = { (const unsigned char *)at - arena }, .size = size,
        .places = 1, .plane = plane, .index = index,
    };
    memset(unit_at + unit->at[0], ++nr_units, size);
    return unit;
}

static void bytes_units(const struct can *may)
{
    uint64_t all;

    byte_cells(0xff, &all);
    for (size_t page = 0; page < before.nr_bytes; page++) {
        struct unit *unit = new_unit(VGA, page, before.bytes + page, 1);

        /* Dirty first: where a search is cut short, it has seen what most machines are. */
        for (int clients = 15; clients >= 0; clients--) {
            uint8_t byte = client_flags[clients & 7] | (clients & 8 ? ~all_clients : 0);
            uint64_t cells;

            byte_cells(byte, &cells);
            may_have(unit, may, all << page, (struct value){ cells << page, { byte } });
        }
        end_unit(unit);
    }
}

/* Words of a bitmap; only the bits of @there may be set. */
static void words_units(const struct can *may, enum plane plane, const unsigned long *words,
                        size_t count, uint64_t there)
{
    for (size_t i = 0; i < count; i++) {
        struct unit *unit = new_unit(plane, i, words + i, sizeof(*words));
        int first = i * job.word_bits;
        uint64_t mask = first < 64 ? there >> first & ones(job.word_bits) : 0;
        uint64_t cells = mask ? mask << (shift_of(plane) + first) : 0;
        uint64_t bits = mask;

        do {
            may_have(unit, may, cells, (struct value){
                bits ? bits << (shift_of(plane) + first) : 0, { bits },
            });
            bits = (bits - 1) & mask;
        } while (bits != mask);
        end_unit(unit);
    }
}

static void tlb_units(const struct can *may, uint64_t there)
{
    for (size_t i = 0; i < before.nr_tlb; i++) {
        struct unit *unit = new_unit(TLB, i, before.tlb[0] + i, sizeof(long));
        int first = i * job.word_bits;
        uint64_t mask = first < 64 ? there >> first & ones(job.word_bits) : 0;
        uint64_t all = mask ? spread(mask, 3) << (shift_of(TLB) + 2 * first) : 0;
        uint64_t some = 0;

        unit->places = 2;
        unit->at[1] = (const unsigned char *)(before.tlb[1] + i) - arena;
        memset(unit_at + unit->at[1], nr_units, unit->size);
        do {
            uint64_t direct = 0;

            do {
                uint64_t cells = spread(some & ~direct, 1) | spread(direct, 2);

                may_have(unit, may, all, (struct value){
                    cells ? cells << (shift_of(TLB) + 2 * first) : 0, { some & ~direct, direct },
                });
                direct = (direct - some) & some;
            } while (direct);
            some = (some - mask) & mask;
        } while (some);
        end_unit(unit);
    }
}

static void spoil(const struct unit *unit)
{
    for (int i = 0; i < unit->places; i++) {
        memcpy(arena + unit->at[i], &poison, unit->size);
    }
}

static void make_units(void)
{
    const struct can *may = &can[now.shape];
    uint64_t pages = inside(&before);

    for (size_t i = 0; i < nr_units; i++) {
        for (int k = 0; k < units[i].places; k++) {
            memset(unit_at + units[i].at[k], 0, units[i].size);
        }
    }
    nr_units = nr_values = 0;
    bytes_units(may);
    for (int i = 0; i < 3; i++) {
        words_units(may, i, before.dirty[i], before.nr_dirty[i], ones(job.room));
    }
    words_units(may, BITMAP, before.bitmap, before.nr_bitmap, ones(job.room));
    words_units(may, HAS_CODE, before.code[0], before.nr_code, pages & ones(before.code_pages));
    words_units(may, DESCRIBED, before.code[1], before.nr_code, ones(before.code_pages));
    tlb_units(may, pages & ones(before.tlb_pages));
    for (size_t i = 0; i < nr_units; i++) {
        spoil(&units[i]);
    }
}

/*
 * Executes the operations of a step's C on every state of a small machine, and holds what
 * they do against trees of what the model does.
 *
 *   engine LIBRARY JOB RESULT BANK...
 *
 * The compiler tells of each load and store. A unit of memory (a byte of the store, a word of
 * a bitmap) is undecided until it is loaded: then its cells get values, and once for each way
 * through the operation others. What is undecided holds nonsense. After the operation the
 * tree of the model is asked about the cells that the C decided; where it asks for another,
 * both branches are gone.
 *
 * What is concrete of a machine is a base: all memory as an operation left it, with the cells
 * undecided. Bases are told apart by the model's shape of the state, and by what the C keeps
 * beside it: for how many pages the arrays of the TLB and of the code have bits.
 *
 * Formats are arrays of 64-bit numbers: see jobs.py.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "concolic.h"

#define SLOT 4096
#define SLOTS 64
#define UNITS 64
#define VALUES (1 << 17)
#define UNDO 4096
#define MOST_GLOBALS 8192
#define COUNT ((uint64_t)1 << 40)   /* the count of dirty pages before an operation */
#define MOST_DIFFERENT 256
#define PATIENCE 2                  /* seconds of processor time for one way */
#define MOST_HANGING 4

enum plane { VGA, CODE, MIGRATION, BITMAP, HAS_CODE, DESCRIBED, UNUSED, TLB, PLANES };

enum ending { DONE, BROKEN, FULL };

enum difference {
    STATUS = 1, RET = 2, EVENTS = 4, DIRTY_PAGES = 8, SHAPE = 16, CELLS = 32, UNFIT = 64,
    REFUSED = 128, DIED = 256, HANGS = 512,
};

/* --- what is given --- */

struct bank {
    const int64_t *nodes, *leaves, *replies, *entries;
    const uint64_t *words;
    size_t nr_entries;
};

struct node { int64_t shift, size, child[3]; };
struct leaf { uint64_t keep, set; int64_t shape, reply; };
struct reply { int64_t status, relative, ret, counts, count, nr_events; struct event events[]; };
struct entry { int64_t shape, index, row[4], root; };
struct shape { int64_t room, bitmap, nominal, logging, nr_blocks, blocks[MOST_BLOCKS][2]; };

static struct { int64_t word_bits, pages, room, hpratio, tcg, start, nr_shapes, nr_prefix, most; } job;
static const struct shape *shapes;
static const int64_t (*prefix)[4];
static struct bank *banks;
static size_t nr_banks;

static struct {
    void (*parts)(struct parts *);
    void (*level)(uint64_t);
    int (*finds_blocks)(void);
    int (*behind)(const void *);
    int (*clean_behind)(void);
    size_t (*known)(const void **, size_t *, size_t);
    void (*probe)(void *);
    unsigned (*client)(unsigned);
    int (*reset)(int64_t, int);
    int64_t (*run)(const int64_t (*)[4], size_t, const uint64_t *, uint64_t *, struct result *);
} unit_of_step;

/* --- memory of the machine --- */

static unsigned char arena[SLOTS * SLOT] __attribute__((aligned(SLOT)));
static unsigned char unit_at[SLOTS * SLOT];     /* the number of a unit, and one more */
static uint64_t used, used_before;
static struct { uint32_t at; uint64_t was; } undo[UNDO];
static size_t nr_undo;
static uint64_t kept[SLOTS * SLOT / 8 / 64];
static unsigned char *globals;
static size_t nr_globals;
static unsigned char globals_before[MOST_GLOBALS];
static uint32_t foreign[MOST_GLOBALS / 8];
static size_t nr_foreign;

struct value { uint64_t state, memory[2]; };

struct unit {
    uint64_t cells;
    uint32_t first, count;          /* its values */
    uint32_t at[2];                 /* in the arena; the second one of the TLB alone */
    uint8_t size, places, plane;
    uint32_t index;
};

static struct unit units[UNITS];
static size_t nr_units;
static struct value values[VALUES];
static size_t nr_values;
static struct parts before;
static uint64_t poison;

/* --- the way --- */

static volatile bool running;
static uint64_t decided, touched;   /* units */
static uint64_t asked, state;       /* cells that have a value, and which */
static uint16_t choice[UNITS];
static uint8_t order[UNITS];
static size_t depth, scripted;
static uint64_t loads, stores;
static uint64_t probed_loads, probed_stores;
static bool probing;

/* --- what is told --- */

struct different {
    int64_t shape, bank, entry, kinds;
    uint64_t asked, state, cells;
    int64_t status, ret, tlb_pages, code_pages;
};

static struct {
    int64_t ending, ways, executed, bases, loads, stores, nr_different;
    char text[128];
} told;
static struct different *found;
static size_t max_found;
static const char *result_path;
static struct different now;        /* where the search is */

static void write_all(int file, const void *data, size_t size)
{
    while (size) {
        ssize_t done = write(file, data, size);

        if (done <= 0) {
            _exit(9);
        }
        data = (const char *)data + done;
        size -= done;
    }
}

static void tell(enum ending ending, const char *text)
{
    FILE *file = fopen(result_path, "wb");

    told.ending = ending;
    told.loads = loads;
    told.stores = stores;
    strncpy(told.text, text, sizeof(told.text) - 1);
    if (!file) {
        _exit(9);
    }
    write_all(fileno(file), &told, sizeof(told));
    write_all(fileno(file), found, told.nr_different * sizeof(*found));
    _exit(0);
}

/* --- what the compiler tells --- */

static void decide(unsigned number)
{
    const struct unit *unit = &units[number];
    const struct value *value;

    if (depth >= scripted) {
        choice[depth] = 0;
    }
    order[depth] = number;
    value = &values[unit->first + choice[depth++]];
    decided |= 1ull << number;
    asked |= unit->cells;
    state |= value->state;
    for (int i = 0; i < unit->places; i++) {
        memcpy(arena + unit->at[i], &value->memory[i], unit->size);
    }
}

/* Remember eight bytes as they are. */
static void keep(uint64_t at)
{
    if (kept[at / 512] >> at / 8 % 64 & 1 || !(used_before >> at / SLOT & 1)) {
        return;
    }
    if (nr_undo == UNDO) {
        tell(FULL, "an operation stores more than is kept track of");
    }
    kept[at / 512] |= 1ull << at / 8 % 64;
    undo[nr_undo].at = at & ~7ull;
    memcpy(&undo[nr_undo++].was, arena + (at & ~7ull), 8);
}

static inline void ask(uint64_t at)
{
    unsigned number = unit_at[at];

    if (!number) {
        keep(at);
        return;
    }
    loads++;
    if (!((decided | touched) >> (number - 1) & 1)) {
        decide(number - 1);
    }
}

/*
 * A store to what was loaded before, or stored to, is not told of again. So what is no unit
 * is remembered when it is loaded, and a unit that has a value counts as one stored to.
 */
static inline void load(const void *from, size_t size)
{
    uint64_t at = (const unsigned char *)from - arena;

    if (at >= sizeof(arena) || !running) {
        return;
    }
    if (probing) {
        probed_loads |= 1ull << (at & 63);
        return;
    }
    if (unit_at[at] == unit_at[at + size - 1] && size <= 8 && at % 8 + size <= 8) {
        ask(at);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        ask(at + i);
    }
}

static void store(const void *to, size_t size)
{
    uint64_t at = (const unsigned char *)to - arena;

    if (at >= sizeof(arena) || !running) {
        return;
    }
    if (probing) {
        probed_stores |= 1ull << (at & 63);
        return;
    }
    for (uint64_t i = at; i < at + size;) {
        unsigned number = unit_at[i];
        const struct unit *unit = &units[number ? number - 1 : 0];

        if (!number) {
            keep(i);
            i = (i & ~7ull) + 8;
            continue;
        }
        if (unit->places > 1 || i < at || i + unit->size > at + size || i != unit->at[0]) {
            ask(i);
        }
        touched |= 1ull << (number - 1);
        stores++;
        i = (unit->places > 1 && i >= unit->at[1] && i < unit->at[1] + unit->size ?
             unit->at[1] : unit->at[0]) + unit->size;
    }
}

#define TOLD(size) \
    void __asan_load##size##_noabort(const void *at) { load(at, size); } \
    void __asan_store##size##_noabort(const void *at) { store(at, size); }

void __asan_loadN_noabort(const void *at, size_t size);
void __asan_storeN_noabort(const void *at, size_t size);
void __asan_handle_no_return(void);
void __asan_loadN_noabort(const void *at, size_t size) { load(at, size); }
void __asan_storeN_noabort(const void *at, size_t size) { store(at, size); }
void __asan_handle_no_return(void) { }
TOLD(1) TOLD(2) TOLD(4) TOLD(8) TOLD(16)

/* --- what a step calls of the C library --- */

void *concolic_calloc(size_t count, size_t size)
{
    uint64_t taken = used | used_before;
    unsigned slot;

    if ((size && count > SLOT / size) || ~taken == 0) {
        tell(FULL, "the machine takes more memory than there is");
    }
    slot = __builtin_ctzll(~taken);
    used |= 1ull << slot;
    memset(arena + slot * SLOT, 0, count * size);
    return arena + slot * SLOT;
}

void *concolic_malloc(size_t size)
{
    return concolic_calloc(1, size);
}

void concolic_free(void *mem)
{
    uint64_t at = (unsigned char *)mem - arena;

    if (mem && (at >= sizeof(arena) || at % SLOT || !(used >> at / SLOT & 1))) {
        raise(SIGSEGV);
    } else if (mem) {
        used &= ~(1ull << at / SLOT);
    }
}

void *concolic_memmove(void *to, const void *from, size_t size)
{
    if (size) {
        load(from, size);
        store(to, size);
    }
    return memmove(to, from, size);
}

void *concolic_memcpy(void *to, const void *from, size_t size)
{
    return concolic_memmove(to, from, size);
}

void *concolic_realloc(void *mem, size_t size)
{
    void *more = concolic_calloc(1, size);

    if (mem) {
        concolic_memmove(more, mem, size);
        concolic_free(mem);
    }
    return more;
}

void *concolic_memset(void *to, int byte, size_t size)
{
    if (size) {
        store(to, size);
    }
    return memset(to, byte, size);
}

int concolic_memcmp(const void *one, const void *two, size_t size)
{
    if (size) {
        load(one, size);
        load(two, size);
    }
    return memcmp(one, two, size);
}

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

static void bytes_units(void)
{
    for (size_t page = 0; page < before.nr_bytes; page++) {
        struct unit *unit = new_unit(VGA, page, before.bytes + page, 1);

        /* Dirty first: where a search is cut short, it has seen what most machines are. */
        for (int clients = 15; clients >= 0; clients--) {
            struct value *value = &values[nr_values++];
            uint8_t byte = client_flags[clients & 7] | (clients & 8 ? ~all_clients : 0);

            byte_cells(byte, &value->state);
            value->state <<= page;
            value->memory[0] = byte;
            unit->cells |= value->state;
        }
        unit->count = nr_values - unit->first;
    }
}

/* Words of a bitmap; only the bits of @there may be set. */
static void words_units(enum plane plane, const unsigned long *words, size_t count, uint64_t there)
{
    for (size_t i = 0; i < count; i++) {
        struct unit *unit = new_unit(plane, i, words + i, sizeof(*words));
        int first = i * job.word_bits;
        uint64_t mask = first < 64 ? there >> first & ones(job.word_bits) : 0;
        uint64_t bits = mask;

        for (;; bits = (bits - 1) & mask) {
            values[nr_values++] = (struct value){ bits << (shift_of(plane) + first), { bits } };
            if (!bits) {
                break;
            }
        }
        unit->cells = mask ? mask << (shift_of(plane) + first) : 0;
        unit->count = nr_values - unit->first;
    }
}

static void tlb_units(uint64_t there)
{
    for (size_t i = 0; i < before.nr_tlb; i++) {
        struct unit *unit = new_unit(TLB, i, before.tlb[0] + i, sizeof(long));
        int first = i * job.word_bits;
        uint64_t mask = first < 64 ? there >> first & ones(job.word_bits) : 0;
        uint64_t some = 0;

        unit->places = 2;
        unit->at[1] = (const unsigned char *)(before.tlb[1] + i) - arena;
        memset(unit_at + unit->at[1], nr_units, unit->size);
        do {
            uint64_t direct = 0;

            do {
                uint64_t cells = spread(some & ~direct, 1) | spread(direct, 2);

                values[nr_values++] = (struct value){
                    cells << (shift_of(TLB) + 2 * first), { some & ~direct, direct },
                };
                direct = (direct - some) & some;
            } while (direct);
            some = (some - mask) & mask;
        } while (some);
        unit->cells = mask ? spread(mask, 3) << (shift_of(TLB) + 2 * first) : 0;
        unit->count = nr_values - unit->first;
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
    uint64_t pages = inside(&before);

    for (size_t i = 0; i < nr_units; i++) {
        for (int k = 0; k < units[i].places; k++) {
            memset(unit_at + units[i].at[k], 0, units[i].size);
        }
    }
    nr_units = nr_values = 0;
    bytes_units();
    for (int i = 0; i < 3; i++) {
        words_units(i, before.dirty[i], before.nr_dirty[i], ones(job.room));
    }
    words_units(BITMAP, before.bitmap, before.nr_bitmap, ones(job.room));
    words_units(HAS_CODE, before.code[0], before.nr_code, pages & ones(before.code_pages));
    words_units(DESCRIBED, before.code[1], before.nr_code, ones(before.code_pages));
    tlb_units(pages & ones(before.tlb_pages));
    for (size_t i = 0; i < nr_units; i++) {
        spoil(&units[i]);
    }
}

/* --- what an operation left --- */

static struct parts after;
static uint64_t after_touched, after_state;

/* Whether a unit is where it was. */
static bool in_place(const struct unit *unit)
{
    switch (unit->plane) {
    case VGA: case CODE: case MIGRATION:
        if (before.bytes) {
            return after.bytes == before.bytes && unit->index < after.nr_bytes;
        }
        return after.dirty[unit->plane] == before.dirty[unit->plane] &&
               unit->index < after.nr_dirty[unit->plane];
    case BITMAP:
        return after.bitmap == before.bitmap && unit->index < after.nr_bitmap;
    case TLB:
        return after.tlb[0] == before.tlb[0] && after.tlb[1] == before.tlb[1] &&
               unit->index < after.nr_tlb;
    default:
        return after.code[unit->plane - HAS_CODE] == before.code[unit->plane - HAS_CODE] &&
               unit->index < after.nr_code;
    }
}

/* Whether it is a unit that nobody loaded or stored to. */
static bool left_alone(const void *at)
{
    uint64_t offset = (const unsigned char *)at - arena;
    unsigned number = offset < sizeof(arena) ? unit_at[offset] : 0;

    return number && !((decided | touched) >> (number - 1) & 1);
}

static bool slots_in_use(const void *at)
{
    uint64_t offset = (const unsigned char *)at - arena;

    return !at || (offset < sizeof(arena) && used >> offset / SLOT & 1);
}

static bool read_words(enum plane plane, const unsigned long *words, size_t count, uint64_t there)
{
    bool fit = slots_in_use(words);

    for (size_t i = 0; i < count && fit; i++) {
        int first = i * job.word_bits;
        uint64_t mask = first < 64 ? there >> first & ones(job.word_bits) : 0;

        if (left_alone(words + i)) {
            continue;
        }
        fit &= (words[i] & ~mask) == 0;
        if (words[i]) {
            after_state |= (words[i] & mask) << (shift_of(plane) + first);
        }
    }
    return fit;
}

static bool read_bytes(void)
{
    bool fit = slots_in_use(after.bytes);

    for (size_t page = 0; page < after.nr_bytes && fit; page++) {
        uint64_t cells;

        if (left_alone(after.bytes + page)) {
            continue;
        }
        fit &= byte_cells(after.bytes[page], &cells) && page < (size_t)job.pages;
        after_state |= cells << page;
    }
    return fit;
}

static bool read_tlb(uint64_t there)
{
    bool fit = slots_in_use(after.tlb[0]) && slots_in_use(after.tlb[1]);

    for (size_t i = 0; i < after.nr_tlb && fit; i++) {
        int first = i * job.word_bits;
        uint64_t mask = first < 64 ? there >> first & ones(job.word_bits) : 0;
        uint64_t notdirty = after.tlb[0][i], direct = after.tlb[1][i];

        if (left_alone(after.tlb[0] + i) && left_alone(after.tlb[1] + i)) {
            continue;
        }
        fit &= ((notdirty | direct) & ~mask) == 0 && !(notdirty & direct);
        if (notdirty | direct) {
            after_state |= (spread(notdirty & mask, 1) | spread(direct & mask, 2))
                           << (shift_of(TLB) + 2 * first);
        }
    }
    return fit;
}

/* Whether there still are only zeroes behind every array. */
static bool clean(void)
{
    bool all = used != used_before;

    for (size_t i = 0; i < nr_undo && !all; i++) {
        const unsigned char *at = arena + undo[i].at;

        all = memcmp(at, &undo[i].was, 8) && unit_of_step.behind(at);
    }
    return !all || unit_of_step.clean_behind();
}

/* Read the state after an operation; false if it is none. */
static bool look(void)
{
    uint64_t pages = inside(&after);
    bool fit = after.sound;

    after_touched = ~0ull;
    after_state = 0;
    for (size_t i = 0; i < nr_units; i++) {
        const struct unit *unit = &units[i];
        uint64_t held = 0;

        if ((decided | touched) >> i & 1) {
            continue;
        }
        if (in_place(unit)) {
            after_touched &= ~unit->cells;
        }
        memcpy(&held, arena + unit->at[0], unit->size);
        if (memcmp(&held, &poison, unit->size)) {
            tell(BROKEN, "the compiler does not tell of every store");
        }
    }
    if (after.bytes) {
        fit &= read_bytes();
    }
    for (int i = 0; i < 3; i++) {
        fit &= after.nr_dirty[i] == after.nr_dirty[0];
        fit &= read_words(i, after.dirty[i], after.nr_dirty[i], ones(job.room));
    }
    fit &= read_words(BITMAP, after.bitmap, after.nr_bitmap, ones(job.room));
    fit &= read_words(HAS_CODE, after.code[0], after.nr_code, pages);
    fit &= read_words(DESCRIBED, after.code[1], after.nr_code, ones(job.pages));
    fit &= read_tlb(pages);
    return fit && clean();
}

static bool has_shape(const struct shape *shape)
{
    int64_t room = after.nr_dirty[0] * job.word_bits + after.nr_bytes;
    int64_t bitmap = after.bitmap ? (int64_t)after.nr_bitmap * job.word_bits : -1;

    if (shape->room != room || shape->bitmap != bitmap || shape->logging != after.logging ||
        (after.bitmap && shape->nominal != after.bitmap_pages) ||
        shape->nr_blocks != (int64_t)after.nr_blocks) {
        return false;
    }
    return !memcmp(shape->blocks, after.blocks, after.nr_blocks * sizeof(after.blocks[0]));
}

/* --- bases --- */

struct base {
    int64_t shape;
    size_t tlb_pages, code_pages;
    uint64_t used;
    unsigned char *memory;          /* the globals, then the slots in use */
};

static struct base *bases;
static size_t nr_bases, max_bases;
static size_t base_bytes;

static const struct base *known_base(int64_t shape)
{
    for (size_t i = 0; i < nr_bases; i++) {
        if (bases[i].shape == shape && bases[i].tlb_pages == after.tlb_pages &&
            bases[i].code_pages == after.code_pages) {
            return &bases[i];
        }
    }
    return NULL;
}

/* Enter the machine as it is now. */
static void enter_base(int64_t shape)
{
    size_t size = nr_globals + __builtin_popcountll(used) * SLOT;
    struct base *base;
    unsigned char *to;

    if (nr_bases == max_bases) {
        max_bases = 2 * max_bases + 64;
        bases = realloc(bases, max_bases * sizeof(*bases));
    }
    base_bytes += size;
    if (!bases || base_bytes > (size_t)job.most || !(to = malloc(size))) {
        tell(FULL, "the machines to start from take more memory than is given");
    }
    base = &bases[nr_bases++];
    *base = (struct base){ shape, after.tlb_pages, after.code_pages, used, to };
    unit_of_step.level(COUNT);
    memcpy(to, globals, nr_globals);
    to += nr_globals;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (used >> slot & 1) {
            memcpy(to, arena + slot * SLOT, SLOT);
            to += SLOT;
        }
    }
}

static void install(const struct base *base)
{
    const unsigned char *from = base->memory + nr_globals;

    memcpy(globals, base->memory, nr_globals);
    memcpy(globals_before, base->memory, nr_globals);
    used = used_before = base->used;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (used >> slot & 1) {
            memcpy(arena + slot * SLOT, from, SLOT);
            from += SLOT;
        }
    }
    unit_of_step.parts(&before);
    if (!before.sound) {
        tell(BROKEN, "the sizes that the machine keeps do not fit what it holds");
    }
    if (!unit_of_step.finds_blocks()) {
        tell(BROKEN, "the driver does not find every address in its block");
    }
    memcpy(globals, base->memory, nr_globals);
}

static void restore(void)
{
    for (size_t i = 0; i < nr_units; i++) {
        if ((decided | touched) >> i & 1) {
            spoil(&units[i]);
        }
    }
    while (nr_undo) {
        nr_undo--;
        memcpy(arena + undo[nr_undo].at, &undo[nr_undo].was, 8);
        kept[undo[nr_undo].at / 512] = 0;
    }
    memcpy(globals, globals_before, nr_globals);
    used = used_before;
}

/* --- comparing --- */

struct outcome {
    const struct bank *bank;
    struct result result;
    uint64_t dead;                  /* cells that the base does not have: 0 */
    bool fit, refused;
    int death;                      /* DIED or HANGS, if it did not come back */
};

static sigjmp_buf out;

static int reply_differs(const struct outcome *o, const struct reply *reply)
{
    int kinds = 0;

    if (o->death) {
        return o->death;
    }
    if (o->refused) {
        return REFUSED;
    }
    if (reply->status != o->result.status) {
        return STATUS;
    }
    if (after.nr_events != (uint64_t)reply->nr_events ||
        memcmp(after.events, reply->events, after.nr_events * sizeof(struct event))) {
        kinds |= EVENTS;
    }
    if (o->result.status == 0) {
        kinds |= (uint64_t)o->result.ret != reply->ret + (reply->relative ? COUNT : 0) ? RET : 0;
        kinds |= after.dirty_pages != reply->count + (reply->counts ? COUNT : 0) ? DIRTY_PAGES : 0;
    }
    return kinds;
}

static void differs(int kinds, uint64_t cells, uint64_t have, uint64_t with, const struct outcome *o)
{
    if ((size_t)told.nr_different == max_found) {
        max_found = 2 * max_found + 64;
        found = realloc(found, max_found * sizeof(*found));
        if (!found) {
            tell(FULL, "there are more differences than there is memory for");
        }
    }
    found[told.nr_different] = now;
    found[told.nr_different].kinds = kinds;
    found[told.nr_different].asked = have & ~o->dead;
    found[told.nr_different].state = with;
    found[told.nr_different].cells = cells;
    found[told.nr_different].status = o->result.status;
    found[told.nr_different++].ret = o->result.ret;
}

static void at_leaf(const struct outcome *o, const struct leaf *leaf, uint64_t have, uint64_t with)
{
    const struct reply *reply = (const struct reply *)(o->bank->replies + leaf->reply);
    const uint64_t all = ones(4 * job.room + 5 * job.pages);
    int kinds = reply_differs(o, reply);
    uint64_t cells = 0;

    if (!(kinds & (REFUSED | STATUS | DIED | HANGS)) && o->result.status == 0) {
        uint64_t T = after_touched, K = leaf->keep, V = after_state, X = leaf->set;

        /* Where one sets a cell and the other leaves it, its value must be known. */
        cells = (K & T & (~have | (with ^ V))) | (~K & T & (X ^ V)) |
                (~K & ~T & (~have | (with ^ X)));
        cells &= all;
        kinds |= (cells ? CELLS : 0) | (o->fit ? 0 : UNFIT);
        kinds |= has_shape(&shapes[leaf->shape]) ? 0 : SHAPE;
    }
    if (kinds) {
        differs(kinds, cells, have, with, o);
    } else if (o->result.status == 0 && !known_base(leaf->shape)) {
        enter_base(leaf->shape);
    }
}

static void walk(const struct outcome *o, int64_t at, uint64_t have, uint64_t with)
{
    while (at >= 0) {
        const struct node *node = (const struct node *)o->bank->nodes + at;
        uint64_t mask = (node->size == 3 ? 3ull : 1ull) << node->shift;

        if ((have & mask) != mask) {
            for (int64_t value = 0; value < node->size; value++) {
                walk(o, node->child[value], have | mask, with | (uint64_t)value << node->shift);
            }
            return;
        }
        at = node->child[(with & mask) >> node->shift];
    }
    at_leaf(o, (const struct leaf *)o->bank->leaves + ~at, have, with);
}

static bool next_way(void)
{
    while (depth) {
        if (++choice[depth - 1] < units[order[depth - 1]].count) {
            scripted = depth;
            return true;
        }
        depth--;
    }
    return false;
}

/* One way: the operation, and what it leaves. */
static void go(struct outcome *o, const struct entry *entry)
{
    depth = 0;
    decided = touched = 0;
    asked = o->dead;
    state = 0;
    o->result = (struct result){ 0 };
    o->fit = o->refused = false;
    o->death = sigsetjmp(out, 0);
    if (!o->death) {
        running = true;
        o->refused = unit_of_step.run(&entry->row, 1, o->bank->words, NULL, &o->result) != 1;
    }
    running = false;
    told.ways++;
    if (o->death) {
        return;
    }
    unit_of_step.parts(&after);
    o->fit = o->result.status == 0 && look();
    for (size_t i = 0; i < nr_foreign; i++) {
        if (memcmp(globals + foreign[i], globals_before + foreign[i], 8)) {
            tell(BROKEN, "an operation changes a variable that is no part of the machine");
        }
    }
}

static void execute(const struct bank *bank, const struct entry *entry, uint64_t dead)
{
    static struct outcome o;
    int64_t before_this = told.nr_different;

    o.bank = bank;
    o.dead = dead;
    scripted = depth = 0;
    do {
        go(&o, entry);
        walk(&o, entry->root, asked, state);
        restore();
    } while (told.nr_different - before_this < MOST_DIFFERENT && next_way());
    told.executed++;
}

static void explore(void)
{
    for (size_t at = 0; at < nr_bases; at++) {
        uint64_t alive = 0;

        now.shape = bases[at].shape;
        now.tlb_pages = bases[at].tlb_pages;
        now.code_pages = bases[at].code_pages;
        install(&bases[at]);
        for (size_t b = 0; b < nr_banks; b++) {
            const struct entry *entries = (const struct entry *)banks[b].entries;

            for (size_t i = 0; i < banks[b].nr_entries; i++) {
                if (entries[i].shape != now.shape) {
                    continue;
                }
                poison = (at + i) & 1 ? 0xa5a5a5a5a5a5a5a5u : 0x5a5a5a5a5a5a5a5au;
                make_units();
                alive = 0;
                for (size_t k = 0; k < nr_units; k++) {
                    alive |= units[k].cells;
                }
                now.bank = b;
                now.entry = i;
                execute(&banks[b], &entries[i], ~alive);
            }
        }
    }
    told.bases = nr_bases;
}

/* --- beginning --- */

static void died(int number)
{
    (void)number;
    if (!running) {
        _exit(9);
    }
    siglongjmp(out, DIED);
}

static void late(int number)
{
    static int64_t ways = -1;
    static int times, hanging;

    (void)number;
    times = ways == told.ways ? times + 1 : 0;
    ways = told.ways;
    if (running && times > PATIENCE) {
        if (++hanging > MOST_HANGING) {
            tell(FULL, "more operations do not end than can be waited for");
        }
        times = 0;
        siglongjmp(out, HANGS);
    }
}

static void watch(void)
{
    static unsigned char stack[1 << 16];
    const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP };
    struct sigaction action = { .sa_handler = died, .sa_flags = SA_ONSTACK | SA_NODEFER };
    struct itimerval each = { { 1, 0 }, { 1, 0 } };

    sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
        sigaction(deadly[i], &action, NULL);
    }
    action.sa_handler = late;
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &each, NULL);
}

static int64_t *read_file(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    int64_t *data;
    long size;

    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0) {
        tell(BROKEN, "a file that was given cannot be read");
    }
    rewind(file);
    data = malloc(size + 8);
    if (!data || fread(data, 1, size, file) != (size_t)size) {
        tell(BROKEN, "a file that was given cannot be read");
    }
    fclose(file);
    *count = size / 8;
    return data;
}

static void read_job(const char *path)
{
    size_t count;
    const int64_t *data = read_file(path, &count);

    memcpy(&job, data, sizeof(job));
    data += sizeof(job) / 8;
    shapes = (const struct shape *)data;
    prefix = (const int64_t (*)[4])(shapes + job.nr_shapes);
}

static void read_bank(const char *path)
{
    size_t count;
    const int64_t *data = read_file(path, &count);
    struct bank *bank = &banks[nr_banks++];
    const int64_t *at = data + 5;

    bank->nodes = at;
    at += data[0];
    bank->leaves = at;
    at += data[1];
    bank->replies = at;
    at += data[2];
    bank->words = (const uint64_t *)at;
    at += data[3];
    bank->entries = at;
    bank->nr_entries = data[4];
}

static int segment(struct dl_phdr_info *info, size_t size, void *data)
{
    unsigned char *sealed = NULL, *begin = NULL, *end = NULL;
    const unsigned char *inside_it = data;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        unsigned char *at = (unsigned char *)info->dlpi_addr + header->p_vaddr;

        if (header->p_type == PT_GNU_RELRO) {
            sealed = at + header->p_memsz;
        } else if (header->p_type == PT_LOAD && header->p_flags & PF_W) {
            begin = at;
            end = at + header->p_memsz;
        }
    }
    if (inside_it < begin || inside_it >= end) {
        return 0;
    }
    globals = sealed > begin ? sealed : begin;
    globals = (unsigned char *)(((uintptr_t)globals + 7) & ~7ull);
    nr_globals = (end - globals) & ~7ull;
    return 1;
}

static void find_globals(void)
{
    const void *at[32];
    size_t size[32], n = unit_of_step.known(at, size, 32);

    if (!n || !dl_iterate_phdr(segment, (void *)at[0]) || nr_globals > MOST_GLOBALS) {
        tell(BROKEN, "the variables of the library are not found");
    }
    for (size_t i = 0; i < nr_globals; i += 8) {
        bool mine = true;

        for (size_t k = 0; k < n && mine; k++) {
            const unsigned char *first = at[k];

            mine = globals + i + 8 <= first || globals + i >= first + size[k];
        }
        if (mine) {
            foreign[nr_foreign++] = i;
        }
    }
}

static void *symbol(void *library, const char *name)
{
    void *at = dlsym(library, name);

    if (!at) {
        tell(BROKEN, "the library is not one of a step");
    }
    return at;
}

static void open_step(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        tell(BROKEN, dlerror());
    }
    *(void **)&unit_of_step.parts = symbol(library, "concolic_parts");
    *(void **)&unit_of_step.level = symbol(library, "concolic_level");
    *(void **)&unit_of_step.finds_blocks = symbol(library, "concolic_finds_blocks");
    *(void **)&unit_of_step.behind = symbol(library, "concolic_behind");
    *(void **)&unit_of_step.clean_behind = symbol(library, "concolic_clean_behind");
    *(void **)&unit_of_step.known = symbol(library, "concolic_known");
    *(void **)&unit_of_step.probe = symbol(library, "concolic_probe");
    *(void **)&unit_of_step.client = symbol(library, "concolic_client");
    *(void **)&unit_of_step.reset = symbol(library, "dirty_reset");
    *(void **)&unit_of_step.run = symbol(library, "dirty_run");
}

/* See that the compiler tells of what the probe does. */
static void probe(void)
{
    const uint64_t wanted = 1ull << 0 | 1ull << 2 | 1ull << 3 | 1ull << 16 | 1ull << 40 | 1ull << 48;

    running = probing = true;
    unit_of_step.probe(arena);
    running = probing = false;
    if ((probed_loads & wanted) != wanted || !(probed_stores >> 32 & 1)) {
        tell(BROKEN, "the compiler does not tell of loads and stores");
    }
    memset(arena, 0, 64);
}

static void begin(void)
{
    static const int64_t first[1][4] = { { 1, 1 } };
    struct result result;

    for (int i = 0; i < 8; i++) {
        client_flags[i] = flags_of(i);
    }
    all_clients = client_flags[7];
    /* So that the room for events is there before the first operation. */
    if (unit_of_step.reset(job.hpratio, job.tcg) || unit_of_step.run(first, 1, NULL, NULL, &result) != 1 ||
        unit_of_step.reset(job.hpratio, job.tcg)) {
        tell(BROKEN, "the library does not begin");
    }
    if (job.nr_prefix && unit_of_step.run(prefix, job.nr_prefix, NULL, NULL, NULL) != job.nr_prefix) {
        tell(BROKEN, "the library does not run the first operations");
    }
    unit_of_step.parts(&after);
    if (!has_shape(&shapes[job.start])) {
        tell(BROKEN, "the first state is not that of the model");
    }
    enter_base(job.start);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        return 2;
    }
    result_path = argv[3];
    banks = calloc(argc, sizeof(*banks));
    read_job(argv[2]);
    for (int i = 4; i < argc; i++) {
        read_bank(argv[i]);
    }
    open_step(argv[1]);
    watch();
    probe();
    find_globals();
    begin();
    explore();
    if (told.ways == 0 || loads == 0) {
        tell(BROKEN, "no load of the store was seen");
    }
    tell(DONE, "");
}

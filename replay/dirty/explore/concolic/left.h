/*
 * What an operation left of the machine: as a state again, and as a base of others.
 * A part of engine.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

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
    bool fit = after.sound && !outside;

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
    uint32_t sizes[SLOTS];
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
    *base = (struct base){
        .shape = shape, .tlb_pages = after.tlb_pages, .code_pages = after.code_pages,
        .used = used, .memory = to,
    };
    memcpy(base->sizes, sizes, sizeof(sizes));
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
    memcpy(sizes, base->sizes, sizeof(sizes));
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

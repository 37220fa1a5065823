/*
 * What the compiler tells of loads and stores, and what a step calls of the C library.
 * A part of engine.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

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

/* An access to what is no unit. */
static inline void see(uint64_t at)
{
    outside |= !(used >> at / SLOT & 1) || at % SLOT >= sizes[at / SLOT];
    keep(at);
}

static inline void ask(uint64_t at)
{
    unsigned number = unit_at[at];

    if (!number) {
        see(at);
        return;
    }
    loads++;
    outside |= !(used >> at / SLOT & 1);
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
            see(i);
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
    sizes[slot] = count * size;
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

/*
 * The driver: one machine, its operations, and what is observed of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <setjmp.h>

#include "driver.h"
#include "exec/cputlb.h"
#include "exec/exec-all.h"
#include "exec/memory-internal.h"
#include "hw/xen/xen.h"
#include "qemu/bitmap.h"
#include "sysemu/arch_init.h"
#include "sysemu/kvm.h"

/* More pages than this do not fit the bit numbers of the series. */
#define MAX_PAGES INT_MAX

/*
 * So many pages past the end of RAM a range may reach: a byte each at most, or
 * where words have few bits, what these take.
 */
#define MAX_STRAY_PAGES (GUARD_SIZE * MIN(BITS_PER_LONG, 8) / 8)

/* Neither a result nor DIRTY_NONE: the operation is outside the domain. */
#define REFUSED INT64_MIN

static const unsigned client_number[] = {
    [DIRTY_CLIENT_VGA] = DIRTY_MEMORY_VGA,
    [DIRTY_CLIENT_CODE] = DIRTY_MEMORY_CODE,
    [DIRTY_CLIENT_MIGRATION] = DIRTY_MEMORY_MIGRATION,
};

#define CLIENTS (sizeof(client_number) / sizeof(client_number[0]))

/*
 * The memory that the state is read from, as it was when the digest of the
 * state was last worked out.  As long as every word is still the same, so are
 * the state and its digest, whatever an operation was meant to change.
 */
typedef struct Watch {
    bool off;                   /* the state was found to change elsewhere */
    bool stale;                 /* all is to be looked at anew */
    uint64_t renewals;          /* of the arrays, when they were listed */
    const unsigned long *bitmap;
    long bitmap_pages;
    struct span {
        const uint64_t *at;
        size_t words;
    } *spans;                   /* all arrays, and the bitmap */
    size_t nr_spans;
    size_t max_spans;
    uint64_t *was;              /* all their words */
    size_t words;
    size_t max_words;
    uint64_t digest;            /* of the state, see digest_sets() */
    uint64_t believed;          /* how often nothing had changed */
} Watch;

/* Each so many times that nothing has changed, it is looked whether that is so. */
#define BELIEVED 32

static struct {
    int64_t hpratio;
    bool tcg;
    bool dead;
    ram_addr_t ram_end;
    uint64_t *in_block;         /* the pages that belong to a block */
    RAMBlock *last_block;       /* where the last address was found */
    uint64_t digest;
    uint64_t until_state;       /* operations until the state enters it */
    uint64_t *state;            /* scratch of the digest */
    size_t state_size;
    uint64_t *shown;            /* what dirty_record() told of last */
    size_t shown_size;
    const uint64_t *renewals;   /* how often an array was made or resized */
    uint64_t *each;             /* the digests of the operations of a trace */
    Watch watch;
} machine;

/* The state enters the digest after each so many operations. */
static uint64_t digest_every = 16;

/* The operation under way, and the last one when none is. */
static struct {
    size_t index;
    struct dirty_event *events;
    size_t nr_events;
    size_t max_events;
    uint64_t event_digest;
    jmp_buf aborted;
} current;

bool tcg_enabled(void)
{
    return machine.tcg;
}

ram_addr_t host_page_size(void)
{
    return machine.hpratio << TARGET_PAGE_BITS;
}

void dirty_abort(void)
{
    longjmp(current.aborted, 1);
}

/* A product spreads each bit upwards, the shift brings the top down again. */
static inline uint64_t mix(uint64_t digest, uint64_t value)
{
    digest = (digest ^ value) * 0x9e3779b97f4a7c15u;
    return digest ^ (digest >> 32);
}

static void add_event(uint64_t kind, uint64_t a, uint64_t b)
{
    if (current.nr_events == current.max_events) {
        current.max_events = 2 * current.max_events + 64;
        current.events = g_renew(struct dirty_event, current.events,
                                 current.max_events);
    }
    current.events[current.nr_events++] = (struct dirty_event){ kind, a, b };
    current.event_digest = mix(mix(current.event_digest ^ kind << 62, a), b);
}

void xen_modified_memory(ram_addr_t start, ram_addr_t length)
{
    add_event(DIRTY_XEN_MODIFIED, start, length);
}

void trace_tb_invalidate(ram_addr_t start, ram_addr_t end)
{
    add_event(DIRTY_TB_INVALIDATE, start, end);
}

/* The block of @addr, NULL if there is none. */
static RAMBlock *block_at(ram_addr_t addr)
{
    RAMBlock *block = machine.last_block;

    if (block && addr - block->offset < block->length) {
        return block;
    }
    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        if (addr - block->offset < block->length) {
            machine.last_block = block;
            return block;
        }
    }
    return NULL;
}

static size_t ram_words(void)
{
    return DIV_ROUND_UP(machine.ram_end >> TARGET_PAGE_BITS, 64);
}

/* To be called when the blocks have changed. */
static void blocks_changed(void)
{
    RAMBlock *block;

    machine.last_block = NULL;
    machine.ram_end = last_ram_offset();
    machine.in_block = g_renew(uint64_t, machine.in_block, ram_words());
    if (machine.in_block) {
        memset(machine.in_block, 0, ram_words() * sizeof(uint64_t));
    }
    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        size_t page = block->offset >> TARGET_PAGE_BITS;
        size_t end = page + (block->length >> TARGET_PAGE_BITS);

        while (page < end) {
            size_t low = page % 64;
            size_t count = MIN(end - page, 64 - low);

            machine.in_block[page / 64] |= ~0ull >> (64 - count) << low;
            page += count;
        }
    }
}

static int64_t op_ram_alloc(int64_t pages)
{
    ram_addr_t size = (ram_addr_t)pages << TARGET_PAGE_BITS;
    ram_addr_t end;
    MemoryRegion *mr;

    if (pages <= 0 || pages > MAX_PAGES) {
        return REFUSED;
    }
    end = (find_ram_offset(size) + size) >> TARGET_PAGE_BITS;
    if (end > MAX_PAGES ||
        (migration_bitmap && end > (ram_addr_t)migration_bitmap_pages)) {
        return REFUSED;
    }
    mr = g_new0(MemoryRegion, 1);
    memory_region_init_ram(mr, size);
    blocks_changed();
    return mr->ram_addr;
}

static int64_t op_ram_free(RAMBlock *block)
{
    MemoryRegion *mr = block->mr;

    tlb_flush_range(mr->ram_addr, mr->size);
    tb_remove_range(mr->ram_addr, mr->size);
    qemu_ram_free(mr->ram_addr);
    g_free(mr);
    blocks_changed();
    return DIRTY_NONE;
}

/* @offset is relative to the region, from where @space bytes of RAM follow. */
static int64_t op_region(int64_t opcode, MemoryRegion *mr, hwaddr offset,
                         uint64_t length, uint64_t client)
{
    ram_addr_t space = machine.ram_end - mr->ram_addr - offset;

    if (opcode == DIRTY_REGION_SET) {
        if (length > space) {
            return REFUSED;
        }
        memory_region_set_dirty(mr, offset, length);
        return DIRTY_NONE;
    }
    if (client >= CLIENTS) {
        return REFUSED;
    }
    client = client_number[client];
    if (opcode == DIRTY_REGION_GET) {
        if (length > space) {
            return REFUSED;
        }
        return memory_region_get_dirty(mr, offset, length, client);
    }
    /* Past the end of RAM there is nothing to clear. */
    length = MIN(length, space + MAX_STRAY_PAGES * TARGET_PAGE_SIZE);
    if (opcode == DIRTY_REGION_TEST_AND_CLEAR) {
        return memory_region_test_and_clear_dirty(mr, offset, length, client);
    }
    memory_region_reset_dirty(mr, offset, length, client);
    return DIRTY_NONE;
}

static int64_t op_kvm_log_sync(MemoryRegion *mr, hwaddr offset, uint64_t pages,
                               const uint64_t *log)
{
    MemoryRegionSection section = { mr, offset, pages * host_page_size() };
    /* Every bit of the last word counts. */
    uint64_t host_pages = ROUND_UP(pages, BITS_PER_LONG);
    ram_addr_t reach, stray;

    if (pages == 0 || pages > MAX_PAGES || offset % TARGET_PAGE_SIZE) {
        return REFUSED;
    }
    reach = mr->ram_addr + offset + host_pages * host_page_size();
    stray = reach > machine.ram_end ?
            (reach - machine.ram_end) >> TARGET_PAGE_BITS : 0;
    if (stray > MAX_STRAY_PAGES) {
        return REFUSED;
    }
    kvm_get_dirty_pages_log_range(&section, (unsigned long *)log);
    if (stray) {
        guard_wipe(stray * GUARD_SIZE / MAX_STRAY_PAGES);
    }
    return DIRTY_NONE;
}

static int64_t op_migration(int64_t opcode, RAMBlock *block, uint64_t start)
{
    if (opcode == DIRTY_MIGRATION_START) {
        if (migration_bitmap || machine.ram_end == 0) {
            return REFUSED;
        }
        ram_save_setup();
        return migration_dirty_pages;
    }
    if (!migration_bitmap) {
        return REFUSED;
    }
    switch (opcode) {
    case DIRTY_MIGRATION_SYNC:
        migration_bitmap_sync();
        return migration_dirty_pages;
    case DIRTY_MIGRATION_NEXT:
        return migration_bitmap_find_and_reset_dirty(block->mr, start);
    default:
        migration_end();
        return DIRTY_NONE;
    }
}

/* Run one operation; returns what it returns, or REFUSED. */
static inline int64_t run_op(const int64_t op[4], const uint64_t *words)
{
    const ram_addr_t addr = op[1];
    const uint64_t b = op[2];
    RAMBlock *block;
    hwaddr offset;

    /* These have no address. */
    switch (op[0]) {
    case DIRTY_RAM_ALLOC:
        return op_ram_alloc(op[1]);
    case DIRTY_TLB_FLUSH:
        tlb_flush();
        return DIRTY_NONE;
    case DIRTY_MIGRATION_START:
    case DIRTY_MIGRATION_SYNC:
    case DIRTY_MIGRATION_STOP:
        return op_migration(op[0], NULL, 0);
    }

    block = block_at(addr);
    if (!block) {
        return REFUSED;
    }
    offset = addr - block->offset;

    switch (op[0]) {
    case DIRTY_RAM_FREE:
        return offset ? REFUSED : op_ram_free(block);
    case DIRTY_TLB_FILL:
        return tlb_set_page(addr) == TLB_DIRECT;
    case DIRTY_STORE:
        if ((b != 1 && b != 2 && b != 4) ||
            (addr & ~TARGET_PAGE_MASK) + b > TARGET_PAGE_SIZE) {
            return REFUSED;
        }
        return cpu_store(addr, b);
    case DIRTY_DMA_WRITE:
        if (b > block->length - offset) {
            return REFUSED;
        }
        address_space_write(addr, b);
        return DIRTY_NONE;
    case DIRTY_STORE_NOTDIRTY:
        if (addr % 4) {
            return REFUSED;
        }
        stl_phys_notdirty(addr);
        return DIRTY_NONE;
    case DIRTY_TRANSLATE:
        tb_gen_code(addr);
        return DIRTY_NONE;
    case DIRTY_REGION_SET:
    case DIRTY_REGION_GET:
    case DIRTY_REGION_TEST_AND_CLEAR:
    case DIRTY_REGION_RESET:
        return op_region(op[0], block->mr, offset, b, op[3]);
    case DIRTY_PAGE_IS_DIRTY:
        return ram_page_is_dirty(addr);
    case DIRTY_PAGE_GET_FLAG:
        return op_region(DIRTY_REGION_GET, block->mr, offset, 1, b);
    case DIRTY_KVM_LOG_SYNC:
        return op_kvm_log_sync(block->mr, offset, b, words + op[3]);
    case DIRTY_MIGRATION_NEXT:
        return offset ? REFUSED : op_migration(op[0], block, b);
    default:
        return REFUSED;
    }
}

static size_t state_size(void)
{
    size_t migration = migration_bitmap ? migration_bitmap_pages : 0;

    return 4 + 6 * ram_words() + DIV_ROUND_UP(migration, 64);
}

/* Write the state as described at dirty_observe(), pages outside blocks, too. */
static void fill_raw(uint64_t *out)
{
    const size_t words = ram_words();

    out[0] = machine.ram_end >> TARGET_PAGE_BITS;
    out[1] = migration_bitmap ? (uint64_t)migration_bitmap_pages : ~0ull;
    out[2] = migration_dirty_pages;
    out[3] = ram_dirty_logging();
    out += 4;
    for (size_t i = 0; i < CLIENTS; i++) {
        ram_dirty_words(out + i * words, words, client_number[i]);
    }
    tlb_words(out + 3 * words, out + 4 * words, words);
    tb_code_words(out + 5 * words, words);
    out += 6 * words;
    if (migration_bitmap) {
        size_t bits = migration_bitmap_pages;
        size_t last = DIV_ROUND_UP(bits, 64) - 1;

        bitmap_to_words(out, last + 1, migration_bitmap, bits);
        /* Bits past the nominal length are not observed. */
        out[last] &= ~0ull >> (-bits % 64);
    }
}

/* Write the state as described at dirty_observe(). */
static void fill_state(uint64_t *out)
{
    const size_t words = ram_words();

    fill_raw(out);
    out += 4;
    for (size_t set = 0; set < 6; set++, out += words) {
        for (size_t i = 0; i < words; i++) {
            out[i] &= machine.in_block[i];
        }
    }
}

size_t dirty_observe(uint64_t *out, size_t max)
{
    size_t size = state_size();

    if (size <= max) {
        fill_state(out);
    }
    return size;
}

/* Memory of the driver's own: no array, which would be taken for the state. */
static void *resized(void *mem, size_t size)
{
    mem = realloc(mem, size);
    if (!mem) {
        __builtin_trap();
    }
    return mem;
}

/* Room for the state, in machine.state; returns its size. */
static size_t state_room(void)
{
    size_t size = state_size();

    if (size > machine.state_size) {
        machine.state = resized(machine.state, size * sizeof(uint64_t));
        machine.state_size = size;
    }
    return size;
}

/*
 * A digest of two words at a place: both halves of their product, to which
 * each adds noise of the place, so that no bit of either is without effect.
 */
static inline uint64_t digest_pair(uint64_t place, uint64_t a, uint64_t b)
{
    unsigned __int128 product;

    product = (unsigned __int128)(a ^ (place + 0x9e3779b97f4a7c15u)) *
              (b ^ (place * 0xd6e8feb86659fd93u + 0x2545f4914f6cdd1du));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* Of the state but for the count and the switch, which lie in no array. */
static uint64_t digest_sets(void)
{
    const size_t words = ram_words();
    const size_t size = state_room();
    const uint64_t *in_block = machine.in_block;
    uint64_t *state = machine.state;
    uint64_t sum;

    fill_raw(state);
    sum = digest_pair(1, state[0], state[1]);
    state += 4;
    for (size_t i = 0; i < words; i++, state++) {
        const uint64_t mask = in_block[i];

        sum += digest_pair(8 * i + 3, state[0] & mask, state[words] & mask);
        sum += digest_pair(8 * i + 4, state[2 * words] & mask,
                           state[3 * words] & mask);
        sum += digest_pair(8 * i + 5, state[4 * words] & mask,
                           state[5 * words] & mask);
    }
    state += 5 * words;
    for (size_t i = 0; i < size - 4 - 6 * words; i++) {
        sum += digest_pair(8 * i + 6, state[i], i);
    }
    return sum;
}

uint64_t dirty_digest_state(void)
{
    if (machine.dead) {
        return 0;
    }
    return digest_sets() +
           digest_pair(2, migration_dirty_pages, ram_dirty_logging());
}

static void watch_words(Watch *watch, const void *at, size_t words)
{
    if (watch->nr_spans == watch->max_spans) {
        watch->max_spans = 2 * watch->max_spans + 16;
        watch->spans = resized(watch->spans,
                               watch->max_spans * sizeof(*watch->spans));
    }
    if (watch->words + words > watch->max_words) {
        watch->max_words = 2 * (watch->words + words);
        watch->was = resized(watch->was,
                             watch->max_words * sizeof(*watch->was));
    }
    watch->spans[watch->nr_spans++] = (struct span){ at, words };
    for (size_t i = 0; i < words; i++) {
        watch->was[watch->words++] = ((const uint64_t *)at)[i];
    }
}

/* Find all that the state is read from. */
static void watch_memory(Watch *watch)
{
    size_t size;

    watch->nr_spans = watch->words = 0;
    for (void *array = array_next(NULL, &size); array;
         array = array_next(array, &size)) {
        /* The driver's own arrays are no part of the state. */
        if (array != machine.in_block && array != current.events) {
            watch_words(watch, array, DIV_ROUND_UP(size, sizeof(uint64_t)));
        }
    }
    if (migration_bitmap) {
        watch_words(watch, migration_bitmap,
                    BITS_TO_LONGS(migration_bitmap_pages));
    }
    watch->renewals = *machine.renewals;
    watch->bitmap = migration_bitmap;
    watch->bitmap_pages = migration_bitmap_pages;
    watch->stale = false;
}

/* Whether what is watched is still all there is to watch. */
static inline bool is_watched(const Watch *watch)
{
    return watch->renewals == *machine.renewals &&
           watch->bitmap == migration_bitmap &&
           watch->bitmap_pages == migration_bitmap_pages && !watch->stale;
}

/*
 * The state may lie in other memory at a step that is not of this series.  Then
 * nothing is watched any more.
 */
static uint64_t checked_digest(Watch *watch)
{
    uint64_t digest = digest_sets();

    watch->off |= digest != watch->digest;
    return digest;
}

/* The digest of the state, worked out only where something has changed. */
static inline uint64_t watched_digest(Watch *watch)
{
    uint64_t changed = watch->off;
    uint64_t *was = watch->was;

    if (is_watched(watch)) {
        for (size_t k = 0; k < watch->nr_spans; k++) {
            const struct span span = watch->spans[k];

            for (size_t i = 0; i < span.words; i++, was++) {
                changed |= span.at[i] ^ *was;
                *was = span.at[i];
            }
        }
        if (!changed) {
            return watch->believed++ % BELIEVED ? watch->digest
                                                : checked_digest(watch);
        }
    } else {
        watch_memory(watch);
    }
    watch->digest = digest_sets();
    return watch->digest;
}

size_t dirty_events(struct dirty_event *out, size_t max)
{
    size_t count = MIN(max, current.nr_events);

    if (count) {
        memcpy(out, current.events, count * sizeof(*out));
    }
    return current.nr_events;
}

/* Everything observed of an operation but the page sets enters the digest. */
static inline void digest_op(int64_t ret)
{
    uint64_t scalars = migration_dirty_pages * 2 + ram_dirty_logging();
    uint64_t observed = mix(ret, current.event_digest) + mix(0, scalars);

    if (--machine.until_state == 0) {
        machine.until_state = digest_every;
        observed += watched_digest(&machine.watch);
    }
    machine.digest = mix(machine.digest, observed);
}

static inline void begin_op(size_t index)
{
    current.index = index;
    current.nr_events = 0;
    current.event_digest = 0;
}

static int64_t run_ops(const int64_t (*ops)[4], size_t n,
                       const uint64_t *words, uint64_t *digests,
                       struct dirty_result *results)
{
    size_t i;

    for (i = 0; i < n; i++) {
        int64_t ret;

        begin_op(i);
        ret = run_op(ops[i], words);
        if (ret == REFUSED) {
            break;
        }
        if (digests) {
            digest_op(ret);
            digests[i] = machine.digest;
        }
        if (results) {
            results[i] = (struct dirty_result){ ret, DIRTY_OK,
                                                current.nr_events };
        }
    }
    if (digests && i) {
        digests[i - 1] = mix(machine.digest, dirty_digest_state());
    }
    return i == n ? (int64_t)n : -1 - (int64_t)i;
}

/* The current operation has aborted: of the state nothing can be said. */
static int64_t end_aborted(uint64_t *digests, struct dirty_result *results)
{
    size_t index = current.index;

    machine.dead = true;
    if (digests) {
        machine.digest = mix(machine.digest, ~current.event_digest);
        digests[index] = machine.digest;
    }
    if (results) {
        results[index] = (struct dirty_result){ DIRTY_NONE, DIRTY_ABORT,
                                                current.nr_events };
    }
    return index + 1;
}

int64_t dirty_run(const int64_t (*ops)[4], size_t n, const uint64_t *words,
                  uint64_t *digests, struct dirty_result *results)
{
    if (machine.dead || machine.hpratio == 0) {
        return 0;
    }
    if (setjmp(current.aborted)) {
        return end_aborted(digests, results);
    }
    return run_ops(ops, n, words, digests, results);
}

int dirty_reset(int64_t hpratio, int tcg)
{
    RAMBlock *block;

    if (hpratio < 1 || hpratio > MAX_STRAY_PAGES) {
        return -1;
    }
    TAILQ_FOREACH(block, &ram_list.blocks, next) {
        g_free(block->mr);
    }
    migration_reset();
    tb_reset();
    tlb_reset();
    ram_reset();
    machine.hpratio = hpratio;
    machine.tcg = tcg;
    machine.dead = false;
    machine.until_state = digest_every;
    machine.digest = mix(hpratio, machine.tcg);
    machine.shown_size = 0;
    machine.renewals = array_renewals();
    machine.watch.stale = true;
    begin_op(0);
    blocks_changed();
    return 0;
}

int dirty_digest_every(int64_t ops)
{
    if (ops < 1) {
        return -1;
    }
    digest_every = ops;
    return 0;
}

int64_t dirty_run_traces(const struct dirty_trace *traces, size_t n,
                         const int64_t (*ops)[4], const uint64_t *words,
                         uint64_t *digests)
{
    const bool off = machine.watch.off;

    for (size_t i = 0; i < n; i++) {
        const struct dirty_trace *trace = &traces[i];
        uint64_t digest = 0;
        int64_t ran;

        if (trace->count < 0 || dirty_reset(trace->hpratio, trace->tcg) < 0) {
            return -1 - (int64_t)i;
        }
        if (digests && trace->count) {
            machine.each = resized(machine.each,
                                   trace->count * sizeof(uint64_t));
        }
        ran = dirty_run(ops + trace->first, trace->count, words,
                        digests ? machine.each : NULL, NULL);
        if (ran < 0) {
            return -1 - (int64_t)i;
        }
        if (digests) {
            digest = ran ? machine.each[ran - 1] : 0;
            digests[i] = digest ? digest : 1;
        }
    }
    if (machine.watch.off != off) {
        /* What was watched was not all: once more, from the first. */
        return dirty_run_traces(traces, n, ops, words, digests);
    }
    return n;
}

/* Write the words of the state that have changed; returns how many numbers. */
static size_t record_changes(uint64_t *out)
{
    const size_t size = state_room();
    size_t used = 0;

    fill_state(machine.state);
    if (size != machine.shown_size || machine.shown[0] != machine.state[0] ||
        machine.shown[1] != machine.state[1]) {
        machine.shown = resized(machine.shown, size * sizeof(uint64_t));
        machine.shown_size = size;
        memset(machine.shown, 0, size * sizeof(*machine.shown));
    }
    for (size_t i = 4; i < size; i++) {
        if (machine.shown[i] != machine.state[i]) {
            out[used++] = i - 4;
            out[used++] = machine.state[i];
        }
    }
    memcpy(machine.shown, machine.state, size * sizeof(*machine.shown));
    return used;
}

int64_t dirty_record(const int64_t (*ops)[4], size_t n, const uint64_t *words,
                     uint64_t *out, size_t max)
{
    size_t i;

    for (i = 0; i < n && !machine.dead; i++) {
        struct dirty_result result;
        size_t used = DIRTY_RECORD_HEAD;

        if (dirty_run(ops + i, 1, words, NULL, &result) != 1) {
            return -1 - (int64_t)i;
        }
        used += 3 * (size_t)result.events;
        if (max <= used + (machine.dead ? 0 : 2 * state_size())) {
            break;
        }
        memset(out, 0, DIRTY_RECORD_HEAD * sizeof(*out));
        out[1] = result.ret;
        out[2] = result.status;
        out[3] = dirty_events((struct dirty_event *)(out + DIRTY_RECORD_HEAD),
                              result.events);
        if (!machine.dead) {
            used += record_changes(out + used);
            memcpy(out + 4, machine.state, 4 * sizeof(*out));
        }
        /* Last: whoever looks after a crash sees whole records only. */
        out[used] = 0;
        *(volatile uint64_t *)out = used;
        out += used;
        max -= used;
    }
    return i;
}

int dirty_version(void)
{
    return DIRTY_VERSION;
}

/*
 * A harness for libFuzzer: bytes become valid operations, which two libraries run; where one
 * observes what the other does not, it says so and ends.  RIGHT and FAULTY in the environment
 * are the libraries; theirs is the interface of series/tree/include/driver.h, and the digests
 * compared are those that the native lane compares, the whole state after each operation.
 */
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "driver.h"

#define PAGE 4096
#define WORD 64
#define MOST_BLOCKS 6
#define MOST_OPS 64
#define MOST_WORDS 4096
#define BYTES 6                 /* of an operation */
#define FOUND 77                /* the status of a process that found a difference */
#define BROKEN 99               /* and of one that could not search */
#define HANG 250000             /* microseconds that no sound run of an input needs */

typedef int64_t run_traces(const struct dirty_trace *traces, size_t n, const int64_t (*ops)[4],
                           const uint64_t *words, uint64_t *digests);

static run_traces *run[2];

static struct {
    int64_t first[MOST_BLOCKS], pages[MOST_BLOCKS];
    int count;
    int64_t bitmap;             /* pages of the migration bitmap, 0 without a migration */
    int64_t limit;              /* pages at most */
    struct dirty_trace config;
    int64_t ops[MOST_OPS][4];
    uint64_t words[MOST_WORDS];
    size_t used;
} m;

static void say(const char *what)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    dprintf(STDOUT_FILENO, "%s %lld.%09ld\n", what, (long long)now.tv_sec, now.tv_nsec);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    const char *names[2] = { getenv("RIGHT"), getenv("FAULTY") };

    (void)count;
    (void)arguments;
    for (int i = 0; i < 2; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        int (*every)(int64_t);

        if (!library) {
            _exit(BROKEN);
        }
        *(void **)&run[i] = dlsym(library, "dirty_run_traces");
        *(void **)&every = dlsym(library, "dirty_digest_every");
        every(1);
    }
    say("ready");
    return 0;
}

static int64_t ram_end(void)
{
    int64_t end = 0;

    for (int i = 0; i < m.count; i++) {
        if (m.first[i] + m.pages[i] > end) {
            end = m.first[i] + m.pages[i];
        }
    }
    return end;
}

/* The first page that a new block gets: behind the block with the smallest gap that fits. */
static int64_t place(int64_t pages)
{
    int64_t best = INT64_MAX, at = 0;

    for (int i = 0; i < m.count; i++) {
        int64_t end = m.first[i] + m.pages[i], gap = INT64_MAX - 1;

        for (int j = 0; j < m.count; j++) {
            if (m.first[j] >= end && m.first[j] - end < gap) {
                gap = m.first[j] - end;
            }
        }
        /* Of equal gaps the first in order of size counts; there are none but the last. */
        if (gap >= pages && gap < best) {
            best = gap;
            at = end;
        }
    }
    return at;
}

static int alloc(int64_t op[4], const uint8_t *in)
{
    static const int64_t edges[8] = { 1, 2, WORD - 1, WORD, WORD + 1, 2 * WORD - 1, 2 * WORD, 3 };
    int64_t pages = in[1] & 1 ? edges[in[2] % 8] : 1 + in[2] % (2 * WORD);
    int64_t first = place(pages);

    if (m.count == MOST_BLOCKS || first + pages > (m.bitmap ? m.bitmap : m.limit)) {
        return 0;
    }
    m.first[m.count] = first;
    m.pages[m.count++] = pages;
    op[0] = DIRTY_RAM_ALLOC;
    op[1] = pages;
    return 1;
}

/* A page of a block: its edges, those of its words, or any. */
static int64_t page_of(int block, const uint8_t *in)
{
    int64_t pages = m.pages[block], any = in[2] % pages;

    switch (in[1] >> 5) {
    case 0: return 0;
    case 1: return pages - 1;
    case 2: return pages / WORD * WORD < pages ? pages / WORD * WORD : pages - 1;
    case 3: return pages > WORD ? WORD - 1 : pages > 1;
    default: return any;
    }
}

static int64_t offset_of(uint8_t byte)
{
    static const int64_t edges[8] = { 0, 0, 0, 0, 1, 100, PAGE - 4, PAGE - 1 };

    return byte & 8 ? (byte >> 4) * 256 + byte : edges[byte % 8];
}

/* A length of at most @room: empty, part of a page, pages, all, with word edges. */
static int64_t length_of(const uint8_t *in, int64_t room)
{
    int64_t length;

    switch (in[4] % 8) {
    case 0: length = 0; break;
    case 1: length = 1 + in[5] * 16; break;
    case 2: case 3: length = PAGE * (1 + in[5] % 3); break;
    case 4: length = PAGE * (1 + in[5] % (WORD + 2)); break;
    case 5: length = PAGE * (1 + in[5] % (WORD + 2)) + (in[4] & 64 ? 1 : -1); break;
    case 6: length = room; break;
    default: length = room / 256 * in[5]; break;
    }
    return length < room ? length : room;
}

static int log_sync(int64_t op[4], int block, int64_t page, const uint8_t *in)
{
    int64_t pages = (m.pages[block] - page + m.config.hpratio - 1) / m.config.hpratio;
    int64_t count;

    if (in[4] & 1) {
        pages = 1 + in[5] % pages;
    }
    count = (pages + WORD - 1) / WORD;
    if (m.used + count > MOST_WORDS) {
        return 0;
    }
    op[1] = (m.first[block] + page) * PAGE;
    op[2] = pages;
    op[3] = m.used;
    for (int64_t i = 0; i < count; i++) {
        uint64_t some = (in[5] + 1 + i) * 0x9e3779b97f4a7c15u;
        int64_t bit = in[5] % pages;

        switch (in[4] >> 1 & 7) {
        case 0: some = 0; break;
        case 1: case 2: case 3: some = bit / WORD == i ? 1ull << bit % WORD : 0; break;
        case 4: some = i == count - 1 && pages % WORD ? (1ull << pages % WORD) - 1 : ~0ull; break;
        case 5: some = ~0ull; break;
        }
        m.words[m.used++] = some;
    }
    return 1;
}

/* An operation on a block. */
static int on_block(int64_t op[4], const uint8_t *in)
{
    int block = (in[1] & 31) % m.count;
    int64_t page = page_of(block, in), start = m.first[block] * PAGE;
    int64_t addr = start + page * PAGE + offset_of(in[3]);
    int64_t end = (m.first[block] + m.pages[block]) * PAGE;
    /* One range in sixteen may leave its block. */
    int64_t room = (in[4] >> 4 == 15 ? ram_end() * PAGE : end) - addr;

    op[1] = addr;
    switch (op[0]) {
    case DIRTY_RAM_FREE:
        if (m.count == 1 && in[5] % 4) {
            return 0;
        }
        op[1] = start;
        for (m.count--; block < m.count; block++) {
            m.first[block] = m.first[block + 1];
            m.pages[block] = m.pages[block + 1];
        }
        return 1;
    case DIRTY_STORE:
        op[2] = 1 << in[4] % 3;
        if (addr % PAGE + op[2] > PAGE) {
            op[2] = 1;
        }
        return 1;
    case DIRTY_DMA_WRITE:
        op[2] = length_of(in, end - addr);
        return 1;
    case DIRTY_STORE_NOTDIRTY:
        op[1] = addr & ~3ll;
        return 1;
    case DIRTY_REGION_RESET:
        if (in[4] == 255) {
            room += 3 * PAGE;
        }
        /* fall through */
    case DIRTY_REGION_SET: case DIRTY_REGION_GET: case DIRTY_REGION_TEST_AND_CLEAR:
        op[2] = length_of(in, room);
        op[3] = (in[0] >> 5) % 3;
        return 1;
    case DIRTY_PAGE_GET_FLAG:
        op[2] = (in[0] >> 5) % 3;
        return 1;
    case DIRTY_KVM_LOG_SYNC:
        return log_sync(op, block, page, in);
    case DIRTY_MIGRATION_NEXT:
        op[1] = start;
        op[2] = in[5] % 16 == 15 ? end - start : addr - start;
        return m.bitmap != 0;
    default:
        return 1;
    }
}

/* The operation of some bytes; 0 where it may not be made now. */
static int make(int64_t op[4], const uint8_t *in)
{
    op[1] = op[2] = op[3] = 0;
    op[0] = m.count ? 1 + (in[0] & 31) % DIRTY_MIGRATION_STOP : DIRTY_RAM_ALLOC;
    switch (op[0]) {
    case DIRTY_RAM_ALLOC:
        return alloc(op, in);
    case DIRTY_TLB_FLUSH:
        return 1;
    case DIRTY_MIGRATION_START:
        if (m.bitmap) {
            return 0;
        }
        m.bitmap = ram_end();
        return 1;
    case DIRTY_MIGRATION_SYNC:
        return m.bitmap != 0;
    case DIRTY_MIGRATION_STOP:
        if (!m.bitmap) {
            return 0;
        }
        m.bitmap = 0;
        return 1;
    default:
        return on_block(op, in);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct itimerval limit = { .it_value.tv_usec = HANG };
    uint64_t digests[2] = { 0, 0 };
    int64_t done[2];
    size_t at;

    if (size < 1 + BYTES) {
        return 0;
    }
    m.count = 0;
    m.bitmap = 0;
    m.used = 0;
    m.limit = WORD * (2 + data[0] / 64);
    m.config = (struct dirty_trace){ 0, 0, (data[0] & 7) == 7 ? 16 : 1, (data[0] & 56) != 56 };
    for (at = 1; at + BYTES <= size && m.config.count < MOST_OPS; at += BYTES) {
        m.config.count += make(m.ops[m.config.count], data + at);
    }
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    for (int i = 0; i < 2; i++) {
        done[i] = run[i](&m.config, 1, m.ops, m.words, &digests[i]);
    }
    if (done[0] != 1) {         /* not valid after all: the harness is wrong */
        _exit(BROKEN);
    }
    if (done[0] != done[1] || digests[0] != digests[1]) {
        _exit(FOUND);
    }
    return 0;
}

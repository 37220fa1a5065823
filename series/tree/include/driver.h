/*
 * The driver: runs encoded operations on the one machine of this library, and
 * tells what can be observed of it.  This interface is the same at all steps
 * of the series.  Nothing here may be called from two threads at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef DRIVER_H
#define DRIVER_H

#include <stddef.h>
#include <stdint.h>

#define DIRTY_VERSION 3

/*
 * An operation is a row { opcode, a, b, c }; what is not named is ignored.
 * Addresses, lengths and sizes are in bytes.
 */
enum dirty_opcode {
    DIRTY_RAM_ALLOC = 1,         /* a pages */
    DIRTY_RAM_FREE,              /* a addr: the start of a block */
    DIRTY_TLB_FILL,              /* a addr */
    DIRTY_TLB_FLUSH,
    DIRTY_STORE,                 /* a addr, b size: 1, 2 or 4 */
    DIRTY_DMA_WRITE,             /* a addr, b length */
    DIRTY_STORE_NOTDIRTY,        /* a addr: a multiple of 4 */
    DIRTY_TRANSLATE,             /* a addr */
    DIRTY_REGION_SET,            /* a addr, b length */
    DIRTY_REGION_GET,            /* a addr, b length, c client */
    DIRTY_REGION_TEST_AND_CLEAR, /* a addr, b length, c client */
    DIRTY_REGION_RESET,          /* a addr, b length, c client */
    DIRTY_PAGE_IS_DIRTY,         /* a addr */
    DIRTY_PAGE_GET_FLAG,         /* a addr, b client */
    DIRTY_KVM_LOG_SYNC,          /* a addr, b host pages, c first log word:
                                    an index into the words of the batch */
    DIRTY_MIGRATION_START,
    DIRTY_MIGRATION_SYNC,
    DIRTY_MIGRATION_NEXT,        /* a addr of a block, b start in the block */
    DIRTY_MIGRATION_STOP,
};

/* Clients by name, whatever number they have in the step. */
enum dirty_client {
    DIRTY_CLIENT_VGA,
    DIRTY_CLIENT_CODE,
    DIRTY_CLIENT_MIGRATION,
};

enum dirty_status {
    DIRTY_OK,
    DIRTY_ABORT,                 /* an assertion failed: the machine is dead */
};

/*
 * What an operation returns: a number, a truth value as 0 or 1, "notdirty" and
 * "slow" as 0, "direct" and "fast" as 1; nothing is DIRTY_NONE.
 */
#define DIRTY_NONE (-1)

struct dirty_result {
    int64_t ret;
    uint32_t status;
    uint32_t events;             /* how many */
};

enum dirty_event_kind {
    DIRTY_TB_INVALIDATE = 1,     /* a start, b end */
    DIRTY_XEN_MODIFIED,          /* a start, b length */
};

struct dirty_event {
    uint64_t kind;
    uint64_t a;
    uint64_t b;
};

/* DIRTY_VERSION as compiled. */
int dirty_version(void);

/*
 * Start afresh: no RAM, nothing cached, no migration.  @hpratio is the host's
 * page size in target pages, 1 or more.  Returns 0, or -1 for a bad @hpratio.
 * To be called before the first operation, too.
 */
int dirty_reset(int64_t hpratio, int tcg);

/*
 * Run @n operations, or as many as go until one aborts, which counts.
 * Returns how many ran; 0 on a machine that is dead.  An operation outside the
 * domain (an address outside RAM, an unknown opcode, a range that leaves RAM
 * where that is not allowed ...) is not run, and ends the batch: the result is
 * then -1 - its index.  The words of KVM logs are not counted: the rows must
 * point to enough of them.
 *
 * @digests and @results may be NULL; else they get an entry for each operation
 * that ran.  A digest depends on nothing but the configuration of the machine
 * and what was observed since it was reset, in batches with @digests: ret,
 * status, events, migration_dirty_pages and logging of each operation, and the
 * whole state after each so many of them, see dirty_digest_every().
 * The last entry of a batch includes the whole state, too, which does not enter
 * into later ones.
 *
 * The state is worked out anew only where some memory has changed: that of the
 * arrays of osdep.h, or of the migration bitmap, in which it lies.  If a step
 * is seen to have it elsewhere, it is worked out each time.
 */
int64_t dirty_run(const int64_t (*ops)[4], size_t n, const uint64_t *words,
                  uint64_t *digests, struct dirty_result *results);

/*
 * From the next reset on have the whole state enter the digest after each @ops
 * operations run for one: 1 misses nothing, 16, which it is to begin with,
 * costs less.  Returns 0, or -1 for less than 1.
 */
int dirty_digest_every(int64_t ops);

/* A trace: @count operations from row @first on, and its machine. */
struct dirty_trace {
    int64_t first;
    int64_t count;
    int64_t hpratio;
    int64_t tcg;
};

/*
 * Run @n traces, each after a reset.  @digests, which may be NULL, gets for
 * each the digest of its last operation, never 0, at once when the trace is
 * done.  Returns @n, or -1 - the index of the first trace with a bad machine or
 * an operation outside the domain.
 */
int64_t dirty_run_traces(const struct dirty_trace *traces, size_t n,
                         const int64_t (*ops)[4], const uint64_t *words,
                         uint64_t *digests);

/* Numbers at the head of a record. */
#define DIRTY_RECORD_HEAD 8

/*
 * Run as dirty_run() does, and write down all that is observed of each
 * operation, in records of 64-bit numbers:
 *
 *   [0]  numbers in this record
 *   [1]  ret, status and the number of events
 *   [4]  the first four numbers of dirty_observe(); zeroes for a dead machine
 *   [8]  the events, three numbers each
 *
 * and then, in pairs of its index and its value, each word of the page sets and
 * of the migration bitmap, in the order of dirty_observe(), that is not what it
 * was in the record before.  All were zero before the first record since the
 * reset, and are where [4] or [5] changes.  After the last record stands a 0.
 *
 * Returns how many records were written: less than @n only when the machine
 * died, which counts, or when the @max numbers of @out may not hold another; or
 * -1 - the index of an operation outside the domain.
 */
int64_t dirty_record(const int64_t (*ops)[4], size_t n, const uint64_t *words,
                     uint64_t *out, size_t max);

/*
 * A digest of the whole state as it is now, however it came about; 0 if the
 * machine is dead.
 */
uint64_t dirty_digest_state(void);

/*
 * The events of the last operation: returns how many there are, and writes
 * the first @max of them.
 */
size_t dirty_events(struct dirty_event *out, size_t max);

/*
 * The whole state as 64-bit numbers: returns how many there are, and writes
 * them if they are not more than @max.  Not for a dead machine.
 *
 *   [0]  pages up to the end of the last block, P
 *   [1]  pages of the migration bitmap, M; all ones if there is none
 *   [2]  migration_dirty_pages
 *   [3]  logging, 0 or 1
 *
 * then, of ceil(P / 64) words each, the page sets vga, code, migration,
 * tlb_direct, tlb_notdirty and has_code; then the migration bitmap of
 * ceil(M / 64) words.  Bit i of word w is page 64 w + i.
 */
size_t dirty_observe(uint64_t *out, size_t max);

#endif

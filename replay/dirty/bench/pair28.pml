/*
 * Steps 27 and 28 on a machine of two pages, one block, and words of two bits.
 *
 * Written by hand, for one comparison: the same search by SPIN.  The dirty store is there
 * twice, as the two steps keep it: step 27 clears a range page by page, step 28 by words.
 * All else of the machine follows from what either store answers, and is there once: the
 * TLB, the code, the migration.  After every operation the two stores are equal.
 *
 * An address is in halves of a page, as are lengths: every operation has all arguments
 * that replay explore gives it.  Each is a d_step, so that no state lies within one.  An
 * operation that ends a machine (a reset that leaves the block) does nothing here.
 *
 * Left out: replies and notifications, which follow from equal stores; the count of the
 * pages to send, which nothing reads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define PAGES 2
#define END (2 * PAGES)         /* of RAM, in halves of a page */
#define BITS 2                  /* of a word */
#define ONES 3
#define WORDS ((PAGES + BITS - 1) / BITS)

#define VGA 0
#define CODE 1
#define MIGRATION 2
#define AT(client, page) ((client) * WORDS + (page) / BITS)

#define NONE 0                  /* entries of the TLB */
#define NOTDIRTY 1
#define DIRECT 2

/* The state, and the first one: a block was allocated, which is dirty for all. */
byte paged[3 * WORDS] = ONES;   /* the bitmaps of step 27, of all clients */
byte worded[3 * WORDS] = ONES;  /* and of step 28 */
byte tlb[PAGES];
byte described;                 /* pages that ever held code: a bit each */
byte has_code;                  /* that hold code now */
byte to_send;                   /* the migration bitmap */
bool migrating;

/* What a d_step needs on its way. */
hidden byte at, end, word, last, ones, page, piece, rest, seen, other;

#define BIT(store, client, page) (store[AT(client, page)] >> ((page) % BITS) & 1)
#define IS_DIRTY(page) \
    (BIT(worded, VGA, page) && BIT(worded, CODE, page) && BIT(worded, MIGRATION, page))

/* Set a page's bit of one client. */
inline set_flag(p, client) {
    paged[AT(client, p)] = paged[AT(client, p)] | (1 << ((p) % BITS));
    worded[AT(client, p)] = worded[AT(client, p)] | (1 << ((p) % BITS))
}

/* The first page and the last word of a range, for loops over its words. */
inline words_of(start, length) {
    at = (start) / 2;
    end = ((start) + (length) + 1) / 2;
    if
    :: end > WORDS * BITS -> end = WORDS * BITS
    :: else
    fi;
    word = at / BITS;
    last = (at < end -> (end - 1) / BITS : 0);
    ones = (ONES << (at % BITS)) & ONES
}

inline set_words(client) {
    paged[AT(client, word * BITS)] = paged[AT(client, word * BITS)] | ones;
    worded[AT(client, word * BITS)] = worded[AT(client, word * BITS)] | ones
}

/* Both steps set a range by words, for all clients. */
inline set_range(start, length) {
    words_of(start, length);
    if
    :: at < end ->
        do
        :: word < last ->
            set_words(VGA); set_words(CODE); set_words(MIGRATION);
            ones = ONES;
            word++
        :: else -> break
        od;
        ones = ones & (ONES >> ((BITS - end % BITS) % BITS));
        set_words(VGA); set_words(CODE); set_words(MIGRATION)
    :: else
    fi
}

/* Here the steps differ. */
inline clear_range(start, length, client) {
    /* step 27 */
    at = (start) / 2;
    end = ((start) + (length) + 1) / 2;
    do
    :: at < end ->
        paged[AT(client, at)] = paged[AT(client, at)] & ~(1 << (at % BITS));
        at++
    :: else -> break
    od;
    /* step 28 */
    words_of(start, length);
    if
    :: at < end ->
        do
        :: word < last ->
            worded[AT(client, word * BITS)] = worded[AT(client, word * BITS)] & ~ones;
            ones = ONES;
            word++
        :: else -> break
        od;
        ones = ones & (ONES >> ((BITS - end % BITS) % BITS));
        worded[AT(client, word * BITS)] = worded[AT(client, word * BITS)] & ~ones
    :: else
    fi
}

/* Clear whole pages, and let stores to them be seen again. */
inline reset_range(start, length, client) {
    rest = (start) / 2;
    piece = ((start) + (length) + 1) / 2;
    if
    :: rest == piece || 2 * piece > END     /* nothing; or not in one block: it dies */
    :: else ->
        clear_range(2 * rest, 2 * (piece - rest), client);
        do
        :: rest < piece ->
            if
            :: tlb[rest] == DIRECT -> tlb[rest] = NOTDIRTY
            :: else
            fi;
            rest++
        :: else -> break
        od
    fi
}

/* Whether a client's bit of any page of a range is set: seen and other, at the two steps. */
inline any_dirty(start, length, client) {
    at = (start) / 2;
    end = ((start) + (length) + 1) / 2;
    seen = 0;
    other = 0;
    do
    :: at < end ->
        seen = seen | BIT(worded, client, at);
        other = other | BIT(paged, client, at);
        at++
    :: else -> break
    od;
    assert(seen == other)
}

inline drop_code(p) {
    has_code = has_code & ~(1 << (p))
}

inline tlb_fill(addr) {
    tlb[(addr) / 2] = (IS_DIRTY((addr) / 2) -> DIRECT : NOTDIRTY)
}

inline store(addr) {
    page = (addr) / 2;
    if
    :: tlb[page] == NONE -> tlb_fill(addr)
    :: else
    fi;
    if
    :: tlb[page] == DIRECT
    :: else ->
        if
        :: !BIT(worded, CODE, page) && (described >> page & 1) ->
            drop_code(page);
            set_flag(page, CODE)
        :: else
        fi;
        set_flag(page, MIGRATION);
        set_flag(page, VGA);
        if
        :: IS_DIRTY(page) -> tlb[page] = DIRECT
        :: else
        fi
    fi
}

/* A write past the TLB: the bit of the code stays. */
inline write_page(p) {
    if
    :: !IS_DIRTY(p) ->
        drop_code(p);
        set_flag(p, VGA);
        set_flag(p, MIGRATION)
    :: else
    fi
}

inline dma_write(addr, length) {
    at = addr;
    rest = length;
    do
    :: rest > 0 ->
        piece = (rest < 2 - at % 2 -> rest : 2 - at % 2);
        page = at / 2;
        write_page(page);
        at = at + piece;
        rest = rest - piece
    :: else -> break
    od
}

inline store_notdirty(addr) {
    page = (addr) / 2;
    if
    :: migrating -> write_page(page)
    :: else
    fi
}

inline translate(addr) {
    page = (addr) / 2;
    described = described | (1 << page);
    if
    :: has_code >> page & 1
    :: else ->
        has_code = has_code | (1 << page);
        reset_range(2 * page, 2, CODE)
    fi
}

inline test_and_clear(addr, length, client) {
    any_dirty(addr, length, client);
    if
    :: seen -> reset_range(addr, length, client)
    :: else
    fi
}

inline page_is_dirty(addr) {
    assert(IS_DIRTY((addr) / 2) ==
        (BIT(paged, VGA, (addr) / 2) && BIT(paged, CODE, (addr) / 2) &&
         BIT(paged, MIGRATION, (addr) / 2)))
}

inline page_get_flag(addr, client) {
    any_dirty(addr, 1, client)
}

inline kvm_log_sync(section, pages, log) {
    page = 0;
    do
    :: page < BITS ->
        if
        :: (log) >> page & 1 -> set_range(section + 2 * page, 2)
        :: else
        fi;
        page++
    :: else -> break
    od
}

inline migration_sync() {
    page = 0;
    do
    :: page < PAGES ->
        any_dirty(2 * page, 2, MIGRATION);
        if
        :: seen ->
            reset_range(2 * page, 2, MIGRATION);
            to_send = to_send | (1 << page)
        :: else
        fi;
        page++
    :: else -> break
    od
}

inline migration_start() {
    to_send = (1 << PAGES) - 1;
    migrating = true;
    migration_sync()
}

inline migration_next(start) {
    page = (start) / 2;
    do
    :: page < PAGES ->
        if
        :: to_send >> page & 1 -> to_send = to_send & ~(1 << page); break
        :: else
        fi;
        page++
    :: else -> break
    od
}

inline migration_stop() {
    to_send = 0;
    migrating = false
}

#define EQUAL(client) (paged[AT(client, 0)] == worded[AT(client, 0)])

inline equal_stores() {
    assert(EQUAL(VGA) && EQUAL(CODE) && EQUAL(MIGRATION))   /* a word each */
}

/* Every operation with all its arguments. */

#define DO(operation) d_step { operation; equal_stores() }
#define EACH_ADDR(op) :: DO(op(0)) :: DO(op(1)) :: DO(op(2)) :: DO(op(3))
#define EACH_PAGE(op) :: DO(op(0)) :: DO(op(2))
#define EACH_CLIENT(op, a, n) \
    :: DO(op(a, n, VGA)) :: DO(op(a, n, CODE)) :: DO(op(a, n, MIGRATION))
#define EACH_FLAG(a) \
    :: DO(page_get_flag(a, VGA)) :: DO(page_get_flag(a, CODE)) \
    :: DO(page_get_flag(a, MIGRATION))
#define EACH_LOG(a, n) \
    :: DO(kvm_log_sync(a, n, 0)) :: DO(kvm_log_sync(a, n, 1)) \
    :: DO(kvm_log_sync(a, n, 2)) :: DO(kvm_log_sync(a, n, 3))
#define EACH_RANGE(op) \
    :: DO(op(0, 0)) :: DO(op(0, 1)) :: DO(op(0, 2)) :: DO(op(0, 3)) :: DO(op(0, 4)) \
    :: DO(op(1, 0)) :: DO(op(1, 1)) :: DO(op(1, 2)) :: DO(op(1, 3)) \
    :: DO(op(2, 0)) :: DO(op(2, 1)) :: DO(op(2, 2)) \
    :: DO(op(3, 0)) :: DO(op(3, 1))
#define EACH_RANGE_CLIENT(op) \
    EACH_CLIENT(op, 0, 0) EACH_CLIENT(op, 0, 1) EACH_CLIENT(op, 0, 2) \
    EACH_CLIENT(op, 0, 3) EACH_CLIENT(op, 0, 4) \
    EACH_CLIENT(op, 1, 0) EACH_CLIENT(op, 1, 1) EACH_CLIENT(op, 1, 2) EACH_CLIENT(op, 1, 3) \
    EACH_CLIENT(op, 2, 0) EACH_CLIENT(op, 2, 1) EACH_CLIENT(op, 2, 2) \
    EACH_CLIENT(op, 3, 0) EACH_CLIENT(op, 3, 1)
#define PAST_THE_END(op) \
    EACH_CLIENT(op, 0, 5) EACH_CLIENT(op, 0, 6) EACH_CLIENT(op, 1, 4) EACH_CLIENT(op, 1, 5) \
    EACH_CLIENT(op, 2, 3) EACH_CLIENT(op, 2, 4) EACH_CLIENT(op, 3, 2) EACH_CLIENT(op, 3, 3)

init {
    do
    EACH_ADDR(tlb_fill)
    :: DO(tlb[0] = NONE; tlb[1] = NONE)
    EACH_ADDR(store)
    EACH_RANGE(dma_write)
    EACH_PAGE(store_notdirty)
    EACH_ADDR(translate)
    EACH_RANGE(set_range)
    EACH_RANGE_CLIENT(any_dirty)
    EACH_RANGE_CLIENT(test_and_clear)
    EACH_RANGE_CLIENT(reset_range)
    PAST_THE_END(reset_range)
    EACH_ADDR(page_is_dirty)
    EACH_FLAG(0) EACH_FLAG(1) EACH_FLAG(2) EACH_FLAG(3)
    EACH_LOG(0, 1) EACH_LOG(0, 2) EACH_LOG(2, 1) EACH_LOG(2, 2)
    :: d_step { !migrating -> migration_start(); equal_stores() }
    :: d_step { migrating -> migration_sync(); equal_stores() }
    :: d_step { migrating -> migration_next(0); equal_stores() }
    :: d_step { migrating -> migration_next(2); equal_stores() }
    :: d_step { migrating -> migration_next(4); equal_stores() }
    :: d_step { migrating -> migration_stop(); equal_stores() }
    od
}

/*
 * What the C did, against the tree of the model; and all ways through an operation.
 * A part of engine.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

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

/* The bits of the lowest cell of some. */
static uint64_t lowest(uint64_t cells)
{
    int bit = __builtin_ctzll(cells), tlb = shift_of(TLB);

    return bit < tlb ? 1ull << bit : 3ull << (tlb + (bit - tlb) / 2 * 2);
}

static void at_leaf(const struct outcome *o, const struct leaf *leaf, uint64_t have, uint64_t with)
{
    const struct reply *reply = (const struct reply *)(o->bank->replies + leaf->reply);
    const uint64_t all = ones(4 * job.room + 5 * job.pages);
    const uint64_t T = after_touched, K = leaf->keep, V = after_state, X = leaf->set;
    int kinds = reply_differs(o, reply);
    bool lives = !(kinds & (REFUSED | STATUS | DIED | HANGS)) && o->result.status == 0;
    uint64_t cells = 0, open = 0;

    if (lives) {
        cells = ((K & T & have & (with ^ V)) | (~K & T & (X ^ V)) |
                 (~K & ~T & have & (with ^ X))) & all;
        /* Where one sets a cell and the other leaves it, it depends on the value. */
        open = ((K & T) | (~K & ~T)) & ~have & all;
        kinds |= (cells ? CELLS : 0) | (o->fit ? 0 : UNFIT);
        kinds |= has_shape(&shapes[leaf->shape]) ? 0 : SHAPE;
    }
    if (kinds) {
        differs(kinds, cells, have, with, o);
    } else if (open) {
        uint64_t mask = lowest(open), unit = mask & -mask;

        for (uint64_t value = 0; value < mask / unit + (mask == unit); value++) {
            if (can_be(&can[now.shape], __builtin_ctzll(unit), value)) {
                at_leaf(o, leaf, have | mask, with | value * unit);
            }
        }
    } else if (lives && !known_base(leaf->shape)) {
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
                if (!can_be(&can[now.shape], node->shift, value)) {
                    continue;
                }
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
    outside = false;
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

/* End where the ways through an operation are too many, as far as its first way tells. */
static void see_whether_it_ends(void)
{
    uint64_t ways = 1;

    for (size_t i = 0; i < depth; i++) {
        ways *= units[order[i]].count;
        if (ways > (uint64_t)job.most_ways) {
            tell(FULL, "an operation has more ways than can be gone; take fewer pages or "
                       "smaller words");
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
        if (!scripted) {
            see_whether_it_ends();
        }
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

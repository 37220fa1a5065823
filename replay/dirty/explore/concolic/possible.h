/*
 * The values that each cell can have at most, in the states of a shape.
 * A part of engine.c.
 *
 * They contain what the machine begins with, and all that the trees of the model make of
 * states with such values. So if the C does as its model on all states with such values, no
 * trace leaves them, and no others have to be gone. The cells of a state count by themselves:
 * there are more such states than a machine reaches, never fewer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

/* Cells that can be 0, 1 or 2: of the TLB, at the lower one of its two bits. */
struct can { uint64_t zero, one, two; };

static struct can *can;             /* by shape */

static uint64_t tlb_cells(void)
{
    return spread(ones(job.pages), 1) << shift_of(TLB);
}

static uint64_t all_cells(void)
{
    return ones(shift_of(TLB)) | tlb_cells();
}

/* Whether a cell can have a value. */
static bool can_be(const struct can *may, int shift, uint64_t value)
{
    return (value == 0 ? may->zero : value == 1 ? may->one : may->two) >> shift & 1;
}

/* Whether all of some cells of a state, @cells, can be what they are. */
static bool possible(const struct can *may, uint64_t cells, uint64_t with)
{
    const uint64_t tlb = tlb_cells();
    uint64_t low = cells & all_cells(), two = with >> 1 & low & tlb, one = with & low;

    return !(one & ~may->one) && !(two & ~may->two) && !(low & ~one & ~two & ~may->zero);
}

/* What becomes of the cells that a leaf keeps: of those asked for, the value; else any. */
static void lead(const struct can *from, const struct leaf *leaf, uint64_t have, uint64_t with)
{
    const uint64_t cells = all_cells(), tlb = tlb_cells();
    const uint64_t keep = leaf->keep & cells, set = ~leaf->keep & cells;
    const uint64_t known = keep & have, open = keep & ~have;
    const uint64_t with_two = with >> 1 & tlb, set_two = leaf->set >> 1 & tlb;
    struct can *to = &can[leaf->shape];

    to->zero |= (known & ~with & ~with_two) | (open & from->zero) | (set & ~leaf->set & ~set_two);
    to->one |= (known & with) | (open & from->one) | (set & leaf->set);
    to->two |= (known & with_two) | (open & from->two) | (set & set_two);
}

static void spread_values(const struct bank *bank, const struct can *from, int64_t at,
                          uint64_t have, uint64_t with)
{
    while (at >= 0) {
        const struct node *node = (const struct node *)bank->nodes + at;
        uint64_t mask = (node->size == 3 ? 3ull : 1ull) << node->shift;

        if ((have & mask) == mask) {
            at = node->child[(with & mask) >> node->shift];
            continue;
        }
        for (int64_t value = 0; value < node->size; value++) {
            if (can_be(from, node->shift, value)) {
                spread_values(bank, from, node->child[value], have | mask,
                              with | (uint64_t)value << node->shift);
            }
        }
        return;
    }
    lead(from, (const struct leaf *)bank->leaves + ~at, have, with);
}

static bool met(const struct can *may)
{
    return may->zero | may->one | may->two;
}

static void find_values(void)
{
    const uint64_t tlb = tlb_cells();
    const uint64_t one = job.first & all_cells(), two = job.first >> 1 & tlb;
    struct can *before_this = malloc(job.nr_shapes * sizeof(*can));

    can = calloc(job.nr_shapes, sizeof(*can));
    if (!can || !before_this) {
        tell(FULL, "there is no memory for the values of the cells");
    }
    if (job.every) {
        for (int64_t i = 0; i < job.nr_shapes; i++) {
            can[i] = (struct can){ ~0ull, ~0ull, ~0ull };
        }
        free(before_this);
        return;
    }
    can[job.start] = (struct can){ all_cells() & ~one & ~two, one, two };
    do {
        memcpy(before_this, can, job.nr_shapes * sizeof(*can));
        for (size_t b = 0; b < nr_banks; b++) {
            const struct entry *entries = (const struct entry *)banks[b].entries;

            for (size_t i = 0; i < banks[b].nr_entries; i++) {
                /* Of another's shapes there may be some in a bank. */
                if (met(&can[entries[i].shape])) {
                    struct can from = can[entries[i].shape];

                    spread_values(&banks[b], &from, entries[i].root, 0, 0);
                }
            }
        }
    } while (memcmp(before_this, can, job.nr_shapes * sizeof(*can)));
    free(before_this);
}

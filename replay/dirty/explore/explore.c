/*
 * Breadth-first search over the states of a small machine.
 *
 * A state is a word: its shape in the top 16 bits, its cells below.  What operations do is
 * given as trees, see tables.py.  A set of bits tells which states were met; the place of a
 * state in it is the sum of what its bytes contribute, so that cells of three values take no
 * more room than they need.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SHAPE 48
#define BYTES 6
#define MOST 4096

struct node {
    uint32_t shift;
    uint32_t mask;
    int32_t child[4];           /* a node, or ~ a leaf */
};

struct leaf {
    uint64_t keep;
    uint64_t set;
    uint64_t tag;
};

struct shape {
    uint32_t first;             /* its roots */
    uint32_t count;
    uint64_t rank[BYTES][256];  /* of the first byte with the base of the shape */
};

struct tables {
    const struct node *nodes;
    const struct leaf *leaves;
    const int32_t *roots;
    const struct shape *shapes;
};

static inline const struct leaf *walk(const struct tables *t, int32_t at, uint64_t state)
{
    while (at >= 0) {
        const struct node *node = &t->nodes[at];

        at = node->child[state >> node->shift & node->mask];
    }
    return &t->leaves[~at];
}

static inline uint64_t place_of(const struct tables *t, uint64_t state)
{
    const struct shape *shape = &t->shapes[state >> SHAPE];
    uint64_t place = 0;

    for (int i = 0; i < BYTES; i++) {
        place += shape->rank[i][state >> 8 * i & 255];
    }
    return place;
}

static inline int enter(uint64_t *met, uint64_t place)
{
    uint64_t bit = 1ull << (place & 63);

    if (__atomic_load_n(&met[place >> 6], __ATOMIC_RELAXED) & bit) {
        return 0;
    }
    return !(__atomic_fetch_or(&met[place >> 6], bit, __ATOMIC_RELAXED) & bit);
}

/* Enter states as met; returns how many of them were not before. */
uint64_t explore_enter(const struct tables *t, uint64_t *met, const uint64_t *states,
                       uint64_t count)
{
    uint64_t fresh = 0;

    for (uint64_t i = 0; i < count; i++) {
        fresh += enter(met, place_of(t, states[i]));
    }
    return fresh;
}

/*
 * Write the states that follow on these and were not met before, @room of them at most;
 * *@done tells how many of @states were gone through.  May run in several threads, with
 * the same @met.
 */
uint64_t explore_expand(const struct tables *t, uint64_t *met, const uint64_t *states,
                        uint64_t count, uint64_t *out, uint64_t room, uint64_t *done)
{
    uint64_t next[MOST], place[MOST];
    uint64_t used = 0, i;

    for (i = 0; i < count; i++) {
        const struct shape *shape = &t->shapes[states[i] >> SHAPE];
        const int32_t *roots = t->roots + shape->first;
        unsigned n = 0;

        if (used + shape->count > room) {
            break;
        }
        for (uint32_t r = 0; r < shape->count; r++) {
            const struct leaf *leaf = walk(t, roots[r], states[i]);
            uint64_t state = (states[i] & leaf->keep) | leaf->set;

            if (state != states[i]) {
                next[n] = state;
                place[n] = place_of(t, state);
                __builtin_prefetch(&met[place[n] >> 6]);
                n++;
            }
        }
        for (unsigned k = 0; k < n; k++) {
            if (enter(met, place[k])) {
                out[used++] = next[k];
            }
        }
    }
    *done = i;
    return used;
}

/* The first of these states, of the root's shape, whose leaf has a tag of @tags; or @count. */
uint64_t explore_find(const struct tables *t, int32_t root, uint64_t shape, uint64_t tags,
                      const uint64_t *states, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (states[i] >> SHAPE == shape && walk(t, root, states[i])->tag & tags) {
            return i;
        }
    }
    return count;
}

/* The first of these states from which a root leads to @target, and which; or @count. */
uint64_t explore_parent(const struct tables *t, const uint64_t *states, uint64_t count,
                        uint64_t target, uint32_t *root)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct shape *shape = &t->shapes[states[i] >> SHAPE];

        for (uint32_t r = 0; r < shape->count; r++) {
            const struct leaf *leaf = walk(t, t->roots[shape->first + r], states[i]);

            if (((states[i] & leaf->keep) | leaf->set) == target) {
                *root = r;
                return i;
            }
        }
    }
    return count;
}

/* Sort states in place, byte by byte; @scratch holds as many. */
void explore_sort(uint64_t *states, uint64_t *scratch, uint64_t count)
{
    uint64_t *from = states, *to = scratch;

    for (int byte = 0; byte < 8; byte++) {
        uint64_t starts[257] = { 0 };
        uint64_t *swap = from;

        for (uint64_t i = 0; i < count; i++) {
            starts[(from[i] >> 8 * byte & 255) + 1]++;
        }
        if (count == 0 || starts[(from[0] >> 8 * byte & 255) + 1] == count) {
            continue;
        }
        for (int digit = 0; digit < 256; digit++) {
            starts[digit + 1] += starts[digit];
        }
        for (uint64_t i = 0; i < count; i++) {
            to[starts[from[i] >> 8 * byte & 255]++] = from[i];
        }
        from = to;
        to = swap;
    }
    if (from != states) {
        memcpy(states, from, count * sizeof(*states));
    }
}

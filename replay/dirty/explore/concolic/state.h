/*
 * What the engine is given, the memory of the machine, the way, and what is told.
 * A part of engine.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

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

static struct { int64_t word_bits, pages, room, hpratio, tcg, start, nr_shapes, nr_prefix, most,
               first, every, most_ways; } job;
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
static uint32_t sizes[SLOTS];
static bool outside;                /* an access to no memory of the machine */
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

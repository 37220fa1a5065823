/* What a call gets and what is seen of it: the words that calls.h is written in. */
enum { GUARD = 16, FILL = 0xA5, MOST_STRING = 4096, FAILED = 70 };

/* --- what is shared with who asks, and no child has ---------------------------------- */

struct board {
    uint32_t count, reset;    /* traces; whether they run without a fork between them */
    uint32_t done, met;       /* traces answered; places that they met first */
    uint64_t counts;          /* where the counts begin, COUNTS a trace */
    uint64_t places;          /* where the places met begin, then the traces that did */
    uint64_t traces;          /* where the traces begin */
    double cpu, wall;         /* seconds that a trace may take, or a row of them */
    double spent;             /* seconds of processor time, of all children, too */
    uint64_t forks;           /* children made */
};

struct answer {
    uint64_t value;
    uint32_t made, returned, at;
    uint8_t end, number;
    uint16_t took;            /* in 0.1 ms */
};

/* --- what a child leaves --------------------------------------------------------------- */

/* ROW: traces that run in one child, where there is a reset. COUNTS: of each operation the
 * calls made, then of each those that came back, then the calls of observers. */
enum { ROW = 64, COUNTS = 2 * OPS + 1 };

struct mail {
    uint64_t value;           /* of the records so far */
    uint32_t records, made, returned;
    uint32_t done;            /* this child came to its end */
    uint32_t finished;        /* traces of a row that came to theirs */
    uint32_t threads;         /* some were still running then */
    uint32_t by_op[COUNTS];   /* of a trace alone */
};

struct row {
    struct answer answers[ROW];
    uint32_t by_op[ROW][COUNTS];
};

/* --- a trace ------------------------------------------------------------------------- */

struct span {
    const unsigned char *data;
    uint32_t size;
};

struct look {
    struct look *next;
    int observer;
    uint64_t label;           /* of what stands for it in a record */
    int64_t values[MOST_LOOK_VALUES];
    unsigned char *buffers[MOST_LOOK_BUFFERS];
};

struct leaf {                 /* of an exported object */
    uint64_t key;             /* of all that names it */
    uint32_t offset, size;
    int pointers;             /* only whether they are NULL is observed */
};

struct object {
    const char *name;
    uint64_t key;
    size_t size;
    int writable, count;
    const struct leaf *leaves;
};

struct behind {               /* memory behind the handles of a kind */
    int kind;
    uint64_t key;
    size_t size;
    int count;
    const uint32_t *pointers;
};

struct destroyer {
    int op, kind;
};

struct part {                 /* of a struct: bytes, 1: pointers, 2: bits, counted in bits */
    uint32_t offset, size;
    int kind;
};

struct parts {
    uint32_t size;
    int count;
    const struct part *parts;
};

struct trace {
    uint64_t hash;
    uint64_t *handles;
    unsigned char *kinds;     /* of live objects, counted from 1; 0 for none */
    uint32_t *parents;        /* with what a live object dies, counted from 1 */
    uint32_t numbers;         /* of handles */
    int ending;               /* what happens is not recorded any more */
    int moved;                /* an object came or went since the looks were made */
    struct look *looks, **last;
    unsigned char *free, *end;
    off_t read[2];            /* how much of the output is known */
};

static void *library;
static struct mail *mail;     /* in front of the traces that a child runs */
static struct row *rows;
static uint32_t *by_op;       /* counts of the trace that runs */
static unsigned char *arena;
static size_t mail_room;
static int said[2];
static int attribute;         /* what is written is told apart by the call that wrote it */
static int sanitized;
static unsigned char stack_fill;
static size_t shift;          /* bytes by which the stack and the arena start elsewhere */

/* PAINTED: more takes one more page; MORE is for those who look for what is unwritten. */
enum { ARENA = 64 << 20, STACK = 8 << 20, PAINTED = 2048, MORE = 4096 };

static inline uint64_t mixed(uint64_t hash, uint64_t value)
{
    /* A bijection of either, the other given: one value that differs shows for certain. */
    hash = ((hash << 5 | hash >> 59) ^ value) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

static inline void mix(struct trace *t, uint64_t value)
{
    t->hash = mixed(t->hash, value);
}

static void mix_bytes(struct trace *t, const void *from, size_t size)
{
    const unsigned char *data = from;
    uint64_t word;

    mix(t, size);
    for (; size >= 8; data += 8, size -= 8) {
        memcpy(&word, data, 8);
        mix(t, word);
    }
    for (word = 0; size--; data++)
        word = word << 8 | *data;
    mix(t, word);
}

static void mix_double(struct trace *t, double value)
{
    uint64_t word;

    if (value != value)
        value = __builtin_nan("");
    memcpy(&word, &value, 8);
    mix(t, word);
}

static void mix_string(struct trace *t, const char *text)
{
    size_t size;

    if (!text) {
        mix(t, 1);
        return;
    }
    size = strlen(text);
    mix(t, 2);
    mix_bytes(t, text, size < MOST_STRING ? size : MOST_STRING);
}

/* --- memory that calls get ----------------------------------------------------------- */

static void *room(struct trace *t, size_t size)
{
    size_t whole = (size + 15) & ~(size_t)15;

    if (sanitized || whole > (size_t)(t->end - t->free)) {
        void *made = malloc(size);

        if (!made)
            _exit(FAILED);
        return made;
    }
    t->free += whole;
    return t->free - whole;
}

/* Content, then the rest of it filled, then a guard and a NUL. */
static unsigned char *buffer(struct trace *t, const void *content, size_t size, size_t whole)
{
    unsigned char *made = room(t, whole + GUARD + 1);

    copy(made, content, size);
    set(made + size, FILL, whole - size + GUARD);
    made[whole + GUARD] = 0;
    return made;
}

static unsigned char *filled(struct trace *t, int64_t size)
{
    return buffer(t, "", 0, size > 0 ? (size_t)size : 0);
}

static int all_fill(const unsigned char *data, size_t size)
{
    while (size && *data == FILL)
        data++, size--;
    return !size;
}

static void mix_buffer(struct trace *t, const unsigned char *made, int64_t size)
{
    size_t whole = size > 0 ? (size_t)size : 0;

    mix(t, all_fill(made + whole, GUARD));
    mix_bytes(t, made, whole);
}

/* Of an observer: nothing where no buffer was touched. */
static int untouched(const unsigned char *made, int64_t size)
{
    size_t whole = size > 0 ? (size_t)size : 0;

    return all_fill(made, whole + GUARD) && !made[whole + GUARD];
}

static void fill(unsigned char *made, int64_t size)
{
    size_t whole = size > 0 ? (size_t)size : 0;

    set(made, FILL, whole + GUARD);
    made[whole + GUARD] = 0;
}

/* --- reading a trace ----------------------------------------------------------------- */

static inline uint16_t take16(const unsigned char **in)
{
    uint16_t value;

    memcpy(&value, *in, 2);
    *in += 2;
    return value;
}

static inline uint32_t take32(const unsigned char **in)
{
    uint32_t value;

    memcpy(&value, *in, 4);
    *in += 4;
    return value;
}

static inline int64_t take64(const unsigned char **in)
{
    int64_t value;

    memcpy(&value, *in, 8);
    *in += 8;
    return value;
}

static inline double take_double(const unsigned char **in)
{
    double value;

    memcpy(&value, *in, 8);
    *in += 8;
    return value;
}

static inline struct span take_span(const unsigned char **in)
{
    struct span made;

    made.size = take32(in);
    made.data = *in;
    *in += made.size;
    return made;
}

/* --- structs, arrays, and where pointers point ----------------------------------------- */

/* Without what is between the parts. */
static void mix_parts(struct trace *t, const unsigned char *raw, const struct parts *l)
{
    for (const struct part *p = l->parts; p < l->parts + l->count; p++) {
        uint64_t word = 0;

        if (p->kind == 2) {
            for (uint32_t bit = 0; bit < p->size; bit++) {
                uint32_t at = p->offset + bit;

                word |= (uint64_t)(raw[at / 8] >> at % 8 & 1) << bit;
            }
            mix(t, word);
        } else if (p->kind == 1)
            for (uint32_t at = 0; at < p->size; at += 8) {
                memcpy(&word, raw + p->offset + at, 8);
                mix(t, word != 0);
            }
        else
            mix_bytes(t, raw + p->offset, p->size);
    }
}

static void mix_elements(struct trace *t, const unsigned char *made, int64_t size,
                         const struct parts *l)
{
    size_t whole = size > 0 ? (size_t)size : 0;

    if (!all_fill(made + whole, GUARD)) {
        mix_buffer(t, made, size);
        return;
    }
    mix(t, whole);
    mix(t, all_fill(made, whole));
    for (size_t at = 0; at + l->size <= whole; at += l->size)
        mix_parts(t, made + at, l);
}

/* The strings of a trace, each of which ends in a line feed; NULL stands behind them. */
static uint32_t lines(struct span from)
{
    uint32_t count = 0;

    for (uint32_t at = 0; at < from.size; at++)
        count += from.data[at] == '\n';
    return count;
}

static void *strings(struct trace *t, struct span from)
{
    char **made = room(t, 8 * ((size_t)lines(from) + 1)), **next = made;
    uint32_t start = 0;

    for (uint32_t at = 0; at < from.size; at++)
        if (from.data[at] == '\n') {
            unsigned char *one = buffer(t, from.data + start, at - start, at - start + 1);

            one[at - start] = 0;
            *next++ = (char *)one;
            start = at + 1;
        }
    *next = NULL;
    return made;
}

static int mix_handle(struct trace *t, const unsigned char *p)
{
    for (uint32_t number = 0; p && number < t->numbers; number++)
        if (t->kinds[number] && t->handles[number] == (uint64_t)(uintptr_t)p) {
            mix(t, 5);
            mix(t, (uint64_t)number << 8 | t->kinds[number]);
            return 1;
        }
    if (!p)
        mix(t, 6);
    return !p;
}

static int mix_inside(struct trace *t, const unsigned char *p, const unsigned char *start,
                      int64_t size, uint64_t name)
{
    if (p < start || p > start + (size > 0 ? size : 0))
        return 0;
    mix(t, 7);
    mix(t, name);
    mix(t, (uint64_t)(p - start));
    return 1;
}

static int mix_behind_handle(struct trace *t, const unsigned char *p, int kind, uint64_t size)
{
    for (uint32_t number = 0; number < t->numbers; number++) {
        uint64_t at = (uint64_t)(uintptr_t)p - t->handles[number];

        if (t->kinds[number] == kind && at && at < size) {
            mix(t, 8);
            mix(t, number);
            mix(t, at);
            return 1;
        }
    }
    return 0;
}

/* --- objects and looks --------------------------------------------------------------- */

static inline int lives(struct trace *t, uint32_t number)
{
    return number < t->numbers && t->kinds[number];
}

static void enter(struct trace *t, uint32_t number, int kind, uint64_t pointer)
{
    if (number < t->numbers) {
        t->handles[number] = pointer;
        t->kinds[number] = (unsigned char)kind;
        t->moved = 1;
    }
}

static void leave(struct trace *t, uint32_t number)
{
    if (lives(t, number)) {
        t->kinds[number] = 0;
        t->moved = 1;
        if (TIED)
            t->parents[number] = 0;
        for (uint32_t n = 0; TIED && n < t->numbers; n++)
            if (t->parents[n] == number + 1)
                leave(t, n);
    }
}

/* The objects of a kind that came from one are dead. */
static void leave_behind(struct trace *t, uint32_t number, int kind)
{
    for (uint32_t n = 0; TIED && n < t->numbers; n++)
        if (t->kinds[n] == kind && t->parents[n] == number + 1)
            leave(t, n);
}

/* A new object dies with another one. */
static void tie(struct trace *t, uint32_t number, uint32_t parent)
{
    if (lives(t, number))
        t->parents[number] = parent + 1;
}

/* A number that names a new object, where one was written that is not negative. */
static void given_number(struct trace *t, const unsigned char *made, uint32_t number, int kind,
                         size_t size, int is_signed)
{
    uint64_t value = 0;

    if (!all_fill(made + size, GUARD) || all_fill(made, size))
        return;
    memcpy(&value, made, size);
    if (is_signed && value >> (8 * size - 1))
        return;
    enter(t, number, kind, value);
}

static struct look *new_look(struct trace *t, int observer)
{
    struct look *made = room(t, sizeof *made);

    made->next = NULL;
    made->observer = observer;
    *t->last = made;
    t->last = &made->next;
    return made;
}

/* The library may read what it never wrote: then it reads the same in each trace. The sizes
 * are constants, which makes the two fast. */
static __attribute__((noinline)) void paint(void)
{
    unsigned char below[PAINTED];

    set(below, 0, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

static __attribute__((noinline)) void paint_more(void)
{
    unsigned char below[MORE];

    set(below, stack_fill, sizeof below);
    __asm__ volatile("" : : "r"(below) : "memory");
}

static inline void began(struct trace *t, int op)
{
    if (!t->ending) {
        mail->made++;
        by_op[op]++;
    }
    if (stack_fill)
        paint_more();
    else
        paint();
    if (SEES_ERRNO)
        errno = 0;
}

static inline void came_back(struct trace *t, int op)
{
    if (SEES_ERRNO)
        mix(t, (uint64_t)errno + 100);
    if (!t->ending) {
        mail->returned++;
        by_op[OPS + op]++;
    }
}

static void skipped(struct trace *t)
{
    mix(t, 3);
}

static void *function(const char *name)
{
    return dlsym(library, name);
}

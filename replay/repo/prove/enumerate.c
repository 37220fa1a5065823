/*
 * Calls functions of two libraries with all arguments, or in all states, and compares.
 *
 * plan.h has the functions. Its macros: STATES is 0 where they keep nothing from one call to
 * the next. What they keep is in REGIONS_0 and REGIONS_1, (address, bytes) in the libraries.
 *
 * The last line of the output, and the exit status:
 *     40  equal CALLS STATES
 *     41  differs OP INDEX CALLS
 *     42  open CALLS STATES       more states than calls or memory allow
 *     43  a text that says why nothing could be compared
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

typedef unsigned long long number;
#define TEXT 1024
struct room { unsigned char bytes[ROOM]; };
struct region { number address, size; };
struct op { const char *name; number count; void (*run)(void *, number, unsigned char *); };

static int out = 1;

static void end(int status, const char *format, number a, number b, number c)
{
    dprintf(out, format, a, b, c);
    _exit(status);
}

static void put_text(unsigned char *o, const char *text)
{
    if (text == NULL) {
        o[0] = 1;
        return;
    }
    if (strlen(text) >= TEXT)
        end(43, "a text is too long\n", 0, 0, 0);
    strcpy((char *)o + 1, text);
}

/* What lies on the stack behind a call is other on each side: who reads it shows that. */
static __attribute__((noinline)) void soil(int with)
{
    unsigned char waste[768];
    memset(waste, with, sizeof waste);
    __asm__ volatile("" : : "r"(waste) : "memory");
}

#include "plan.h"

#define OPS (sizeof ops / sizeof ops[0])
static void *functions[2][OPS];
static number calls;

static int same(size_t op, number index)
{
    static unsigned char seen[2][ROOM];
    for (int side = 0; side < 2; side++) {
        memset(seen[side], 0, sizeof seen[side]);
        soil(side ? 0x5a : 0xa5);
        ops[op].run(functions[side][op], index, seen[side]);
    }
    calls++;
    return memcmp(seen[0], seen[1], ROOM) == 0;
}

#if STATES
static unsigned char *places[2][REGIONS], *states;
static size_t sizes[2][REGIONS], whole, known, room;
static uint32_t *table, mask;

static void save(unsigned char *to)
{
    for (int side = 0; side < 2; side++)
        for (int at = 0; at < REGIONS; to += sizes[side][at++])
            memcpy(to, places[side][at], sizes[side][at]);
}

static void load(const unsigned char *from)
{
    for (int side = 0; side < 2; side++)
        for (int at = 0; at < REGIONS; from += sizes[side][at++])
            memcpy(places[side][at], from, sizes[side][at]);
}

/* The state that is there becomes a known one; whether there was room. */
static int note(void)
{
    unsigned char *now = states + known * whole;
    number hash = 14695981039346656037ull;
    save(now);
    for (size_t at = 0; at < whole; at++)
        hash = (hash ^ now[at]) * 1099511628211ull;
    uint32_t slot = (uint32_t)(hash ^ hash >> 32) & mask;
    while (table[slot]) {
        if (memcmp(states + (table[slot] - 1) * whole, now, whole) == 0)
            return 1;
        slot = (slot + 1) & mask;
    }
    table[slot] = (uint32_t)++known;
    return known < room;
}

static void explore(void)
{
    for (int side = 0; side < 2; side++)
        for (int at = 0; at < REGIONS; at++)
            whole += sizes[side][at];
    room = MEMORY / whole < (1u << 21) ? MEMORY / whole : 1u << 21;
    mask = (1u << 22) - 1;
    states = malloc((room + 1) * whole);
    table = calloc(mask + 1u, sizeof *table);
    if (states == NULL || table == NULL || room < 2)
        end(43, "there is too little memory\n", 0, 0, 0);
    note();
    for (size_t at = 0; at < known; at++)
        for (size_t op = 0; op < OPS; op++)
            for (number index = 0; index < ops[op].count; index++) {
                if (calls >= MOST)
                    end(42, "open %llu %llu\n", calls, known, 0);
                load(states + at * whole);
                if (!same(op, index))
                    end(41, "differs %llu %llu %llu\n", op, index, calls);
                if (!note())
                    end(42, "open %llu %llu\n", calls, known, 0);
            }
}
#else
static void explore(void)
{
    for (size_t op = 0; op < OPS; op++)
        for (number index = 0; index < ops[op].count; index++)
            if (!same(op, index))
                end(41, "differs %llu %llu %llu\n", op, index, calls);
}
#endif

/* Of the processor's time: a call that has not come back since the last time is given up. */
static void tick(int signal)
{
    static number before = (number)-1;
    (void)signal;
    if (calls == before)
        end(43, "a call does not return\n", 0, 0, 0);
    before = calls;
}

int main(int count, char **words)
{
    struct itimerval turn = {{2, 0}, {2, 0}};
    out = dup(1);
    signal(SIGVTALRM, tick);
    setitimer(ITIMER_VIRTUAL, &turn, NULL);
    for (int side = 0; side < 2; side++) {
        void *library = dlopen(words[1 + side], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
        struct link_map *map;
        if (library == NULL || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) {
            dprintf(out, "%s\n", dlerror());
            _exit(43);
        }
        for (size_t op = 0; op < OPS; op++)
            if ((functions[side][op] = dlsym(library, ops[op].name)) == NULL)
                end(43, "a function is not there\n", 0, 0, 0);
        for (size_t at = 0; at < sizeof setups / sizeof setups[0]; at++) {
            void (*setup)(void) = setups[at] ? (void (*)(void))dlsym(library, setups[at]) : NULL;
            if (setup)
                setup();
        }
#if STATES
        for (int at = 0; at < REGIONS; at++) {
            places[side][at] = (unsigned char *)map->l_addr + regions[side][at].address;
            sizes[side][at] = regions[side][at].size;
        }
#endif
    }
    explore();
#if STATES
    end(40, "equal %llu %llu\n", calls, known, 0);
#else
    end(40, "equal %llu %llu\n", calls, 1, 0);
#endif
}

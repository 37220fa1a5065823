/*
 * Executes the operations of a step's C on every state of a small machine whose cells have
 * values that they can have (see possible.h), and holds what they do against trees of what the
 * model does.
 *
 *   engine LIBRARY JOB RESULT BANK...
 *
 * The compiler tells of each load and store. A unit of memory (a byte of the store, a word of
 * a bitmap) is undecided until it is loaded: then its cells get values, and once for each way
 * through the operation others. What is undecided holds nonsense. After the operation the
 * tree of the model is asked about the cells that the C decided; where it asks for another,
 * both branches are gone.
 *
 * What is concrete of a machine is a base: all memory as an operation left it, with the cells
 * undecided. Bases are told apart by the model's shape of the state, and by what the C keeps
 * beside it: for how many pages the arrays of the TLB and of the code have bits. What it keeps
 * more decides nothing: the capacity of an array, whether it moves when it grows (behind it
 * there are zeroes, which is checked after each operation); the block that an address was
 * found in last, nothing (which is checked for each base); the count of dirty pages is asked
 * by nobody (which building.py checks).
 *
 * Formats are arrays of 64-bit numbers: see banks.py and running.py.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <link.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "concolic.h"

#define SLOT 4096
#define SLOTS 64
#define UNITS 64
#define VALUES (1 << 17)
#define UNDO 4096
#define MOST_GLOBALS 8192
#define COUNT ((uint64_t)1 << 40)   /* the count of dirty pages before an operation */
#define MOST_DIFFERENT 256
#define PATIENCE 2                  /* seconds of processor time for one way */
#define MOST_HANGING 4

enum plane { VGA, CODE, MIGRATION, BITMAP, HAS_CODE, DESCRIBED, UNUSED, TLB, PLANES };

enum ending { DONE, BROKEN, FULL };

enum difference {
    STATUS = 1, RET = 2, EVENTS = 4, DIRTY_PAGES = 8, SHAPE = 16, CELLS = 32, UNFIT = 64,
    REFUSED = 128, DIED = 256, HANGS = 512,
};
#include "state.h"
#include "memory.h"
#include "units.h"
#include "left.h"
#include "compare.h"

static void died(int number)
{
    (void)number;
    if (!running) {
        _exit(9);
    }
    siglongjmp(out, DIED);
}

static pid_t parent;

static void late(int number)
{
    static int64_t ways = -1;
    static int times, hanging;

    (void)number;
    if (getppid() != parent) {
        _exit(9);               /* nobody is there to be told */
    }
    times = ways == told.ways ? times + 1 : 0;
    ways = told.ways;
    if (running && times > PATIENCE) {
        if (++hanging > MOST_HANGING) {
            tell(FULL, "more operations do not end than can be waited for");
        }
        times = 0;
        siglongjmp(out, HANGS);
    }
}

static void watch(void)
{
    static unsigned char stack[1 << 16];
    const int deadly[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP };
    struct sigaction action = { .sa_handler = died, .sa_flags = SA_ONSTACK | SA_NODEFER };
    struct itimerval each = { { 1, 0 }, { 1, 0 } };

    sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
        sigaction(deadly[i], &action, NULL);
    }
    parent = getppid();
    action.sa_handler = late;
    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &each, NULL);
}

static int64_t *read_file(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    int64_t *data;
    long size;

    if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0) {
        tell(BROKEN, "a file that was given cannot be read");
    }
    rewind(file);
    data = malloc(size + 8);
    if (!data || fread(data, 1, size, file) != (size_t)size) {
        tell(BROKEN, "a file that was given cannot be read");
    }
    fclose(file);
    *count = size / 8;
    return data;
}

static void read_job(const char *path)
{
    size_t count;
    const int64_t *data = read_file(path, &count);

    memcpy(&job, data, sizeof(job));
    data += sizeof(job) / 8;
    shapes = (const struct shape *)data;
    prefix = (const int64_t (*)[4])(shapes + job.nr_shapes);
}

static void read_bank(const char *path)
{
    size_t count;
    const int64_t *data = read_file(path, &count);
    struct bank *bank = &banks[nr_banks++];
    const int64_t *at = data + 5;

    bank->nodes = at;
    at += data[0];
    bank->leaves = at;
    at += data[1];
    bank->replies = at;
    at += data[2];
    bank->words = (const uint64_t *)at;
    at += data[3];
    bank->entries = at;
    bank->nr_entries = data[4];
}

static int segment(struct dl_phdr_info *info, size_t size, void *data)
{
    unsigned char *sealed = NULL, *begin = NULL, *end = NULL;
    const unsigned char *inside_it = data;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        unsigned char *at = (unsigned char *)info->dlpi_addr + header->p_vaddr;

        if (header->p_type == PT_GNU_RELRO) {
            sealed = at + header->p_memsz;
        } else if (header->p_type == PT_LOAD && header->p_flags & PF_W) {
            begin = at;
            end = at + header->p_memsz;
        }
    }
    if (inside_it < begin || inside_it >= end) {
        return 0;
    }
    globals = sealed > begin ? sealed : begin;
    globals = (unsigned char *)(((uintptr_t)globals + 7) & ~7ull);
    nr_globals = (end - globals) & ~7ull;
    return 1;
}

static void find_globals(void)
{
    const void *at[32];
    size_t size[32], n = unit_of_step.known(at, size, 32);

    if (!n || !dl_iterate_phdr(segment, (void *)at[0]) || nr_globals > MOST_GLOBALS) {
        tell(BROKEN, "the variables of the library are not found");
    }
    for (size_t i = 0; i < nr_globals; i += 8) {
        bool mine = true;

        for (size_t k = 0; k < n && mine; k++) {
            const unsigned char *first = at[k];

            mine = globals + i + 8 <= first || globals + i >= first + size[k];
        }
        if (mine) {
            foreign[nr_foreign++] = i;
        }
    }
}

static void *symbol(void *library, const char *name)
{
    void *at = dlsym(library, name);

    if (!at) {
        tell(BROKEN, "the library is not one of a step");
    }
    return at;
}

static void open_step(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!library) {
        tell(BROKEN, dlerror());
    }
    *(void **)&unit_of_step.parts = symbol(library, "concolic_parts");
    *(void **)&unit_of_step.level = symbol(library, "concolic_level");
    *(void **)&unit_of_step.finds_blocks = symbol(library, "concolic_finds_blocks");
    *(void **)&unit_of_step.behind = symbol(library, "concolic_behind");
    *(void **)&unit_of_step.clean_behind = symbol(library, "concolic_clean_behind");
    *(void **)&unit_of_step.known = symbol(library, "concolic_known");
    *(void **)&unit_of_step.probe = symbol(library, "concolic_probe");
    *(void **)&unit_of_step.client = symbol(library, "concolic_client");
    *(void **)&unit_of_step.reset = symbol(library, "dirty_reset");
    *(void **)&unit_of_step.run = symbol(library, "dirty_run");
}

/* See that the compiler tells of what the probe does. */
static void probe(void)
{
    const uint64_t wanted = 1ull << 0 | 1ull << 2 | 1ull << 3 | 1ull << 16 | 1ull << 40 | 1ull << 48;

    running = probing = true;
    unit_of_step.probe(arena);
    running = probing = false;
    if ((probed_loads & wanted) != wanted || !(probed_stores >> 32 & 1)) {
        tell(BROKEN, "the compiler does not tell of loads and stores");
    }
    memset(arena, 0, 64);
}

static void begin(void)
{
    static const int64_t first[1][4] = { { 1, 1 } };
    struct result result;

    for (int i = 0; i < 8; i++) {
        client_flags[i] = flags_of(i);
    }
    all_clients = client_flags[7];
    /* So that the room for events is there before the first operation. */
    if (unit_of_step.reset(job.hpratio, job.tcg) || unit_of_step.run(first, 1, NULL, NULL, &result) != 1 ||
        unit_of_step.reset(job.hpratio, job.tcg)) {
        tell(BROKEN, "the library does not begin");
    }
    if (job.nr_prefix && unit_of_step.run(prefix, job.nr_prefix, NULL, NULL, NULL) != job.nr_prefix) {
        tell(BROKEN, "the library does not run the first operations");
    }
    unit_of_step.parts(&after);
    if (!has_shape(&shapes[job.start]) ||
        (after.sound && (!look() || after_state != (uint64_t)job.first))) {
        tell(BROKEN, "the first state is not that of the model");
    }
    enter_base(job.start);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        return 2;
    }
    result_path = argv[3];
    banks = calloc(argc, sizeof(*banks));
    read_job(argv[2]);
    for (int i = 4; i < argc; i++) {
        read_bank(argv[i]);
    }
    open_step(argv[1]);
    watch();
    probe();
    find_globals();
    find_values();
    begin();
    explore();
    if (told.ways == 0 || loads == 0) {
        tell(BROKEN, "no load of the store was seen");
    }
    tell(DONE, "");
}

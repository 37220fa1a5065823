/*
 * Breakpoints that are met once: which places of a library a process comes by.
 *
 * Loaded beside the library, in the process whose children run traces. Each place gets a
 * breakpoint. A child that meets one puts the instruction back in its own copy of the
 * memory, notes the place in memory that all children share, and goes on as if nothing had
 * been. reach_sync puts it back in the parent, so that no later child meets it again.
 *
 * The handler runs on a stack of its own: the library's own stack, what is below it
 * included, stays as it would be.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__x86_64__)
typedef unsigned char word;
static const word trap = 0xcc;
#define STEP 1 /* the processor is past the trap when it tells of it */
#elif defined(__aarch64__)
typedef uint32_t word;
static const word trap = 0xd4200000;
#define STEP 0
#else
#error "no breakpoints for this machine"
#endif

static size_t count;
static uintptr_t *places; /* in ascending order */
static word *kept;
static volatile unsigned char *met; /* shared with all children */
static unsigned char *synced;
static struct sigaction before;

static void put(uintptr_t place, word value)
{
    *(volatile word *)place = value;
    __builtin___clear_cache((char *)place, (char *)place + sizeof(word));
}

static long find(uintptr_t place)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (places[middle] < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && places[low] == place ? (long)low : -1;
}

/*
 * Operands of comparisons: what two values were when they were compared. Of a place that has
 * some, a child tells the first few, and steps over the instruction to meet it again.
 */
#define SAMPLES 65536
#define TIMES 4 /* that a child tells of a place */
#define STEPPING 0x100

struct sample {
    uint64_t place, values[2];
};

static uint64_t *compares; /* four words a place, see replay/elf/compares.py */
static unsigned char *told;
static struct sample *samples; /* shared with all children */
static volatile size_t *sampled;
static uintptr_t stepped;

#if defined(__x86_64__)
static uint64_t value_of(const uint64_t *words, const greg_t *registers, const void *vectors)
{
    static const int order[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI,
                                REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13,
                                REG_R14, REG_R15};
    unsigned kind = words[0] & 255, size = words[0] >> 8 & 255, base = words[0] >> 16 & 255;
    unsigned index = words[0] >> 24 & 255;
    uint64_t value = 0;

    if (kind == 0)
        memcpy(&value, &registers[order[base & 15]], size);
    else if (kind == 2)
        memcpy(&value, (const char *)vectors + 16 * (base & 15), size);
    else {
        uint64_t at = words[1];

        if (base < 16)
            at += (uint64_t)registers[order[base]];
        if (index < 16)
            at += (words[0] >> 32) * (uint64_t)registers[order[index]];
        memcpy(&value, (const void *)at, size);
    }
    return value;
}

static void note(size_t at, ucontext_t *context)
{
    const greg_t *registers = context->uc_mcontext.gregs;
    const void *vectors = context->uc_mcontext.fpregs->_xmm;
    struct sample found = {at, {0, 0}};

    for (int side = 0; side < 2; side++)
        found.values[side] = value_of(compares + 4 * at + 2 * side, registers, vectors);
    if (found.values[0] != found.values[1] && *sampled < SAMPLES)
        samples[(*sampled)++] = found;
    if (++told[at] < TIMES) {
        stepped = places[at];
        context->uc_mcontext.gregs[REG_EFL] |= STEPPING;
    }
}
#endif

static void on_trap(int number, siginfo_t *info, void *given)
{
    ucontext_t *context = given;
    uintptr_t place;
    long at;

    (void)info;
#if defined(__x86_64__)
    if (stepped) {
        put(stepped, trap);
        stepped = 0;
        context->uc_mcontext.gregs[REG_EFL] &= ~STEPPING;
        return;
    }
    place = (uintptr_t)context->uc_mcontext.gregs[REG_RIP] - STEP;
#else
    place = (uintptr_t)context->uc_mcontext.pc - STEP;
#endif
    at = find(place);
    if (at >= 0)
        met[at] = 1;
    if (at < 0 || kept[at] == trap) {
        /* Not one of ours, or one where the library has its own: what would have happened without us happens. */
        sigaction(number, &before, NULL);
        raise(number);
        return;
    }
    put(place, kept[at]);
#if defined(__x86_64__)
    if (compares)
        note((size_t)at, context);
    context->uc_mcontext.gregs[REG_RIP] = (greg_t)place;
#endif
}

static int open_pages(void)
{
    long size = sysconf(_SC_PAGESIZE);
    uintptr_t opened = 0;

    for (size_t i = 0; i < count; i++) {
        uintptr_t first = places[i] & ~(uintptr_t)(size - 1);
        uintptr_t last = (places[i] + sizeof(word) - 1) & ~(uintptr_t)(size - 1);

        for (; first <= last; first += (uintptr_t)size) {
            if (first == opened)
                continue;
            if (mprotect((void *)first, (size_t)size, PROT_READ | PROT_WRITE | PROT_EXEC))
                return errno;
            opened = first;
        }
    }
    return 0;
}

/* Put a breakpoint at each offset of a library, by its handle; they ascend. 0, or an errno. */
int reach_arm(void *library, const uint64_t *offsets, size_t number)
{
    static char stack[1 << 16];
    stack_t own = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action;
    struct link_map *map;
    int error;

    if (dlinfo(library, RTLD_DI_LINKMAP, &map))
        return ENOENT;
    places = calloc(number + 1, sizeof *places);
    kept = calloc(number + 1, sizeof *kept);
    synced = calloc(number + 1, 1);
    met = mmap(NULL, number + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!places || !kept || !synced || met == MAP_FAILED)
        return ENOMEM;
    for (size_t i = 0; i < number; i++)
        places[i] = (uintptr_t)map->l_addr + offsets[i];
    count = number;
    error = open_pages();
    if (error)
        return error;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    if (sigaltstack(&own, NULL) || sigaction(SIGTRAP, &action, &before))
        return errno;
    for (size_t i = 0; i < count; i++) {
        kept[i] = *(word *)places[i];
        put(places[i], trap);
    }
    return 0;
}

/* Tell operands of the places, which are comparisons, by four words each. 0, or an errno. */
int reach_compare(void *library, const uint64_t *words)
{
    struct link_map *map;
    size_t size = sizeof *sampled + SAMPLES * sizeof *samples;
    void *shared;

    if (dlinfo(library, RTLD_DI_LINKMAP, &map))
        return ENOENT;
    told = calloc(count + 1, 1);
    compares = calloc(4 * count + 1, sizeof *compares);
    shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!told || !compares || shared == MAP_FAILED)
        return ENOMEM;
    sampled = shared;
    samples = (struct sample *)((char *)shared + sizeof *sampled);
    memcpy(compares, words, 4 * count * sizeof *words);
    for (size_t i = 0; i < 2 * count; i++)
        if ((compares[2 * i] & 255) == 1 && (compares[2 * i] >> 16 & 255) == 17)
            compares[2 * i + 1] += (uint64_t)map->l_addr;
    return 0;
}

/* What was told of them so far: three numbers each, the place and both values; how many. */
size_t reach_operands(const uint64_t **found)
{
    *found = (const uint64_t *)samples;
    return samples ? *sampled : 0;
}

/* Put back what was met since the last time; how many, their numbers in found. */
size_t reach_sync(uint32_t *found)
{
    size_t fresh = 0;

    for (size_t i = 0; i < count; i++) {
        if (!met[i] || synced[i])
            continue;
        synced[i] = 1;
        put(places[i], kept[i]);
        found[fresh++] = (uint32_t)i;
    }
    return fresh;
}

/* As if what was met since the last time had not been. */
void reach_forget(void)
{
    for (size_t i = 0; i < count; i++)
        if (!synced[i])
            met[i] = 0;
}

/* How many have not been met. */
size_t reach_left(void)
{
    size_t left = 0;

    for (size_t i = 0; i < count; i++)
        left += !synced[i];
    return left;
}

/* Take all away for a while, or (away is 0) set those again that were not met. */
void reach_hold(int away)
{
    for (size_t i = 0; i < count; i++)
        put(places[i], away || met[i] ? kept[i] : trap);
}

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

static void on_trap(int number, siginfo_t *info, void *given)
{
    ucontext_t *context = given;
    uintptr_t place;
    long at;

    (void)info;
#if defined(__x86_64__)
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

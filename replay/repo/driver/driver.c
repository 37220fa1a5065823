/*
 * Executes encoded traces on a library and tells a digest of all that is observed of each.
 *
 *     driver LIBRARY READ WRITE SHARED MEMORY FILL SHIFT PLACES HELPER
 *
 * READ and WRITE are two pipes: a byte asks for the batch that lies in the file SHARED, a byte
 * answers that it is done. SHARED begins with a struct board, then answers, counts, places
 * that were met, and the traces. A batch ends early at a trace that hangs.
 * What a binding says is in plan.h, which is generated: a function an operation, a function
 * an observer. MEMORY is the limit of a process in bytes, 0 for none: then the library is
 * sanitized, too. FILL is what the stack holds unwritten, SHIFT the bytes by which it starts
 * elsewhere. PLACES is how many offsets of the library lie behind the board at the start, to
 * be watched with HELPER, which is reach.c compiled. Once all is loaded, the answer is an
 * empty line, "?" and why no places can be watched, or why the library cannot be used.
 *
 * Each trace runs in a child of its own, which has neither the pipes nor the board: all it
 * can write is its mailbox, and that is read when it and all its children are dead. A page
 * fault is what costs here. The parent therefore runs on a stack that no child has, and
 * writes nothing else between two forks.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "plan.h"
#include "system.h"
#include "trace.h"
#include "calls.h"
#include "seen.h"
#include "places.h"

enum { DONE, EXIT, SIGNALLED, HANG, DOUBTED };

/* --- in a child ---------------------------------------------------------------------- */

static void observe(struct trace *t)
{
    if (t->moved) {
        t->looks = NULL;
        t->last = &t->looks;
        plan_looks(t);
        t->moved = 0;
    }
    for (struct look *l = t->looks; l; l = l->next) {
        look_at(t, l);
        by_op[2 * OPS]++;
    }
}

/* So that a fault in a destructor shows. */
static void destroy_left(struct trace *t)
{
    unsigned char *kinds = room(t, (size_t)t->numbers + 1);

    copy(kinds, t->kinds, t->numbers);
    for (uint32_t n = 0; n < t->numbers; n++) {
        /* What dies with another was made after it, and goes first. */
        uint32_t number = TIED ? t->numbers - 1 - n : n;

        for (int i = 0; kinds[number] && i < DESTROYERS; i++)
            if (lives(t, number) && destroyers[i].kind == t->kinds[number]) {
                unsigned char in[8];

                memcpy(in, &number, 4);
                memset(in + 4, 0xFF, 4);
                run_op(t, destroyers[i].op, in);
            }
    }
}

/* A trace to its end; its records go to the mailbox one by one. */
static void run_trace(const unsigned char *in)
{
    struct trace t = {.hash = 1, .moved = 1};
    uint32_t count = take32(&in);

    t.numbers = take32(&in);
    t.free = arena + shift;
    t.end = arena + ARENA;
    t.handles = room(&t, 8 * (size_t)t.numbers + 8);
    t.kinds = room(&t, (size_t)t.numbers + 1);
    set(t.kinds, 0, t.numbers);
    if (TIED) {
        t.parents = room(&t, 4 * (size_t)t.numbers + 4);
        set(t.parents, 0, 4 * (size_t)t.numbers);
    }
    mix_start(&t);
    call_setup();
    for (uint32_t i = 0; i < count; i++) {
        uint16_t op = take16(&in);

        in = run_op(&t, op, in);
        observe(&t);
        mix_data(&t);
        if (attribute)
            mix_said(&t);
        mix_behind(&t);
        mix(&t, 4);
        mail->value = t.hash;
        mail->records = i + 1;
    }
    if (!attribute && unflushed())
        fflush(NULL);
    t.ending = 1;
    destroy_left(&t);
    call_teardown();
}

static double cpu;
static int parent, pipes[2], row;
static int patience = 20;     /* milliseconds for threads to end */

/* What a library leaves running gets a moment, so that it shows how it ends. */
static void let_threads_end(void)
{
    struct timespec moment = {.tv_nsec = 1000000};
    struct stat is;

    for (int i = 0;; i++) {
        /* A folder of processes has a link a thread, beside its own two. */
        if (sys(SYS_newfstatat, AT_FDCWD, (long)"/proc/self/task", (long)&is, 0) ||
            is.st_nlink <= 3)
            return;
        if (i == patience)
            break;
        sys(SYS_nanosleep, (long)&moment, 0, 0, 0);
    }
    mail->threads = 1;
}

static const unsigned char *inputs(void)
{
    return (const unsigned char *)(mail + 1);
}

static double seconds(void)
{
    struct timespec now_is;

    clock_gettime(CLOCK_MONOTONIC, &now_is);
    return (double)now_is.tv_sec + 1e-9 * (double)now_is.tv_nsec;
}

static uint16_t tenths(double since)
{
    double took = (seconds() - since) * 1e4;

    return took < 65535 ? (uint16_t)took : 65535;
}

/* Traces one after the other, until one writes something or ends the child. */
static void run_row(void)
{
    const unsigned char *in = inputs();

    for (int i = 0; i < row; i++) {
        uint32_t size = take32(&in);
        struct answer *a = &rows->answers[i];
        double since = seconds();

        by_op = rows->by_op[i];
        mail->value = 1;
        mail->made = mail->returned = mail->records = 0;
        run_trace(in);
        call_reset();
        if (anything_said() && !attribute)
            return;
        in += size;
        a->value = mail->value;
        a->made = mail->made;
        a->returned = mail->returned;
        a->at = mail->records;
        a->took = tenths(since);
        mail->finished = (uint32_t)i + 1;
    }
}

static void child(void)
{
    time_t whole = (time_t)cpu;
    struct itimerval timer = {.it_value = {whole, (suseconds_t)((cpu - (double)whole) * 1e6)}};

    uint64_t usual[8] = {0};  /* of signals: more than the kernel reads */

    sys(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0);
    if (sys(SYS_getppid, 0, 0, 0, 0) != parent)
        quit(FAILED);
    sys(SYS_close, pipes[0], 0, 0, 0);
    sys(SYS_close, pipes[1], 0, 0, 0);
    sys(SYS_rt_sigaction, SIGALRM, (long)usual, 0, 8);
    sys(SYS_setitimer, ITIMER_PROF, (long)&timer, 0, 0);
    if (row > 1)
        run_row();
    else {
        const unsigned char *in = inputs();

        take32(&in);
        run_trace(in);
    }
    let_threads_end();
    mail->done = 1;
    quit(0);
}

/* --- in the parent, which writes to no page that a child has -------------------------- */

static unsigned char *child_stack;

#ifdef __x86_64__
/* A fork that begins on a stack of its own, of which nothing is there yet. */
static long spawn(void)
{
    register long r10 __asm__("r10") = 0;
    register long r8 __asm__("r8") = 0;
    register void (*r12)(void) __asm__("r12") = child;
    long result;

    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\t"
                     "call *%%r12\n\thlt\n1:"
                     : "=a"(result)
                     : "a"((long)SYS_clone), "D"((long)SIGCHLD), "S"(child_stack), "d"(0L),
                       "r"(r10), "r"(r8), "r"(r12)
                     : "rcx", "r11", "memory");
    return result;
}
#else
static int child_of_clone(void *nothing)
{
    (void)nothing;
    child();
    return FAILED;
}

static long spawn(void)
{
    int made = clone(child_of_clone, child_stack, SIGCHLD, NULL);

    return made < 0 ? -errno : made;
}
#endif

/* The children that are left of a child that is gone have become ours: they go, too. */
static void sweep(void)
{
    DIR *folder;
    struct dirent *entry;

    if (!(folder = opendir("/proc")))
        return;
    while ((entry = readdir(folder))) {
        char path[300], text[512], *after;
        ssize_t size;
        int file;

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        if ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
            continue;
        size = read(file, text, sizeof text - 1);
        close(file);
        text[size > 0 ? size : 0] = 0;
        after = strrchr(text, ')');
        if (after && strlen(after) > 4 && atoi(after + 4) == parent)
            kill(atoi(entry->d_name), SIGKILL);
    }
    closedir(folder);
}

static int threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    struct dirent *entry;
    int found = 0;

    while (folder && (entry = readdir(folder)))
        found += entry->d_name[0] != '.';
    if (folder)
        closedir(folder);
    return found;
}

static void nobody_left(void)
{
    long left;

    while ((left = sys(SYS_wait4, -1, 0, WNOHANG, 0)) != -ECHILD)
        if (!left) {
            sweep();
            sys(SYS_wait4, -1, 0, 0, 0);
        }
}

/* Lets a child run to its end: how it ended. */
static void wait_for(long made, double wall, struct answer *a)
{
    double deadline = seconds() + wall;
    int status = 0, late = 0;

    while (sys(SYS_wait4, made, (long)&status, 0, 0) == -EINTR)
        if (seconds() > deadline) {
            late = 1;
            kill((pid_t)made, SIGKILL);
        }
    nobody_left();
    if (mail->threads && patience > 1)
        patience /= 2;        /* they are there to stay */
    if (late)
        a->end = HANG, a->number = SIGKILL;
    else if (WIFSIGNALED(status)) {
        a->number = (uint8_t)WTERMSIG(status);
        a->end = a->number == SIGPROF ? HANG : SIGNALLED;
    } else {
        a->number = (uint8_t)WEXITSTATUS(status);
        a->end = !a->number && mail->done ? DONE : EXIT;
    }
}

struct batch {
    struct board *board;
    struct answer *answers;
    uint32_t *counts, *places;
    const unsigned char *in;
};

static long spawned(struct batch *b)
{
    long made;

    while ((made = spawn()) == -EAGAIN)
        usleep(10000);
    if (made < 0)
        _exit(FAILED);
    b->board->forks++;
    return made;
}

/*
 * Whose places are whose. A breakpoint may itself have ended a trace: the kernel ends a process
 * that meets one while it holds the signal back, and a handler of the library's own may do
 * anything. Such an end is told as doubted, and what it met is left for others to meet.
 */
static void met_by(struct batch *b, uint32_t number)
{
    struct answer *a = b->answers + number;
    uint32_t *met = &b->board->met;
    size_t fresh;

    if (a->end == SIGNALLED && reach_left()) {
        a->end = DOUBTED;
        reach_forget();
        if (a->number == SIGTRAP) {
            reach_hold(1);
            watching = 0;
        }
        return;
    }
    for (fresh = reach_sync(b->places + *met); fresh; fresh--)
        b->places[watched + (*met)++] = number;
}

/* One trace in a child of its own. */
static void alone(struct batch *b, uint32_t number, uint32_t size)
{
    struct answer *a = b->answers + number;

    for (;;) {
        double since = seconds();

        set(mail, 0, sizeof *mail);
        copy(mail + 1, b->in, 4 + (size_t)size);
        mail->value = 1;
        if (row != 1)         /* no page is written to that need not be */
            row = 1;
        wait_for(spawned(b), b->board->wall, a);
        a->took = tenths(since);
        if (!(anything_said() | (a->end != DONE)) || attribute)
            break;
        /* What it wrote, or did not come to write, belongs to its calls: once more. */
        attribute = 1;
    }
    a->made = mail->made;
    a->returned = mail->returned;
    a->at = mail->records;
    a->value = mixed(mixed(mail->value, a->end), a->number);
    copy(b->counts + (size_t)COUNTS * number, mail->by_op, sizeof mail->by_op);
    if (watching)
        met_by(b, number);
}

/* Some traces in one child; how many it did. */
static uint32_t together(struct batch *b, uint32_t first)
{
    const unsigned char *in = b->in;
    struct answer end, *answers = b->answers + first;
    uint32_t finished, count = 0, most = b->board->count - first;
    size_t size = 0;

    while (count < most && count < ROW) {
        uint32_t next;

        memcpy(&next, in, 4);
        if (size + 4 + next > mail_room)
            break;
        size += 4 + next;
        in += 4 + next;
        count++;
    }
    if (count < 2)
        return 0;
    set(mail, 0, sizeof *mail);
    set(rows->by_op, 0, count * sizeof *rows->by_op);
    copy(mail + 1, b->in, size);
    row = (int)count;
    wait_for(spawned(b), b->board->wall, &end);
    anything_said();
    finished = mail->finished;
    if (finished > count)
        finished = 0;
    for (uint32_t i = 0; i < finished; i++) {
        answers[i] = rows->answers[i];
        answers[i].end = DONE;
        answers[i].number = 0;
        answers[i].value = mixed(mixed(answers[i].value, DONE), 0);
    }
    copy(b->counts + (size_t)COUNTS * first, rows->by_op, finished * sizeof *rows->by_op);
    return finished;
}

static void run_batch(struct batch *b)
{
    cpu = b->board->cpu;
    for (uint32_t i = 0; i < b->board->count;) {
        uint32_t size, did = 0;

        b->board->done = i;
        if (b->board->reset)
            did = together(b, i);
        for (uint32_t j = 0; j < did; j++) {
            memcpy(&size, b->in, 4);
            b->in += 4 + size;
        }
        i += did;
        b->board->done = i;
        if (i == b->board->count)
            break;
        if (did == ROW)
            continue;
        memcpy(&size, b->in, 4);
        alone(b, i, size);
        b->in += 4 + size;
        b->board->done = ++i;
        if (b->answers[i - 1].end == HANG)
            break;
    }
}

static struct board *board;

static void tick(int signal_number)
{
    (void)signal_number;
}

static double spent(void)
{
    struct rusage own, others;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &others);
    return (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec + others.ru_utime.tv_sec +
                    others.ru_stime.tv_sec) +
           1e-6 * (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec +
                           others.ru_utime.tv_usec + others.ru_stime.tv_usec);
}

static void serve(void)
{
    struct itimerval often = {{0, 50000}, {0, 50000}}, never = {{0, 0}, {0, 0}};
    char byte;

    for (;;) {
        struct batch b = {.board = board, .answers = (struct answer *)(board + 1)};
        double before = spent();
        ssize_t got = read(pipes[0], &byte, 1);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            _exit(0);
        b.in = (const unsigned char *)board + board->traces;
        b.counts = (uint32_t *)((unsigned char *)board + board->counts);
        b.places = (uint32_t *)((unsigned char *)board + board->places);
        setitimer(ITIMER_REAL, &often, NULL);
        run_batch(&b);
        setitimer(ITIMER_REAL, &never, NULL);
        board->spent = spent() - before;
        if (write(pipes[1], "\n", 1) != 1)
            _exit(0);
    }
}

static void refuse(const char *why)
{
    if (write(pipes[1], why, strlen(why)) > 0 && write(pipes[1], "\n", 1) > 0)
        _exit(0);
    _exit(FAILED);
}

static void limit(int what, rlim_t most)
{
    struct rlimit is;

    if (!getrlimit(what, &is) && (is.rlim_cur == RLIM_INFINITY || is.rlim_cur > most)) {
        is.rlim_cur = most;
        setrlimit(what, &is);
    }
}

/* Nothing of it is there in a child, so writing to it after a fork costs nothing. */
static unsigned char *own_stack(size_t size)
{
    unsigned char *made = mmap(NULL, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

    if (made == MAP_FAILED || madvise(made, size, MADV_DONTFORK))
        refuse("there is no memory for the driver");
    return made;
}

static void *space(size_t size, int sharing)
{
    void *made = mmap(NULL, size, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE,
                      -1, 0);

    if (made == MAP_FAILED)
        refuse("there is no memory for the driver");
    return made;
}

/* What children get, once: the places to which they write, and the stack they run on. */
static void make_rooms(size_t shared)
{
    mail_room = shared;
    mail = space(sizeof *mail + mail_room, MAP_SHARED);
    rows = space(sizeof *rows, MAP_SHARED);
    by_op = mail->by_op;
    said[0] = file_as("stdout", 1);
    said[1] = file_as("stderr", 2);
    if (said[0] < 0 || said[1] < 0)
        refuse("there is no file for what the library prints");
    arena = space(ARENA, MAP_PRIVATE);
    child_stack = (unsigned char *)space(STACK, MAP_PRIVATE);
    mprotect(child_stack, 4096, PROT_NONE);
    child_stack += STACK - shift;
}

static void load(const char *path)
{
    /* What the library starts as it is loaded, or that starts in turn, is a child of ours. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        refuse(dlerror());
    if (sys(SYS_wait4, -1, 0, WNOHANG, 0) != -ECHILD || threads() > 1)
        refuse("the library starts a process or a thread when it is loaded");
    if (!find_functions())
        refuse("the library lacks a function");
    find_data();
}

static void share(int file)
{
    struct stat is;

    if (fstat(file, &is))
        _exit(FAILED);
    board = mmap(NULL, (size_t)is.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (board == MAP_FAILED || madvise(board, (size_t)is.st_size, MADV_DONTFORK))
        refuse("the memory to be shared cannot be had");
    close(file);
    make_rooms((size_t)is.st_size);
}

int main(int count, char **words)
{
    static ucontext_t here, there;
    struct sigaction action = {.sa_handler = tick};
    const char *unwatched;

    if (count != 10)
        return FAILED;
    pipes[0] = atoi(words[2]);
    pipes[1] = atoi(words[3]);
    sanitized = !strcmp(words[5], "0");
    stack_fill = (unsigned char)atoi(words[6]);
    shift = (size_t)atoi(words[7]) & ~(size_t)15;
    parent = getpid();
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 16 << 20);
    if (!sanitized)
        limit(RLIMIT_AS, strtoull(words[5], NULL, 10));
    load(words[1]);
    share(atoi(words[4]));
    sigaction(SIGALRM, &action, NULL);
    leave_rseq();
    unwatched = watch(words[9], (const uint64_t *)(board + 1), strtoull(words[8], NULL, 10));
    if (write(pipes[1], unwatched, strlen(unwatched)) < 0 || write(pipes[1], "\n", 1) != 1)
        return 0;
    getcontext(&there);
    there.uc_stack.ss_sp = own_stack(1 << 18);
    there.uc_stack.ss_size = 1 << 18;
    makecontext(&there, serve, 0);
    swapcontext(&here, &there);
    return 0;
}

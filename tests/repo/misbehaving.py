"""A hundred small libraries that do not do the same twice, and two builds of each."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from replay.repo.binding import Binding, Interface
from replay.repo.building import Built
from replay.repo.resolving import resolve
from replay.repo.shapes import read_shape
from replay.repo.targets import Prepared, bound_to, drafted

HEAD = """
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static int anchor, other[64];
extern char **environ;
"""


def _of_memory() -> dict[str, str]:
    """What reads memory that was never written."""
    made = {}
    for size in (8, 16, 24, 32, 40, 72, 100, 136, 264, 520, 1000, 2000, 5000, 20_000, 200_000):
        made[f"heap of {size} bytes"] = (
            f"int f(int n) {{ char *p = malloc({size}); int v = p[{size} - 1 - (n & 3)]; "
            "free(p); return v; }"
        )
    for size in (4, 16, 60, 200, 400):
        made[f"stack of {size} numbers"] = (
            f"int f(int n) {{ volatile int a[{size}]; if (n == 1000) a[0] = 1; "
            f"return a[(unsigned)n % {size}]; }}"
        )
        made[f"padding in an array of {size}"] = (
            f"struct s {{ char c; long l; }}; static struct s *last; "
            f"int f(int n, struct s *out) {{ struct s *p = malloc({size} * sizeof *p); "
            f"p[{size} - 1].c = n; p[{size} - 1].l = n; memcpy(out, &p[{size} - 1], sizeof *p); "
            "free(p); last = p; return n; }"
        )
    for size in (16, 64, 256):
        made[f"freed {size} bytes"] = (
            f"int f(int n) {{ volatile unsigned char *p = malloc({size}); p[{size} - 1] = n; "
            f"free((void *)p); int v = p[{size} - 1]; return v * 3 + n; }}"
        )
        made[f"grown from {size} bytes"] = (
            f"long f(int n) {{ char *p = malloc({size}); memset(p, n, {size}); "
            f"p = realloc(p, {size} * 5); long v = *(long *)(p + {size} * 4); free(p); return v; }}"
        )
        made[f"a text without its end in {size}"] = (
            f"int f(int n) {{ char *p = malloc({size}); memset(p, 'a', {size} / 2); "
            f"int v = strnlen(p, {size}); free(p); return v + n; }}"
        )
    made["a float of the stack"] = (
        "double f(int n) { volatile double a[8]; if (n == 1000) a[0] = 1; return a[n & 7]; }"
    )
    made["an object half made"] = (
        "struct o { int a, b; }; struct o *o_new(void) { return malloc(sizeof(struct o)); } "
        "void o_free(struct o *o) { free(o); } int o_sum(struct o *o, int n) { return o->b + n; }"
    )
    return made


def _of_addresses() -> dict[str, str]:
    """What makes something of an address."""
    made = {}
    places = {
        "data": "&anchor", "code": "f", "the stack": "&n", "the heap": "malloc(24)",
        "the C library": "stdout", "the environment": "environ", "a string": "\"text\"",
    }  # fmt: skip
    for name, place in places.items():
        cast = f"(uintptr_t)({place})"
        made[f"address of {name}"] = f"unsigned long f(int n) {{ return {cast} + n; }}"
        made[f"hash of the address of {name}"] = (
            f"int f(int n) {{ return ({cast} >> 4) * 2654435761u % 1000 + n; }}"
        )
        made[f"bits of the address of {name}"] = (
            f"int f(int n) {{ return {cast} >> 12 & (n | 3); }}"
        )
    for count in (2, 3, 8, 16):
        made[f"{count} in order of address"] = (
            "static int by(const void *a, const void *b) "
            "{ uintptr_t x = *(uintptr_t *)a, y = *(uintptr_t *)b; "
            "x = (x >> 12) * 2654435761u % 997; y = (y >> 12) * 2654435761u % 997; "
            "return (x > y) - (x < y); } "
            f"int f(int n) {{ void *p[{count}]; int v = 0; for (int i = 0; i < {count}; i++) "
            f"p[i] = malloc(5000 * (i + 1)); void *q[{count}]; memcpy(q, p, sizeof p); "
            f"qsort(q, {count}, sizeof *q, by); for (int i = 0; i < {count}; i++) "
            f"for (int j = 0; j < {count}; j++) if (q[i] == p[j]) v = v * 3 + j; "
            f"for (int i = 0; i < {count}; i++) free(p[i]); return v + n; }}"
        )
        made[f"a table of {count} by address"] = (
            f"int f(int n, char *out) {{ memset(out, 0, 1); for (int i = 0; i < {count}; i++) "
            f"if (((uintptr_t)&other[i] >> 12) % {count} == (unsigned)i) *out = i + 1; return n; }}"
        )
    made["an address written"] = 'void f(int n) { printf("%p %d\\n", (void *)&anchor, n); }'
    made["an address complained of"] = (
        'void f(int n) { if (n > 3) fprintf(stderr, "at %p\\n", (void *)&n); }'
    )
    made["an address in exported data"] = (
        "unsigned long kept; int count; void f(int n) { kept = (uintptr_t)&anchor + n; count++; }"
    )
    made["sometimes no object"] = (
        "struct o { int n; }; struct o *o_new(void) "
        "{ return (uintptr_t)&anchor >> 12 & 1 ? NULL : calloc(1, sizeof(struct o)); } "
        "void o_free(struct o *o) { free(o); } int o_add(struct o *o, int n) { return o->n += n; }"
    )
    return made


def _of_the_world() -> dict[str, str]:
    """What asks for the time, the process, chance, the environment."""
    made = {
        "the time": "long f(int n) { return time(NULL) + n; }",
        "the day": "long f(int n) { return time(NULL) / 86400 + n; }",
        "microseconds": (
            "long f(int n) { struct timeval t; gettimeofday(&t, 0); return t.tv_usec; }"
        ),
        "processor time": "long f(int n) { return clock() + n; }",
        "the clock's text": (
            "int f(int n) { time_t t = time(NULL); struct tm m; localtime_r(&t, &m); "
            "return m.tm_sec + n; }"
        ),
        "the process": "int f(int n) { return getpid() + n; }",
        "whether the process is odd": "int f(int n) { return getpid() & 1; }",
        "the parent": "int f(int n) { return getppid() + n; }",
        "rand without a seed": "int f(int n) { return rand() % 100 + n; }",
        "getrandom": "int f(int n) { int v; getrandom(&v, sizeof v, 0); return v; }",
        "one bit of getrandom": "int f(int n) { char v; getrandom(&v, 1, 0); return v & 1; }",
        "the seed of the process": (
            "int f(int n) { return ((unsigned char *)getauxval(AT_RANDOM))[n & 15]; }"
        ),
        "the size of the environment": (
            "int f(int n) { int v = 0; for (char **e = environ; *e; e++) v += strlen(*e); "
            "return v + n; }"
        ),
        "a variable": 'int f(int n) { char *v = getenv("HOME"); return v ? strlen(v) + n : n; }',
        "a thread": (
            "static int v; static void *run(void *a) { for (int i = 0; i < 1000; i++) v++; "
            "return a; } int f(int n) { pthread_t t; pthread_create(&t, 0, run, 0); "
            "int seen = v; pthread_join(t, 0); return seen; }"
        ),
        "errno left over": "int f(int n) { char *p = malloc(64); int v = p[5]; free(p); "
        "return v ? errno : 0; }",
    }
    for clock in ("CLOCK_REALTIME", "CLOCK_MONOTONIC", "CLOCK_BOOTTIME"):
        made[f"nanoseconds of {clock}"] = (
            f"long f(int n) {{ struct timespec t; clock_gettime({clock}, &t); return t.tv_nsec; }}"
        )
    for most in (3, 7, 16, 100):
        made[f"chance of {most} seeded by the time"] = (
            "static int done; int f(int n) { if (!done++) srand(time(NULL)); "
            f"return rand() % {most}; }}"
        )
        made[f"chance of {most} seeded by the process"] = (
            "static int done; int f(int n) { if (!done++) srandom(getpid() ^ time(NULL)); "
            f"return random() % {most} + n; }}"
        )
        made[f"the time modulo {most}"] = f"int f(int n) {{ return time(NULL) % {most} + n; }}"
    return made


LIBRARIES = {**_of_memory(), **_of_addresses(), **_of_the_world()}
COMMENT = "/* a comment, which moves\n   the lines */\n"
MORE = "\nint one_more(void) { return 1; }\n"
"""A function more, that nothing calls: so the code is not equal, which would be a proof."""


def compiled(sources: dict[str, str], folder: Path) -> dict[str, Path]:
    """Shared libraries of sources, by their names."""

    def make(numbered: tuple[int, tuple[str, str]]) -> tuple[str, Path]:
        number, (name, source) = numbered
        file, library = folder / f"{number}.c", folder / f"{number}.so"
        file.write_text(source)
        subprocess.run(
            ["gcc", "-w", "-g", "-O1", "-shared", "-fPIC", "-pthread", "-o", library, file],
            check=True,
        )
        return name, library

    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(make, enumerate(sources.items())))


WITH_OUT = """
format = "replay-binding/1"
[[op]]
function = "f"
[op.args]
n = { range = [0, 9] }
out = { out = 16 }
"""


def loaded(
    libraries: list[Path], binding: Binding | None = None
) -> tuple[Interface, list[Prepared]]:
    """Libraries as the trees of neighbours, with a binding or one that is drafted for them."""
    read = [
        Prepared(built=Built(path, str(path), False, 0.0), shape=read_shape(path))
        for path in libraries
    ]
    shapes = [one.shape for one in read]
    interface = resolve(binding or drafted(read), shapes, lambda rule, at: True)
    return interface, [bound_to(interface, one, lambda rule: True) for one in read]

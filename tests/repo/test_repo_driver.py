"""The compiled driver: equal digests are equal records, whatever a library does."""

from __future__ import annotations

import dataclasses
import os
import random
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from faults import ASK_ALL
from userrepo import EXAMPLES, UserRepo

from replay.repo.binding import Interface
from replay.repo.bindingfile import parse_binding
from replay.repo.bound import Unbound, bind
from replay.repo.calls import Call, CallTrace
from replay.repo.drafting import draft
from replay.repo.driver import run as driver
from replay.repo.driver.generate import generate
from replay.repo.driver.limits import LEAST, MOST_HANGS, Limits
from replay.repo.driver.pieces import Refused
from replay.repo.driver.run import Digest, DriverRunner, Tally, opened
from replay.repo.language import CallLanguage
from replay.repo.pairing import Pair
from replay.repo.reach import helper
from replay.repo.resolving import resolve
from replay.repo.results import compare
from replay.repo.runner import Run
from replay.repo.shapes import read_shape
from replay.repo.targets import Target

ALL = frozenset[str]()


def interface(text: str, library: Path) -> Interface:
    return resolve(parse_binding(text, "a test"), [read_shape(library)], lambda *_: False)


def target(text: str, library: Path) -> Target:
    bound = bind(interface(text, library), read_shape(library), {})
    return Target(bound, library, str(library))


def compiled(folder: Path, source: str, name: str = "x", *flags: str) -> Path:
    path = folder / f"lib{name}.so"
    (folder / f"{name}.c").write_text(source)
    words = ["cc", "-O1", "-g", "-w", "-fPIC", "-shared", *flags, "-o", path, folder / f"{name}.c"]
    subprocess.run(words, check=True)
    return path


def worked(one: Target, traces: Sequence[CallTrace], cpu: float = 1.0) -> list[Run]:
    with one.open(cpu) as runner:
        return [runner.run(trace) for trace in traces]


def told(one: Target, traces: Sequence[CallTrace], cpu: float = 1.0) -> list[Digest | None]:
    with opened(one, cpu) as runner:
        return runner.digests(traces)


@dataclasses.dataclass(frozen=True)
class Looked:
    """What the driver saw of a pair.

    Attributes:
        needed: which traces the worker has to run, for their records.
        before: the digests of the one, and ``after``: of the other; empty where refused.
        tallies: the calls of the one and of the other, by operation.
        refused: why the driver saw nothing: then all traces are needed.

    """

    needed: tuple[int, ...]
    before: tuple[Digest | None, ...] = ()
    after: tuple[Digest | None, ...] = ()
    tallies: tuple[Tally, ...] = ()
    refused: str = ""


def prefilter(pair: Pair, traces: Sequence[CallTrace], cpu: float = 1.0) -> Looked:
    """Which traces may show a difference of a pair: all others have the same records."""
    seen: list[tuple[Digest | None, ...]] = []
    tallies: list[Tally] = []
    try:
        for one in (pair.before, pair.after):
            with opened(one, cpu, reset=True) as runner:
                seen.append(tuple(runner.digests(traces)))
                tallies.append(runner.tally)
    except (Refused, Unbound) as error:
        return Looked(tuple(range(len(traces))), refused=str(error))
    before, after = seen
    needed = [
        place for place, (a, b) in enumerate(zip(before, after, strict=True))
        if a is None or b is None or a.value != b.value
    ]  # fmt: skip
    return Looked(tuple(needed), before, after, tuple(tallies))


def agree(
    pair: Pair, traces: Sequence[CallTrace], known: list[Run] | None = None
) -> tuple[int, int]:
    """How many traces differ, of records and of digests: one that differs in both ways counts.

    Fails where digests are equal and records are not.
    """
    before, after = known or worked(pair.before, traces), worked(pair.after, traces)
    looked = prefilter(pair, traces)
    assert not looked.refused
    differing = {n for n, (a, b) in enumerate(zip(before, after, strict=True)) if compare(a, b)}
    assert differing <= set(looked.needed)
    for one, runs in ((looked.before, before), (looked.after, after)):
        for digest, ran in zip(one, runs, strict=True):
            assert digest is not None
            assert (digest.end, digest.at) == (ran.end, len(ran.records))
            skipped = sum(b'"skipped"' in record for record in ran.records)
            assert digest.returned == len(ran.records) - skipped
    for tally, one in zip(looked.tallies, (looked.before, looked.after), strict=True):
        assert sum(tally.returned.values()) == sum(digest.returned for digest in one if digest)
    return len(differing), len(looked.needed)


@pytest.fixture(scope="module")
def versions(
    ring: UserRepo, hash_map: UserRepo, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[Path]]:
    """The libraries of the two examples at the commits around the guilty one, and the last."""
    found: dict[str, list[Path]] = {}
    for name, repo, places in (("ring", ring, (4, 3, 0)), ("map", hash_map, (2, 1, 0))):
        for place in places:
            folder = tmp_path_factory.mktemp(f"{name}{place}")
            repo.git("worktree", "add", "-q", "--detach", str(folder / "w"), f"main~{place}")
            subprocess.run(["make", "-s"], cwd=folder / "w", check=True)
            found.setdefault(name, []).append(folder / "w" / f"lib{name}.so")
    return found


@pytest.mark.parametrize("name", ["ring", "map"])
def test_on_the_examples_digests_differ_where_records_do(
    name: str, versions: dict[str, list[Path]]
) -> None:
    text = (EXAMPLES / f"{name}.toml").read_text()
    before, after, last = (target(text, library) for library in versions[name])
    language = CallLanguage(interface(text, before.library))
    traces = [language.draw(3, number) for number in range(150)]
    assert told(before, traces) == told(before, traces)
    differing, needed = agree(Pair(before, after, ALL), traces)
    assert 0 < differing == needed < len(traces)
    assert agree(Pair(after, last, ALL), traces[:50]) == (0, 0)


ROLES = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef FAULT
#define FAULT 0
#endif
#define FAULTY(n, right, wrong) (FAULT == (n) ? (wrong) : (right))
typedef struct box { int sum; short n; double d; char name[8]; } box;
typedef struct flat { int a, b; } flat;
box *box_new(int n)
{
    box *b = n == 5 ? NULL : calloc(1, sizeof *b);
    if (b)
        b->sum = n;
    return b;
}
int box_open(box **out, int n)
{
    *out = n == FAULTY(1, 3, 4) ? NULL : box_new(1);
    return n;
}
void box_free(box *b) { if (FAULT == 2 && b->sum == 7) abort(); free(b); }
long long box_add(box *b, int n)
{
    b->sum += FAULTY(3, n, n == 9 ? 8 : n); b->n++;
    return b->sum;
}
unsigned long long box_big(box *b) { return FAULTY(4, (unsigned long long)-1 - b->sum, 7); }
unsigned char box_low(box *b, unsigned char n)
{
    return FAULTY(5, n + b->sum, n + b->sum + (n > 250));
}
_Bool box_even(const box *b) { return FAULTY(6, b->sum % 2 == 0, b->sum == 2); }
double box_half(box *b, double by) { return FAULTY(7, b->sum * by, b->sum * by + (by > 1.2)); }
float box_third(box *b) { return FAULTY(8, b->sum / 3.0f, b->sum / 3.0f * 1.00001f); }
const char *box_text(box *b, const char *s, int len)
{
    static char made[64];
    snprintf(made, sizeof made, "%d:%s:%d", b->sum, s, FAULTY(9, len, len + !strcmp(s, "ab")));
    return b->sum == 3 ? NULL : made;
}
int box_take(box *b, const unsigned char *data, int len)
{
    int sum = 0;
    for (int i = 0; i < len; i++)
        sum = sum * 3 + data[i];
    return FAULTY(10, sum, sum + (len == 4)) + b->sum;
}
void box_give(box *b, unsigned char *data, int len)
{
    for (int i = 0; i + FAULTY(11, 0, 1) < len; i++)
        data[i] = b->sum + i;
    if (FAULT == 12 && len == 3)
        data[len] = 1;
}
void box_flip(box *b, unsigned char *data, int len)
{
    for (int i = 0; i < len; i++)
        data[i] ^= FAULTY(13, 1, data[i] == 4 ? 2 : 1);
}
void box_number(box *b, int *out) { *out = FAULTY(14, -b->sum, -b->sum - (b->sum < 0)); }
void flat_init(flat *f, int a) { f->a = FAULTY(15, a, a == 2 ? 9 : a); f->b = 0; }
int flat_sum(const flat *f) { return f->a + f->b; }
void flat_set(flat *f, int b) { f->b = b; }
int box_cell(const box *b, int i, int *out)
{
    if (i == 2)
        *out = FAULTY(16, b->sum + i, b->sum + i + (b->n == 3));
    return i * b->n;
}
"""

BINDING = """
format = "replay-binding/1"
[[op]]
function = "box_new"
makes = "box"
args = { n = { range = [-2, 6] } }
[[op]]
function = "box_open"
args = { out = { makes = "box" }, n = { range = [0, 5] } }
[[op]]
function = "box_free"
destroys = "box"
[[op]]
function = "box_add"
args = { n = { range = [-9, 9] } }
[[op]]
function = "box_big"
[[op]]
function = "box_low"
args = { n = { range = [0, 255] } }
[[op]]
function = "box_half"
args = { by = { choices = [0.5, 1.5, -0.0] } }
[[op]]
function = "box_third"
[[op]]
function = "box_text"
returns = "string"
args = { s = { string = [0, 3] }, len = { length_of = "s" } }
[[op]]
function = "box_take"
args = { data = { bytes = [0, 5] }, len = { length_of = "data" } }
[[op]]
function = "box_give"
args = { data = { out = "len" }, len = { range = [0, 5] } }
[[op]]
function = "box_flip"
args = { data = { inout = [0, 5] }, len = { length_of = "data" } }
[[op]]
function = "box_number"
args = { out = { out = 4 } }
[[op]]
function = "flat_init"
args = { f = { storage = "flat" }, a = { range = [0, 3] } }
[[op]]
function = "flat_set"
args = { b = { range = [0, 3] } }
[[observe]]
function = "flat_sum"
[[observe]]
function = "box_even"
[[observe]]
function = "box_cell"
args = { i = { each = [0, 3] }, out = { out = 4 } }
"""
FAULTS = 16


@pytest.fixture(scope="module")
def boxes(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    """The library of all roles, without a fault and with each."""
    folder = tmp_path_factory.mktemp("boxes")
    return [
        target(BINDING, compiled(folder, ROLES, f"box{n}", f"-DFAULT={n}"))
        for n in range(FAULTS + 1)
    ]


@pytest.fixture(scope="module")
def drawn(boxes: list[Target]) -> list[CallTrace]:
    language = CallLanguage(interface(BINDING, boxes[0].library), 60)
    return [language.draw(1, number) for number in range(60)]


@pytest.fixture(scope="module")
def faultless(boxes: list[Target], drawn: list[CallTrace]) -> list[Run]:
    return worked(boxes[0], drawn)


@pytest.mark.parametrize("fault", range(1, FAULTS + 1))
def test_a_fault_in_any_role_shows_in_the_digest(
    fault: int, boxes: list[Target], drawn: list[CallTrace], faultless: list[Run]
) -> None:
    differing, needed = agree(Pair(boxes[0], boxes[fault], ALL), drawn, faultless)
    assert differing == needed
    assert differing > 0, "the traces do not reach the fault"


def test_two_runs_have_the_same_digests_in_whatever_batches(
    boxes: list[Target], drawn: list[CallTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = told(boxes[0], drawn)
    assert None not in whole
    monkeypatch.setattr(driver, "MOST", 7)
    assert told(boxes[0], drawn) == whole
    monkeypatch.setattr(driver, "SHARED", 1 << 13)
    assert told(boxes[0], drawn[::-1]) == whole[::-1]
    assert len(set(whole)) > len(whole) // 2


# --- libraries nobody thought of ----------------------------------------------------------


def random_library(rng: random.Random) -> tuple[str, str, str]:
    """Source, the same with a planted fault, and a binding."""
    kinds = ["int", "unsigned", "short", "unsigned char", "long long", "double"]
    lines, binding = [], ['format = "replay-binding/1"']
    places = []
    for n in range(rng.randint(3, 6)):
        types = [rng.choice(kinds[:5]) for _ in range(rng.randint(0, 3))]
        args = ", ".join(f"{kind} a{i}" for i, kind in enumerate(types)) or "void"
        terms = [f"a{i} * {rng.randint(1, 99)}" for i in range(len(types))]
        body = " + ".join([*terms, f"state[{n}] % 50", str(rng.randint(-9, 9))])
        result = rng.choice(kinds)
        lines.append(
            f"{result} f{n}({args}) {{ state[{n}] += (long)({body}) % 1000; "
            f"state[{(n + 1) % 6}] ^= {rng.randint(1, 7)}; "
            f"return state[{n}] % {rng.randint(2, 9)} == {rng.randint(0, 1)} ? ({body}) : {n}; }}"
        )
        places.append(len(lines) - 1)
        binding += ["[[op]]", f'function = "f{n}"']
    lines.append("long long seen(int i) { return state[i % 6] & 255; }")
    binding += ["[[observe]]", 'function = "seen"', "args = { i = { each = [0, 5] } }"]
    at = rng.choice(places)
    faulty = list(lines)
    faulty[at] = faulty[at].replace("return ", f"if (state[{at}] & 2) state[{at}]++; return ", 1)
    top = "static long state[6];\n"
    return top + "\n".join(lines), top + "\n".join(faulty), "\n".join(binding)


@pytest.mark.parametrize("seed", range(6 if ASK_ALL else 3))
def test_on_random_libraries_digests_differ_where_records_do(seed: int, tmp_path: Path) -> None:
    right, wrong, binding = random_library(random.Random(seed))
    a, b = (
        target(binding, compiled(tmp_path, text, name))
        for name, text in (("right", right), ("wrong", wrong))
    )
    language = CallLanguage(interface(binding, a.library), 30)
    traces = [language.draw(seed, number) for number in range(60)]
    assert told(a, traces) == told(a, traces)
    differing, needed = agree(Pair(a, b, ALL), traces)
    assert differing == needed > 0


# --- what a library does to its process -------------------------------------------------------

HOSTILE = """
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/time.h>
static int n;
int calm(int a) { return a + n; }
int crash(int a) { n++; if (a == 1) *(volatile int *)8 = 1; if (a == 2) abort(); return a; }
int deep(int a) { volatile char room[4096]; room[a] = a; return deep(a + 1) + room[a]; }
int loop(int a) { n++; for (;;) if (a == 1) pause(); return a; }
int quits(int a) { _exit(a); }
int closes(int a) { for (int i = 0; i < 1024; i++) close(i); return n++; }
int writes(int a)
{
    char text[] = "\\n{\\"end\\": 0}\\nAAAAAAAAAAAAAAAAAAAAAAAAAA";
    for (int i = 3; i < 1024; i++)
        write(i, text, sizeof text);
    return a;
}
int kills(int a) { kill(getppid(), SIGKILL); usleep(1000); return a; }
int stops(int a) { raise(SIGSTOP); return a; }
int defies(int a)
{
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_PROF, &never, NULL);
    for (;;) ;
    return a;
}
int daemonize(int a)
{
    if (!fork()) {
        setsid();
        if (!fork()) {
            for (int i = 0; i < 3000; i++) { n++; usleep(1000); }
            int file = open("OUT", O_CREAT | O_WRONLY, 0600);
            write(file, "x", 1);
            _exit(0);
        }
        _exit(0);
    }
    return a;
}
int printed(int a) { printf("%d", a); return 0; }
int crashes_after(int a) { printf("%d", a); if (a < 8) return 0; abort(); }
int spoken(int a) { write(2, "abc", a); return 0; }
"""
HOSTILE_BINDING = 'format = "replay-binding/1"\n' + "".join(
    f'[[op]]\nfunction = "{name}"\nargs = {{ a = {{ range = [0, 9] }} }}\n'
    for name in (
        "calm",
        "crash",
        "deep",
        "loop",
        "quits",
        "closes",
        "writes",
        "kills",
        "stops",
        "defies",
        "daemonize",
        "printed",
        "crashes_after",
        "spoken",
    )
)


def calls(*words: tuple[str, int]) -> CallTrace:
    return tuple(Call(name, (value,)) for name, value in words)


CALM = calls(("calm", 1), ("calm", 2), ("calm", 3))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Target:
    folder = tmp_path_factory.mktemp("hostile")
    source = HOSTILE.replace("OUT", str(folder / "left"))
    return target(HOSTILE_BINDING, compiled(folder, source))


@pytest.mark.parametrize(
    ("call", "end"),
    [
        (("crash", 1), "crash"), (("crash", 2), "crash"), (("deep", 0), "crash"),
        (("quits", 0), "crash"), (("quits", 3), "crash"), (("loop", 0), "hang"),
        (("defies", 0), "hang"), (("stops", 0), "hang"), (("loop", 1), "hang"),
    ],
)  # fmt: skip
def test_whatever_ends_a_trace_ends_no_other(
    call: tuple[str, int], end: str, hostile: Target
) -> None:
    bad = calls(("calm", 4), call, ("calm", 5))
    found = told(hostile, [CALM, bad, CALM], cpu=0.1)
    assert found[0] == found[2]
    assert found[0] is not None and found[1] is not None
    assert (found[0].end, found[0].at, found[0].returned) == ("ok", 3, 3)
    assert (found[1].end, found[1].at) == (end, 1)
    assert (found[1].made, found[1].returned) == (2, 1)
    (ran,) = worked(hostile, [bad], cpu=0.1)
    assert (ran.end, len(ran.records)) == (end, 1)


def test_how_a_trace_ends_is_in_its_digest(hostile: Target) -> None:
    traces = [calls(("crash", a)) for a in (0, 1)] + [calls(("loop", 0)), calls(("quits", 0))]
    assert len({one.value for one in told(hostile, traces, cpu=0.1) if one}) == 4


@pytest.mark.parametrize("name", ["closes", "writes"])
def test_descriptors_closed_or_written_to_change_no_answer(name: str, hostile: Target) -> None:
    bad = calls(("calm", 4), (name, 0), ("calm", 5))
    found = told(hostile, [CALM, bad, CALM, bad])
    assert found[0] == found[2] and found[1] == found[3]
    assert found[1] is not None and (found[1].end, found[1].at) == ("ok", 3)


def test_a_library_that_kills_its_parent_loses_that_trace_alone(hostile: Target) -> None:
    bad = calls(("calm", 4), ("kills", 0), ("calm", 5))
    found = told(hostile, [CALM, bad, CALM, bad, CALM])
    assert found[0] is not None
    assert found == [found[0], None, found[0], None, found[0]]


def test_what_a_library_leaves_running_is_ended_before_the_next_trace(hostile: Target) -> None:
    bad = calls(("calm", 4), ("daemonize", 0), ("calm", 5))
    own = str(hostile.library).encode()  # other tests may run beside this one
    with opened(hostile, 1.0) as runner:
        found = runner.digests([CALM, bad, CALM, bad])
        assert runner.process is not None
        left = [
            path for path in Path("/proc").glob("[0-9]*/maps")
            if path.parent.name != str(runner.process.pid) and own in _read(path)
        ]  # fmt: skip
    assert left == []
    assert found[0] == found[2] and found[1] == found[3]
    assert found[1] is not None and (found[1].end, found[1].at) == ("ok", 3)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_what_is_printed_is_seen_call_by_call(hostile: Target) -> None:
    traces = [
        calls(("calm", 0)), calls(("printed", 1)), calls(("printed", 2)),
        calls(("printed", 1), ("printed", 2)), calls(("printed", 2), ("printed", 1)),
        calls(("spoken", 1)), calls(("spoken", 2)),
        calls(("crashes_after", 1), ("crash", 1)), calls(("crashes_after", 2), ("crash", 1)),
    ]  # fmt: skip
    found = told(hostile, traces)
    assert len({one.value for one in found if one}) == len(traces)
    # Whether something was printed before, by another trace, changes no digest.
    assert told(hostile, traces[::-1]) == found[::-1]
    shifted = [calls(("printed", 12), ("printed", 3)), calls(("printed", 1), ("printed", 23))]
    one, other = told(hostile, shifted)
    assert one != other


# --- data, errno, memory --------------------------------------------------------------------

AROUND = """
#include <errno.h>
#include <stdlib.h>
int count = 3;
int *where;
struct { char pad; long cell[2]; } table;
typedef struct thing { int a; char *p; } thing;
thing *make(void) { thing *t = calloc(1, sizeof *t); t->p = malloc(9); return t; }
void drop(thing *t) { free(t->p); free(t); }
void work(thing *t, int a)
{
    if (a == 1) count++;
    if (a == 2) where = (int *)&t->a;
    if (a == 3) table.pad = 7;
    if (a == 4) table.cell[1] = 9;
    if (a == 5) errno = EINVAL;
    if (a == 6) t->a = 1;
    if (a == 7) { free(t->p); t->p = malloc(70); }
    if (a == 8) { free(t->p); t->p = NULL; }
}
"""
AROUND_BINDING = """
format = "replay-binding/1"
[[op]]
function = "make"
[[op]]
function = "drop"
destroys = "thing"
[[op]]
function = "work"
args = { t = { handle = "thing" }, a = { range = [0, 8] } }
"""
DATA = [
    {"name": "count", "size": 4, "writable": True, "leaves": [["", 0, "i4", 1]]},
    {"name": "where", "size": 8, "writable": True, "leaves": [["", 0, "p", 1]]},
    {"name": "table", "size": 24, "writable": True, "leaves": [[".cell", 8, "i8", 2]]},
    {"name": "not_there", "size": 8, "writable": True, "leaves": []},
]


def test_exported_data_errno_and_memory_are_in_the_digest(tmp_path: Path) -> None:
    one = target(AROUND_BINDING, compiled(tmp_path, AROUND))
    nothing: dict[str, Any] = {"data": [], "errno": False, "behind": {}}
    head = {**one.bound.to_json(), "library": str(one.library), **nothing}
    traces = [(Call("make", (), 1), Call("work", (1, a))) for a in range(9)]

    def distinct(**more: Any) -> set[int]:
        with DriverRunner({**head, **more}) as runner:
            found = runner.digests(traces)
        assert found[0] is not None
        return {a for a, digest in enumerate(found) if digest and digest.value != found[0].value}

    assert distinct() == set()
    # Padding is never looked at, and of a pointer only whether it is NULL.
    assert distinct(data=DATA) == {1, 2, 4}
    assert distinct(errno=True) == {5}
    assert distinct(behind={"thing": {"size": 16, "pointers": [8]}}) >= {6, 8}
    assert 7 not in distinct(behind={"thing": {"size": 16, "pointers": [8]}})


# --- without a fork ---------------------------------------------------------------------------

STATE = """
int total;
int add(int a) { if (a == 9 && total > 80) __builtin_trap(); return total += a; }
void clear(void) { total = 0; }
"""
STATE_BINDING = """
format = "replay-binding/1"
[library]
reset = ["clear"]
[[op]]
function = "add"
args = { a = { range = [0, 9] } }
"""


def test_with_a_reset_the_digests_are_those_of_a_fork_a_trace(tmp_path: Path) -> None:
    one = target(STATE_BINDING, compiled(tmp_path, STATE))
    language = CallLanguage(interface(STATE_BINDING, one.library), 20)
    traces = [language.draw(2, number) for number in range(400)]
    traces += [calls(("add", 5))] * 3
    data = [{"name": "total", "size": 4, "writable": True, "leaves": [["", 0, "i4", 1]]}]
    head = {**one.bound.to_json(), "library": str(one.library), "data": data}
    with DriverRunner(head) as forking, DriverRunner(head, reset=True) as resetting:
        expected = forking.digests(traces)
        assert resetting.digests(traces) == expected
        assert resetting.tally.made == forking.tally.made
        assert resetting.tally.forks < len(traces) // 2 < len(traces) <= forking.tally.forks
    assert {digest.end for digest in expected if digest} == {"ok", "crash"}


def test_a_binding_says_whether_there_is_anything_to_reset(tmp_path: Path) -> None:
    library = compiled(tmp_path, STATE)
    for said, expected in (('reset = ["clear"]', ("clear",)), ("reset = []", ()), ("", None)):
        text = STATE_BINDING.replace('reset = ["clear"]', said)
        assert target(text, library).bound.reset == expected


# --- what it cannot do ------------------------------------------------------------------------


def test_what_the_driver_does_not_know_is_refused_and_left_to_the_worker(
    boxes: list[Target], drawn: list[CallTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    head = {**boxes[0].bound.to_json(), "library": "x"}
    with pytest.raises(Refused, match="how to observe temperature"):
        generate({**head, "temperature": True})
    strange = [{**head["ops"][0], "args": [{**head["ops"][0]["args"][0], "role": "callback"}]}]
    with pytest.raises(Refused, match="callback"):
        generate({**head, "ops": strange, "destroy": ()})
    model = dataclasses.replace(boxes[0], model="Box")
    looked = prefilter(Pair(model, boxes[0], ALL), drawn)
    assert looked.needed == tuple(range(len(drawn)))
    assert looked.refused == "a reference model is no library"
    monkeypatch.setenv("PATH", str(boxes[0].library.parent))
    looked = prefilter(Pair(boxes[0], boxes[1], ALL), drawn)
    assert len(looked.needed) == len(drawn)
    assert "there is no C compiler" in looked.refused


def test_a_value_the_driver_cannot_pass_leaves_that_trace_to_the_worker(
    boxes: list[Target],
) -> None:
    good = (Call("box_new", (1,), 1), Call("box_add", (1, 2)))
    odd = (Call("box_new", (1,), 1), Call("box_add", (1, 2.5)))
    found = told(boxes[0], [good, odd, good])
    assert found[1] is None
    assert found[0] == found[2] is not None


def test_libraries_bound_alike_share_one_driver(boxes: list[Target]) -> None:
    heads = [{**one.bound.to_json(), "library": str(one.library)} for one in boxes[:2]]
    first, second = (driver.compiled(head)[0] for head in heads)
    assert first == second
    assert os.access(first, os.X_OK)


def test_nothing_is_left_when_a_driver_is_closed(boxes: list[Target]) -> None:
    with opened(boxes[0], 1.0) as runner:
        assert runner.process is not None
        number = runner.process.pid
    assert not Path(f"/proc/{number}").exists()
    runner.close()


# --- what each trace did ----------------------------------------------------------------------


@pytest.mark.parametrize("reset", [False, True])
def test_calls_are_counted_by_operation_and_trace(reset: bool, tmp_path: Path) -> None:
    one = target(STATE_BINDING + '[[op]]\nfunction = "get"\n', compiled(
        tmp_path, STATE + "int get(void) { return total; }"
    ))  # fmt: skip
    add, crash = ("add", 8), (Call("add", (9,)),) * 12
    traces = [calls(add), (*calls(add, add), Call("get", ())), (Call("get", ()),) * 3, crash, ()]
    with opened(one, 1.0, reset=reset) as runner:
        found = runner.digests(traces)
        assert runner.names == ["add", "get"]
        assert runner.tally.made == {"add": 1 + 2 + 10, "get": 1 + 3}
    assert [digest.made_by for digest in found if digest] == [
        (1, 0), (2, 1), (0, 3), (10, 0), (0, 0),
    ]  # fmt: skip
    assert [digest.back_by for digest in found if digest] == [
        (1, 0), (2, 1), (0, 3), (9, 0), (0, 0),
    ]  # fmt: skip


WATCHED = """
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
int first(int a) { return a == 1 ? a * 3 : a; }
int second(int a) { return a + 7; }
int held(int a)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, 0);
    return second(a);
}
int killed(int a) { kill(getppid(), SIGKILL); return first(a); }
int fails(int a) { second(a); abort(); }
"""
WATCHED_BINDING = 'format = "replay-binding/1"\n' + "".join(
    f'[[op]]\nfunction = "{name}"\nargs = {{ a = {{ range = [0, 9] }} }}\n'
    for name in ("first", "second", "held", "killed", "fails")
)


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Target:
    """A library with a breakpoint at the start of two functions: the first is place 0."""
    library = compiled(tmp_path_factory.mktemp("watched"), WATCHED, "w", "-fno-inline")
    said = subprocess.run(["nm", "-D", library], check=True, capture_output=True, text=True)
    known = {line.split()[-1]: int(line.split()[0], 16) for line in said.stdout.splitlines()
             if " T " in line}  # fmt: skip
    request = {"reach": [known["first"], known["second"]], "helper": str(helper())}
    assert request["reach"] == sorted(request["reach"])
    return dataclasses.replace(target(WATCHED_BINDING, library), reach=request)


def test_a_place_is_told_once_with_the_trace_that_met_it_first(watched: Target) -> None:
    traces = [(), calls(("second", 1)), calls(("second", 2), ("first", 1)), calls(("first", 1))]
    with opened(watched, 1.0, reset=True) as runner:
        found = runner.digests(traces)
        assert [digest.reached for digest in found if digest] == [(), (1,), (0,), ()]
        assert [digest.reached for digest in runner.digests(traces) if digest] == [()] * 4
        assert runner.reach_unknown == ""
    plain = told(dataclasses.replace(watched, reach={}), traces)
    assert [one.value for one in plain if one] == [one.value for one in found if one]


def test_a_place_is_not_told_again_by_a_driver_that_was_started_again(watched: Target) -> None:
    traces = [calls(("second", 1)), calls(("killed", 1)), calls(("second", 1), ("first", 1))]
    with opened(watched, 1.0) as runner:
        found = runner.digests(traces)
    assert found[1] is None
    assert [digest.reached for digest in found if digest] == [(1,), (0,)]


def test_an_end_that_a_breakpoint_may_have_made_is_left_to_the_worker(watched: Target) -> None:
    traces = [calls(("fails", 1)), calls(("second", 1), ("first", 1)), calls(("fails", 1))]
    with opened(watched, 1.0) as runner:
        found = runner.digests(traces)
        assert runner.reach_unknown == ""
    assert found[0] is None
    assert found[1] is not None and set(found[1].reached) == {0, 1}
    assert found[2] is not None and found[2].end == "crash"
    with opened(watched, 1.0) as runner:
        assert runner.digests([calls(("held", 1))]) == [None]
        assert "SIGTRAP" in runner.reach_unknown
        (again,) = runner.digests([calls(("held", 1))])
    assert again is not None and (again.end, again.reached) == ("ok", ())


def test_why_nothing_can_be_told_is_said_and_traces_run_nevertheless(watched: Target) -> None:
    request = {**watched.reach, "helper": "/nowhere/reach.so"}
    with opened(dataclasses.replace(watched, reach=request), 1.0) as runner:
        assert "the helper cannot be loaded" in runner.reach_unknown
        (found,) = runner.digests([calls(("first", 1))])
    assert found is not None and (found.end, found.reached) == ("ok", ())


RUBBISH = """
#include <stdlib.h>
int steady(int a) { return a; }
__attribute__((noinline)) int stack(int a) { volatile int room[64]; return room[a]; }
int heap(int a) { int *p = malloc(400); int seen = p[50 + a]; free(p); return seen; }
int where(int a) { char here; return (int)((long)&here & 0xfff) + a; }
"""


def test_what_is_read_unwritten_shows_with_another_fill(tmp_path: Path) -> None:
    binding = 'format = "replay-binding/1"\n' + "".join(
        f'[[op]]\nfunction = "{name}"\nargs = {{ a = {{ range = [0, 9] }} }}\n'
        for name in ("steady", "stack", "heap", "where")
    )
    one = target(binding, compiled(tmp_path, RUBBISH, "r", "-O0"))
    traces = [calls((name, 1)) for name in ("steady", "stack", "heap", "where")]
    seen = []
    for fill in (0, 0, 1, 2):
        with opened(one, 1.0, fill=fill) as runner:
            seen.append([digest.value for digest in runner.digests(traces) if digest])
    assert seen[0] == seen[1]
    assert seen[0][0] == seen[2][0] == seen[3][0]
    for at in (1, 2, 3):
        assert len({values[at] for values in seen}) == 3, traces[at]


# --- time -------------------------------------------------------------------------------------

HANGING = """
#include <signal.h>
#include <unistd.h>
int spin(int a) { while (a & 1) ; return a; }
int rest(int a) { while (a & 1) pause(); return a; }
int halt(int a) { kill(getppid(), SIGSTOP); return a; }
int slow(int a) { for (volatile long i = 0; i < a * 30000000L; i++) ; return a; }
void nothing(void) { }
"""
HANGING_BINDING = 'format = "replay-binding/1"\n[library]\nreset = ["nothing"]\n' + "".join(
    f'[[op]]\nfunction = "{name}"\nargs = {{ a = {{ range = [0, 9] }} }}\n'
    for name in ("spin", "rest", "halt", "slow")
)


@pytest.fixture(scope="module")
def hanging(tmp_path_factory: pytest.TempPathFactory) -> Target:
    return target(HANGING_BINDING, compiled(tmp_path_factory.mktemp("hanging"), HANGING, "h"))


@pytest.mark.parametrize("reset", [False, True])
def test_many_hangs_cost_a_few_short_waits(reset: bool, hanging: Target) -> None:
    traces = [calls(("spin", n)) for n in range(200)]
    began = time.monotonic()
    with opened(hanging, 5.0, reset=reset) as runner:
        found = runner.digests(traces)
        assert runner.digests(traces[:2]) == [None, None]
    assert time.monotonic() - began < 20  # 500 s of processor time with the whole limit
    assert [one.end for one in found if one] == ["ok", "hang"] * MOST_HANGS
    assert found[2 * MOST_HANGS :] == [None] * (200 - 2 * MOST_HANGS)


def test_a_trace_that_waits_is_not_waited_for_long(hanging: Target) -> None:
    began = time.monotonic()
    with opened(hanging, 5.0) as runner:
        found = runner.digests([calls(("rest", 0)), calls(("rest", 1))])
    assert [one.end for one in found if one] == ["ok", "hang"]
    assert time.monotonic() - began < 30


def test_a_slow_trace_is_no_hang(hanging: Target) -> None:
    slow = [calls(("slow", times)) for times in (5, 1, 6, 2, 4)]
    assert [one.end for one in told(hanging, slow, cpu=20) if one] == ["ok"] * 5


def test_a_driver_that_was_stopped_is_asked_no_more(
    hanging: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "LATE", 0.2)
    found = told(hanging, [calls(("spin", 0)), *[calls(("halt", 0))] * 50], cpu=0.1)
    assert found[0] is not None
    assert found[1:] == [None] * 50


def test_the_limit_follows_what_traces_take() -> None:
    limits = Limits(4.0)
    assert limits.seconds == LEAST
    assert limits.longer(0) == 4.0  # nothing is known
    assert limits.longer(0) == 4 * LEAST
    assert limits.longer(0) is None
    limits.came_back(0)
    assert limits.longer(0) == 4 * LEAST
    for _ in range(8):
        limits.ended(0.02)
    assert limits.seconds == pytest.approx(0.4)
    assert limits.longer(1) == pytest.approx(1.6)


# --- many at once -----------------------------------------------------------------------------


def descriptors() -> set[str]:
    """Those that we have open."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def _pipes(process: int) -> int:
    folder = Path(f"/proc/{process}/fd")
    return sum(str(path.readlink()).startswith("pipe:") for path in folder.iterdir())


def test_drivers_of_two_threads_do_not_meet(
    boxes: list[Target], drawn: list[CallTrace], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = told(boxes[0], drawn[:5])
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path))  # both find none and make one
    before = descriptors()
    wrong: list[object] = []

    def work() -> None:
        try:
            for _ in range(20):
                with opened(boxes[0], 1.0) as runner:
                    assert runner.process is not None
                    pipes = _pipes(runner.process.pid)
                    if pipes != 2:
                        wrong.append(f"{pipes} pipes")
                    if runner.digests(drawn[:5]) != expected:
                        wrong.append("another digest")
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert descriptors() == before


def test_a_driver_can_be_stopped_from_another_thread(hanging: Target) -> None:
    with opened(hanging, 60.0) as runner:
        timer = threading.Timer(0.3, runner.stop)
        timer.start()
        began = time.monotonic()
        assert runner.digests([calls(("spin", 1)), calls(("spin", 3))]) == [None, None]
        assert time.monotonic() - began < 30
        timer.join()


def test_a_driver_is_made_and_looked_for_once(
    boxes: list[Target], drawn: list[CallTrace], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(boxes[0], drawn[:1])
    monkeypatch.setattr("replay.repo.driver.compiling.generate", None)
    assert None not in told(boxes[0], drawn[:1])


def test_a_program_that_is_still_written_to_is_started_a_little_later(
    boxes: list[Target], drawn: list[CallTrace]
) -> None:
    program, _ = driver.compiled({**boxes[0].bound.to_json(), "library": "x"})
    with program.open("r+b") as file:
        timer = threading.Timer(0.1, file.close)
        timer.start()
        assert None not in told(boxes[0], drawn[:1])
        timer.join()


USUAL = """
#include <stdlib.h>
#include <string.h>
struct box { int n; };
struct box *box_new(int n) { struct box *b = malloc(sizeof *b); b->n = n; return b; }
void box_free(struct box *b) { free(b); }
int box_count(const struct box *b) { return b->n; }
double half(double v, float f) { return v / 2 + f; }
int sum(const unsigned char *p, size_t n) { int s = 0; while (n) s += p[--n]; return s; }
int length(const char *s) { return (int)strlen(s); }
void get(const struct box *b, int *value) { *value = b->n; }
unsigned char low(long v) { return (unsigned char)v; }
_Bool odd(short v) { return v & 1; }
"""


def test_what_is_drafted_for_usual_functions_the_driver_can_do(tmp_path: Path) -> None:
    library = compiled(tmp_path, USUAL)
    text = draft(read_shape(library), library.name)
    language = CallLanguage(interface(text, library))
    traces = [language.draw(1, number) for number in range(40)]
    assert {call.op for trace in traces for call in trace} >= {"half", "sum", "length", "odd"}
    assert None not in told(target(text, library), traces)

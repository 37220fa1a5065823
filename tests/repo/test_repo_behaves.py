"""Callbacks, lifetimes, relations, failing allocations: alike in the worker and the driver."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_repo_driver import ALL, agree, compiled, interface, target, told, worked
from userrepo import MAKE, UserRepo, cli

from replay.repo.binding import Interface
from replay.repo.calls import Call, CallTrace
from replay.repo.errors import BindingError
from replay.repo.language import CallLanguage, shrink
from replay.repo.pairing import Pair
from replay.repo.reach import bred
from replay.repo.runner import Run
from replay.repo.targets import Target

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifndef FAULT
#define FAULT 0
#endif
#define FAULTY(n, right, wrong) (FAULT == (n) ? (wrong) : (right))
typedef struct list { int n, items[8]; int (*watch)(void *, const char *, struct list *);
                      void *user; } list;
typedef struct iter { list *l; int at; } iter;
list *list_new(void) { return calloc(1, sizeof(list)); }
void list_free(list *l) { memset(l, 0x5a, sizeof *l); free(l); }
int list_add(list *l, int n)
{
    char text[16];
    if (l->n == 8)
        return -1;
    l->items[l->n++] = n;
    snprintf(text, sizeof text, "+%d", FAULTY(1, n, n & 3));
    return l->watch ? l->watch(FAULTY(2, l->user, n == 4 ? NULL : l->user), text, l) : 0;
}
void list_watch(list *l, int (*cb)(void *, const char *, list *), void *user)
{
    if (FAULT == 3 && l->watch == cb)
        return;
    l->watch = l->watch == cb ? NULL : cb;
    l->user = user;
}
int list_each(list *l, int (*cb)(void *user, int item, short place), void *user)
{
    for (int i = 0; i < l->n; i++)
        if (cb(user, l->items[i], i) && FAULTY(4, 1, l->n < 3))
            return i;
    return -1;
}
void list_sort(list *l, int (*order)(const void *, const void *))
{
    qsort(l->items, FAULTY(5, l->n, l->n > 2 ? l->n - 1 : l->n), sizeof(int), order);
}
list *list_grow(list *l, int by)
{
    l = realloc(l, sizeof *l + by * 64);
    if (FAULT == 6 && by == 3)
        l->n = 0;
    return l;
}
void list_take(list *to, list *from)
{
    while (from->n && to->n < 8)
        to->items[to->n++] = from->items[--from->n];
    if (FAULT == 7)
        to->n = to->n > 2 ? 2 : to->n;
    free(from);
}
iter *list_iter(list *l) { iter *i = malloc(sizeof *i); i->l = l; i->at = 0; return i; }
int iter_next(iter *i)
{
    return i->at < i->l->n ? i->l->items[i->at++] : FAULTY(8, -1, i->at > 1 ? -2 : -1);
}
void iter_free(iter *i) { free(i); }
int list_count(const list *l) { return l->n; }
static int open_[4];
int fd_open(int start)
{
    for (int i = 0; i < 4; i++)
        if (!open_[i]) { open_[i] = start + 1; return i; }
    return -1;
}
int fd_pair(unsigned *second)
{
    int a = fd_open(0), b = fd_open(1);
    if (b >= 0)
        *second = b;
    return a < 0 || b < 0 ? -1 : a;
}
int fd_step(int fd) { return FAULTY(9, open_[fd]++, open_[fd] == 3 ? open_[fd] : open_[fd]++); }
void fd_close(int fd) { open_[fd] = 0; }
int part(const char *text, int from, int to)
{
    int sum = 0;
    if (from > to || to > (int)strlen(text))
        abort();
    for (; from < to; from++)
        sum += text[from];
    return FAULTY(10, sum, sum + (to == 3));
}
char *twice(int n)
{
    char *a = malloc(8), *b = calloc(1, 8);
    static char made[8];
    snprintf(made, 8, "%d%d%d", !!a, !!b, FAULTY(11, n, a && !b ? 0 : n));
    free(a); free(b);
    return made;
}
static void *(*own)(size_t) = malloc;
void set_alloc(void *(*m)(size_t)) { own = m; }
int own_works(void) { void *p = own(4); free(p); return p != NULL; }
int blocks(int n, void (*cb)(const char *, size_t, double, _Bool, unsigned char), int plain)
{
    const char raw[4] = {'a', 'b', 'c', 'd'};
    if (FAULT == 12 && n == 3)
        cb(raw, 4, 0.5, 1, 200);
    cb(raw, n & 3, n / 4.0, n & 1, FAULTY(13, n, n | 128));
    return n;
}
"""
BINDING = """
format = "replay-binding/1"
[library]
fail_malloc = true
[[op]]
function = "list_new"
makes = "list"
live = 3
[[op]]
function = "list_free"
destroys = "list"
[[op]]
function = "list_add"
args = { n = { range = [0, 9] } }
[[op]]
function = "list_watch"
[op.args]
cb = { callback = { returns = [-1, 3], stop = 77 } }
user = { user_of = "cb" }
[[op]]
function = "list_each"
[op.args]
cb = { callback = { returns = [0, 1], stop = 1 } }
user = { user_of = "cb" }
[[op]]
function = "list_sort"
args = { order = { compare = 4 } }
[[op]]
function = "list_grow"
makes = "list"
live = 3
args = { l = { handle = "list", consumes = true }, by = { range = [0, 3] } }
[[op]]
function = "list_take"
args = { from = { handle = "list", consumes = true } }
[[op]]
function = "list_iter"
makes = "iter"
dies_with = "l"
[[op]]
function = "iter_next"
[[op]]
function = "iter_free"
destroys = "iter"
[[op]]
function = "fd_open"
gives = "fd"
live = 4
args = { start = { range = [0, 2] } }
[[op]]
function = "fd_pair"
live = 4
args = { second = { gives = "fd" } }
[[op]]
function = "fd_step"
args = { fd = { handle = "fd" } }
[[op]]
function = "fd_close"
args = { fd = { handle = "fd", consumes = true } }
[[op]]
function = "part"
where = ["from <= to", "to <= text"]
[op.args]
text = { string = [0, 6] }
from = { range = [0, 6] }
to = { range = [0, 6] }
[[op]]
function = "twice"
returns = "string"
args = { n = { range = [0, 9] } }
[[op]]
function = "set_alloc"
args = { m = { function = "malloc" } }
[[op]]
function = "own_works"
[[op]]
function = "blocks"
args = { n = { range = [0, 7] }, cb = { callback = true }, plain = { value = 0 } }
[[observe]]
function = "list_count"
"""
FAULTS = 13


@pytest.fixture(scope="module")
def lists(tmp_path_factory: pytest.TempPathFactory) -> list[Target]:
    """The library without a fault and with each."""
    folder = tmp_path_factory.mktemp("lists")
    return [
        target(BINDING, compiled(folder, SOURCE, f"list{n}", f"-DFAULT={n}"))
        for n in range(FAULTS + 1)
    ]


@pytest.fixture(scope="module")
def drawn(lists: list[Target]) -> list[CallTrace]:
    language = CallLanguage(interface(BINDING, lists[0].library), 60)
    return [language.draw(1, number) for number in range(80)]


@pytest.fixture(scope="module")
def faultless(lists: list[Target], drawn: list[CallTrace]) -> list[Run]:
    return worked(lists[0], drawn)


@pytest.mark.parametrize("fault", range(1, FAULTS + 1))
def test_a_fault_in_any_behaviour_shows_in_records_and_digests(
    fault: int, lists: list[Target], drawn: list[CallTrace], faultless: list[Run]
) -> None:
    differing, needed = agree(Pair(lists[0], lists[fault], ALL), drawn, faultless)
    assert differing == needed
    assert differing > 0, "the traces do not reach the fault"


def test_two_runs_are_the_same_and_none_ends_early(
    lists: list[Target], drawn: list[CallTrace], faultless: list[Run]
) -> None:
    assert worked(lists[0], drawn) == faultless
    assert told(lists[0], drawn) == told(lists[0], drawn)
    early = [run.detail for run in faultless if run.end != "ok"]
    assert len(early) < len(drawn) / 2, early


# --- no dead object is used -------------------------------------------------------------


@pytest.fixture(scope="module")
def calls(lists: list[Target]) -> Interface:
    return interface(BINDING, lists[0].library)


CONSUMES = {"list_free": 0, "list_grow": 0, "list_take": 1, "iter_free": 0, "fd_close": 0}
"""Which of its objects an operation takes with it: what the binding says, written again."""


def is_sound(trace: CallTrace, interface: Interface) -> bool:
    """Whether no call takes a dead object, or breaks a relation; from the books of this test."""
    alive: dict[int, int] = {}
    for call in trace:
        taken = [
            int(v)
            for p, v in zip(interface.ops[call.op].given, call.values, strict=True)
            if p.role == "handle"
        ]
        if any(number not in alive for number in taken):
            return False
        if call.op == "list_take" and taken[0] == taken[1]:
            return False
        if call.op == "part":
            text, start, end = call.values
            if not int(start) <= int(end) <= len(str(text)):
                return False
        if call.op in CONSUMES:
            dead = taken[CONSUMES[call.op]]
            alive = {n: parent for n, parent in alive.items() if dead not in (n, parent)}
        if call.makes:
            alive[call.makes] = taken[0] if call.op == "list_iter" else 0
    return True


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 1 << 30), number=st.integers(0, 400))
def test_no_trace_that_is_drawn_bred_or_shrunk_uses_a_dead_object(
    calls: Interface, seed: int, number: int
) -> None:
    language = CallLanguage(calls, 30)
    trace = language.draw(seed, number)
    assert is_sound(trace, calls)
    assert is_sound(bred(language, trace, seed, number), calls)
    tried = []

    def holds(candidate: CallTrace) -> bool:
        tried.append(candidate)
        return len(candidate) > number % 7 and hash(candidate) % 3 > 0

    shrink(trace, calls, holds, 60)
    assert all(is_sound(one, calls) for one in tried)


def test_what_dies_with_another_does_so_at_any_depth_and_by_whatever_call(
    calls: Interface,
) -> None:
    language = CallLanguage(calls)
    new, walk = Call("list_new", (), 1), Call("list_iter", (1,), 2)
    assert language.normal((new, walk, Call("iter_next", (2,))))
    for end in (
        Call("list_free", (1,)), Call("list_grow", (1, 0), 3), Call("iter_free", (2,)),
    ):  # fmt: skip
        assert language.normal((new, walk, end))
        assert language.normal((new, walk, end, Call("iter_next", (2,)))) is None
    assert language.normal((new, Call("list_take", (1, 1)))) is None


# --- what a binding says wrongly --------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ('function = "part"\nwhere = ["from <= two"]', "'two' is no parameter"),
        ('function = "part"\nwhere = ["from < from"]', "no values were found"),
        ('function = "part"\nwhere = ["from"]', "no comparison"),
        ('function = "list_iter"\nmakes = "iter"\ndies_with = "x"', "with the role handle"),
        ('function = "list_count"\ndies_with = "l"', "makes nothing"),
        ('function = "list_add"\nends = "itre"', "no operation makes a 'itre'"),
        ('function = "fd_step"\nargs = { fd = { handle = "list" } }', "only a pointer"),
        (
            'function = "list_add"\nargs = { l = { callback = true }, n = { value = 1 } }',
            "how list * is called is not known",
        ),
        (
            'function = "list_each"\nargs = { cb = { null = true }, user = { user_of = "cb" } }',
            "no parameter with the role callback",
        ),
    ],
)
def test_what_cannot_be_is_turned_away_by_name(
    entry: str, problem: str, lists: list[Target]
) -> None:
    made = '[[op]]\nfunction = "list_new"\nmakes = "list"\nname = "make"\n'
    text = f'format = "replay-binding/1"\n{made}[[op]]\n{entry}\n'
    with pytest.raises(BindingError, match=re.escape(problem)) as caught:
        interface(text, lists[0].library)
    assert "op[2]" in str(caught.value)


# --- a user's commits -------------------------------------------------------------------

BOX = """
#include <stdlib.h>
typedef struct { int n; } box;
box *boxNew(void) { return calloc(1, sizeof(box)); }
box *boxRealloc(box *b, int n) { return realloc(b, sizeof *b + (n & 7) * 64); }
void boxFree(box *b) { b->n = -1; free(b); }
int boxAdd(box *b, int n) { return b->n += n & 255; }
"""
BOX_BINDING = """
format = "replay-binding/1"
[[op]]
function = "boxNew"
makes = "box"
[[op]]
function = "boxRealloc"
makes = "box"
args = { b = { handle = "box", consumes = true }, n = { range = [0, 7] } }
[[op]]
function = "boxFree"
destroys = "box"
[[op]]
function = "boxAdd"
"""
EACH = """
#include <stdlib.h>
typedef struct ctx ctx;
struct ctx { int n; int (*cb)(void *, int); void *user; };
ctx *ctx_open(void) { return calloc(1, sizeof(ctx)); }
void ctx_grow(ctx *c) { c->n = (c->n + 1) % 8; }
void each(ctx *c, int (*cb)(void *, int), void *user)
{
    c->cb = cb;
    c->user = user;
    for (int i = 0; i < c->n; i++)
        if (cb(user, i))
            break;
}
void again(ctx *c) { if (c->cb) c->cb(c->user, c->n); }
"""
EACH_BINDING = """
format = "replay-binding/1"
[[op]]
function = "ctx_open"
makes = "ctx"
[[op]]
function = "ctx_grow"
[[op]]
function = "each"
[op.args]
cb = { callback = { returns = [0, 0], stop = 1 } }
user = { user_of = "cb" }
[[op]]
function = "again"
"""


@pytest.mark.parametrize(
    ("source", "binding", "right", "wrong", "shown"),
    [
        (BOX, BOX_BINDING, "n & 255", "n & 127", "boxAdd"),
        (EACH, EACH_BINDING, "            break;", "            continue;", "cb(user, 1)"),
        (EACH, EACH_BINDING, "c->cb(c->user, c->n)", "c->cb(c->user, c->n + 1)", "cb(user, 1) = 0"),
    ],
)
def test_verify_finds_the_commit_that_breaks_a_behaviour(
    source: str, binding: str, right: str, wrong: str, shown: str, tmp_path: Path
) -> None:
    repo = UserRepo(tmp_path / "repo")
    for subject, text in (("base", source), ("words", source + "\n"), ("bad", "")):
        repo.commit(subject, x_c=text or source.replace(right, wrong))
    (tmp_path / "b.toml").write_text(binding)
    done = cli(
        "verify", "--repo", repo.path, "--range", "main~2..main", "--build", MAKE, "--library",
        "libx.so", "--binding", tmp_path / "b.toml", "--traces", 60, "--json",
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert [row["verdict"] for row in report["commits"]] == [
        "base", "same", "undeclared difference",
    ]  # fmt: skip
    assert shown in json.dumps(report["commits"][2]["example"])


# --- relations of what is counted in elements ---------------------------------------------

COUNTED = """
#include <stddef.h>
struct pair { short a; unsigned char b; };
int part(const struct pair *p, size_t n, size_t want) { return want ? p[want - 1].a : 0; }
int some(const char **names, int count, int want) { return want < count ? names[want][0] : -1; }
int word(const char *s, int at) { return s[at]; }
"""


@pytest.mark.parametrize(
    ("function", "where", "args", "relation"),
    [
        ("part", "want <= n", "p = { elements = [0, 6], fields = { a = { range = [3, 5] } } }\n"
         "want = { range = [0, 9] }", lambda v: v[1] <= len(v[0]) // 8),
        ("part", "p == 2", "want = { range = [0, 1] }", lambda v: len(v[0]) // 8 == 2),
        ("some", "want < names", "want = { range = [0, 5] }",
         lambda v: v[1] < v[0].count("\n")),
        ("word", "at <= s", 's = { string = { from = ["get", "put", "delete"] } }\n'
         "at = { range = [0, 9] }", lambda v: v[1] <= len(v[0])),
    ],
)  # fmt: skip
def test_relations_count_elements_strings_and_characters(
    function: str, where: str, args: str, relation: Callable[[Any], bool], tmp_path: Path
) -> None:
    known = interface(
        f'format = "replay-binding/1"\n[[op]]\nfunction = "{function}"\nwhere = ["{where}"]\n'
        f"[op.args]\n{args}\n", compiled(tmp_path, COUNTED),
    )  # fmt: skip
    language = CallLanguage(known, 30)
    seen = set()
    for number in range(0, 300, 20):
        trace = language.draw(1, number)
        assert language.normal(trace) == trace
        assert all(relation(call.values) for call in trace)
        seen |= {call.values for call in trace}
    assert len(seen) > 10

"""The digest of the state: worked out only where memory has changed, and missing nothing."""

from __future__ import annotations

import ctypes
from array import array
from functools import cache
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from native.steps import libraries, series
from replay.build.compile import Built, build
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Op, Trace
from replay.dirty.native.compare import native_profile
from replay.dirty.native.encode import Batch, encode
from replay.dirty.native.library import Library
from replay.dirty.native.session import Libraries, session
from replay.dirty.native.stream import encode_streams, stream

STEPS = (0, 18, 19, 39)
"""The first and the last with a byte a page, and with three bitmaps."""

MOST = 1 << 12
"""Words of a state, at most."""

NOTHING, FLIP = 2000, 2001
HOOK = "    /* These have no address. */\n"
RUN = "/* Run one operation;"
STRAY = """
/* Flips bit op[3] of byte op[2] of the memory number op[1], of whatever there is. */
static int64_t flip(const int64_t op[4])
{
    size_t size;
    int64_t left = op[1];

    for (uint8_t *at = array_next(NULL, &size); at; at = array_next(at, &size)) {
        if ((void *)at != machine.in_block && (void *)at != current.events && !left--) {
            at[op[2] % size] ^= 1 << op[3];
            return DIRTY_NONE;
        }
    }
    if (!left-- && migration_bitmap) {
        ((uint8_t *)migration_bitmap)[op[2] % DIV_ROUND_UP(migration_bitmap_pages, 8)]
            ^= 1 << op[3];
    } else if (!left) {
        migration_dirty_pages ^= 1 << op[3];
    }
    return DIRTY_NONE;
}

"""


def changed(step: int, *changes: tuple[str, str, str]) -> Library:
    """A step in which texts of files are replaced."""
    files = dict(series()[step])
    for name, old, new in changes:
        text = files[name].decode()
        assert text.count(old) == 1, f"{name} no longer holds {old!r} once"
        files[name] = text.replace(old, new).encode()
    made = build(step, files)
    assert isinstance(made, Built), made
    return Library(str(made.path))


LOOKING = ("driver.c", "changed = watch->off;", "changed = 1;")
"""The state is worked out after each operation, whatever memory has changed."""

BELIEVING = ("driver.c", "watch->believed++ % BELIEVED", "true")
"""What is watched is never checked: nothing but watching shows what has changed."""


@cache
def straying(step: int, how: tuple[str, str, str] = BELIEVING) -> Library:
    """A step with an operation that does nothing, and one that writes where it should not."""
    hook = (
        f"    if (op[0] >= {NOTHING}) {{\n        return op[0] == {FLIP} ? flip(op) : -1;\n    }}\n"
    )
    return changed(step, ("driver.c", HOOK, hook + HOOK), ("driver.c", RUN, STRAY + RUN), how)


def digests(library: Library, batch: Batch, rows: array[int]) -> list[int]:
    """The digest after each of some operations on the machine of the first trace."""
    _, _, hpratio, tcg = batch.table[:4]
    library.digest_every(1)
    library.reset(hpratio, bool(tcg))
    out = array("Q", bytes(2 * len(rows)))
    first, words, to = (a.buffer_info()[0] for a in (rows, batch.words, out))
    ran = library.run(first, len(rows) // 4, words, to)
    return list(out[:ran])


def observed(library: Library) -> list[int]:
    """The state as the driver shows it now."""
    look = library.handle.dirty_observe
    look.restype, look.argtypes = ctypes.c_size_t, (ctypes.c_void_p, ctypes.c_size_t)
    out = array("Q", bytes(8 * MOST))
    return list(out[: look(out.buffer_info()[0], MOST)])


@pytest.mark.parametrize("step", STEPS)
@given(
    number=st.integers(0, 1000), cut=st.integers(1, 50), memory=st.integers(0, 9),
    byte=st.integers(0, 200), bit=st.integers(0, 7),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_a_bit_that_changes_anywhere_is_seen_at_its_operation(
    step: int, number: int, cut: int, memory: int, byte: int, bit: int
) -> None:
    library = straying(step)
    batch = encode([generate(5, number, native_profile(Profile()))])
    before = batch.rows[: 4 * cut]
    at = len(before) // 4
    nothing = array("q", (NOTHING, 0, 0, 0))
    sound = digests(library, batch, before + nothing + nothing)
    if len(sound) < at + 2:
        return  # the machine died before
    was = observed(library)
    stray = array("q", (FLIP, memory, byte, bit))
    seen = digests(library, batch, before + stray + nothing)
    assert seen[:at] == sound[:at]
    # What is outside of RAM is nobody's.
    assert (seen[at] != sound[at]) == (observed(library) != was)


def test_bits_of_every_part_of_the_state_are_flipped_by_the_test_above() -> None:
    """Else it would show nothing."""
    ops = (
        Op("ram_alloc", (64,)), Op("migration_start"), Op("tlb_fill", (0,)), Op("translate", (0,)),
    )  # fmt: skip
    batch = encode([Trace(ops)])
    for step in STEPS:
        library, places = straying(step), set()
        digests(library, batch, batch.rows)
        was = observed(library)
        for memory, byte, bit in product(range(10), range(2), range(8)):
            digests(library, batch, batch.rows + array("q", (FLIP, memory, byte, bit)))
            places |= {
                i for i, (a, b) in enumerate(zip(was, observed(library), strict=True)) if a != b
            }
        # The count of dirty pages, six sets of pages and the migration bitmap.
        assert places == {2, *range(4, 11)}


@pytest.mark.parametrize("step", STEPS)
@given(
    number=st.integers(0, 1000), cut=st.integers(1, 50),
    strays=st.lists(st.tuples(st.integers(0, 10), st.integers(0, 40), st.integers(0, 7))),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_what_strays_is_seen_as_by_looking_each_time(
    step: int, number: int, cut: int, strays: list[tuple[int, int, int]]
) -> None:
    """Bits that are flipped and flipped back, here and there, in any order."""
    batch = encode([generate(5, number, native_profile(Profile()))])
    rows = batch.rows[: 4 * cut]
    for stray in strays:
        rows.extend((FLIP, *stray))
    assert digests(straying(step), batch, rows) == digests(straying(step, LOOKING), batch, rows)


def plain(library: Library, batch: Batch, every: int) -> list[int]:
    library.digest_every(every)
    out = array("Q", bytes(8 * batch.count))
    table, rows, words, to = (
        a.buffer_info()[0] for a in (batch.table, batch.rows, batch.words, out)
    )
    assert library.run_traces(table, batch.count, rows, words, to) == batch.count
    return list(out)


def batches() -> list[Batch]:
    profile = native_profile(Profile())
    streams = [stream(2, number, 400, light=number == 3) for number in range(4)]
    return [encode([generate(8, n, profile) for n in range(60)]), encode_streams(streams)]


@pytest.mark.parametrize("step", STEPS)
def test_watching_memory_gives_the_digests_of_looking_each_time(step: int) -> None:
    watching = Library(dict(libraries().paths)[step])
    looking = changed(step, LOOKING)
    for batch in batches():
        for every in (1, 3):
            assert plain(watching, batch, every) == plain(looking, batch, every)


@pytest.mark.parametrize("old", ["tlb_direct", "tlb_notdirty"])
def test_a_state_that_lies_elsewhere_is_looked_at_each_time(old: str) -> None:
    """A step may keep a part of it where nobody watches: its digests are those of the others."""
    room = f"    {old} = g_renew(unsigned long, {old}, BITS_TO_LONGS(pages));\n"
    fresh = f"    memset({old} + BITS_TO_LONGS(pages), 0, 8 * (64 - BITS_TO_LONGS(pages)));\n"
    elsewhere = changed(
        39,
        ("cputlb.c", f"static unsigned long *{old};", f"static unsigned long {old}[64];"),
        ("cputlb.c", room, fresh),
    )
    usual = Library(dict(libraries().paths)[39])
    for batch in batches():
        assert plain(elsewhere, batch, 1) == plain(usual, batch, 1)


def test_what_is_the_same_code_is_run_once_and_told_of_all() -> None:
    steps = (0, 1, 4, 20, 22, 39)
    held = session(libraries())
    assert list(held.alike(steps).values()) == [[0, 1], [4], [20, 22], [39]]
    batch = batches()[0]
    found = held.digests(batch, steps)
    assert list(found.steps) == list(steps)
    for step in steps:
        alone = session(Libraries(tuple(p for p in libraries().paths if p[0] == step)))
        assert alone.digests(batch, (step,)).steps[step] == found.steps[step]

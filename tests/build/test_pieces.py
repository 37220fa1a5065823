"""Objects that are compiled once: what they depend on, and what does not keep them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.build.compile import Built, apart, build, build_series
from replay.build.pieces import batches, needed

TREE = {
    "a.c": b'#include "a.h"\nint a(void) { return A; }\n',
    "b.c": b'#include "qemu/b.h"\nint b(void) { return B; }\n',
    "include/a.h": b"#define A 1\n",
    "include/qemu/b.h": b'#include "c.h"\n#define B C\n',
    "include/c.h": b"#define C 3\n",
}


def made(tmp_path: Path) -> set[Path]:
    return set((tmp_path / "pieces").glob("*/piece.o"))


def test_only_what_changed_is_compiled_again(tmp_path: Path) -> None:
    first = build(1, TREE, cache=tmp_path)
    assert len(made(tmp_path)) == 2
    again = build(2, TREE | {"include/a.h": b"#define A 2\n"}, cache=tmp_path)
    assert isinstance(first, Built) and isinstance(again, Built)
    assert len(made(tmp_path)) == 3
    deep = build(3, TREE | {"include/c.h": b"#define C 4\n"}, cache=tmp_path)
    assert isinstance(deep, Built)
    assert len(made(tmp_path)) == 4
    assert len({path.path.read_bytes() for path in (first, again, deep)}) == 3


def test_a_library_of_kept_objects_is_the_same_file(tmp_path: Path) -> None:
    changed = TREE | {"a.c": TREE["a.c"] + b"int more(void);\n"}
    build(1, TREE, cache=tmp_path / "kept")
    kept = build(2, changed, cache=tmp_path / "kept")
    alone = build(2, changed, cache=tmp_path / "alone")
    assert isinstance(kept, Built) and isinstance(alone, Built)
    assert kept.path.read_bytes() == alone.path.read_bytes()


def test_an_object_that_is_not_as_it_was_made_is_made_again(tmp_path: Path) -> None:
    first = build(1, TREE, cache=tmp_path)
    for path in made(tmp_path):
        path.write_bytes(b"no object")
    again = build(2, TREE | {"include/a.h": b"#define A 2\n"}, cache=tmp_path)
    assert isinstance(first, Built) and isinstance(again, Built)


def test_flags_and_names_are_part_of_an_object(tmp_path: Path) -> None:
    build(1, TREE, cache=tmp_path)
    build(1, TREE, cache=tmp_path, flags=("-DX=1",))
    assert len(made(tmp_path)) == 4
    build(1, {"d.c": TREE["a.c"], **{n: t for n, t in TREE.items() if n != "a.c"}}, cache=tmp_path)
    assert len(made(tmp_path)) == 5


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("sanitize", [False, True])
def test_flags_for_the_linker_are_no_warning_to_either_compiler(
    compiler: str, sanitize: bool, tmp_path: Path
) -> None:
    flags = ("-Wl,-z,relro,-z,now", "-lm")
    found = build(1, TREE, cache=tmp_path, compiler=compiler, sanitize=sanitize, flags=flags)
    assert isinstance(found, Built), found


def test_sources_of_one_name_are_both_compiled(tmp_path: Path) -> None:
    tree = {"a.c": b"int one(void) { return 1; }\n", "util/a.c": b"int two(void) { return 2; }\n"}
    found = build(1, tree, cache=tmp_path)
    assert isinstance(found, Built)
    assert b"one" in found.path.read_bytes() and b"two" in found.path.read_bytes()
    assert batches(["a.c", "b.c", "util/a.c"]) == [["a.c", "b.c"], ["util/a.c"]]


@pytest.mark.parametrize(
    "line",
    [
        b"#include HEADER", b'/* */ #include "a.h"', b'asm(".incbin \\"c.h\\"");',
        b'#if __has_include("x.h")', b"#embed <c.h>", b'#include /* */ "a.h"',
    ],
)  # fmt: skip
def test_where_the_text_does_not_tell_all_files_count(line: bytes) -> None:
    files = TREE | {"a.c": line + b"\n"}
    assert needed(files, "a.c") == files


@pytest.mark.parametrize(
    "line", [b'# include "a.h"', b"\t#\tinclude <x/a.h>", b'#inc\\\nlude "a.h"', b'%:include "a.h"']
)
def test_however_an_include_is_written_it_counts(line: bytes) -> None:
    assert set(needed(TREE | {"a.c": line + b"\n"}, "a.c")) == {"a.c", "include/a.h"}


def test_a_file_of_the_same_name_elsewhere_counts() -> None:
    """Which one the compiler takes, its search path decides."""
    found = needed(TREE | {"util/a.h": b"#define A 9\n"}, "a.c")
    assert set(found) == {"a.c", "include/a.h", "util/a.h"}


@given(st.lists(st.integers(0, 60), unique=True).map(sorted), st.integers(0, 9))
def test_every_step_is_built_once_in_whatever_order(steps: list[int], jobs: int) -> None:
    assert sorted(apart(steps, jobs)) == steps


def test_neighbours_are_not_built_at_once_and_told_in_order(tmp_path: Path) -> None:
    assert apart([0, 1, 2, 3, 4], 2) == [0, 3, 1, 4, 2]
    told: list[int] = []
    build_series(
        {2: TREE, 0: TREE, 1: TREE}, cache=tmp_path, progress=lambda o: told.append(o.step)
    )
    assert told == [0, 1, 2]

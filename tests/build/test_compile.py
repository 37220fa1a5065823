"""Building: cached by content, safe with others, and a failure is a value."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path

import pytest

from replay.build.compile import (
    LIBRARY,
    BuildFailed,
    Built,
    build,
    build_series,
    read_tree,
)
from replay.build.compiler import find_compiler
from replay.build.errors import BuildError
from replay.build.output import neutral

TINY = {"one.c": b"int one(void);\nint one(void) { return 1; }\n"}


def made(outcome: object) -> Built:
    assert isinstance(outcome, Built), outcome
    return outcome


def failed(outcome: object) -> BuildFailed:
    assert isinstance(outcome, BuildFailed), outcome
    return outcome


def test_a_second_build_is_a_hit_and_the_same_file(tmp_path: Path) -> None:
    first = made(build(3, TINY, cache=tmp_path))
    second = made(build(4, dict(TINY), cache=tmp_path))
    assert (first.cached, second.cached) == (False, True)
    assert first.path == second.path and first.path.read_bytes().startswith(b"\x7fELF")
    assert second.step == 4


@pytest.mark.parametrize(
    "change",
    [
        {"flags": ("-DX",)},
        {"tree": {"one.c": TINY["one.c"] + b"\n"}},
        {"tree": {**TINY, "include/x.h": b""}},
        {"sanitize": True},
    ],
)
def test_whatever_the_library_depends_on_is_in_the_key(
    tmp_path: Path, change: dict[str, object]
) -> None:
    first = made(build(0, TINY, cache=tmp_path))
    arguments: dict[str, object] = {"tree": TINY, "cache": tmp_path, **change}
    other = made(build(0, **arguments))  # type: ignore[arg-type]
    assert not other.cached and other.path != first.path


def test_what_is_not_compiled_is_not_in_the_key(tmp_path: Path) -> None:
    first = made(build(0, TINY, cache=tmp_path))
    assert made(build(0, {**TINY, "Makefile": b"all:\n\tfalse\n"}, cache=tmp_path)).cached
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "one.c").write_bytes(TINY["one.c"])
    assert made(build(0, folder, cache=tmp_path)).path == first.path


@pytest.mark.parametrize("damage", ["cut", "foreign", "gone", "note"])
def test_an_entry_that_is_not_as_it_was_made_is_made_again(tmp_path: Path, damage: str) -> None:
    first = made(build(0, TINY, cache=tmp_path))
    good = first.path.read_bytes()
    if damage == "cut":
        first.path.write_bytes(good[: len(good) // 2])
    elif damage == "foreign":
        first.path.write_bytes(b"#!/bin/sh\n")
    elif damage == "gone":
        first.path.unlink()
    else:
        (first.path.parent / "entry.json").write_text(json.dumps([1]))
    again = made(build(0, TINY, cache=tmp_path))
    assert not again.cached and again.path.read_bytes() == good
    assert made(build(0, TINY, cache=tmp_path)).cached


def _build_in(cache: str) -> tuple[bool, str]:
    outcome = build(0, TINY, cache=Path(cache))
    assert isinstance(outcome, Built)
    return outcome.cached, str(outcome.path)


def test_processes_that_want_the_same_at_once_build_it_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        results = pool.map(_build_in, [str(tmp_path)] * 6, chunksize=1)
    assert len({path for _, path in results}) == 1
    assert [cached for cached, _ in results].count(False) == 1
    entries = list((tmp_path / "build").iterdir())
    assert len(entries) == 1
    assert {path.name for path in entries[0].iterdir()} == {LIBRARY, "entry.json", "lock"}


def test_a_warning_fails_the_build_and_names_the_place(tmp_path: Path) -> None:
    tree = {"one.c": b"static int unused(void) { return 1; }\n"}
    outcome = failed(build(7, tree, cache=tmp_path))
    assert outcome.step == 7 and "one.c:1" in outcome.text and "unused" in outcome.text
    assert str(tmp_path) not in outcome.text
    assert not list(tmp_path.rglob(LIBRARY))


def test_a_missing_symbol_is_left_to_the_loader_but_a_syntax_error_is_not(
    tmp_path: Path,
) -> None:
    assert "error" in failed(build(0, {"one.c": b"int one( {\n"}, cache=tmp_path)).text


def test_the_output_is_bounded_and_steers_no_terminal(tmp_path: Path) -> None:
    noise = b'#warning "\x1b[2J\x07 %s"\n' % (b"x" * 4000)
    outcome = failed(build(0, {"one.c": noise * 100 + b"\x1b[31m\n"}, cache=tmp_path))
    assert len(outcome.output) <= 66_000
    assert "\x1b" not in outcome.text and "\x07" not in outcome.text
    assert neutral("a\x1bb\u202e\r\n") == "a\\x1bb\\u202e\\r\n"


def test_a_compiler_that_does_not_end_is_ended(tmp_path: Path) -> None:
    slow = tmp_path / "slowcc"
    slow.write_text('#!/bin/sh\n[ "$1" = --version ] && { echo slow 1; exit; }\nsleep 60 & wait\n')
    slow.chmod(0o755)
    began = time.monotonic()
    outcome = failed(build(0, TINY, compiler=str(slow), cache=tmp_path, limit=0.3))
    assert outcome.timed_out and "0.3 s" in outcome.text
    assert time.monotonic() - began < 20


def test_no_compiler_is_an_error_that_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BuildError, match="install gcc"):
        build(0, TINY, compiler="no-such-compiler", cache=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match="no C compiler 'cc'"):
        build_series({0: TINY}, cache=tmp_path)


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(BuildError, match="REPLAY_CACHE"):
        build(0, TINY, cache=file)


def test_paths_that_leave_the_tree_are_refused() -> None:
    for name in ("../one.c", "/one.c", "a/../../one.c"):
        with pytest.raises(BuildError, match="no path inside"):
            read_tree({name: b""})
    with pytest.raises(BuildError, match="no C source"):
        read_tree({"include/x.h": b""})


def test_nothing_of_the_environment_adds_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "stddef.h").write_text("#error trapped\n")
    monkeypatch.setenv("CPATH", str(tmp_path / "trap"))
    made(build(0, {"one.c": b"#include <stddef.h>\n" + TINY["one.c"]}, cache=tmp_path))


def test_a_series_is_built_in_order_with_failures_as_values(tmp_path: Path) -> None:
    seen = []
    trees = {2: TINY, 0: TINY, 1: {"one.c": b"#error no\n"}}
    outcomes = build_series(trees, cache=tmp_path, progress=seen.append)
    assert list(outcomes) == [0, 1, 2] == [outcome.step for outcome in seen]
    assert "#error no" in failed(outcomes[1]).text
    assert made(outcomes[0]).path == made(outcomes[2]).path


def test_the_cache_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.delenv("REPLAY_CACHE", raising=False)
    assert made(build(0, TINY)).path.is_relative_to(tmp_path / "x" / "replay")
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path / "own"))
    assert made(build(0, TINY)).path.is_relative_to(tmp_path / "own")


def test_the_compiler_is_known_by_what_it_says(tmp_path: Path) -> None:
    assert find_compiler("cc").identity.strip()
    other = tmp_path / "othercc"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    with pytest.raises(BuildError, match="--version fails"):
        find_compiler(str(other))

"""Traces kept for the next run: which there are, and which go first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from boxcases import BOXES, interface, op
from userrepo import UserRepo, environment

from replay.repo.binding import Interface
from replay.repo.calls import Call, CallTrace, read_calls, to_text
from replay.repo.git import Repository
from replay.repo.kept import MOST, Kept, Why, repository_id, trace_id

TRACE: CallTrace = (Call("open", (), 1), Call("put", (1, 3, "a\xff", "nan")))


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Kept]:
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path / "own"))

    def opened(of: Interface = BOXES, library: str = "libx.so", fresh: bool = False) -> Kept:
        return Kept.open("root 1", library, of, fresh)

    return opened


def some(number: int) -> CallTrace:
    return (Call("open", (), 1), Call("put", (1, number % 10, "x\xe9"[: number % 3], "-inf")))


def ids_of(*numbers: int) -> frozenset[str]:
    return frozenset(trace_id(some(number), BOXES) for number in numbers)


def test_traces_are_there_for_the_next_run_in_one_order(kept: Callable[..., Kept]) -> None:
    first = kept()
    assert first.traces() == ()
    assert first.add([some(1), some(2)], Why.REACHED) == ids_of(1, 2)
    first.add([some(3)], Why.EXAMPLE)
    assert first.traces() == (), "what was at hand stays"
    again = kept()
    rest = sorted((some(1), some(2)), key=lambda one: trace_id(one, BOXES))
    assert again.traces() == (some(3), *rest)
    assert again.ids() == ids_of(1, 2, 3)
    assert kept(library="liby.so").traces() == kept(fresh=True).traces() == ()


def test_a_kept_trace_is_a_file_that_can_be_given(kept: Callable[..., Kept]) -> None:
    one = kept()
    one.add([TRACE], Why.EXAMPLE)
    assert one.folder is not None
    (path,) = one.folder.glob("*.jsonl")
    assert read_calls(path, BOXES) == TRACE and one.traces() == (TRACE,)


def test_a_trace_that_a_pair_cannot_run_is_not_asked_of_it(kept: Callable[..., Kept]) -> None:
    kept().add([TRACE, TRACE[:1]], Why.REACHED)
    assert kept().traces(frozenset(("open",))) == (TRACE[:1],)
    assert kept().ids(frozenset(("put",))) == frozenset()


def test_what_does_not_fit_any_more_or_is_damaged_is_left_out(kept: Callable[..., Kept]) -> None:
    one = kept()
    one.add([some(1), some(8)], Why.EXAMPLE)
    assert one.folder is not None
    (one.folder / f"example-{'0' * 64}.jsonl").write_bytes(b"\xff{")
    (one.folder / f"reached-{'0' * 64}.jsonl").write_bytes(b"")
    (one.folder / f"reached-{'1' * 64}.jsonl").mkdir()
    (one.folder / "other.jsonl").write_text("not ours")
    params = list(BOXES.ops["put"].params)
    params[1] = replace(params[1], high=5)
    narrower = interface(BOXES.ops["open"], op("put", *params), BOXES.ops["shut"])
    assert kept(narrower).traces() == (some(1),)
    assert kept().ids() == ids_of(1, 8)
    assert kept(narrower).folder == one.folder, "a range is no other parameter"
    other = op("put", params[0], replace(params[1], name="count"), *params[2:])
    for changed in (op("push", *params), other):
        strange = kept(interface(BOXES.ops["open"], changed, BOXES.ops["shut"]))
        assert strange.traces() == () and strange.folder != one.folder


def test_a_trace_that_turns_out_to_be_an_example_is_one(kept: Callable[..., Kept]) -> None:
    for why in (Why.REACHED, Why.EXAMPLE, Why.REACHED):
        kept().add([some(1)], why)
    folder = kept().folder
    assert folder is not None
    assert [path.name for path in folder.glob("*.jsonl")] == [f"example-{min(ids_of(1))}.jsonl"]


def numbered(number: int) -> CallTrace:
    return (Call("open", (), 1), *(Call("put", (1, int(d), "", "0.0")) for d in f"{number:04}"))


def test_the_oldest_that_are_no_examples_go_first(kept: Callable[..., Kept]) -> None:
    one = kept()
    one.add([some(1)], Why.EXAMPLE)
    one.add([some(2), some(3)], Why.REACHED)
    assert one.folder is not None
    for path in one.folder.glob("*.jsonl"):
        os.utime(path, (1, 1))
    one.add([some(3)], Why.REACHED)  # found again
    one.add(map(numbered, range(MOST - 2)), Why.REACHED)
    there = kept().ids()
    assert len(there) == MOST
    assert ids_of(1, 3) <= there and not ids_of(2) & there


def test_their_size_is_bounded(
    kept: Callable[..., Kept], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    size = len(to_text(numbered(1), BOXES, "kept, reached"))
    monkeypatch.setattr("replay.repo.kept.MOST_BYTES", 3 * size)
    kept().add(map(numbered, range(9)), Why.REACHED)
    assert len(kept().traces()) == 3
    monkeypatch.setattr("replay.repo.kept.LARGEST", size - 1)
    before = kept().traces()
    kept().add([numbered(77)], Why.EXAMPLE)
    assert kept().traces() == before


def test_where_no_trace_can_be_kept_the_run_goes_on(
    kept: Callable[..., Kept], tmp_path: Path
) -> None:
    (tmp_path / "own").write_text("a file")
    one = kept()
    assert one.traces() == ()
    assert one.add([some(1)], Why.EXAMPLE) == ids_of(1)
    assert "are not kept" in one.problem and "REPLAY_CACHE" in one.problem


ADDING = """
import sys
sys.path[:0] = {path!r}
from test_repo_kept import BOXES, numbered
from replay.repo.kept import Kept, Why
for start in range({start}, {start} + 120, 4):
    kept = Kept.open("root 1", "libx.so", BOXES)
    kept.add(map(numbered, range(start, start + 4)), Why.REACHED)
    if kept.problem:
        sys.exit(kept.problem)
"""


def test_two_runs_may_keep_traces_at_once(kept: Callable[..., Kept]) -> None:
    path = [str(Path(__file__).parent), *sys.path]
    running = [
        subprocess.Popen([sys.executable, "-c", ADDING.format(path=path, start=start)])
        for start in (0, 400)
    ]
    assert [one.wait(60) for one in running] == [0, 0]
    there, folder = kept().ids(), kept().folder
    assert len(there) == MOST and folder is not None
    assert there <= {trace_id(numbered(n), BOXES) for n in (*range(120), *range(400, 520))}
    assert {path.suffix for path in folder.iterdir()} == {".jsonl", ""}, "nothing is left over"


def test_a_repository_is_known_by_its_first_commit_and_a_shallow_one_by_its_place(
    tmp_path: Path,
) -> None:
    repo = UserRepo(tmp_path / "repo")
    first = repo.commit("one", x_c="int x;\n")
    last = repo.commit("two", x_c="int x, y;\n")
    source = f"file://{repo.path}"
    for name, *words in (("whole",), ("short", "--depth=1")):
        clone = ["git", "clone", "-q", *words, source, str(tmp_path / name)]
        subprocess.run(clone, check=True, env=environment())

    def known(name: str) -> str:
        place = tmp_path / f"place-{name}"
        place.mkdir()
        store = Repository(tmp_path / name, place).store
        return repository_id(tmp_path / name, store, last)

    assert known("repo") == known("whole") == f"root {first}"
    assert known("short") == f"folder {(tmp_path / 'short' / '.git').resolve()}"

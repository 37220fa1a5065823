"""A search that is stopped, by whatever, says so, and goes on as if it had never been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refmodels import FOLD
from replay.dirty.explore import engine, kept
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.errors import ExploreError, Refused
from replay.dirty.explore.expansion import ROOM
from replay.dirty.explore.halting import MEMORY, STOPPED, TIME, Halt, halting
from replay.dirty.explore.held import Holds, PropertyResult, held
from replay.dirty.explore.kept import Keeper, searched
from replay.dirty.explore.reach import Reached
from replay.dirty.explore.search import Request, counted, explored
from replay.dirty.explore.tables import Effects
from replay.dirty.subject import SUBJECT

ONE = Scope(1)
BLOCK = Scope(1, blocks=(1,))
TWO = Scope(2, blocks=(2,))


def fresh(scope: Scope = ONE, step: int = 28, memory: int = 1 << 30, jobs: int = 1) -> Reached:
    return Reached(Effects.of(FOLD.build(step), scope), {}, jobs, memory, cut=False)


def after(calls: int) -> Callable[[], str]:
    """A reason to stop, once it was asked for so often."""
    left = [calls]

    def stop() -> str:
        left[0] -= 1
        return TIME if left[0] < 0 else ""

    return stop


def keeper(path: Path, scope: Scope = ONE, step: int = 28) -> Keeper:
    return Keeper(path / "one.search", scope, step, "states")


@pytest.fixture(scope="module")
def whole() -> Reached:
    reached = fresh()
    searched(reached, None)
    assert reached.fixpoint
    assert len(reached.layers) > 5
    return reached


# --- a search that goes on ---


@pytest.mark.parametrize("stops", [1, 3])
def test_stopped_and_resumed_it_meets_the_same_layer_by_layer(
    whole: Reached, stops: int, tmp_path: Path
) -> None:
    rounds = 0
    while rounds <= len(whole.layers):
        reached = fresh()
        searched(reached, keeper(tmp_path), after(stops))
        rounds += 1
        if reached.fixpoint:
            break
        assert reached.ended == TIME
        assert reached.layers == whole.layers[: len(reached.layers)]
    assert rounds >= len(whole.layers) // stops - 1
    assert reached.layers == whole.layers
    assert reached.transitions == whole.transitions
    assert [path.name for path in tmp_path.iterdir()] == ["one.search"]


def test_a_search_that_was_done_is_not_done_again(
    whole: Reached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(fresh(), keeper(tmp_path))
    before = (tmp_path / "one.search").stat().st_mtime_ns
    monkeypatch.setattr(engine.Engine, "next_layer", None)
    again = fresh()
    searched(again, keeper(tmp_path))
    assert again.fixpoint
    assert again.layers == whole.layers
    assert (tmp_path / "one.search").stat().st_mtime_ns == before


def test_a_long_search_is_kept_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "EVERY", 0.0)
    monkeypatch.setattr(kept, "SHARE", 0)
    path, seen = tmp_path / "one.search", list[int]()

    def found(depth: int) -> bool:
        if path.exists():
            seen.append(len(json.loads(path.read_bytes().split(b"\n", 1)[0])["layers"]))
        return depth == 5

    searched(fresh(), keeper(tmp_path), found=found)
    assert seen == [2, 3, 4, 5, 6]


def test_a_signal_while_it_searches_loses_no_whole_layer(whole: Reached, tmp_path: Path) -> None:
    calls = after(4)

    def stop() -> str:
        if calls():
            raise KeyboardInterrupt
        return ""

    with pytest.raises(KeyboardInterrupt):
        searched(fresh(), keeper(tmp_path), stop)
    reached = fresh()
    keeper(tmp_path).restore(reached)
    assert 1 < len(reached.layers) < len(whole.layers)
    assert reached.layers == whole.layers[: len(reached.layers)]


def verdicts(name: str, step: int, **options: Any) -> PropertyResult:
    (found,) = held(Request(SUBJECT, BLOCK, **options), [step], [name])
    return found


@pytest.mark.parametrize(("step", "most"), [(39, 1), (29, 3)])
def test_a_property_has_the_same_verdict_and_shortest_trace(
    step: int, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "no-lost-store"
    wanted = verdicts(name, step)
    assert wanted.depth > 1
    real = Reached.deeper
    done = [0]

    def deeper(self: Reached, *_: Any) -> Any:
        done[0] += 1
        self.ended = TIME if done[0] % (most + 1) == 0 else ""
        return real(self)

    monkeypatch.setattr(Reached, "deeper", deeper)
    depths = list[int]()
    while len(depths) <= wanted.depth:
        found = verdicts(name, step, state=tmp_path)
        if found.verdict is not Holds.NOT_DECIDED:
            break
        assert found.ended == TIME
        depths.append(found.depth)
    assert depths == sorted(set(depths))
    assert len(depths) > 1
    assert found == replace(wanted, ways=found.ways)


# --- what is no search to go on with ---


def test_another_scope_step_or_model_is_refused(tmp_path: Path) -> None:
    searched(fresh(), keeper(tmp_path), after(2))
    for other, reached, said in (
        (keeper(tmp_path, Scope(1, word_bits=4)), fresh(Scope(1, word_bits=4)), "(word_bits)"),
        (keeper(tmp_path, step=27), fresh(step=27), "of step 28, states"),
        (keeper(tmp_path), fresh(step=39), "another model of step 28"),
    ):
        with pytest.raises(Refused) as caught:
            other.restore(reached)
        assert said in str(caught.value)
        assert "one.search" in str(caught.value)


def test_a_model_that_does_the_same_goes_on(whole: Reached, tmp_path: Path) -> None:
    searched(fresh(), keeper(tmp_path), after(2))
    reached = fresh(step=27)
    searched(reached, keeper(tmp_path))
    assert reached.layers == whole.layers


def test_every_file_cut_short_or_spoiled_is_refused(tmp_path: Path) -> None:
    searched(fresh(), keeper(tmp_path))
    path = tmp_path / "one.search"
    data = path.read_bytes()
    head = data.index(b"\n") + 1
    assert len(data) - head < 4 * sum(json.loads(data[:head])["layers"]), "bytes a state"
    reached = fresh()
    ends = [0, 1, head - 1, head, head + 3, head + 40, len(data) - 33, len(data) - 1]
    spoiled = [data[:end] for end in ends] + [data + b"x"]
    for at in range(head, len(data), max(1, (len(data) - head) // 60)):
        spoiled.append(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
    for text in spoiled:
        path.write_bytes(text)
        with pytest.raises(Refused, match="cut short or spoiled"):
            keeper(tmp_path).restore(reached)
    path.write_bytes(data.replace(b"state/1", b"state/7", 1))
    with pytest.raises(Refused, match="this version reads"):
        keeper(tmp_path).restore(reached)
    path.write_bytes(data)
    keeper(tmp_path).restore(reached)


def test_a_file_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched(fresh(), keeper(tmp_path), after(2))
    before = (tmp_path / "one.search").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ExploreError, match=r"cannot be written: No space left on device"):
        searched(fresh(), keeper(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["one.search"]
    assert (tmp_path / "one.search").read_bytes() == before
    found = verdicts("no-lost-store", 39, state=tmp_path)
    assert found.verdict is Holds.BROKEN
    assert "No space left" in found.problem


# --- memory ---


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_memory_is_bounded_while_a_layer_is_made(jobs: int) -> None:
    wanted = fresh(TWO)
    searched(wanted, None)
    sizes = [len(layer) for layer in wanted.layers]
    least = wanted.engine.bytes + jobs * 8 * ROOM
    depths = []
    for share in (0.02, 0.08, 0.2, 1.0):
        memory = least + int(share * 24 * sum(sizes))
        reached = fresh(TWO, memory=memory, jobs=jobs)
        tables = reached.engine.bytes + 8
        tracemalloc.start()
        try:
            while reached.deeper() is not None:
                pass
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert tables + peak < memory + 20_000, "but for the interpreter's own objects"
        assert reached.layers == wanted.layers[: len(reached.layers)]
        depths.append(len(reached.layers))
        if reached.fixpoint:
            continue
        assert reached.ended == MEMORY
        # It was not given up early: the next layer would not have fitted.
        following = sizes[len(reached.layers)]
        assert least + 8 * reached.states + 16 * following > memory
    assert depths == sorted(depths)
    assert depths[0] < depths[2] < depths[-1] == len(sizes)


def test_more_memory_goes_on_where_less_ended(whole: Reached, tmp_path: Path) -> None:
    small = fresh()
    small.memory = small.engine.bytes + 8 * ROOM + 16 * whole.states // 3
    searched(small, keeper(tmp_path))
    assert small.ended == MEMORY
    assert len(small.layers) > 2
    tiny = fresh()
    tiny.memory = tiny.engine.bytes
    with pytest.raises(Refused, match="give --memory more"):
        searched(tiny, keeper(tmp_path))
    large = fresh()
    searched(large, keeper(tmp_path))
    assert large.layers == whole.layers


# --- time, and Ctrl-C ---


def test_a_time_that_is_up_ends_searches_and_comparisons_alike(tmp_path: Path) -> None:
    up = Halt(str(tmp_path / "flag"), until=0.0)
    request = Request(SUBJECT, ONE, stop=up)
    (pair,) = explored(request, [39])
    assert pair.verdict.value == "not decided"
    assert pair.problem == TIME
    assert not pair.unshown, "nothing was searched: it is not known what is to be seen"
    (count, *_) = counted(request, [pair])
    assert (count.states, count.fixpoint, count.ended) == (0, False, TIME)
    (one,) = held(request, [28], ["no-lost-store"])
    assert (one.verdict, one.ended) == (Holds.NOT_DECIDED, TIME)


def test_the_first_interrupt_says_stop_and_the_second_interrupts() -> None:
    with pytest.raises(KeyboardInterrupt), halting(None) as halt:
        assert halt() == ""
        signal.raise_signal(signal.SIGINT)
        assert halt() == STOPPED
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def explore(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "replay", "explore", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_command_ends_in_time_and_goes_on(tmp_path: Path) -> None:
    asked = ("--blocks", "1", "--property", "no-lost-store", "--steps", "39", "--state",
             str(tmp_path))  # fmt: skip
    early = explore(*asked, "--for", "0.001s")
    assert early.returncode == 4, early.stderr
    assert TIME in " ".join(early.stdout.split())
    assert "1 not decided" in early.stdout
    late = explore(*asked, "--json")
    assert late.returncode == 0, late.stderr
    assert json.loads(late.stdout)["properties"][0]["verdict"] == "broken"
    assert [path.name for path in tmp_path.iterdir()] == ["39-no-lost-store.search"]
    other = explore(*asked, "--hpratio", "2")
    assert other.returncode == 2
    assert "another scope (hpratio)" in other.stderr
    assert other.stderr.count("\n") == 1


def test_a_folder_for_nothing_is_refused(tmp_path: Path) -> None:
    done = explore("--state", str(tmp_path), "--steps", "28")
    assert done.returncode == 2
    assert "--property or --states" in done.stderr


INTERRUPTED = """
import os, signal, sys
from replay.__main__ import start
from replay.dirty.explore.kept import Keeper
def interrupted(keeper, reached):
    if len(reached.layers) == 4:
        os.kill(os.getpid(), signal.SIGINT)
Keeper.save_in_time = interrupted
start()
"""


def test_an_interrupt_shows_the_states_so_far_and_keeps_them(tmp_path: Path) -> None:
    asked = ("explore", "--blocks", "2", "--states", "--steps", "28", "--json")
    kept_there = ("--state", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-P", "-c", INTERRUPTED, *asked, *kept_there],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    (some,) = json.loads(done.stdout)["states"]
    assert (some["fixpoint"], some["depth"], some["ended"]) == (False, 3, STOPPED)
    never, resumed = (explore(*asked[1:], *more) for more in ((), kept_there))
    assert never.returncode == resumed.returncode == 0
    assert never.stdout == resumed.stdout
    assert json.loads(never.stdout)["states"][0]["depth"] > 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_searches_of_all_processes(
    number: int, code: int, tmp_path: Path
) -> None:
    command = [
        sys.executable, "-P", "-m", "replay", "explore", "--blocks", "2", "--jobs", "2",
        "--property", "no-lost-store", "--steps", "0-39", "--state", str(tmp_path), "--json",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 300
        while not list(tmp_path.glob("*.search")) and process.poll() is None:
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode == code, err
    assert "Traceback" not in err
    assert 1 <= len(list(tmp_path.iterdir())) < 30
    if number == signal.SIGTERM:
        return
    rows = json.loads(out)["properties"]
    assert [row["step"] for row in rows] == list(range(40))
    ended = [row["searched"]["ended"] for row in rows]
    assert STOPPED in ended
    assert any(row["verdict"] != "not decided" for row in rows)

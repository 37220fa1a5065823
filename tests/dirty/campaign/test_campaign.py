"""Campaigns: the same for any number of processes, however often they are stopped or killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from dirty.campaign.campaigns import (
    ASKED,
    COMMAND,
    drive,
    read_sums,
    values,
    wait_for,
)
from dirty.campaign.processes import children, end, gone, report, start
from faults.catalogue import FAULTS

from replay.campaign.state import State, StateError
from replay.campaign.state import read_sums as read_any
from replay.campaign.sums import Task
from replay.campaign.workers import LIVES, Local, Workers
from replay.dirty.campaign.corpus import Corpus
from replay.dirty.campaign.drawing import EPOCH
from replay.dirty.campaign.first import run_corpus
from replay.dirty.campaign.sums import StepSums
from replay.dirty.campaign.values import tally_of, tally_values
from replay.dirty.campaign.work import SHARE, Asked, Lanes, fits, made_of, with_libraries
from replay.dirty.language.trace import Config, Op, Trace
from replay.errors import UsageError, WorkerError

TRACES = 110


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> StepSums:
    """A campaign that nothing breaks."""
    return drive(tmp_path_factory.mktemp("whole") / "state", Inline(), TRACES)


class Inline(Workers):
    """This process: what it is given is done at once."""

    def size(self) -> int:
        return 2

    def start(self, task: Task) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(self.work.run(task))
        return future

    def is_loss(self, error: Exception) -> bool:
        return isinstance(error, BrokenProcessPool)

    def close(self) -> None: ...


class Mortal(Inline):
    """Workers that are lost with the ranges named, so many times each."""

    def __init__(self, deaths: dict[int, int]) -> None:
        super().__init__()
        self.deaths = deaths

    def start(self, task: Task) -> Future[Any]:
        first = task.numbers.start
        if self.deaths.get(first, 0):
            self.deaths[first] -= 1
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool())
            return future
        return super().start(task)


class Late(Inline):
    """Workers whose results come in another order than their tasks."""

    def size(self) -> int:
        return 4

    def take(self, timeout: float) -> list[Any]:
        return super().take(timeout)[::-1]


class Ahead(Late):
    """Many of them: more than an epoch is handed out before anything is merged."""

    def size(self) -> int:
        return 40


def test_late_results_and_stops_change_nothing(
    whole: StepSums, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replay.campaign.drive.COMMIT_EVERY", 0.0)
    path = tmp_path / "state"
    stopped = drive(path, Late(), SHARE + 7)
    assert stopped.end == SHARE + 7
    assert values(drive(path, Late(), TRACES)) == values(whole)
    assert sum(turns[0] for (op, _), turns in whole.coverage.turns.items() if op == "store") > 99
    assert sum(row["differing"] != [] for row in values(whole)["tallies"].values()) == 1


def test_a_worker_that_is_lost_loses_nothing(whole: StepSums, tmp_path: Path) -> None:
    workers = Mortal({0: 1, 2 * SHARE: LIVES - 1})
    assert values(drive(tmp_path / "state", workers, TRACES)) == values(whole)
    assert workers.lost == LIVES


def test_a_range_that_kills_every_worker_is_an_error_that_names_it(
    whole: StepSums, tmp_path: Path
) -> None:
    path = tmp_path / "state"
    with pytest.raises(WorkerError, match=r"traces 40 to 59.*--resume"):
        drive(path, Mortal({40: 99}), TRACES)
    assert values(drive(path, Inline(), TRACES)) == values(whole)


def test_a_process_that_is_killed_is_replaced(whole: StepSums, tmp_path: Path) -> None:
    killed: list[int] = []

    def told(news: object) -> None:
        if not killed:
            victims = children(os.getpid())
            killed.extend(victims[-1:])
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    workers = Local(2)
    found = drive(tmp_path / "state", workers, TRACES, told=told)
    assert killed and workers.lost > 0
    assert values(found) == values(whole)


def test_steering_is_decided_by_what_was_merged_and_stands_in_the_state(tmp_path: Path) -> None:
    asked = Asked(steps=(1,), ops=4)
    path, other = tmp_path / "one", tmp_path / "other"
    one = drive(path, Inline(), EPOCH + SHARE, asked)
    assert [len(paths) for paths in one.wanted] == [0, 0, 40]
    drive(other, Late(), EPOCH - 3, asked)
    assert values(drive(other, Late(), EPOCH + SHARE, asked)) == values(one)
    again = drive(path, Ahead(), 2 * EPOCH + SHARE, asked)
    at_once = drive(tmp_path / "at once", Ahead(), 2 * EPOCH + SHARE, asked)
    assert values(at_once) == values(again)
    plain = Asked(steps=(1,), ops=4).plan()
    led = asked.plan(again.wanted)
    same = [led.draw(n) == plain.draw(n) for n in range(2 * EPOCH, 2 * EPOCH + 8)]
    assert same == [True, True, True, False] * 2
    assert again.coverage.traces == 2 * EPOCH + SHARE


def test_a_campaign_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "state"
    words = ("--jobs", "2", "--state", str(path), "--budget", "0")
    process = start("campaign", "--for", "1h", *words, *COMMAND, cache=tmp_path)
    try:
        wait_for(path, SHARE, process)
        workers = children(process.pid)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        assert workers and gone(workers), "the workers of a killed campaign end"
    finally:
        end(process)
    killed = read_sums(path).end
    assert killed >= SHARE
    traces = killed + 2 * SHARE
    process = start("campaign", "--traces", str(traces), *words, "--resume", cache=tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, (out, err)
    found = read_sums(path)
    assert found.end == traces
    at_once = drive(tmp_path / "at once", Inline(), traces)
    assert values(found) | {"corpus": None} == values(at_once)


def test_termination_leaves_a_state_that_can_be_resumed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    process = start(
        "campaign", "--for", "1h", "--jobs", "1", "--state", str(path), *COMMAND, cache=tmp_path
    )
    try:
        wait_for(path, SHARE, process)
        os.kill(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        end(process)
    assert (process.returncode, out) == (143, "")
    done = read_sums(path).end
    assert err == (
        f"replay: stopped; {done} traces are in {path}: go on with replay campaign --resume "
        f"--state {path}\n"
    )


def test_a_full_disk_is_a_clear_error_and_loses_nothing(whole: StepSums, tmp_path: Path) -> None:
    path = tmp_path / "state"
    words = ["--traces", str(TRACES), "--jobs", "1", "--state", str(path), "--budget", "0"]
    script = (
        f"ulimit -f 90; exec {sys.executable} -m replay campaign {' '.join([*words, *COMMAND])}"
    )
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "REPLAY_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 2 and done.stdout == "", done
    assert f"{path}: the state cannot be written:" in done.stderr
    assert "go on with --resume" in done.stderr and "Traceback" not in done.stderr
    before = read_sums(path).end
    assert before < TRACES
    assert values(drive(path, Inline(), TRACES)) | {"corpus": None} == values(whole)


def test_a_kill_in_the_middle_of_a_write_loses_that_write_alone(tmp_path: Path) -> None:
    """What is half written is rolled back by whoever opens the file next, if only to read it."""
    path = tmp_path / "state"
    before = values(drive(path, Inline(), SHARE))
    half = (
        "import os, sqlite3, sys\n"
        "db = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "db.execute('PRAGMA cache_size = 1')\n"
        "db.execute('BEGIN IMMEDIATE')\n"
        "db.execute('UPDATE sums SET value = value || value || value')\n"
        "os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", half, str(path)], check=False)
    assert Path(f"{path}-journal").stat().st_size > 0
    copy = tmp_path / "copy"
    for part in ("", "-journal"):
        Path(f"{copy}{part}").write_bytes(Path(f"{path}{part}").read_bytes())
    assert values(read_sums(path)) == before
    assert values(drive(copy, Inline(), SHARE)) == before


def test_a_state_that_may_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="name another file with --state"):
        drive(tmp_path / "file" / "state", Inline(), 1)
    text = tmp_path / "text"
    text.write_text("this is no database, and long enough to be read as one\n" * 20)
    with pytest.raises(StateError, match="no state of a campaign"):
        drive(text, Inline(), 1)
    other = tmp_path / "other"
    sqlite3.connect(other).execute("CREATE TABLE about (name TEXT, value TEXT)")
    with pytest.raises(StateError, match="no state of a campaign of this version"):
        read_any(other, (StepSums,))


def test_one_campaign_at_a_time_has_a_state(tmp_path: Path) -> None:
    path = tmp_path / "state"

    def told(news: object) -> None:
        with pytest.raises(StateError, match="another campaign is at work with it"):
            drive(path, Inline(), 1)
        assert read_sums(path).end >= 0, "it can be read meanwhile"

    drive(path, Inline(), 5, told=told)


def test_a_worker_of_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match="another version of replay"):
        Lanes(ASKED, "something else").run(Task(range(1), ()))


def test_the_first_difference_ends_a_campaign_wherever_it_is_found(tmp_path: Path) -> None:
    fault = next(fault for fault in FAULTS if fault.step in (37, 38, 39))
    copies = ((fault.step, str(fault.write(tmp_path))),)
    asked = Asked(steps=(37, 38, 39), ops=25, copies=copies)
    ends = set()
    for name, workers in (("a", Inline()), ("b", Late())):
        found = drive(tmp_path / name, workers, 10_000, asked, until_difference=True)
        assert found.differences() and found.end % SHARE == 0 and found.end < 1000
        ends.add(found.end)
    assert len(ends) == 1


def test_tallies_survive_as_plain_values() -> None:
    asked = with_libraries(Asked(steps=(30, 37), ops=30, lanes=("python", "native", "both")))
    batch = Lanes(asked, made_of(asked)).run(Task(range(12), ()))
    assert set(batch.tallies) == {"python", "native", "both"}
    for tally in batch.tallies.values():
        again = tally_of(tally_values(tally))
        assert again == tally and type(again) is type(tally)
    assert batch.ops == 12 * 30 * 5 * 3


def test_traces_of_the_corpus_that_the_c_cannot_run_are_left_to_the_models(tmp_path: Path) -> None:
    asked = with_libraries(Asked(steps=(37, 38), lanes=("python", "native")))
    corpus = Corpus(tmp_path / "corpus")
    small = Config(word_bits=8)
    far = Op("kvm_log_sync", (0, 6400, (0,) * 100))
    for config, more in ((Config(), ()), (small, ()), (Config(tcg=False), (far,))):
        corpus.add(Trace((Op("ram_alloc", (2,)), Op("store", (0, 4)), *more), config))
    with State.create(tmp_path / "state", StepSums(asked, made_of(asked))) as state:
        kept = run_corpus(state, asked, corpus, lambda done, of: None)
        assert [fits(asked, trace) for trace in kept] == [True, False, False]
        assert not state.sums.differences()
        tallies = state.sums.tallies
        assert tallies["corpus/python"].traces == 3
        assert tallies["corpus/native"].traces == {37: 1, 38: 1}
    assert read_sums(tmp_path / "state").corpus == kept


def test_status_tells_of_a_campaign(whole: StepSums, tmp_path: Path) -> None:
    path = tmp_path / "state"
    drive(path, Inline(), 30)
    done = subprocess.run(
        [sys.executable, "-m", "replay", "campaign", "status", "--state", str(path), "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = report(done)
    assert (found["traces"], found["operations"]) == (30, 30 * 25 * 4)
    assert found["paths"]["missed"] and found["differences"] == 0

"""Campaigns for the tests: small, and what they came to as values."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from replay.campaign.drive import Drive, Limits, News
from replay.campaign.state import State, StateError
from replay.campaign.state import read_sums as read_any
from replay.campaign.workers import Workers
from replay.dirty.campaign.sums import StepSums
from replay.dirty.campaign.values import tally_values
from replay.dirty.campaign.work import Asked, Lanes, made_of
from replay.errors import UsageError

ASKED = Asked(steps=(38, 39), ops=25)
COMMAND = ("--lanes", "python", "--steps", "38-39", "--ops", "25")
"""The same on the command line."""


def read_sums(path: Path) -> StepSums:
    """What a state of a campaign on the steps holds."""
    found = read_any(path, (StepSums,))
    assert isinstance(found, StepSums)
    return found


def drive(
    path: Path, workers: Workers, traces: int, asked: Asked = ASKED,
    told: Callable[[News], None] = lambda news: None, **limits: Any,
) -> StepSums:  # fmt: skip
    """Run a campaign, or go on with it."""
    made = made_of(asked)
    opened = (
        State.resume(path, StepSums) if path.exists()
        else State.create(path, StepSums(asked, made))
    )  # fmt: skip
    with opened as state, workers:
        Drive(state, Lanes(asked, made), workers, Limits(traces, **limits), told).run()
    return read_sums(path)


def values(sums: StepSums) -> dict[str, Any]:
    """All of a state but the time that it took."""
    coverage = sums.coverage
    return {
        "end": sums.end,
        "ops": sums.ops,
        "tallies": {lane: tally_values(tally) for lane, tally in sorted(sums.tallies.items())},
        "coverage": sorted((found, turns) for found, turns in coverage.turns.items()),
        "first": sorted(coverage.first.items()),
        "traces": coverage.traces,
        "wanted": sums.wanted,
        "kept": sums.kept,
        "corpus": sums.corpus,
    }


def start(*words: str, cache: Path, **more: Any) -> subprocess.Popen[str]:
    """Start ``replay campaign`` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "replay", "campaign", *words],
        env={**os.environ, "REPLAY_CACHE": str(cache)}, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more,
    )  # fmt: skip


def wait_for(path: Path, traces: int, process: subprocess.Popen[str], patience: float = 60) -> None:
    """Wait until a campaign has written so many traces."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        assert process.poll() is None, process.communicate()
        try:
            if read_sums(path).end >= traces:
                return
        except (StateError, UsageError):
            pass  # it has not begun to write
        time.sleep(0.1)
    raise AssertionError("it is not that far in time")


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()] if path.exists() else []


def gone(pids: list[int], patience: float = 15) -> bool:
    """Whether processes have ended, or do so soon."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        if not any(_runs(pid) for pid in pids):
            return True
        time.sleep(0.1)
    return False


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end(process: subprocess.Popen[str]) -> None:
    """End a process of a test that failed on the way, and what it has left behind."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def report(done: subprocess.CompletedProcess[str]) -> Any:
    """The JSON that a command printed."""
    return json.loads(done.stdout)

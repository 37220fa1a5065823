"""Campaigns for the tests: small, and what they came to as values."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dirty.campaign.processes import wait

from replay.campaign.drive import Drive, Limits, News
from replay.campaign.state import State
from replay.campaign.state import read_sums as read_any
from replay.campaign.workers import Workers
from replay.dirty.campaign.sums import StepSums
from replay.dirty.campaign.values import tally_values
from replay.dirty.campaign.work import Asked, Lanes, made_of

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


def wait_for(path: Path, traces: int, process: subprocess.Popen[str]) -> None:
    """Wait until a campaign has written so many traces."""
    wait(path, traces, process, StepSums)

"""A property that breaks and heals several times is shown so, trace by trace."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from replay.errors import UsageError
from replay.report import timelines  # noqa: F401  it registers what it shows
from replay.report.output import JSON, render
from replay.series.subject import Unbuilt, Violation
from replay.series.symptoms import Question
from replay.series.timeline import Timeline, timeline

BAD = {"a": {2, 3, 6}, "b": {3, 6, 7}, "c": set[int]()}
"""The steps at which each trace breaks the property."""


class Lane:
    def __init__(self, unbuilt: frozenset[int] = frozenset()) -> None:
        self.unbuilt = unbuilt

    def run(self, step: int, trace: Any) -> Any:
        if step in self.unbuilt:
            return Unbuilt(step, "no semicolon\nmore")
        return SimpleNamespace(step=step, trace=trace, records=[step in BAD[trace.name]])

    def takes(self, trace: Any) -> bool:
        return True


class Fake:
    """As much of a subject as a time line asks for."""

    def __init__(self, lane: Lane) -> None:
        self.properties = {"holds": None}
        self.series = SimpleNamespace(title=lambda step: f"title {step}")
        self.lanes = {"other": lambda folder: lane}
        names = list(BAD)
        self.language = SimpleNamespace(draw=lambda seed, n: SimpleNamespace(name=names[n]))

    def violation(self, name: str, run: Any) -> Violation | None:
        return Violation(4, f"broken at {run.step}") if run.records[0] else None


def followed(lane: Lane, steps: range = range(9)) -> Timeline:
    fake: Any = Fake(lane)
    return timeline(fake, Question(property="holds", lane="other", traces=3), steps)


def test_each_trace_is_followed_by_itself() -> None:
    found = followed(Lane())
    counts = [(p.step, p.broken, p.broke, p.healed) for p in found.points]
    assert counts == [
        (0, 0, 0, 0), (1, 0, 0, 0), (2, 1, 1, 0), (3, 2, 1, 0), (4, 0, 0, 2), (5, 0, 0, 0),
        (6, 2, 2, 0), (7, 1, 0, 1), (8, 0, 0, 1),
    ]  # fmt: skip
    assert (found.broke, found.healed) == ((2, 3, 6), (4, 7, 8))
    assert found.points[3].example == ("b", 4, "broken at 3")
    assert found.decided


def test_the_time_line_reads_as_spans_and_changes() -> None:
    text = render(followed(Lane()))
    for part in (
        "holds on 3 traces, from step 0 to 8",
        "  0-1     holds",
        "  3       breaks on 1, broken on 2",
        "  4       heals on 2, holds",
        "  6       breaks on 2, broken on 2",
        "broke at 2, 3, 6; healed at 4, 8; fewer at 7",
        "at step 8 it holds on all of them",
    ):
        assert part in text, text


def test_what_was_broken_where_the_line_begins_did_not_break_there() -> None:
    found = followed(Lane(), range(3, 6))
    assert found.broke == () and found.healed == (4,)
    text = render(found)
    assert "  3       broken on 2" in text and "broke at no step; healed at 4" in text


def test_a_step_that_cannot_be_run_hides_nothing() -> None:
    found = followed(Lane(frozenset({3, 8})))
    assert not found.decided
    assert (found.broke, found.healed) == ((2, 6), (4, 7))
    assert "could not be run" in render(found) and "no semicolon" in render(found)
    assert "more" not in render(found)
    values = json.loads(render(found, JSON))
    assert values["format"] == "replay-timeline/1" and values["decided"] is False
    assert values["steps"][3] == {
        "step": 3, "title": "title 3", "broken": None, "broke": 0, "healed": 0,
        "unbuilt": "no semicolon\nmore", "example": None,
    }  # fmt: skip
    assert values["steps"][2]["example"] == {
        "trace": "a", "operation": 4, "text": "broken at 2",
    }  # fmt: skip


def test_an_unknown_lane_is_refused() -> None:
    fake: Any = Fake(Lane())
    with pytest.raises(UsageError, match="no lane 'none'"):
        timeline(fake, Question(property="holds", lane="none"), range(3))

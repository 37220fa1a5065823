"""Where a property broke, and where it healed: every step of a line, asked of many traces.

A property may break more than once, each time by another defect, and a fix may mend one of
them and not the others. So no step stands for those after it: each is asked, and each trace
is followed by itself. A step *breaks* the property on a trace that broke it neither at the
step before nor, where that could not be run, at the last one that could; it *heals* one that
did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from replay.series.subject import Run, Subject, Unbuilt, Violation
from replay.series.symptoms import MODELS, Models, Question, check_property, lane_of, the_traces


@dataclass(slots=True)
class Point:
    """A step on a time line.

    Attributes:
        step: its number.
        title: its title.
        broken: traces on which the property is broken at it.
        broke, healed: those of them that begin with it, and those that end with it.
        example: the first trace that it breaks: its name, the operation, and in words.
        unbuilt: why no trace was run at it; "" where they were.

    """

    step: int
    title: str
    broken: int = 0
    broke: int = 0
    healed: int = 0
    example: tuple[str, int, str] | None = None
    unbuilt: str = ""


@dataclass(slots=True)
class Timeline:
    """A property along a line of steps.

    Attributes:
        name: that of the property.
        traces: how many were run.
        points: a step each, in order.

    """

    name: str
    traces: int
    points: list[Point] = field(default_factory=list)

    @property
    def broke(self) -> tuple[int, ...]:
        """The steps that broke it on some trace; the first one of the line is none of them."""
        return tuple(point.step for point in self.points[1:] if point.broke)

    @property
    def healed(self) -> tuple[int, ...]:
        """The steps that healed it on some trace."""
        return tuple(point.step for point in self.points if point.healed)

    @property
    def decided(self) -> bool:
        """Whether every step was asked, and some trace was run."""
        return bool(self.traces) and not any(point.unbuilt for point in self.points)


def timeline(
    subject: Subject,
    question: Question,
    steps: Sequence[int],
    told: Callable[[int, int], None] = lambda done, total: None,
) -> Timeline:
    """Follow the property of a question along a line of steps, the first one first.

    Args:
        subject: whose steps.
        question: the property, the lane, the traces.
        steps: the line.
        told: is told of traces done, and of how many there are.

    Raises:
        UsageError: there is no such property or lane.
        SeriesError: a changed copy does not load or fit.

    """
    check_property(question, subject)
    lane = lane_of(question, subject)
    traces = the_traces(question, subject, lane)
    series = subject.series
    points = {step: Point(step, series.title(step)) for step in steps}
    for done, trace in enumerate(traces, 1):
        if question.lane == MODELS and isinstance(lane, Models):
            runs: Mapping[int, Run | Unbuilt] = subject.lockstep(lane.machines, trace, steps)
        else:
            runs = {step: lane.run(step, trace) for step in steps}
        _follow(points, trace, _asked(subject, question.property, runs))
        told(done, len(traces))
    return Timeline(question.property, len(traces), list(points.values()))


def _asked(
    subject: Subject, name: str, runs: Mapping[int, Run | Unbuilt]
) -> Iterator[tuple[int, Unbuilt | Violation | None]]:
    """Each step with what its run shows; runs that share their records are asked once."""
    known: dict[int, Violation | None] = {}
    for step, run in runs.items():
        if isinstance(run, Unbuilt):
            yield step, run
            continue
        key = id(run.records)
        if key not in known:
            known[key] = subject.violation(name, run)
        yield step, known[key]


def _follow(points: Mapping[int, Point], trace: Any, asked: Iterator[tuple[int, Any]]) -> None:
    """Count one trace."""
    was = False
    for step, found in asked:
        point = points[step]
        if isinstance(found, Unbuilt):
            point.unbuilt = found.text or "does not build"
            continue
        now = found is not None
        point.broken += now
        point.healed += was and not now
        if now and not was:
            point.broke += 1
            point.example = point.example or (trace.name or "trace", found.index, found.text)
        was = now

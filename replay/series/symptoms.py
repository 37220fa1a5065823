"""Symptoms as predicates over steps: what ``replay bisect`` asks of each step.

A symptom is a trace whose observations change, a property that breaks, a function of the
API, or a piece of a binary. Each can be asked of the models, of changed copies of them,
or of what else the subject can run. A symptom is written down as plain values, so that a
log holds the whole question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from replay.errors import UsageError
from replay.search.bisect import Answer
from replay.series.copies import copies_of
from replay.series.declared import Series, name_of
from replay.series.names import before as before_it
from replay.series.names import parse_step
from replay.series.repeats import insist
from replay.series.subject import Lane, Run, Subject, Unbuilt

MODELS: Final = "python"
"""The lane of the models, which every subject has."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, as plain values.

    Attributes:
        trace: a trace file, "" for none.
        against: with a trace: "before" (the step before), "model" (the subject's model of
            the same step) or the number of a step.
        property: the name of a property, "" for none.
        api: the name of a function, "" for none.
        elf: a symbol or section of the binary, "" for none.
        lane: "python", or another of the subject's.
        series: the folder of a changed copy of the series, "" for the subject's own.
        copies: changed copies of models as STEP=FILE.
        traces, seed: for a property without a trace.
        subject: the name of the subject, "" for the built-in one.
    """

    trace: str = ""
    against: str = "before"
    property: str = ""
    api: str = ""
    elf: str = ""
    lane: str = "python"
    series: str = ""
    copies: tuple[str, ...] = ()
    traces: int = 300
    seed: int = 1
    subject: str = ""

    def plain(self) -> dict[str, Any]:
        """As in a log."""
        values = {**asdict(self), "copies": list(self.copies)}
        if not self.subject:
            del values["subject"]
        return values

    @classmethod
    def of(cls, values: dict[str, Any]) -> Question:
        """From a log.

        Raises:
            UsageError: a key or a value that no question has.
        """
        plain = {**asdict(cls()), "copies": []}
        for name, value in values.items():
            if name not in plain or type(value) is not type(plain[name]):
                raise UsageError(f"the log's question has {name} = {value!r}, which is not known")
        copies = tuple(str(copy) for copy in values.get("copies", ()))
        return cls(**{**values, "copies": copies})


Ask = Callable[[int], tuple[Answer, str]]


class Models:
    """The lane of the models, with changed copies of some."""

    def __init__(self, subject: Subject, copies: Sequence[str]) -> None:
        self.subject = subject
        self.copies = copies_of(copies, subject.names)
        self.machines = subject.machines(self.copies)

    def run(self, step: int, trace: Any) -> Run:
        """Run a trace on the model of a step.

        Raises:
            SeriesError: a changed copy is in it, and it does not repeat what it does.

        """
        if any(number <= step for number, _ in self.copies):
            insist(self.subject, self.machines, self.copies, (step,), trace, afresh=False)
        return self.subject.run(step, self.machines[step], trace)

    def takes(self, trace: Any) -> bool:
        """Models take every trace."""
        return True

    def code(self, name: str) -> Ask:
        """Models are in no binary.

        Raises:
            UsageError: always.

        """
        raise UsageError("a model has no binary: ask another lane")


def lane_of(question: Question, subject: Subject) -> Lane:
    """Where the traces of a question run.

    Raises:
        UsageError: the subject has no such lane.
        SeriesError: a changed copy does not load or fit.

    """
    if question.lane == MODELS:
        return Models(subject, question.copies)
    lane = subject.lanes.get(question.lane)
    if lane is None:
        known = ", ".join((MODELS, *subject.lanes))
        raise UsageError(f"this subject has no lane {question.lane!r}; it has {known}")
    return lane(Path(question.series) if question.series else None)


def trace_changes(subject: Subject, lane: Lane, trace: Any) -> Ask:
    """Bad: the observations of a trace are not those of the step before."""

    def ask(step: int) -> tuple[Answer, str]:
        if step == 0:
            return Answer.GOOD, "the start"
        return compared(subject, lane.run(subject.before(step), trace), lane.run(step, trace))

    return ask


def trace_against(subject: Subject, lane: Lane, trace: Any, against: str) -> Ask:
    """Bad: the observations are not those of the subject's model of this step, or of one."""

    def ask(step: int) -> tuple[Answer, str]:
        other = step if against == "model" else parse_step(against, subject.names)
        wanted = subject.model(other, trace)
        return compared(subject, wanted, lane.run(step, trace))

    return ask


def compared(subject: Subject, old: Run | Unbuilt, new: Run | Unbuilt) -> tuple[Answer, str]:
    """Bad where two runs of a trace part; skip where one of them is none."""
    for run in (old, new):
        if isinstance(run, Unbuilt):
            return Answer.SKIP, f"step {run.step} does not build"
    found = subject.parting(old, new)
    if found is None:
        return Answer.GOOD, "the same"
    return Answer.BAD, f"operation {found.index}: {', '.join(found.fields)}"


def property_breaks(subject: Subject, lane: Lane, name: str, traces: Sequence[Any]) -> Ask:
    """Bad: one of the traces shows that a property does not hold."""

    def ask(step: int) -> tuple[Answer, str]:
        for trace in traces:
            run = lane.run(step, trace)
            if isinstance(run, Unbuilt):
                return Answer.SKIP, f"step {step} does not build"
            violation = subject.violation(name, run)
            if violation:
                where = f"{trace.name or 'trace'} operation {violation.index}"
                return Answer.BAD, f"{where}: {violation.text}"
        return Answer.GOOD, f"holds on {len(traces)} traces" if len(traces) > 1 else "holds"

    return ask


def api_changes(series: Series, name: str) -> Ask:
    """Bad: a function's prototype is not what it was at the step before.

    Raises:
        UsageError: no step has such a function.
    """
    life = cache(lambda step: frozenset(p for p in series.api(step) if name_of(p) == name))
    if not any(life(step) for step in range(len(series.steps) + 1)):
        raise UsageError(f"no step declares a function {name!r}; see 'replay elf show'")

    def ask(step: int) -> tuple[Answer, str]:
        now = life(step)
        before = life(before_it(step)) if step else now
        shown = next(iter(now), "not there")
        if now == before:
            return Answer.GOOD, shown
        word = "appears" if not before else "changes" if now else "disappears"
        return Answer.BAD, f"{word}: {next(iter(now or before))}"

    return ask


class Kind(StrEnum):
    """What a predicate's answers at different steps have to do with each other."""

    MONOTONE = "going bad is for good"
    FREE = "a step may be good again"
    CHANGE = "a change at one step says nothing of the next"


def ask_of(question: Question, subject: Subject) -> tuple[Ask, Kind]:
    """The predicate of a question, and what sort it is of.

    Raises:
        UsageError: not exactly one symptom, or one that makes no sense.
        TraceError: the trace cannot be read.

    """
    if question.api:
        return api_changes(subject.series, question.api), Kind.CHANGE
    lane = lane_of(question, subject)
    if question.property:
        check_property(question, subject)
        traces = the_traces(question, subject, lane)
        return property_breaks(subject, lane, question.property, traces), Kind.MONOTONE
    if question.trace:
        trace = subject.language.read(Path(question.trace))
        if question.against == "before":
            return trace_changes(subject, lane, trace), Kind.CHANGE
        kind = Kind.FREE if question.against == "model" else Kind.MONOTONE
        return trace_against(subject, lane, trace, question.against), kind
    if question.elf:
        return lane.code(question.elf), Kind.CHANGE
    raise UsageError("nothing to look for: give --trace, --property, --api or --elf")


def check_property(question: Question, subject: Subject) -> None:
    """That the property of a question is there.

    Raises:
        UsageError: it is not; the message says which are.

    """
    if question.property not in subject.properties:
        known = ", ".join(sorted(subject.properties))
        raise UsageError(f"there is no property {question.property!r}; known are {known}")


def the_traces(question: Question, subject: Subject, lane: Lane) -> list[Any]:
    """The trace of a question, or the random ones that it asks for."""
    if question.trace:
        return [subject.language.read(Path(question.trace))]
    drawn = (subject.language.draw(question.seed, number) for number in range(question.traces))
    return [trace for trace in drawn if lane.takes(trace)]

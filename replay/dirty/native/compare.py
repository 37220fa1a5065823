"""What a share of the traces shows of the C: the comparing, and the grounds for blaming.

Lane "native" compares each C step with the C step before it, by digests; Python is asked
only where the digests differ, or where the step declares that they may. Why the verdicts
hold, up to the chance of 2^-64 that two digests agree by accident:

* A step that declares nothing observable: equal digests mean that the same was observed
  (the whole state enters after every operation). Where they differ, records decide
  between the two steps, and the models say which of the two departs: a step that merely
  returns to what its model does, after an earlier one had left it, is not to blame.
* A step with deviations: neither equal nor different digests say enough, since a
  deviation may be missing where it is due. So on every trace C at this step must equal
  its model, and the models' own pair is followed under the laws, operation by operation.
  C and models are then the same at both steps, and what holds of the models' pair holds
  of the C's. Where C equals its model at this step but not at the one before, the former
  still is right; where it equals it at neither, the trace decides nothing about this step.
* So the first step that departs from its model on a trace is found: either it declares
  nothing, and then its digest differs from that of a step before which agrees with its
  model; or it deviates, and is compared with its model directly.

Lane "both" compares C with its model at every step, and blames the first that departs.

What is repeatable is not taken for granted: a step may keep state that a reset leaves.
Then the digests of a batch may differ and the records of the trace alone may not; that
is a finding as well, with no operation to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Self

from replay.base.patience import patient
from replay.dirty.language.generate import Profile
from replay.dirty.language.language import LANGUAGE, TraceLanguage
from replay.dirty.language.trace import Trace
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.native.departure import (
    UNREPEATED,
    UNREPEATED_TEXT,
    Departure,
    Recorded,
    dead,
    deviations,
)
from replay.dirty.native.encode import encode
from replay.dirty.native.session import Digests, Libraries, Session, session
from replay.dirty.rules.diff import first_difference, follow_laws
from replay.errors import DomainError
from replay.search.campaign import Seen, shortest
from replay.series.check import SHARE, Plan
from replay.series.names import before
from replay.series.verdict import Example


def native_profile(profile: Profile) -> Profile:
    """The profile with machines that the C can be: words of 64 bits alone."""
    return replace(profile, small_words=0.0)


@dataclass(frozen=True, slots=True)
class Departed:
    """A step that departs on a trace: as it declares, under a name, or as nothing declares."""

    step: int
    number: int
    seen: Departure
    name: str = ""

    @classmethod
    def soonest(cls, step: int, seen: Seen, name: str = "") -> Self:
        """On the trace that shows it soonest."""
        index, number = seen.soonest
        return cls(step, number, Departure(index, seen.fields, seen.text), name)


@dataclass(frozen=True, slots=True)
class Work:
    """What to compare: the campaign of the C. Picklable.

    Attributes:
        lane: "native" or "both".
        plan: traces and steps; its language is taken with 64-bit words.
        libraries: the steps that were built; others stay undecided.
        every: see ``Session.digests``; more than 1 may miss what heals soon.

    """

    lane: str
    plan: Plan
    libraries: Libraries
    every: int = 1

    share: ClassVar[int] = SHARE

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps to judge: in lane "both" step 0, which has a model, too."""
        return tuple(sorted({0, *self.plan.steps})) if self.lane == "both" else self.plan.steps

    @property
    def needed(self) -> tuple[int, ...]:
        """The steps to run, as far as there are libraries of them."""
        return tuple(step for step in self.plan.needed if step in set(self.libraries.steps))

    def trace(self, number: int) -> Trace:
        """The trace with this number."""
        language = self.plan.language
        assert isinstance(language, TraceLanguage), "the C runs the built-in subject's traces"
        in_c = replace(language, profile=native_profile(language.profile))
        return in_c.draw(self.plan.seed, number)

    def nothing(self) -> NativeTally:
        """The tally of no traces."""
        return NativeTally()

    def look(self, numbers: range) -> NativeTally:
        """Compare on the traces of these numbers.

        Raises:
            SeriesError: a changed copy of a model does not come back.

        """
        plan, name = self.plan, f"{numbers.start}, or one of the next {len(numbers) - 1}"
        with patient(plan.copies, plan.patience, plan.language.ops * len(numbers), name):
            return _Comparison(self, numbers).compare()

    def example(self, finding: Departed, budget: int) -> tuple[Example, str]:
        """A trace that shows a finding, as short as the budget allows, and what it shows.

        What a trace alone does not show again (a step may keep state that a reset leaves, or
        depend on chance) is given as it was found.

        Raises:
            SeriesError: a changed copy of a model does not repeat what it does.

        """
        trace, seen = self.trace(finding.number), finding.seen
        if self.plan.copies:
            self.plan.insist(self.plan.machines(), finding.step, trace)
        name = "-".join((self.lane, "step", str(finding.step), finding.name or "difference"))
        if finding.name:
            return _example_of_deviation(self, finding, trace.renamed(name), budget), ""
        shown = None
        if seen.fields != UNREPEATED:
            same = partial(_same, self, finding)
            shown = shortest(trace, LANGUAGE, same, seen.affordable(budget))
        if shown is None:
            return Example(trace.renamed(name), seen.index), seen.text
        small, found = shown.trace.renamed(name), shown.witness
        return Example(small, found.index, shown.complete), found.text


@dataclass(slots=True)
class NativeTally:
    """What a share of the traces showed. ``traces``: on how many each step was decided."""

    total: int = 0
    traces: dict[int, int] = field(default_factory=dict)
    differing: dict[int, int] = field(default_factory=dict)
    from_start: dict[int, int] = field(default_factory=dict)
    shown: dict[tuple[int, str], Seen] = field(default_factory=dict)
    wrong: dict[int, Seen] = field(default_factory=dict)

    def merge(self, other: NativeTally) -> None:
        """Add another share. Merge in order of the traces: the same result always."""
        self.total += other.total
        for name in ("traces", "differing", "from_start"):
            counts = getattr(self, name)
            for step, count in getattr(other, name).items():
                counts[step] = counts.get(step, 0) + count
        for name in ("shown", "wrong"):
            kept: dict[Any, Seen] = getattr(self, name)
            for key, seen in getattr(other, name).items():
                kept.setdefault(key, Seen()).merge(seen)


class _Comparison:
    """Some traces on all steps."""

    def __init__(self, work: Work, numbers: range) -> None:
        self.work = work
        self.numbers = numbers
        self.series = work.plan.series
        self.classes = work.plan.machines()
        self.batch = encode([work.trace(number) for number in numbers])
        self.found = NativeTally(total=len(numbers))
        self.held: Session = session(work.libraries)
        self.digests: Digests = self.held.digests(
            self.batch, work.needed, work.every, in_domain=True
        )
        have = set(work.needed)
        self.judged = [
            s for s in work.steps if s in have and (work.lane == "both" or before(s) in have)
        ]

    def alive(self, step: int, at: int) -> bool:
        """Whether a trace was run at a step, to whatever end."""
        return bool(self.digests.steps[step][at]) or (step, at) in self.digests.deaths

    def differs(self, a: int, b: int, at: int) -> bool:
        """Whether two steps differ on a trace, or one of them has no digest to tell."""
        x, y = self.digests.steps[a][at], self.digests.steps[b][at]
        return x != y or not x

    def compare(self) -> NativeTally:
        """Compare every trace at every step."""
        todo: list[tuple[int, list[int]]] = []
        for at in range(len(self.batch.traces)):
            self.count(at)
            todo.append((at, self.wanted(at)))
        for case, at in self.cases(todo):
            for step in self.judged:
                if not self.decidable(step, at):
                    continue
                if found := self.unrepeated(case, step, at) if step in case.runs else None:
                    self.note(step, at, found)
                elif self.work.lane == "both":
                    self.note(step, at, case.first_off(step))
                elif deviations(self.series, step):
                    self.deviating(case, step, at)
                elif self.differs(before(step), step, at):
                    self.note(step, at, case.plain(step))
                else:
                    self.note(step, at, None)
        return self.found

    def decidable(self, step: int, at: int) -> bool:
        """Whether a trace was run on all that a step is compared with."""
        alone = self.work.lane == "both"
        return self.alive(step, at) and (alone or self.alive(before(step), at))

    def count(self, at: int) -> None:
        """Count the steps on which a trace differs from the one before, and from step 0."""
        for step in self.judged:
            for name, other in (("differing", before(step)), ("from_start", 0)):
                known = other in self.digests.steps and step > 0
                if known and self.differs(other, step, at):
                    counts = getattr(self.found, name)
                    counts[step] = counts.get(step, 0) + 1

    def wanted(self, at: int) -> list[int]:
        """The steps whose records are needed of a trace."""
        if self.work.lane == "both":
            return [step for step in self.work.needed if self.alive(step, at)]
        steps: set[int] = set()
        for step in self.judged:
            pair = {before(step), step}
            if not all(self.alive(s, at) for s in pair):
                continue
            if deviations(self.series, step) or self.differs(before(step), step, at):
                steps |= pair
        return sorted(steps)

    def cases(self, todo: Sequence[tuple[int, list[int]]]) -> Iterator[tuple[Recorded, int]]:
        """The traces with their records; what has one digest is recorded once."""
        which: dict[tuple[int, int], tuple[int, int]] = {}
        for at, steps in todo:
            for step in steps:
                digest = self.digests.steps[step][at]
                which.setdefault((at, digest or -step), (step, at))
        recorded = self.held.records(self.batch, list(which.values()), in_domain=True)
        runs = dict(zip(which, recorded, strict=True))
        for at, steps in todo:
            trace = self.batch.traces[at]
            by_step = {step: runs[at, self.digests.steps[step][at] or -step] for step in steps}
            models = run_steps(self.classes, trace, steps) if steps else {}
            yield Recorded(self.series, self.classes, trace, by_step, models), at

    def unrepeated(self, case: Recorded, step: int, at: int) -> Departure | None:
        """What the batch showed of a step and the trace alone, in a fresh process, does not."""
        deaths, run = self.digests.deaths, case.runs[step]
        text = ""
        if (step, at) in deaths and (before(step), at) not in deaths and not dead(run):
            text = f"{deaths[step, at].cause}: {deaths[step, at].words()}; "
        elif (
            self.work.lane == "native"
            and self.changed(step, at)
            and first_difference(case.runs[before(step)], run) is None
        ):
            text = "another digest than at the step before; "
        if not text:
            return None
        return Departure(0, UNREPEATED, text + UNREPEATED_TEXT)

    def changed(self, step: int, at: int) -> bool:
        """Whether two steps both have a digest of a trace, and not the same."""
        x, y = self.digests.steps[before(step)][at], self.digests.steps[step][at]
        return bool(x and y) and x != y

    def deviating(self, case: Recorded, step: int, at: int) -> None:
        """A step that declares deviations: C against its model, the models under the laws."""
        new = case.departs(step)
        if new:
            if not case.departs(before(step)):
                self.note(step, at, new)
            return
        lawful = case.lawful(step)
        for name, index in lawful.shown.items():
            seen = self.found.shown.setdefault((step, name), Seen())
            seen.add(index, self.numbers[at])
        wrong = lawful.wrong
        self.note(step, at, Departure(*wrong, lawful.words()) if wrong else None)

    def note(self, step: int, at: int, found: Departure | None) -> None:
        """Count a trace as decided, with what it showed."""
        self.found.traces[step] = self.found.traces.get(step, 0) + 1
        if found:
            seen = self.found.wrong.setdefault(step, Seen())
            seen.add(found.index, self.numbers[at], found.text, found.fields)


def judge_alone(work: Work, trace: Trace, step: int) -> Departure | None:
    """What one trace shows of one step by itself, in fresh processes: for shrinking.

    Raises:
        DomainError: the C does not support the trace.
        SeriesError: a changed copy of a model does not come back.

    """
    plan = work.plan
    with patient(plan.copies, plan.patience, len(trace.ops), trace.name):
        return _judge_alone(work, trace, step)


def _judge_alone(work: Work, trace: Trace, step: int) -> Departure | None:
    series, classes = work.plan.series, work.plan.machines()
    steps = [s for s in (before(step), step) if s in work.libraries.steps]
    runs = session(work.libraries).records(encode([trace]), [(s, 0) for s in steps], in_domain=True)
    case = Recorded(series, classes, trace, dict(zip(steps, runs, strict=True)))
    if work.lane == "both":
        return case.first_off(step)
    if not deviations(series, step):
        return case.plain(step)
    found = case.departs(step)
    if found:
        return None if case.departs(before(step)) else found
    lawful = case.lawful(step)
    return Departure(*lawful.wrong, lawful.words()) if lawful.wrong else None


def _same(work: Work, finding: Departed, trace: Trace) -> Departure | None:
    """What a trace shows of the finding's step, if it is a departure of the same kind."""
    try:
        found = judge_alone(work, trace, finding.step)
    except DomainError:
        return None
    seen = finding.seen
    return found if found and (found.fields, found.kind) == (seen.fields, seen.kind) else None


def _example_of_deviation(work: Work, finding: Departed, trace: Trace, budget: int) -> Example:
    """An example of a declared deviation: found on the models, then confirmed on the C."""
    series, classes = work.plan.series, work.plan.machines()
    step = finding.step
    declared = deviations(series, step)

    def shows(candidate: Trace) -> int | None:
        lawful = follow_laws(classes[before(step)], classes[step], candidate, declared)
        return lawful.shown.get(finding.name)

    shown = shortest(trace, LANGUAGE, shows, budget)
    try:
        if shown and judge_alone(work, shown.trace, step) is None:
            return Example(shown.trace, shown.witness, shown.complete)
    except DomainError:
        pass
    return Example(trace, finding.seen.index)

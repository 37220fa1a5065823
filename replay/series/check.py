"""Check the steps of a subject: each against the one before, against step 0, and by itself.

The work is cut into shares (``search.campaign``), each a function of the plan and its
numbers alone. Every trace runs on every model that is needed; equal runs share their
records, and a property is asked once of each run that differs from the one before it. At a
step with laws the two machines are then run in lockstep under these.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from replay.base.patience import PATIENCE, patient
from replay.base.pool import Pool
from replay.search.campaign import Seen, Told, examples, shortest, untold
from replay.search.campaign import gather as gather_shares
from replay.search.language import Language
from replay.series.declared import Series
from replay.series.judging import Wanted, judge
from replay.series.repeats import insist, unrepeated
from replay.series.subject import Copies, Machine, Run, Subject, Violation
from replay.series.tally import Finding, Share
from replay.series.verdict import CheckResult, DeviationFound, Example

SHARE: Final = 20
"""Traces in a share of the work."""

INSIDE_EVERY: Final = 5
"""Every so many-th trace is also used for the properties of a machine's inside, which cost
two runs more at each step that has them."""

CALLS: Final = 12
"""Direct calls of a step's inner API for every CALLS_EVERY-th trace."""

CALLS_EVERY: Final = 5

BUDGET: Final = 2000
"""Questions that making an example smaller may take, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to check. Picklable, so that a worker needs nothing else.

    Attributes:
        subject: whose steps.
        language: of the traces; as the subject draws them where none is given.
        seed: of the traces; the same seed gives the same result.
        traces: how many.
        steps: the steps to judge, each against the one before.
        copies: changed copies of step modules to use instead, (step, path).
        patience: seconds that a trace may take with a changed copy, see ``base.patience``.

    """

    subject: Subject
    language: Language[Any]
    seed: int = 1
    traces: int = 1200
    steps: tuple[int, ...] = ()
    copies: Copies = ()
    patience: float = PATIENCE

    @property
    def series(self) -> Series:
        """The series that declares."""
        return self.subject.series

    @property
    def last(self) -> int:
        """The greatest number of a step that is run."""
        return max(self.steps, default=0)

    @property
    def needed(self) -> tuple[int, ...]:
        """The steps to run: those judged, those before them, and step 0."""
        before = (self.subject.before(step) for step in self.steps)
        return tuple(sorted({0, *self.steps, *before}))

    def machines(self) -> Sequence[Machine]:
        """The machines of the steps up to the last one.

        Raises:
            SeriesError: a copy that does not load or does not fit.

        """
        return self.subject.machines(self.copies, self.last)

    def insist(self, machines: Sequence[Machine], step: int, trace: Any) -> None:
        """See to it that a step and the one before do the same whenever they run a trace.

        Raises:
            SeriesError: one does not, or does not come back.

        """
        with patient(self.copies, self.patience, len(trace.ops), trace.name):
            insist(self.subject, machines, self.copies, (step - 1, step), trace)

    def draw(self, number: int) -> Any:
        """The trace with this number."""
        return self.language.draw(self.seed, number)


@dataclass(frozen=True, slots=True)
class Check:
    """The campaign over the steps of a plan; see ``search.campaign``."""

    plan: Plan
    share: int = field(default=SHARE)
    watched: bool = False
    """Whether what the traces reach is counted, where the subject can."""

    def nothing(self) -> Share:
        """The tally of no traces."""
        return Share()

    def look(self, numbers: range) -> Share:
        """Check the traces of these numbers.

        Raises:
            SeriesError: a changed copy of a step does not come back.

        """
        work = _Work(self.plan)
        if self.watched and self.plan.subject.watch is not None:
            work.share.watched = self.plan.subject.watch(self.plan.needed)
        for number in numbers:
            trace = self.plan.draw(number)
            with patient(self.plan.copies, self.plan.patience, len(trace.ops), trace.name):
                work.one_trace(trace, number)
            work.share.traces += 1
        return work.share

    def example(self, finding: Finding, budget: int) -> tuple[Example, str]:
        """The trace that shows a finding soonest, made small; with what it shows.

        Raises:
            SeriesError: the step, or the one before it, does not repeat what it does.

        """
        plan = self.plan
        machines = plan.machines()

        def shows(trace: Any) -> Violation | None:
            with patient(plan.copies, plan.patience, len(trace.ops), trace.name):
                return finding.shows(plan.subject, machines, trace)

        trace = plan.draw(finding.number)
        plan.insist(machines, finding.step, trace)
        shown = shortest(trace, plan.language, shows, budget)
        if shown is None:
            what = f"the {finding.what} {finding.name}".rstrip() + " does not show again"
            raise unrepeated(plan.copies, finding.step, trace, finding.index, what)
        plan.insist(machines, finding.step, shown.trace)
        name = "-".join(filter(None, (f"step-{finding.step}", finding.name or finding.what)))
        small = shown.trace.renamed(name)
        return Example(small, shown.witness.index, shown.complete), shown.witness.text


class _Work:
    """A share in the making."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.subject = plan.subject
        self.series = plan.series
        self.machines = plan.machines()
        self.share = Share()

    def one_trace(self, trace: Any, number: int) -> None:
        share = self.share
        runs = self.subject.lockstep(self.machines, trace, self.plan.needed)
        if share.watched is not None:
            share.watched.add(trace, runs, number)
        broken = self.broken_at(runs)
        zero = runs[0]
        for name, violation in broken[0].items():
            share.broken.setdefault((0, name), Seen()).add(violation.index, number, violation.text)
        for step in self.plan.steps:
            new = runs[step]
            if new.records is not zero.records and new.records != zero.records:
                share.from_start[step] = share.from_start.get(step, 0) + 1
            before = self.subject.before(step)
            self.compare(runs[before], new, number)
            for name, violation in broken[step].items():
                if name not in broken[before]:
                    seen = share.broken.setdefault((step, name), Seen())
                    seen.add(violation.index, number, violation.text)
            for name in self.series.step(step).mends:
                if name in broken[before] and name not in broken[step]:
                    was = broken[before][name]
                    share.mended.setdefault((step, name), Seen()).add(was.index, number, was.text)
        if self.subject.inside and number % INSIDE_EVERY == 0:
            self.inside(trace, number)
        if self.subject.calls is not None and number % CALLS_EVERY == 0:
            self.calls(number)

    def broken_at(self, runs: Any) -> dict[int, dict[str, Violation]]:
        """The properties that each run breaks; asked once of runs that share their records."""
        asked: dict[int, dict[str, Violation]] = {}
        found = {}
        for step, run in runs.items():
            key = id(run.records)
            if key not in asked:
                names = self.subject.properties
                checked = ((name, self.subject.violation(name, run)) for name in names)
                asked[key] = {name: violation for name, violation in checked if violation}
            found[step] = asked[key]
        return found

    def compare(self, old: Run, new: Run, number: int) -> None:
        """Compare a step with the one before, under its laws if it has any."""
        share, step = self.share, new.step
        same = old.records is new.records
        if not same:
            share.differing[step] = share.differing.get(step, 0) + 1
        deviations = self.subject.deviations(step)
        if not deviations:
            parting = None if same else self.subject.parting(old, new)
            if parting:
                seen = share.wrong.setdefault(step, Seen())
                seen.add(parting.index, number, "", parting.fields)
            return
        result = self.subject.follow(
            self.machines[old.step], self.machines[step], new.trace, deviations
        )
        for name, index in result.shown.items():
            share.shown.setdefault((step, name), Seen()).add(index, number)
        if result.wrong:
            index, fields = result.wrong
            share.wrong.setdefault(step, Seen()).add(index, number, "", fields)

    def inside(self, trace: Any, number: int) -> None:
        """The properties of the inside: where the step before holds, and this one not."""
        for prop in self.series.properties:
            rule = self.subject.inside.get(prop.name)
            if rule is None:
                continue
            judged = [s for s in {*self.plan.steps, 0} if prop.holds_at(s)]
            held: dict[int, Violation | None] = {}
            before = self.subject.before
            for step in sorted({*judged, *(before(s) for s in judged if s > prop.first)}):
                held[step] = rule(self.machines[step], trace)
            for step in judged:
                violation = held[step]
                if violation and held.get(before(step)) is None:
                    seen = self.share.broken.setdefault((step, prop.name), Seen())
                    seen.add(violation.index, number, violation.text)

    def calls(self, number: int) -> None:
        """Direct calls of the inner API at every step."""
        call = self.subject.calls
        assert call is not None
        for step in self.plan.steps:
            seed = f"{self.plan.seed}/{number}/{int(step)}"
            old, new = self.machines[self.subject.before(step)], self.machines[step]
            self.share.add_calls(step, call(self.series, step, old, new, seed, CALLS))


def gather(plan: Plan, jobs: int = 1, told: Told = untold, watched: bool = False) -> Share:
    """Check all traces of a plan with ``jobs`` processes; ``told`` hears of traces done.

    With ``watched`` what they reach is counted, too, where the subject can.

    Raises:
        WorkerError: a worker process died.

    """
    plan.machines()  # an error in a copy shows here, not in a worker
    with Pool(jobs, "checking traces") as pool:
        return gather_shares(Check(plan, watched=watched), plan.traces, pool, told)


def check(
    plan: Plan,
    jobs: int = 1,
    told: Told = untold,
    shrinking: Told = untold,
    budget: int = BUDGET,
    watched: bool = False,
) -> CheckResult:
    """Check a plan: gather, judge, and shrink an example of everything that was found.

    Args:
        plan: what to check.
        jobs: worker processes; the result does not depend on it.
        told: called with the number of traces just done.
        shrinking: called with 1 for each example that was shrunk.
        budget: questions that each shrink may take; 0 leaves examples as found.
        watched: count what the traces reach, where the subject can.

    """
    began = time.monotonic()
    share = gather(plan, jobs, told, watched)
    result, wanted = judge(plan.subject, share, plan.steps, plan.seed, plan.language.ops)
    result.reached = share.watched.words() if share.watched else []
    _fill(plan, wanted, jobs, shrinking, budget)
    result.seconds = time.monotonic() - began
    return result


def _fill(plan: Plan, wanted: Wanted, jobs: int, told: Told, budget: int) -> None:
    """Give everything that was found its example."""
    findings = [finding for finding, _ in wanted]
    with Pool(jobs, "shortening examples") as pool:
        made = examples(Check(plan), findings, budget, pool, told)
        for (_, keep), (example, text) in zip(wanted, made, strict=True):
            keep.example = example
            if text and not isinstance(keep, DeviationFound):
                keep.text = text

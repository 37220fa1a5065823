"""Check the steps: random traces on adjacent steps, each step against step 0, properties.

The work is cut into shares, each a function of (seed, first trace, count) alone, so that
the result does not depend on how many processes took part or in which order they ended.
Every trace runs on every model (``dirty.machine.lockstep``); equal runs share their records,
and a property is asked once of each run that differs from the one before it. At a step with
laws the two machines are then run in lockstep under these (see ``dirty.rules.diff``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from refmodels import delta
from replay.base.patience import PATIENCE, patient
from replay.base.pool import Pool
from replay.dirty.language import language
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Trace
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.machine.model import Run
from replay.dirty.machine.run import PythonModel
from replay.dirty.rules.api import ApiResult, compare_calls
from replay.dirty.rules.diff import first_difference, follow_laws
from replay.dirty.rules.inner import INNER_PROPERTIES, look_inside
from replay.dirty.rules.properties import RUN_PROPERTIES, Violation
from replay.dirty.verdict import (
    CheckResult,
    DeviationFound,
    Example,
    Failure,
    PropertyFound,
    StepResult,
)
from replay.errors import SeriesError
from replay.search.campaign import Seen
from replay.series.declared import Series, load

SHARE: Final = 20
"""Traces in a share of the work."""

INNER_EVERY: Final = 5
"""Every so many-th trace is also used for the properties of the inner store, which cost
two runs more at each step that has them."""

API_CALLS: Final = 12
"""Direct calls of a step's inner API for every API_EVERY-th trace."""

API_EVERY: Final = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """What to check. Picklable, so that a worker needs nothing else.

    Attributes:
        seed: of the traces; the same seed gives the same result.
        traces: how many.
        profile: what they are drawn from.
        steps: the steps to judge, each against the one before.
        copies: changed copies of step modules to use instead, (step, path).
        series: another series.toml than the built-in one.
        patience: seconds that a trace may take with a changed copy, see ``replay.base.patience``.

    """

    seed: int = 1
    traces: int = 1200
    profile: Profile = field(default_factory=Profile)
    steps: tuple[int, ...] = tuple(range(1, delta.LAST_STEP + 1))
    copies: tuple[tuple[int, str], ...] = ()
    series: str | None = None
    patience: float = PATIENCE

    def load_series(self) -> Series:
        """The series that declares."""
        return load(Path(self.series) if self.series else None)

    @property
    def last(self) -> int:
        """The last step that is run."""
        return max(self.steps, default=0)

    @property
    def needed(self) -> tuple[int, ...]:
        """The steps to run: those judged, those before them, and step 0."""
        return tuple(sorted({0, *self.steps, *(step - 1 for step in self.steps)}))


@cache
def machines(copies: tuple[tuple[int, str], ...], last: int = delta.LAST_STEP) -> list[type[Any]]:
    """The machine classes of steps 0 to ``last``, with changed copies of some steps.

    Raises:
        SeriesError: a copy that does not load or does not fit, with what is wrong.

    """
    try:
        return delta.build_variant({step: Path(path) for step, path in copies}, last)
    except delta.LinkError as error:
        raise SeriesError(str(error)) from None


@dataclass(slots=True)
class Share:
    """What a share of the traces showed: all that has to come back from a worker."""

    traces: int = 0
    differing: dict[int, int] = field(default_factory=dict)
    from_start: dict[int, int] = field(default_factory=dict)
    shown: dict[tuple[int, str], Seen] = field(default_factory=dict)
    broken: dict[tuple[int, str], Seen] = field(default_factory=dict)
    wrong: dict[int, Seen] = field(default_factory=dict)
    api: dict[int, ApiResult] = field(default_factory=dict)

    def merge(self, other: Share) -> None:
        """Add another share. Merge in order of the traces: the same result always."""
        self.traces += other.traces
        for mine, theirs in (
            (self.differing, other.differing),
            (self.from_start, other.from_start),
        ):
            for step, count in theirs.items():
                mine[step] = mine.get(step, 0) + count
        for step, seen in other.wrong.items():
            self.wrong.setdefault(step, Seen()).merge(seen)
        for name in ("shown", "broken"):
            kept: dict[tuple[int, str], Seen] = getattr(self, name)
            for key, seen in getattr(other, name).items():
                kept.setdefault(key, Seen()).merge(seen)
        for step, result in other.api.items():
            self.api.setdefault(step, ApiResult()).merge(result)


def do_share(plan: Plan, first: int, count: int) -> Share:
    """Check ``count`` traces from index ``first`` on.

    Raises:
        SeriesError: a changed copy of a step does not come back.

    """
    work = _Work(plan)
    for number in range(first, first + count):
        trace = generate(plan.seed, number, plan.profile)
        with patient(plan.copies, plan.patience, len(trace.ops), trace.name):
            work.one_trace(trace, number)
        work.share.traces += 1
    return work.share


class _Work:
    """A share in the making."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.series = plan.load_series()
        self.classes = machines(plan.copies, plan.last)
        self.share = Share()

    def one_trace(self, trace: Trace, number: int) -> None:
        share = self.share
        runs = run_steps(self.classes, trace, self.plan.needed)
        broken = broken_at(runs)
        zero = runs[0]
        for name, violation in broken[0].items():
            share.broken.setdefault((0, name), Seen()).add(violation.index, number, violation.text)
        for step in self.plan.steps:
            new = runs[step]
            if new.records is not zero.records and new.records != zero.records:
                share.from_start[step] = share.from_start.get(step, 0) + 1
            self.compare(runs[step - 1], new, number)
            for name, violation in broken[step].items():
                if name not in broken[step - 1]:
                    seen = share.broken.setdefault((step, name), Seen())
                    seen.add(violation.index, number, violation.text)
        if number % INNER_EVERY == 0:
            self.inner(trace, number)
        if number % API_EVERY == 0:
            self.api(number)

    def compare(self, old: Run, new: Run, number: int) -> None:
        """Compare a step with the one before, under its laws if it has any."""
        share, step = self.share, new.step
        same = old.records is new.records
        if not same:
            share.differing[step] = share.differing.get(step, 0) + 1
        deviations = [d for d in self.series.step(step).deviations if d.scope == "trace"]
        if not deviations:
            difference = None if same else first_difference(old, new)
            if difference:
                seen = share.wrong.setdefault(step, Seen())
                seen.add(difference.index, number, "", difference.fields)
            return
        result = follow_laws(self.classes[step - 1], self.classes[step], new.trace, deviations)
        for name, index in result.shown.items():
            share.shown.setdefault((step, name), Seen()).add(index, number)
        if result.wrong:
            index, fields = result.wrong
            share.wrong.setdefault(step, Seen()).add(index, number, "", fields)

    def inner(self, trace: Trace, number: int) -> None:
        """The properties of the inner store: where the step before holds, and this one not."""
        for prop in self.series.properties:
            if prop.name not in INNER_PROPERTIES:
                continue
            judged = [s for s in {*self.plan.steps, 0} if prop.first <= s <= prop.last]
            held: dict[int, Violation | None] = {}
            for step in sorted({*judged, *(s - 1 for s in judged if s > prop.first)}):
                held[step] = look_inside(prop.name, self.classes[step], trace)
            for step in judged:
                violation = held[step]
                if violation and held.get(step - 1) is None:
                    seen = self.share.broken.setdefault((step, prop.name), Seen())
                    seen.add(violation.index, number, violation.text)

    def api(self, number: int) -> None:
        """Direct calls of the inner API at every step."""
        for step in self.plan.steps:
            result = compare_calls(
                self.series,
                step,
                self.classes[step - 1],
                self.classes[step],
                self.series.step(step).deviations,
                f"{self.plan.seed}/{number}/{step}",
                API_CALLS,
            )
            self.share.api.setdefault(step, ApiResult()).merge(result)


def broken_at(runs: dict[int, Run]) -> dict[int, dict[str, Violation]]:
    """The properties that each run breaks; asked once of runs that share their records."""
    asked: dict[int, dict[str, Violation]] = {}
    found = {}
    for step, run in runs.items():
        key = id(run.records)
        if key not in asked:
            checked = ((n, check(run.trace, run.records)) for n, check in RUN_PROPERTIES.items())
            asked[key] = {name: violation for name, violation in checked if violation}
        found[step] = asked[key]
    return found


# --- over several processes ---------------------------------------------------------


Progress = Callable[[int], None]


def gather(plan: Plan, jobs: int = 1, progress: Progress | None = None) -> Share:
    """Check all traces of a plan with ``jobs`` processes; tells ``progress`` traces done.

    Raises:
        WorkerError: a worker process died.

    """
    machines(plan.copies, plan.last)  # an error in a copy shows here, not in a worker
    whole = Share()
    for share in _shares(plan, jobs):
        whole.merge(share)
        if progress:
            progress(share.traces)
    return whole


def _shares(plan: Plan, jobs: int) -> Iterator[Share]:
    cuts = [
        (first, (plan, first, min(SHARE, plan.traces - first)))
        for first in range(0, plan.traces, SHARE)
    ]
    with Pool(jobs, "checking traces") as pool:
        for _, share in pool.map(_share, cuts, lambda task: f"trace {task[1]}"):
            yield share


def _share(task: tuple[Plan, int, int]) -> Share:
    return do_share(*task)


# --- the shortest trace of each finding ---------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a trace shows at a step, and how to tell that another shows it too.

    ``what``: "deviation", "difference", "property" or "inner"; ``name`` the deviation or
    property, ``fields`` those that differ.
    """

    what: str
    step: int
    name: str = ""
    fields: tuple[str, ...] = ()

    def shows(self, classes: list[type[Any]], series: Series, trace: Trace) -> Violation | None:
        """The operation at which a trace shows it, with words; None where it does not."""
        old, new = classes[max(self.step - 1, 0)], classes[self.step]
        if self.what == "inner":
            first = next(p.first for p in series.properties if p.name == self.name)
            found = look_inside(self.name, new, trace)
            held = self.step == first or look_inside(self.name, old, trace) is None
            return found if held else None
        if self.what == "property":
            rule = RUN_PROPERTIES[self.name]
            run = PythonModel(self.step, new).run(trace)
            violation = rule(trace, run.records)
            if violation is None or self.step == 0:
                return violation
            before = PythonModel(self.step - 1, old).run(trace)
            return None if rule(trace, before.records) else violation
        return self._differs(old, new, series, trace)

    def _differs(
        self, old: type[Any], new: type[Any], series: Series, trace: Trace
    ) -> Violation | None:
        deviations = [d for d in series.step(self.step).deviations if d.scope == "trace"]
        if self.what == "difference" and not deviations:
            difference = first_difference(
                PythonModel(self.step - 1, old).run(trace), PythonModel(self.step, new).run(trace)
            )
            if difference is None or difference.fields != self.fields:
                return None
            return Violation(difference.index, difference.words())
        result = follow_laws(old, new, trace, deviations)
        if self.what == "deviation":
            index = result.shown.get(self.name)
            return None if index is None else Violation(index, "")
        if result.wrong and result.wrong[1] == self.fields:
            return Violation(result.wrong[0], result.words())
        return None


def shortest(plan: Plan, finding: Finding, number: int, budget: int) -> tuple[Example, str]:
    """Shrink the trace with this index as far as the finding stays; with what it shows."""
    series, classes = plan.load_series(), machines(plan.copies, plan.last)
    trace = generate(plan.seed, number, plan.profile)

    def holds(candidate: Trace) -> bool:
        with patient(plan.copies, plan.patience, len(candidate.ops), candidate.name):
            return finding.shows(classes, series, candidate) is not None

    if not holds(trace):
        raise AssertionError(f"{finding} does not show again on {trace.name}")
    result = language.shrink(trace, holds, budget)
    name = "-".join(filter(None, (f"step-{finding.step}", finding.name or finding.what)))
    small = result.trace.renamed(name)
    found = finding.shows(classes, series, small)
    assert found is not None, "a shrunk trace still shows what it was shrunk for"
    return Example(small, found.index, result.complete), found.text


def check(
    plan: Plan,
    jobs: int = 1,
    progress: Progress | None = None,
    shrinking: Progress | None = None,
    budget: int = language.BUDGET,
) -> CheckResult:
    """Check a plan: gather, judge, and shrink an example of everything that was found.

    Args:
        plan: what to check.
        jobs: worker processes; the result does not depend on it.
        progress: called with the number of traces just done.
        shrinking: called with 1 for each example that was shrunk.
        budget: evaluations of the predicate in each shrink; 0 leaves examples as found.

    """
    began = time.monotonic()
    share = gather(plan, jobs, progress)
    result, wanted = judge(plan, share)
    tasks = [(finding, seen.soonest[1]) for finding, seen, _ in wanted]
    for (_, _, keep), (example, text) in zip(
        wanted, _examples(plan, tasks, jobs, budget, shrinking), strict=True
    ):
        keep.example = example
        if text and not isinstance(keep, DeviationFound):
            keep.text = text
    result.seconds = time.monotonic() - began
    return result


def _examples(
    plan: Plan,
    tasks: Sequence[tuple[Finding, int]],
    jobs: int,
    budget: int,
    progress: Progress | None,
) -> Iterator[tuple[Example, str]]:
    """An example of each finding, shrunk, in order."""
    with Pool(jobs, "shortening examples") as pool:
        every = [(finding, (plan, finding, number, budget)) for finding, number in tasks]
        for _, example in pool.map(_shortest, every, lambda task: str(task[1])):
            yield example
            if progress:
                progress(1)


def _shortest(task: tuple[Plan, Finding, int, int]) -> tuple[Example, str]:
    return shortest(*task)


Wanted = list[tuple[Finding, Seen, DeviationFound | PropertyFound | Failure]]


def judge(plan: Plan, share: Share) -> tuple[CheckResult, Wanted]:
    """Turn what was seen into verdicts; and the findings that want an example."""
    series = plan.load_series()
    wanted: Wanted = []
    starting = []
    for prop in series.properties:
        seen = share.broken.get((0, prop.name))
        if seen or (prop.broken_at_start and prop.first == 0):
            found = PropertyFound(prop.name, bool(prop.broken_at_start))
            starting.append(found)
            if seen:
                found.count, found.text = seen.count, seen.text
                wanted.append((_finding(0, prop.name), seen, found))
    steps = []
    through: list[int] = []
    for number in range(1, delta.LAST_STEP + 1):
        if any(d.scope == "trace" for d in series.step(number).deviations):
            through.append(number)
        if number in plan.steps:
            steps.append(_judge_step(series, share, number, tuple(through), wanted))
    result = CheckResult(plan.seed, share.traces, plan.profile.ops, steps, starting)
    return result, wanted


def _finding(step: int, name: str) -> Finding:
    return Finding("inner" if name in INNER_PROPERTIES else "property", step, name)


def _judge_step(
    series: Series, share: Share, number: int, through: tuple[int, ...], wanted: Wanted
) -> StepResult:
    data = series.step(number)
    api = share.api.get(number, ApiResult())
    from_start = share.from_start.get(number, 0)
    result = StepResult(
        number,
        data.title,
        traces=share.traces,
        calls=api.calls,
        differing=share.differing.get(number, 0),
        from_start=from_start,
        through=through if from_start else (),
    )
    for deviation in data.deviations:
        found = DeviationFound(deviation)
        seen = share.shown.get((number, deviation.id))
        if seen:
            found.count = seen.count
            wanted.append((Finding("deviation", number, deviation.id), seen, found))
        elif deviation.id in api.shown:
            found.count, found.call = api.shown[deviation.id]
        result.deviations.append(found)
    _judge_properties(series, share, result, wanted)
    wrong = share.wrong.get(number)
    if wrong:
        failure = Failure("difference", wrong.fields, "", wrong.count)
        result.failures.append(failure)
        wanted.append((Finding("difference", number, "", wrong.fields), wrong, failure))
    if api.wrong:
        result.failures.append(Failure("api", (), api.wrong, 1))
    return result


def _judge_properties(series: Series, share: Share, result: StepResult, wanted: Wanted) -> None:
    declared = series.step(result.step).breaks
    for prop in series.properties:
        seen = share.broken.get((result.step, prop.name))
        if prop.name in declared:
            found = PropertyFound(prop.name, True)
            result.properties.append(found)
            if seen:
                found.count, found.text = seen.count, seen.text
                wanted.append((_finding(result.step, prop.name), seen, found))
        elif seen and not prop.broken_at_start:
            # What step 0 breaks already is no promise that a later step could break.
            failure = Failure(prop.name, (), seen.text, seen.count)
            result.failures.append(failure)
            wanted.append((_finding(result.step, prop.name), seen, failure))

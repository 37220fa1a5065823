"""Check the C steps on random traces: verdicts as those of ``replay.dirty.check``.

``check_native`` compares each C step with the one before it, ``check_both`` each with its
Python model; see ``replay.dirty.native.compare`` for what is compared and why that suffices. A
crash, a hang or a sanitizer's report is a failure of its step like any other, in the field
``status``, with the trace that causes it.

What no trace shows of the inner API is asked by direct calls (``replay.dirty.native.calls``), as
far as the libraries were built with these. Properties are the Python lane's: where C equals
its model, what holds of the model's runs holds of the C's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from replay.base.pool import Pool
from replay.dirty.check import SHARE, Plan, machines
from replay.dirty.language import language
from replay.dirty.language.trace import Trace
from replay.dirty.native.calls import Compared, compare_calls
from replay.dirty.native.compare import (
    UNREPEATED,
    Departure,
    Found,
    Work,
    deviations,
    do_share,
    judge_alone,
)
from replay.dirty.native.session import Libraries, session
from replay.dirty.rules.diff import follow_laws
from replay.dirty.verdict import CheckResult, DeviationFound, Example, Failure, StepResult
from replay.errors import DomainError, UsageError
from replay.search.campaign import Seen
from replay.series.declared import Series

Progress = Callable[[int], None]

CALLS_EVERY: Final = 5
"""For every so many traces there is a case of direct calls."""

HANGING: Final = 150
"""Candidates tried to shorten a trace that hangs: each costs the time limit."""


def check_native(
    plan: Plan,
    libraries: Libraries,
    jobs: int = 1,
    progress: Progress | None = None,
    shrinking: Progress | None = None,
    budget: int = language.BUDGET,
    every: int = 1,
) -> CheckResult:
    """Compare adjacent steps in C.

    Args:
        plan: seed, traces and steps; words of 64 bits are taken, whatever its profile says.
        libraries: the steps that were built; those that were not stay undecided.
        jobs: worker processes; the result does not depend on it.
        progress: called with the number of traces just done.
        shrinking: called with 1 for each example that was shrunk.
        budget: evaluations of the predicate in each shrink; 0 leaves examples as found.
        every: the whole state is compared after each so many operations; with more than
            1 it is faster, and a difference that heals in between may be missed.

    Raises:
        DomainError: a library is not of this version's driver.
        WorkerError: a worker process was killed.

    """
    work = Work("native", plan, libraries, every)
    return _check(work, None, jobs, progress, shrinking, budget)


def check_both(
    plan: Plan,
    libraries: Libraries,
    jobs: int = 1,
    progress: Progress | None = None,
    shrinking: Progress | None = None,
    budget: int = language.BUDGET,
    calls: Libraries | None = None,
) -> CheckResult:
    """Compare C with the Python model at each step of the plan, and at step 0.

    Arguments and errors as of :func:`check_native`. A step fails where it departs from its
    model on a trace on which the step before does not; and with ``calls``, the libraries
    built with calls of the inner API, where a direct call departs from the model's while
    none does at the step before.
    """
    return _check(Work("both", plan, libraries), calls, jobs, progress, shrinking, budget)


def _check(
    work: Work,
    calls: Libraries | None,
    jobs: int,
    progress: Progress | None,
    shrinking: Progress | None,
    budget: int,
) -> CheckResult:
    if not work.libraries.paths:
        raise UsageError("no step was built: there is nothing to run")
    began = time.monotonic()
    machines(work.plan.copies)  # an error in a copy shows here, not in a worker
    whole = Found()
    cuts = [
        (first, (work, first, min(SHARE, work.plan.traces - first)))
        for first in range(0, work.plan.traces, SHARE)
    ]
    with Pool(jobs, "comparing C") as pool:
        for _, share in pool.map(_share, cuts, lambda task: f"trace {task[1]}"):
            whole.merge(share)
            if progress:
                progress(share.total)
        result, tasks = _judge(work, whole)
        if calls:
            _judge_calls(work.plan, calls, result, pool)
        every = [(finding, (work, finding, budget)) for finding, _ in tasks]
        shown = pool.map(_shortest, every, lambda task: str(task[1]))
        for (_, keep), (_, (example, text)) in zip(tasks, shown, strict=True):
            keep.example = example
            if text and isinstance(keep, Failure):
                keep.text = text
            if shrinking:
                shrinking(1)
    result.seconds = time.monotonic() - began
    return result


def _share(task: tuple[Work, int, int]) -> Found:
    return do_share(*task)


# --- verdicts -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a trace shows of a step: a deviation by name, or a failure."""

    step: int
    number: int
    name: str = ""
    fields: tuple[str, ...] = ()
    text: str = ""
    index: int = 0


Tasks = list[tuple[Finding, DeviationFound | Failure]]


def _judge(work: Work, found: Found) -> tuple[CheckResult, Tasks]:
    series = work.plan.load_series()
    tasks: Tasks = []
    steps = [_judge_step(work, series, found, step, tasks) for step in work.steps]
    return CheckResult(work.plan.seed, found.total, work.plan.profile.ops, steps, []), tasks


def _judge_step(work: Work, series: Series, found: Found, step: int, tasks: Tasks) -> StepResult:
    from_start = found.from_start.get(step, 0)
    through = tuple(s for s in range(1, step + 1) if deviations(series, s))
    result = StepResult(
        step,
        series.title(step),
        traces=found.traces.get(step, 0),
        differing=found.differing.get(step, 0),
        from_start=from_start,
        through=through if from_start else (),
    )
    for deviation in deviations(series, step) if work.lane == "native" else ():
        kept = DeviationFound(deviation)
        seen = found.shown.get((step, deviation.id))
        if seen:
            kept.count = seen.count
            tasks.append((finding_of(step, seen, deviation.id), kept))
        result.deviations.append(kept)
    if wrong := found.wrong.get(step):
        failure = Failure("difference", wrong.fields, wrong.text, wrong.count)
        result.failures.append(failure)
        tasks.append((finding_of(step, wrong), failure))
    return result


def finding_of(step: int, seen: Seen, name: str = "") -> Finding:
    """What was seen of a step soonest, as a finding to shorten."""
    index, number = seen.soonest
    return Finding(step, number, name, seen.fields, seen.text, index)


def _judge_calls(plan: Plan, libraries: Libraries, result: CheckResult, pool: Pool) -> None:
    """Add what direct calls show to the steps."""
    steps = [row.step for row in result.steps if row.step in libraries.steps]
    wanted = sorted({*steps, *(s - 1 for s in steps if s - 1 in libraries.steps)})
    tasks = [(step, (plan, libraries, step)) for step in wanted]
    compared = dict(pool.map(_calls, tasks, lambda task: f"calls at step {task[2]}"))
    for row in result.steps:
        if row.step not in compared:
            continue
        row.calls = compared[row.step].calls
        before = compared.get(row.step - 1)
        wrong = compared[row.step].wrong
        if wrong and not (before and before.wrong):
            row.failures.append(Failure("api", (), wrong.text, 1))


def _calls(task: tuple[Plan, Libraries, int]) -> Compared:
    plan, libraries, step = task
    cases = range(max(plan.traces // CALLS_EVERY, 1))
    machine = machines(plan.copies)[step]
    return compare_calls(plan.load_series(), step, session(libraries), plan.seed, cases, machine)


# --- the shortest trace of each finding ---------------------------------------------


def _shortest(task: tuple[Work, Finding, int]) -> tuple[Example, str]:
    return shortest(*task)


def shortest(work: Work, finding: Finding, budget: int) -> tuple[Example, str]:
    """A trace that shows a finding, as short as the budget allows, and what it shows.

    What a trace alone does not show again (a step may keep state that a reset leaves, or
    depend on chance) is given as it was found.
    """
    trace = work.trace(finding.number)
    name = "-".join(("native", "step", str(finding.step), finding.name or "difference"))
    if finding.name:
        return _shortest_deviation(work, finding, trace.renamed(name), budget), ""
    unshrunk = Example(trace.renamed(name), finding.index)
    if finding.fields == UNREPEATED or not _same(work, finding, trace):
        return unshrunk, finding.text
    if finding.text.startswith("hang"):
        budget = min(budget, HANGING)

    def holds(candidate: Trace) -> bool:
        return _same(work, finding, candidate) is not None

    result = language.shrink(trace, holds, budget)
    small = result.trace.renamed(name)
    found = _same(work, finding, small)
    if found is None:
        return unshrunk, finding.text
    return Example(small, found.index, result.complete), found.text


def _same(work: Work, finding: Finding, trace: Trace) -> Departure | None:
    """What a trace shows of the finding's step, if it is a departure of the same kind."""
    try:
        found = judge_alone(work, trace, finding.step)
    except DomainError:
        return None
    if found is None or found.fields != finding.fields:
        return None
    # A crash must not turn into a hang on the way.
    kind = finding.text.partition(":")[0]
    return found if found.fields != ("status",) or found.text.startswith(kind) else None


def _shortest_deviation(work: Work, finding: Finding, trace: Trace, budget: int) -> Example:
    """An example of a declared deviation: found on the models, then confirmed on the C."""
    series, classes = work.plan.load_series(), machines(work.plan.copies)
    step = finding.step
    declared = deviations(series, step)

    def shown(candidate: Trace) -> int | None:
        lawful = follow_laws(classes[step - 1], classes[step], candidate, declared)
        return lawful.shown.get(finding.name)

    result = language.shrink(trace, lambda candidate: shown(candidate) is not None, budget)
    index = shown(result.trace)
    try:
        if index is not None and judge_alone(work, result.trace, step) is None:
            return Example(result.trace, index, result.complete)
    except DomainError:
        pass
    return Example(trace, finding.index)

"""Check the C steps on random traces: verdicts as those of ``series.check``.

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
from collections.abc import Collection
from typing import Final

from replay.base.patience import patient
from replay.base.pool import Pool
from replay.dirty.language import language
from replay.dirty.native.calls import Compared, compare_calls
from replay.dirty.native.compare import Departed, NativeTally, Work
from replay.dirty.native.departure import deviations
from replay.dirty.native.session import Libraries, session
from replay.errors import UsageError
from replay.search.campaign import Told, examples, gather, untold
from replay.series.check import Plan
from replay.series.declared import Series
from replay.series.names import before, line
from replay.series.verdict import CheckResult, Comparison, DeviationFound, Failure, StepResult

CALLS_EVERY: Final = 5
"""For every so many traces there is a case of direct calls."""

COMPARISONS: Final = {"native": Comparison.C, "both": Comparison.C_MODEL}
"""What is compared in each lane."""


def check_native(
    plan: Plan,
    libraries: Libraries,
    jobs: int = 1,
    progress: Told = untold,
    shrinking: Told = untold,
    budget: int = language.BUDGET,
    every: int = 1,
    known: Collection[tuple[int, str]] = (),
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
        known: the (step, deviation) that want no example: somebody has one.

    Raises:
        DomainError: a library is not of this version's driver.
        WorkerError: a worker process was killed.

    """
    work = Work("native", plan, libraries, every)
    return _check(work, None, jobs, progress, shrinking, budget, known)


def check_both(
    plan: Plan,
    libraries: Libraries,
    jobs: int = 1,
    progress: Told = untold,
    shrinking: Told = untold,
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
    progress: Told,
    shrinking: Told,
    budget: int,
    known: Collection[tuple[int, str]] = (),
) -> CheckResult:
    if not work.libraries.paths:
        raise UsageError("no step was built: there is nothing to run")
    began = time.monotonic()
    work.plan.machines()  # an error in a copy shows here, not in a worker
    with Pool(jobs, "comparing C") as pool:
        whole = gather(work, work.plan.traces, pool, progress)
        result, findings = judge_tally(work, whole)
        findings = [pair for pair in findings if (pair[0].step, pair[0].name) not in known]
        if calls:
            _judge_calls(work.plan, calls, result, pool)
        shown = examples(work, [finding for finding, _ in findings], budget, pool, shrinking)
        for (_, keep), (example, text) in zip(findings, shown, strict=True):
            keep.example = example
            if text and isinstance(keep, Failure):
                keep.text = text
    result.seconds = time.monotonic() - began
    return result


# --- verdicts -----------------------------------------------------------------------


Findings = list[tuple[Departed, DeviationFound | Failure]]


def judge_tally(work: Work, found: NativeTally) -> tuple[CheckResult, Findings]:
    """The verdicts on the steps of a work; and the findings that want an example."""
    series = work.plan.series
    findings: Findings = []
    steps = [_judge_step(work, series, found, step, findings) for step in work.steps]
    return CheckResult(work.plan.seed, found.total, work.plan.language.ops, steps, []), findings


def _judge_step(
    work: Work, series: Series, found: NativeTally, step: int, findings: Findings
) -> StepResult:
    from_start, traces = found.from_start.get(step, 0), found.traces.get(step, 0)
    comparison = COMPARISONS[work.lane]
    through = tuple(s for s in line(step)[1:] if deviations(series, s))
    result = StepResult(
        step,
        series.title(step),
        traces=traces,
        differing=found.differing.get(step, 0),
        from_start=from_start,
        through=through if from_start else (),
        rests={comparison: traces} if traces else {},
    )
    for deviation in deviations(series, step) if work.lane == "native" else ():
        kept = DeviationFound(deviation)
        seen = found.shown.get((step, deviation.id))
        if seen:
            kept.count = seen.count
            findings.append((Departed.soonest(step, seen, deviation.id), kept))
        result.deviations.append(kept)
    if wrong := found.wrong.get(step):
        failure = Failure(
            "difference", wrong.fields, wrong.text, wrong.count, comparison=comparison
        )
        result.failures.append(failure)
        findings.append((Departed.soonest(step, wrong), failure))
    return result


def _judge_calls(plan: Plan, libraries: Libraries, result: CheckResult, pool: Pool) -> None:
    """Add what direct calls show to the steps."""
    steps = [row.step for row in result.steps if row.step in libraries.steps]
    wanted = sorted({*steps, *(before(s) for s in steps if before(s) in libraries.steps)})
    tasks = [(step, (plan, libraries, step)) for step in wanted]
    compared = dict(pool.map(_calls, tasks, lambda task: f"calls at step {task[2]}"))
    for row in result.steps:
        if row.step not in compared:
            continue
        row.calls = compared[row.step].calls
        last = compared.get(before(row.step))
        wrong = compared[row.step].wrong
        if wrong and not (last and last.wrong):
            failure = Failure("api", (), wrong.text, 1, comparison=Comparison.C_MODEL)
            row.failures.append(failure)


def _calls(task: tuple[Plan, Libraries, int]) -> Compared:
    plan, libraries, step = task
    cases = range(max(plan.traces // CALLS_EVERY, 1))
    machine, held = plan.machines()[step], session(libraries)
    with patient(plan.copies, plan.patience, 100 * len(cases), f"of direct calls at step {step}"):
        return compare_calls(plan.series, step, held, plan.seed, cases, machine)

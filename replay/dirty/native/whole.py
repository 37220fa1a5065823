"""Check the steps by all that there is: the models, the C, and the C against the models.

Every trace runs on the models. On fewer, as each costs nearly as much again, the C of every
step is compared with the C of the step before, and with its model. A step has one verdict,
which says what it rests on: it fails where any of the comparisons fails.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from replay.dirty.language.language import Preceded
from replay.dirty.native.check import check_both, check_native
from replay.dirty.native.session import Libraries, can_run
from replay.search.campaign import Told, untold
from replay.series.check import BUDGET, SHARE, Plan, check
from replay.series.verdict import CheckResult, StepResult

IN_C_EVERY: Final = 10
"""Of so many traces of the models one more is drawn for the C: the default check is to take
less than a minute on two cores, nearly all of which the models need."""


def traces_in_c(traces: int) -> int:
    """How many traces run in C where so many run on the models."""
    return min(traces, max(traces // IN_C_EVERY, SHARE))


def in_c(plan: Plan, libraries: Libraries, drawn: int | None = None) -> Plan:
    """A plan with those of its kept traces that the C can run; ``drawn`` more, or as many."""
    language = plan.language
    kept = language.kept if isinstance(language, Preceded) else ()
    fit = tuple(trace for trace in kept if can_run(libraries, trace))
    if isinstance(language, Preceded):
        language = replace(language, kept=fit)
    drawn = plan.traces - len(kept) if drawn is None else drawn
    return replace(plan, language=language, traces=len(fit) + drawn)


def kept_by(plan: Plan) -> int:
    """How many traces of a plan were kept, and not drawn."""
    return len(plan.language.kept) if isinstance(plan.language, Preceded) else 0


def check_whole(
    plan: Plan,
    libraries: Libraries,
    jobs: int = 1,
    progress: Told = untold,
    shrinking: Told = untold,
    budget: int = BUDGET,
) -> CheckResult:
    """Check a plan on the models, on the C, and on the C and the models.

    Arguments and errors as of ``native.check.check_native``; the libraries are those built
    with calls of the inner API. ``progress`` hears of each trace once for each comparison.
    """
    result = check(plan, jobs, progress, shrinking, budget, watched=True)
    few = in_c(plan, libraries, traces_in_c(plan.traces - kept_by(plan)))
    known = {
        (step.step, found.deviation.id)
        for step in result.steps
        for found in step.deviations
        if found.count
    }
    told = (jobs, progress, shrinking, budget)
    add(result, check_native(few, libraries, *told, known=known))
    add(result, check_both(few, libraries, *told, calls=libraries))
    return result


def add(result: CheckResult, more: CheckResult) -> None:
    """Add what another comparison found to the verdicts on the steps.

    Step 0, which only has its model to be compared with, gets a row where it fails.
    """
    rows = {step.step: step for step in result.steps}
    for step in more.steps:
        if step.step in rows:
            _add_step(rows[step.step], step)
        elif step.failures:
            result.steps.insert(0, step)
            rows[step.step] = step
    result.seconds += more.seconds


def _add_step(step: StepResult, more: StepResult) -> None:
    step.rests |= more.rests
    step.calls += more.calls
    step.failures += more.failures
    found = {one.deviation.id: one for one in more.deviations}
    for at, mine in enumerate(step.deviations):
        theirs = found.get(mine.deviation.id)
        if theirs and theirs.count and not mine.count:
            step.deviations[at] = theirs

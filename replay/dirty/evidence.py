"""What shows that a step is guilty: its patch, and the shortest trace before and after."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replay.build.compile import BuildFailed
from replay.dirty.language import language
from replay.dirty.language.trace import Trace
from replay.dirty.rules.comparison import RunComparison, compare_runs
from replay.dirty.symptoms import (
    Ask,
    Lane,
    Question,
    property_breaks,
    the_traces,
    trace_changes,
)
from replay.search.bisect import Answer
from replay.series.declared import StepData, load
from replay.series.patches import Patch, PatchError, read_patches


@dataclass(frozen=True, slots=True)
class GuiltyStep:
    """A step that was found guilty, and what shows it.

    Attributes:
        step: its number.
        patch: its patch; None where that cannot be shown, which ``problem`` explains.
        declared: what the series says of the step.
        problem: why there is no patch, "" where there is one.
        comparison: the shortest trace at the step before and at this one; None where the
            symptom is none of a trace, or no trace shows it at this step alone.
    """

    step: int
    patch: Patch | None
    declared: StepData | None
    problem: str
    comparison: RunComparison | None


def evidence(question: Question, step: int) -> GuiltyStep:
    """Gather what shows that a step is guilty; runs and shortens traces."""
    patch, declared, problem = None, None, ""
    try:
        patch = read_patches(Path(question.series) if question.series else None)[step - 1]
        declared = load().step(step)
    except (PatchError, IndexError) as error:
        patch, problem = None, str(error)
    return GuiltyStep(step, patch, declared, problem, _compared(question, step))


def _compared(question: Question, step: int) -> RunComparison | None:
    small = shortest(question, step)
    if small is None:
        return None
    lane = Lane(question)
    old, new = lane.run(step - 1, small), lane.run(step, small)
    # The trace shows the symptom, so both were built.
    assert not isinstance(old, BuildFailed) and not isinstance(new, BuildFailed)
    return compare_runs(old, new)


def shortest(question: Question, step: int, budget: int = 600) -> Trace | None:
    """The shortest trace that shows the symptom at a step and not at the one before."""
    if question.api or question.elf:
        return None
    lane = Lane(question)

    def shows(trace: Trace) -> bool:
        ask: Ask
        if question.property:
            ask = property_breaks(lane, question.property, [trace])
            return ask(step)[0] is Answer.BAD and ask(step - 1)[0] is Answer.GOOD
        ask = trace_changes(lane, trace)
        return ask(step)[0] is Answer.BAD

    found = next((trace for trace in the_traces(question) if shows(trace)), None)
    return None if found is None else language.shrink(found, shows, budget).trace

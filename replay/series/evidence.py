"""What shows that a step is guilty: its patch, and the shortest trace before and after."""

from __future__ import annotations

from typing import Any

from replay.errors import SeriesError
from replay.search.bisect import Answer
from replay.search.shrink import shrink
from replay.series.guilty import GuiltyStep
from replay.series.latertrees import fixes_by_name
from replay.series.names import parts_of
from replay.series.patches import PATCHES_FOLDER, PatchError, read_patches
from replay.series.subject import SideBySide, Subject, Unbuilt
from replay.series.symptoms import (
    Ask,
    Question,
    lane_of,
    property_breaks,
    the_traces,
    trace_changes,
)


def evidence(subject: Subject, question: Question, step: int) -> GuiltyStep:
    """Gather what shows that a step is guilty; runs and shortens traces."""
    patch, declared, problem = None, None, ""
    folder = subject.file.parent
    try:
        if (folder / PATCHES_FOLDER).exists():
            fixes = parts_of(step)
            patch = fixes_by_name(folder)[fixes[-1]] if fixes else read_patches(folder)[step - 1]
        declared = subject.series.step(step)
    except (PatchError, SeriesError, IndexError) as error:
        patch, problem = None, str(error)
    return GuiltyStep(step, patch, declared, problem, _compared(subject, question, step))


def _compared(subject: Subject, question: Question, step: int) -> SideBySide | None:
    small = shortest(subject, question, step)
    if small is None:
        return None
    lane = lane_of(question, subject)
    old, new = lane.run(subject.before(step), small), lane.run(step, small)
    # The trace shows the symptom, so both were built.
    assert not isinstance(old, Unbuilt) and not isinstance(new, Unbuilt)
    return subject.side_by_side(old, new)


def shortest(subject: Subject, question: Question, step: int, budget: int = 600) -> Any | None:
    """The shortest trace that shows the symptom at a step and not at the one before."""
    if question.api or question.elf:
        return None
    lane = lane_of(question, subject)

    def shows(trace: Any) -> bool:
        ask: Ask
        if question.property:
            ask = property_breaks(subject, lane, question.property, [trace])
            return ask(step)[0] is Answer.BAD and ask(subject.before(step))[0] is Answer.GOOD
        ask = trace_changes(subject, lane, trace)
        return ask(step)[0] is Answer.BAD

    found = next((trace for trace in the_traces(question, subject, lane) if shows(trace)), None)
    return None if found is None else shrink(found, subject.language, shows, budget).trace

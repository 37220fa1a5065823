"""The shortest traces of a lesson's step, as lines."""

from __future__ import annotations

from replay.dirty.language.values import op_text
from replay.dirty.subject import SUBJECT
from replay.teach.lessons.shortest import shortest_trace
from replay.teach.terminal.text import EMPTY, Line, wrapped


def shortest_lines(number: int, width: int) -> list[Line]:
    """The shortest traces of a step's deviations, where traces show any."""
    found = {d.id: shortest_trace(number, d.id) for d in SUBJECT.series.step(number).deviations}
    made: list[Line] = []
    for name, trace in found.items():
        if trace is None:
            continue
        head = f"{name}, at its shortest: a search of all states of a small machine found none "
        made += [EMPTY, *wrapped(f"{head}with fewer operations", width, "dim")]
        for op in trace.ops:
            made += wrapped(f"  {op_text(op)}", width, indent="    ")
    return made

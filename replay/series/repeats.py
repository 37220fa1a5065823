"""Whether a model does the same on the same trace: if not, nothing can be said of its step.

A changed copy of a model, or a model of somebody's own, may keep something that a fresh
machine does not forget (a list in its module or its class), or depend on chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from replay.errors import SeriesError
from replay.series.subject import Copies, Machine, Subject

TURNS: Final = 3
"""How often a trace is run again on the same machine."""

MOST: Final = 240
"""Characters of what differs that an error shows."""


def insist(
    subject: Subject,
    machines: Sequence[Machine],
    copies: Copies,
    steps: Iterable[int],
    trace: Any,
    afresh: bool = True,
) -> None:
    """See to it that some steps do the same whenever they run a trace.

    Args:
        subject: whose steps.
        machines: of steps 0, 1 and so on.
        copies: the changed copies among them.
        steps: the steps to run.
        trace: what to run.
        afresh: ask machines of copies that are loaded anew, too.

    Raises:
        SeriesError: a step does not, with the operation at which it first shows.

    """
    steps = sorted({step for step in steps if step >= 0})
    anew = subject.loaded_anew(copies, max(steps)) if copies and afresh else []
    for step in steps:
        first = subject.run(step, machines[step], trace)
        for machine in (*[machines[step]] * TURNS, *anew[step : step + 1]):
            parting = subject.parting(first, subject.run(step, machine, trace))
            if parting is not None:
                raise unrepeated(copies, step, trace, parting.index, parting.words())


def unrepeated(copies: Copies, step: int, trace: Any, index: int, words: str) -> SeriesError:
    """The error about a step that ran a trace in two ways; ``words`` say how they differ."""
    files = [f"{path} (step {number})" for number, path in copies if number <= step]
    using = f", with {', '.join(files)}," if files else ""
    words = words if len(words) <= MOST else f"{words[:MOST]}…"
    op = f"operation {index + 1}, {trace.ops[index]}" if index < len(trace.ops) else "its end"
    return SeriesError(
        f"the model of step {step}{using} does not repeat: run twice on the trace "
        f"{trace.name}, it does two things at {op}: {words}. A step cannot be judged by that: "
        "does it keep something in its module or its class, or depend on chance?"
    )

"""Where a run of C is not what it should be, and what says so of one trace.

A run is compared with that of the step before, with that of the model of its own step, or
under the laws of a step that deviates. ``replay.dirty.native.compare`` says when each of these
is a ground for blaming a step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from replay.dirty.language.trace import Trace
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.machine.model import Run
from replay.dirty.rules.diff import Lawful, first_difference, follow_laws
from replay.series.declared import Deviation, Series
from replay.series.names import before

DEATHS: Final = ("crash", "hang")
UNREPEATED: Final = ("unrepeatable",)
UNREPEATED_TEXT: Final = (
    "but alone in a fresh process the trace does not show it: the code keeps something "
    "that a reset leaves"
)

HANGING: Final = 150
"""Candidates tried to shorten a trace that hangs: each costs the time limit."""


@dataclass(frozen=True, slots=True)
class Departure:
    """Where and how a run is not what it should be."""

    index: int
    fields: tuple[str, ...]
    text: str

    @property
    def kind(self) -> str:
        """What must stay so in a smaller trace: a crash must not turn into a hang."""
        return self.text.partition(":")[0] if self.fields == ("status",) else ""

    def affordable(self, budget: int) -> int:
        """Candidates that may be tried to shorten a trace that shows it."""
        return min(budget, HANGING) if self.kind == "hang" else budget


def departure(wanted: Run, got: Run, compared_with: str) -> Departure | None:
    """Where a run of C departs from another run; two that die alike do not.

    ``compared_with`` ends the sentence about a death.
    """
    difference = first_difference(wanted, got)
    if difference is None:
        return None
    index = difference.index
    statuses = [o.status if o else "ended" for o in (difference.old, difference.new)]
    died = statuses[1] in DEATHS
    if died and statuses[0] == statuses[1]:
        return None
    if died:
        how = difference.new.ret if difference.new else ""
        return Departure(index, ("status",), f"{statuses[1]}: {how}; {compared_with} does not")
    fields = ("status",) if statuses[0] in DEATHS else difference.fields
    return Departure(index, fields, f"{difference.words()} ({compared_with})")


def dead(run: Run) -> bool:
    """Whether the library died in a run."""
    return bool(run.records) and run.records[-1].status in DEATHS


@dataclass(slots=True)
class Recorded:
    """One trace on all that is asked about it: C runs as recorded, models as needed."""

    series: Series
    classes: Sequence[type[Any]]
    trace: Trace
    runs: Mapping[int, Run]
    models: dict[int, Run] = field(default_factory=dict)
    off: dict[int, Departure | None] = field(default_factory=dict)

    def departs(self, step: int) -> Departure | None:
        """Where C at a step departs from its model."""
        if step not in self.off:
            if step not in self.models:
                self.models |= run_steps(self.classes, self.trace, [step])
            self.off[step] = departure(self.models[step], self.runs[step], "as in the model")
        return self.off[step]

    def plain(self, step: int) -> Departure | None:
        """A step that declares nothing, whose digest is not that of the step before.

        None where it equals the step before, or is what its model is.
        """
        found = departure(self.runs[before(step)], self.runs[step], "as at the step before")
        if found is None or (self.departs(step) is None and self.departs(before(step))):
            return None
        return found

    def lawful(self, step: int) -> Lawful:
        """The models' pair under the laws of a step."""
        return follow_laws(
            self.classes[before(step)], self.classes[step], self.trace,
            deviations(self.series, step),
        )  # fmt: skip

    def first_off(self, step: int) -> Departure | None:
        """A departure that begins at this step: the one before does as its model does."""
        found = self.departs(step)
        if found and (step == 0 or before(step) not in self.runs or not self.departs(before(step))):
            return found
        return None


def deviations(series: Series, step: int) -> list[Deviation]:
    """The declared deviations of a step that traces can show."""
    return [d for d in series.step(step).deviations if d.scope == "trace"]

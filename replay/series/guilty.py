"""A guilty step with what shows it, as a value: gathered by ``series.evidence``."""

from __future__ import annotations

from dataclasses import dataclass

from replay.series.declared import StepData
from replay.series.patches import Patch
from replay.series.subject import SideBySide


@dataclass(frozen=True, slots=True)
class GuiltyStep:
    """A step that was found guilty, and what shows it.

    Attributes:
        step: its number.
        patch: its patch; None where that cannot be shown, which ``problem`` explains.
        declared: what the series says of the step.
        problem: why there is no patch, "" where there is one or the subject has none at all.
        comparison: the shortest trace at the step before and at this one; None where the
            symptom is none of a trace, or no trace shows it at this step alone.
    """

    step: int
    patch: Patch | None
    declared: StepData | None
    problem: str
    comparison: SideBySide | None

"""What a check of a series found, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from replay.search.verdict import Verdict
from replay.series.declared import Deviation


class Comparison(StrEnum):
    """What was run beside what: the grounds that a verdict rests on."""

    MODELS = "models"
    """The models of a step and of the one before."""
    C = "c"
    """The C of a step and of the one before."""
    C_MODEL = "c-model"
    """The C of a step and its model."""


@dataclass(frozen=True, slots=True)
class Example:
    """A trace that shows something, as short as it was found.

    Attributes:
        trace: the trace.
        index: the operation at which it shows.
        shrunk: whether the shrinker finished within its budget.

    """

    trace: Any
    index: int
    shrunk: bool = False


@dataclass(slots=True)
class DeviationFound:
    """A declared deviation, how many traces (or direct calls) showed it, and the shortest."""

    deviation: Deviation
    count: int = 0
    example: Example | None = None
    call: str = ""


@dataclass(slots=True)
class PropertyFound:
    """A property that holds at the step before and not at this one, on ``count`` traces.

    One that is mended holds at this one and not at the step before.
    """

    name: str
    declared: bool
    count: int = 0
    text: str = ""
    example: Example | None = None


@dataclass(slots=True)
class Failure:
    """Something a step does that nothing declares.

    Attributes:
        what: "difference", or the name of a property, or "api".
        fields: the fields of the observation that differ.
        text: in words, with what was expected.
        count: traces that show a failure of this step (of any fields).
        example: the shortest trace found; None for a direct call.
        comparison: which comparison shows it.

    """

    what: str
    fields: tuple[str, ...]
    text: str
    count: int = 0
    example: Example | None = None
    comparison: Comparison = Comparison.MODELS


@dataclass(slots=True)
class StepResult:
    """All that was found about one step.

    Attributes:
        step: its number.
        title: its title.
        traces: traces on which it was compared with the step before.
        calls: direct calls of its inner API that were compared, with the step before or, of
            C, with the model.
        differing: traces on which its run differs from that of the step before.
        from_start: traces on which its run differs from that of step 0.
        through: the steps whose declared deviations account for that.
        deviations: the declared ones, shown or not.
        properties: those that break at this step, declared or not.
        mended: those that it is to mend, shown or not.
        failures: what nothing declares.
        rests: each comparison that was made, with the traces on which it was.

    """

    step: int
    title: str
    traces: int = 0
    calls: int = 0
    differing: int = 0
    from_start: int = 0
    through: tuple[int, ...] = ()
    deviations: list[DeviationFound] = field(default_factory=list)
    properties: list[PropertyFound] = field(default_factory=list)
    mended: list[PropertyFound] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    rests: dict[Comparison, int] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The verdict that these findings amount to."""
        if self.failures:
            return Verdict.UNDECLARED
        if not self.traces:
            return Verdict.UNDECIDED
        found: list[DeviationFound | PropertyFound] = [
            *self.deviations, *self.properties, *self.mended,
        ]  # fmt: skip
        if any(item.count == 0 for item in found):
            return Verdict.UNSHOWN
        return Verdict.DEVIATES if found else Verdict.SAME


@dataclass(slots=True)
class CheckResult:
    """The result of a check: one StepResult a step, and the properties step 0 breaks."""

    seed: int
    traces: int
    ops: int
    steps: list[StepResult]
    start: list[PropertyFound]
    seconds: float = 0.0
    reached: list[str] = field(default_factory=list)
    """What the traces reached, in words, where that was counted."""
    corpus: int = 0
    """How many of the traces were kept ones, which ran first."""
    left_out: str = ""
    """Which comparisons were not made though nobody left them out, why, and the cure."""

    @property
    def passed(self) -> bool:
        """Whether every step is as claimed, and step 0 breaks just what it is said to."""
        return all(s.verdict.passes for s in self.steps) and all(
            p.declared and p.count for p in self.start
        )

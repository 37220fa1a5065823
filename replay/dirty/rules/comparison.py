"""Two runs of one trace side by side: every operation at which they part, and in what."""

from __future__ import annotations

from dataclasses import dataclass

from replay.dirty.language.trace import Observation, Op, Trace
from replay.dirty.machine.model import Run


@dataclass(frozen=True, slots=True)
class Parted:
    """An operation of which two steps were seen differently.

    ``fields`` are names of ``language.trace.FIELDS``; an observation is None where that
    run had ended, and ``fields`` is then ``("status",)``.
    """

    index: int
    op: Op
    fields: tuple[str, ...]
    a: Observation | None
    b: Observation | None


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two steps on one trace: all operations at which their observations differ."""

    trace: Trace
    steps: tuple[int, int]
    parted: tuple[Parted, ...]

    @property
    def equal(self) -> bool:
        """Whether every observation is the same."""
        return not self.parted


def compare_runs(a: Run, b: Run) -> RunComparison:
    """Compare two runs of the same trace, observation by observation."""
    parted = []
    for index, (op, x, y) in enumerate(
        zip(a.trace.ops, a.observations(), b.observations(), strict=True)
    ):
        if x is None or y is None:
            fields: tuple[str, ...] = () if x is y else ("status",)
        else:
            fields = x.differences(y)
        if fields:
            parted.append(Parted(index, op, fields, x, y))
    return RunComparison(a.trace, (a.step, b.step), tuple(parted))

"""Two runs of one trace side by side: every operation at which they part, and in what."""

from __future__ import annotations

from dataclasses import dataclass

from replay.dirty.language.trace import Trace
from replay.dirty.machine.model import Run
from replay.dirty.rules.diff import Difference


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two steps on one trace: all operations at which their observations differ."""

    trace: Trace
    steps: tuple[int, int]
    parted: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        """Whether every observation is the same."""
        return not self.parted


def compare_runs(a: Run, b: Run) -> RunComparison:
    """Compare two runs of the same trace, observation by observation."""
    pairs = enumerate(zip(a.observations(), b.observations(), strict=True))
    parted = [Difference.between(index, x, y) for index, (x, y) in pairs]
    return RunComparison(a.trace, (a.step, b.step), tuple(filter(None, parted)))

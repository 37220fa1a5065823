"""The vocabulary of a measurement: figures with their spread, tables, sections."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

clock: Final = time.process_time
"""Seconds that this process has spent on a processor."""

Progress: TypeAlias = Callable[[float, str], None]
"""Told the share of a section that is done, 0 to 1, and what comes next."""


def silent(share: float, text: str) -> None:
    """Progress for nobody."""


@dataclass(frozen=True, slots=True)
class Spread:
    """One figure, measured several times: the median, and how far apart the rounds were."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """The spread of some values, at least one."""
        known = sorted(values)
        return cls(statistics.median(known), known[0], known[-1], len(known))

    def to_json(self) -> dict[str, float]:
        """All four."""
        return {
            "median": self.median,
            "low": self.low,
            "high": self.high,
            "rounds": self.rounds,
        }

    def text(self, digits: int = 1) -> str:
        """Median, and lowest to highest."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """The ratio of two sides that took turns: of each round, then their spread."""
    return Spread.of(a / b for a, b in zip(above, below, strict=True))


@dataclass(frozen=True, slots=True)
class Effort:
    """How much to measure.

    Attributes:
        quick: all sections together in less than a minute instead of some.
        seed: of everything that is drawn.
        faults: how many faults are looked for, 0 for all; None for a small sample.

    """

    quick: bool = False
    seed: int = 1
    faults: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Figures for people. ``rows`` are cells; the first column is text, the rest numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Attainment:
    """A goal, what was measured for it, and whether that meets it."""

    goal: str
    measured: str
    met: bool

    def to_json(self) -> dict[str, Any]:
        """All three."""
        return {"goal": self.goal, "measured": self.measured, "met": self.met}


class Result(Protocol):
    """What a section measured. Frozen values; the raw figures go into the JSON."""

    def tables(self) -> Sequence[Table]:
        """The figures as tables."""
        ...

    def verdicts(self) -> Sequence[Attainment]:
        """The goals that the figures speak of."""
        ...

    def notes(self) -> Sequence[str]:
        """How it was measured, and what was left out."""
        ...

    def to_json(self) -> dict[str, Any]:
        """All raw figures, with their units in the names."""
        ...


@dataclass(frozen=True, slots=True)
class Section:
    """One claim about cost, and how it is measured.

    ``measure`` raises ``replay.errors.UsageError`` where what it needs is not installed.
    """

    name: str
    title: str
    measure: Callable[[Effort, Progress], Result]

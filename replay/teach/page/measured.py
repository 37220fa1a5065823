"""The cost of a migration sync by step, from a saved ``replay bench --json``; never made up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from replay.dirty.subject import SUBJECT
from replay.errors import UsageError

FIGURES: Final = "seconds_a_page_of_a_sync"
"""Where a section of the report keeps what a sync costs."""


class _Spread(msgspec.Struct):
    median: float
    low: float
    high: float


class _Cost(msgspec.Struct):
    step: int
    pages: int
    seconds: _Spread


@dataclass(frozen=True, slots=True)
class Cost:
    """What a sync costs at one step and size of RAM: nanoseconds a page."""

    step: int
    pages: int
    nanoseconds: float
    low: float
    high: float

    @property
    def sentence(self) -> str:
        """The cost in words."""
        return f"step {self.step}, {self.pages:,} pages: {self.nanoseconds:.3g} ns a page"


@dataclass(frozen=True, slots=True)
class Measured:
    """The costs, and on what they were measured."""

    costs: tuple[Cost, ...]
    machine: str
    quick: bool


def read_bench(path: Path) -> Measured:
    """What a saved report says about syncs.

    Raises:
        UsageError: the file is no such report, or it measured no sync.

    """
    cure = "it must be what 'replay bench --json' prints"
    try:
        report: Any = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}; {cure}") from None
    if not isinstance(report, dict) or report.get("format") != "replay-bench/1":
        raise UsageError(f"{path}: its format is not 'replay-bench/1'; {cure}")
    sections = report.get("sections")
    found: list[Any] = []
    for section in sections.values() if isinstance(sections, dict) else ():
        if isinstance(section, dict):
            found += section.get(FIGURES) or ()
    if not found:
        raise UsageError(
            f"{path}: no section measured a sync; run replay bench with section memory"
        )
    try:
        costs = msgspec.convert(found, list[_Cost])
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: {error}; {cure}") from None
    return Measured(
        _checked(costs, path), _machine(report.get("machine")), bool(report.get("quick"))
    )


def _checked(costs: list[_Cost], path: Path) -> tuple[Cost, ...]:
    for cost in costs:
        if (
            not 0 <= cost.step <= SUBJECT.last
            or not 0 < cost.seconds.median < 1e6
            or cost.pages < 1
        ):
            raise UsageError(f"{path}: a sync at step {cost.step} cannot have cost that")
    found = [
        Cost(c.step, c.pages, c.seconds.median * 1e9, c.seconds.low * 1e9, c.seconds.high * 1e9)
        for c in costs
    ]
    return tuple(sorted(found, key=lambda c: (c.step, c.pages)))


def _machine(facts: Any) -> str:
    if not isinstance(facts, dict):
        return "a machine that the report does not describe"
    names = ("implementation", "python", "system", "architecture")
    return " ".join(str(facts[name]) for name in names if facts.get(name))

"""The list of sections, and the run of some of them. Later lanes add theirs here."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.dirty.bench import (
    binaries,
    driver,
    exploring,
    finding,
    length,
    lockstep,
    memory,
    native,
    recalling,
    store,
)
from replay.dirty.bench.figures import Effort, Result, Section
from replay.errors import UsageError

SECTIONS: Final[dict[str, Section]] = {
    section.name: section
    for section in (
        Section("lockstep", "All 40 steps against Hypothesis driving two", lockstep.measure),
        Section("memory", "Growth with the size of memory", memory.measure),
        Section("length", "Growth with the length of a trace", length.measure),
        Section("store", "Memory of the dirty store", store.measure),
        Section("native", "The C lane", native.measure_native),
        Section("costs", "What the series gains and loses in C", native.measure_cost),
        Section("recall", "The defects that a check finds, told nothing", recalling.measure),
        Section("finding", "Time to find a fault of the C", finding.measure),
        Section("driver", "Calling a user's library", driver.measure),
        Section("explore", "The search for states, plainly and by SPIN", exploring.measure),
        Section("elf", "Comparing libraries, beside abidiff", binaries.measure),
    )
}
"""In the order of the report."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was measured, and on what.

    Attributes:
        effort: how much.
        facts: what the figures may depend on.
        results: by the name of the section.

    """

    effort: Effort
    facts: dict[str, Any]
    results: dict[str, Result]

    def title(self, name: str) -> str:
        """The title of a section that was measured."""
        return SECTIONS[name].title


def facts() -> dict[str, Any]:
    """The interpreter and the machine, without names of hosts, people or places."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def run(
    names: Sequence[str],
    effort: Effort,
    progress: Callable[[float, float, str], None] | None = None,
) -> Report:
    """Measure some sections, in the order of the list.

    Args:
        names: of SECTIONS.
        effort: how much to measure.
        progress: told (done, total, text), in sections.

    Raises:
        UsageError: an unknown section, or one that lacks what it needs.

    """
    unknown = [name for name in names if name not in SECTIONS]
    if unknown:
        raise UsageError(f"no section {unknown[0]!r}; sections are {', '.join(SECTIONS)}")
    chosen = [section for name, section in SECTIONS.items() if name in names]
    known, results = facts(), {}
    for place, section in enumerate(chosen):

        def tell(share: float, text: str, at: int = place, name: str = section.name) -> None:
            if progress:
                progress(at + share, len(chosen), f"{name}: {text}")

        results[section.name] = section.measure(effort, tell)
    return Report(effort, known, results)

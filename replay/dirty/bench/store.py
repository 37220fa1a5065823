"""Section ``store``: memory of a model's dirty store against the store it stands for."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.dirty.bench.figures import Attainment, Effort, Progress, Table, silent
from replay.dirty.bench.machines import SIZES, with_ram
from replay.dirty.machine.large import Watcher

STEPS: Final = (0, 18, 19, 39)
GOAL: Final = 2.0
SMALL: Final = 1 << 14
"""Pages below which the fixed size of Python's objects says more than the store does."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """Bytes at one step and size.

    Attributes:
        step: the step.
        pages: pages of RAM.
        real: what the dirty store takes in C.
        model: what the model's store takes, as Python counts it, spare room included.
        watched: what was allocated for the store and for observing it.

    """

    step: int
    pages: int
    real: int
    model: int
    watched: int

    @property
    def ratio(self) -> float:
        """The model's store over the real one."""
        return self.model / self.real

    def to_json(self) -> dict[str, Any]:
        """As in the report."""
        return {
            "step": self.step,
            "pages": self.pages,
            "store_bytes_in_c": self.real,
            "store_bytes_in_python": self.model,
            "bytes_with_observing": self.watched,
            "ratio": self.ratio,
        }


@dataclass(frozen=True, slots=True)
class StoreResult:
    """Bytes by step and size."""

    measured: tuple[Bytes, ...]

    @property
    def worst(self) -> float:
        """The largest ratio of a store that is not tiny."""
        return max(m.ratio for m in self.measured if m.pages >= SMALL)

    def tables(self) -> Sequence[Table]:
        """A row a step and size."""
        rows = tuple(
            (
                f"step {m.step}, {m.pages:,} pages",
                f"{m.real:,}",
                f"{m.model:,}",
                f"{m.ratio:.2f}",
                f"{m.watched:,}",
            )
            for m in self.measured
        )
        columns = ("", "bytes in C", "model", "ratio", "with observing")
        return [Table("the dirty store", columns, rows)]

    def verdicts(self) -> Sequence[Attainment]:
        """Whether it is within the goal."""
        return [
            Attainment(
                f"the model's store takes at most {GOAL:.0f} times the real one, from "
                f"{SMALL:,} pages on",
                f"{self.worst:.2f} times",
                self.worst <= GOAL,
            )
        ]

    def notes(self) -> Sequence[str]:
        """What the columns mean."""
        return [
            "model: sys.getsizeof of the store's objects; below the size named, their fixed "
            "size of a few hundred bytes is the greater part. with observing: all that was "
            "allocated (tracemalloc) for the watched machine and what its observer remembers."
        ]

    def to_json(self) -> dict[str, Any]:
        """All bytes."""
        return {"measured": [m.to_json() for m in self.measured], "worst_ratio": self.worst}


def measure(effort: Effort, progress: Progress = silent) -> StoreResult:
    """Measure each step at each size."""
    sizes = SIZES[:4] if effort.quick else SIZES
    found = []
    for place, step in enumerate(STEPS):
        for pages in sizes:
            progress(place / len(STEPS), f"step {step}, {pages:,} pages")
            found.append(bytes_of(step, pages))
    return StoreResult(tuple(found))


def bytes_of(step: int, pages: int) -> Bytes:
    """Set up a machine of a size and count."""
    vm = with_ram(step, pages, watched=False)
    real = vm.store_bytes()
    model = sum(_size(getattr(vm, name)) for name in vm.FIELDS)
    del vm
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        vm = with_ram(step, pages)
        watcher = Watcher(vm)
        watcher.record(None, ())
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return Bytes(step, pages, real, model, after - before)


def _size(value: Any) -> int:
    own = sys.getsizeof(value)
    return own + sum(map(_size, value)) if isinstance(value, list) else own

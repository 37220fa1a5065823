"""The seed's own claim, measured on the C: what a sync and a log merge cost a page.

One large machine a step, in this process. Only the call of interest is timed, and what an
empty call costs is taken off; the memory is made dirty anew before each. Rounds of all
steps take turns, and each figure is the median.
"""

from __future__ import annotations

import statistics
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from replay.dirty.native.encode import OPCODES
from replay.dirty.native.library import Library
from replay.dirty.native.session import Libraries

clock: Final = time.process_time

STEPS: Final = (0, 28, 36, 37, 38, 39)
SHARES: Final = (0.0, 0.01, 1.0)
"""The share of the memory that is dirty."""

PAGES: Final = 1 << 18
"""A GiB."""

REPEATS: Final = 16
"""Syncs of clean memory in one timed call: nothing changes, so they are all alike."""

PAGE: Final = 4096
CLIENT: Final = 2


@dataclass(frozen=True, slots=True)
class Cost:
    """Nanoseconds a page of one call.

    Attributes:
        what: "sync" (migration_sync) or "merge" (kvm_log_sync).
        aligned: whether the block starts at the first page of a word.
        share: the share of pages that are dirty, or set in the log.

    """

    what: str
    aligned: bool
    share: float
    step: int
    nanoseconds: float


@dataclass(frozen=True, slots=True)
class Ratio:
    """How two costs compare, and how those of the real code do.

    ``expected`` is (lowest, highest); None where only the direction is known. ``agrees``:
    within a factor of 2 of that range, or in the same direction.
    """

    name: str
    measured: float
    expected: tuple[float, float] | None

    @property
    def agrees(self) -> bool:
        """See the class."""
        if self.expected is None:
            return self.measured > 1
        low, high = self.expected
        return low / 2 <= self.measured <= 2 * high


@dataclass(frozen=True, slots=True)
class Costs:
    """All figures of a measurement."""

    pages: int
    tcg: bool
    figures: tuple[Cost, ...]

    def of(self, what: str, share: float, step: int, aligned: bool = True) -> float:
        """One figure: nanoseconds a page."""
        return next(
            f.nanoseconds
            for f in self.figures
            if (f.what, f.aligned, f.share, f.step) == (what, aligned, share, step)
        )

    def ratios(self) -> list[Ratio]:
        """What the real code is known to do, on this code."""
        sync, merge = "sync", "merge"
        found = [
            Ratio(
                f"sync, {share:.0%} dirty: step 0 over 39",
                self.of(sync, share, 0) / self.of(sync, share, 39),
                (130, 370),
            )
            for share in SHARES
        ]
        full, empty = SHARES[-1], SHARES[0]
        return [
            *found,
            Ratio(
                "merge of a full log: step 0 over 37",
                self.of(merge, full, 0) / self.of(merge, full, 37),
                (130, 130),
            ),
            Ratio(
                "merge of a full log: step 36 over 0",
                self.of(merge, full, 36) / self.of(merge, full, 0),
                (2.7, 2.7),
            ),
            Ratio(
                "merge of an empty log: step 37 over 36",
                self.of(merge, empty, 37) / self.of(merge, empty, 36),
                None,
            ),
        ]


def store_bytes(step: int, pages: int = 1 << 18) -> int:
    """Bytes of the dirty store for a guest of ``pages`` pages, a GiB by default.

    By the layout that step 19 changes: a byte a page, then three bitmaps of whole words.
    """
    return pages if step < 19 else 3 * 8 * -(-pages // 64)


class _Machine:
    """One step with one block, in a migration."""

    def __init__(self, path: str, pages: int, aligned: bool, tcg: bool) -> None:
        self.library = Library(path)
        self.pages = pages
        self.first = 0 if aligned else 1
        self.words = array("Q", bytes(8 * (-(-pages // 64))))
        self.library.reset(1, tcg)
        if not aligned:
            # As video memory often does, the block begins behind another, odd one.
            self.call([("ram_alloc", 1)])
        self.call([("ram_alloc", pages), ("migration_start",)])

    def call(self, ops: Sequence[tuple[str, *tuple[int, ...]]]) -> float:
        """Run operations in one call: seconds."""
        rows = array("q")
        for name, *arguments in ops:
            rows.extend((OPCODES[name], *arguments, *(0,) * (3 - len(arguments))))
        at, words = rows.buffer_info()[0], self.words.buffer_info()[0]
        began = clock()
        done = self.library.run(at, len(ops), words)
        spent = clock() - began
        if done != len(ops):
            raise AssertionError(f"operation {-1 - done} of the benchmark is refused")
        return spent

    def dirty(self, share: float) -> list[int]:
        """The pages of the block that are dirty at a share, evenly spread."""
        return list(range(0, self.pages, round(1 / share))) if share else []

    def sync(self, share: float) -> float:
        """Seconds of a sync that finds a share of the pages dirty."""
        start = self.first * PAGE
        self.call([("region_reset_dirty", start, self.pages * PAGE, CLIENT)])
        if share == 1:
            self.call([("region_set_dirty", start, self.pages * PAGE)])
        elif share:
            self.call(
                [("region_set_dirty", start + page * PAGE, PAGE) for page in self.dirty(share)]
            )
        times = 1 if share else REPEATS
        spent = self.call([("migration_sync",)] * times)
        return (spent - self.call([("page_is_dirty", start)])) / times

    def merge(self, share: float) -> float:
        """Seconds of merging a log with a share of its bits set."""
        start = self.first * PAGE
        for index in range(len(self.words)):
            self.words[index] = 0
        for page in self.dirty(share):
            self.words[page // 64] |= 1 << page % 64
        # What the merge before left is cleared, so that each finds the same.
        for client in range(3):
            self.call([("region_reset_dirty", start, self.pages * PAGE, client)])
        spent = self.call([("kvm_log_sync", start, self.pages, 0)])
        return spent - self.call([("page_is_dirty", start)])


def measure_costs(
    libraries: Libraries,
    steps: Sequence[int] = STEPS,
    pages: int = PAGES,
    rounds: int = 15,
    tcg: bool = False,
) -> Costs:
    """Measure all figures. ``tcg``: with the interpreter, whose TLB a reset re-arms."""
    paths = dict(libraries.paths)
    figures = []
    for aligned in (True, False):
        times: dict[tuple[str, float, int], list[float]] = {}
        machines = {step: _Machine(paths[step], pages, aligned, tcg) for step in steps}
        for _ in range(rounds):
            for step, machine in machines.items():
                for share in SHARES:
                    times.setdefault(("sync", share, step), []).append(machine.sync(share))
                    times.setdefault(("merge", share, step), []).append(machine.merge(share))
        for machine in machines.values():
            machine.library.reset(1, tcg)  # gives its memory back
        figures += [
            Cost(what, aligned, share, step, 1e9 * max(statistics.median(spent), 0.0) / pages)
            for (what, share, step), spent in times.items()
        ]
    return Costs(pages, tcg, tuple(figures))

"""Section ``memory``: what an operation costs on machines of 64 to 16 million pages.

The same operations, on the same number of pages spread over all of the memory, executed
and observed as ``replay.dirty.machine.large`` does it. Their cost must not know how much memory
there is. A sync has to look at all of it: that is told a page.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.dirty.bench.figures import Attainment, Effort, Progress, Spread, Table, clock, silent
from replay.dirty.bench.machines import FIRST_RANGE_STEP, LOOPED, PAGE, SIZES, with_ram
from replay.dirty.language.trace import Program
from replay.dirty.machine.large import Watcher

STEPS: Final = (0, 18, 19, 39)
SYNC_STEPS: Final = (36, 38, 39)
HOT: Final = 48
"""Pages that the operations visit: the TLB holds so many entries, however large RAM is."""

GOAL: Final = 2.0
"""A cost that is within this factor over all sizes does not grow with them: half of the
factor is the processor's cache, which a larger store leaves."""

SYNC_LIMIT: Final = 1 << 18
"""Pages up to which a sync that loops over pages is measured."""


def operations(pages: int, count: int, seed: int) -> Program:
    """Operations that touch one or two pages each, of HOT ones spread over the memory."""
    rng = random.Random(f"bench/memory/{seed}")
    hot = [int(place * (pages - 1)) // 2 * 2 for place in (rng.random() for _ in range(HOT))]
    made: Program = []
    for _ in range(count):
        at = hot[rng.randrange(HOT)] * PAGE
        client = rng.randrange(3)
        made.append(
            (
                ("store", (at + 8, 4)),
                ("tlb_fill", (at,)),
                ("page_is_dirty", (at,)),
                ("page_get_flag", (at, client)),
                ("region_reset_dirty", (at, PAGE, client)),
                ("region_set_dirty", (at, PAGE + 1)),
            )[rng.randrange(6)]
        )
    return made


@dataclass(frozen=True, slots=True)
class SizeCost:
    """Seconds an operation (of a sync: a page) at one step and size."""

    step: int
    pages: int
    seconds: Spread

    def to_json(self) -> dict[str, Any]:
        """As in the report."""
        return {"step": self.step, "pages": self.pages, "seconds": self.seconds.to_json()}


@dataclass(frozen=True, slots=True)
class MemoryResult:
    """Costs of small operations by step and size, and of a sync a page."""

    small: tuple[SizeCost, ...]
    sync: tuple[SizeCost, ...]
    count: int

    def growth(self, step: int) -> float:
        """The dearest size over the cheapest one."""
        medians = [cost.seconds.median for cost in self.small if cost.step == step]
        return max(medians) / min(medians)

    def tables(self) -> Sequence[Table]:
        """A row a size, a column a step."""
        return [
            _table("a small operation, executed and observed (us)", self.small, 1e6),
            _table("a sync (ns a page)", self.sync, 1e9),
        ]

    def verdicts(self) -> Sequence[Attainment]:
        """Whether the cost is flat at every step."""
        worst = max(self.growth(step) for step in STEPS)
        sizes = sorted({cost.pages for cost in self.small})
        return [
            Attainment(
                f"an operation costs the same (within {GOAL:.0f} times) from {sizes[0]} to "
                f"{sizes[-1]:,} pages",
                f"{worst:.2f} times between the dearest size and the cheapest",
                worst <= GOAL,
            )
        ]

    def notes(self) -> Sequence[str]:
        """What was left out."""
        return [
            f"{self.count} operations a round on {HOT} pages spread over the memory: store, "
            "tlb_fill, page_is_dirty, page_get_flag, and resets and marks of one or two pages.",
            "Not in the figures: placing the block. Steps before "
            f"{FIRST_RANGE_STEP} do that page by page (about a microsecond each), so above "
            f"{LOOPED:,} pages their store was filled directly.",
            f"A sync at step 38 and before loops over pages; it was measured up to "
            f"{SYNC_LIMIT:,} pages. One page in 64 is dirty.",
        ]

    def to_json(self) -> dict[str, Any]:
        """All costs."""
        return {
            "operations_a_round": self.count,
            "hot_pages": HOT,
            "seconds_an_operation": [cost.to_json() for cost in self.small],
            "seconds_a_page_of_a_sync": [cost.to_json() for cost in self.sync],
            "growth": {str(step): self.growth(step) for step in STEPS},
        }


def _table(title: str, costs: Sequence[SizeCost], unit: float) -> Table:
    steps = sorted({cost.step for cost in costs})
    found = {(cost.pages, cost.step): cost.seconds.median * unit for cost in costs}
    rows = []
    for pages in sorted({cost.pages for cost in costs}):
        cells = [found.get((pages, step)) for step in steps]
        shown = ["-" if cell is None else f"{cell:.2f}" for cell in cells]
        rows.append((f"{pages:,} pages", *shown))
    return Table(title, ("", *(f"step {step}" for step in steps)), tuple(rows))


def measure(effort: Effort, progress: Progress = silent) -> MemoryResult:
    """Measure small operations, then syncs."""
    sizes = SIZES[:4] if effort.quick else SIZES
    count, rounds = (400, 3) if effort.quick else (2000, 9)
    small: list[SizeCost] = []
    for place, step in enumerate(STEPS):
        progress(place / (len(STEPS) + 1), f"operations at step {step}")
        small += small_costs(step, sizes, count, rounds, effort.seed)
    progress(len(STEPS) / (len(STEPS) + 1), "syncs")
    sync = []
    for step in SYNC_STEPS:
        for pages in sizes:
            if step == SYNC_STEPS[-1] or pages <= SYNC_LIMIT:
                sync.append(sync_cost(step, pages, rounds))
    return MemoryResult(tuple(small), tuple(sync), count)


def small_costs(
    step: int, sizes: Sequence[int], count: int, rounds: int, seed: int
) -> list[SizeCost]:
    """Small operations at one step; the sizes take turns."""
    watchers, calls = {}, {}
    for pages in sizes:
        vm = with_ram(step, pages)
        watchers[pages] = Watcher(vm)
        watchers[pages].record(None, ())  # sees the whole store, this once
        calls[pages] = operations(pages, count, seed)
    spent: dict[int, list[float]] = {pages: [] for pages in sizes}
    for turn in range(rounds + 1):
        for pages in sizes:
            gc.collect()
            took = observed(watchers[pages], calls[pages])
            if turn:  # the first turn warms up
                spent[pages].append(took / count)
    return [SizeCost(step, pages, Spread.of(spent[pages])) for pages in sizes]


def observed(watcher: Watcher, calls: Program) -> float:
    """Seconds to execute operations and observe each."""
    vm = watcher.vm
    events = vm.events
    methods = {name: getattr(vm, name) for name, _ in calls}
    record = watcher.record
    began = clock()
    for name, args in calls:
        ret = methods[name](*args)
        record(ret, tuple(events))
        events.clear()
    return clock() - began


def sync_cost(step: int, pages: int, rounds: int) -> SizeCost:
    """A migration sync with one page in 64 dirty, observed: seconds a page of RAM."""
    vm = with_ram(step, pages)
    watcher = Watcher(vm)
    vm.migration_start()
    watcher.record(None, ())
    spent = []
    for _ in range(rounds):
        repeat, took = max(1, 4096 // pages), 0.0
        for _ in range(repeat):
            bitmap = vm.dirty_memory[vm.DIRTY_MEMORY_MIGRATION]
            for word in range(pages // vm.BITS_PER_LONG):
                bitmap[word] = 1
            watcher.record(None, ())
            began = clock()
            watcher.record(vm.migration_sync(), ())
            took += clock() - began
        spent.append(took / pages / repeat)
    return SizeCost(step, pages, Spread.of(spent))

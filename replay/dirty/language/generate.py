"""Seeded random traces, biased to where such code breaks.

Word and block edges, empty and partial-page ranges, unaligned starts, freed and reused
blocks, logs with bits past their section, large host pages, TCG off, stores between
sync and sync. Half of the machines have words of 8 bits: the same code, with its word
edges eight times as close together. Each trace has its own mix of operations, so that
some do much of one thing; and it comes back to the pages it used before.

A trace is a function of (seed, index) alone: not of the process, the machine or the
order in which traces are asked for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from replay.dirty.language.domain import follow
from replay.dirty.language.draws import Draws
from replay.dirty.language.plans import Plan, a_plan
from replay.dirty.language.trace import Config, Op, Trace

WEIGHTS: Final = {
    "ram_alloc": 5,
    "ram_free": 2,
    "tlb_fill": 9,
    "tlb_flush": 1,
    "store": 18,
    "dma_write": 8,
    "store_notdirty": 4,
    "translate": 6,
    "region_set_dirty": 6,
    "region_get_dirty": 6,
    "region_test_and_clear_dirty": 7,
    "region_reset_dirty": 10,
    "page_is_dirty": 4,
    "page_get_flag": 4,
    "kvm_log_sync": 7,
    "migration_start": 6,
    "migration_sync": 8,
    "migration_next": 9,
    "migration_stop": 2,
}
"""How often an operation is tried, before a trace bends the mix its own way."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the generator draws from.

    Attributes:
        ops: operations a trace.
        small_words: the share of machines with words of 8 bits.
        no_tcg: the share of machines without TCG.
        large_host_pages: the share of machines whose host pages are larger.
        leaving: the chance that a reset range may leave its block (and often abort).
        plans: the chance, at an operation, to begin a plan: a few operations that only
            together show something, with others in between.

    """

    ops: int = 50
    small_words: float = 0.5
    no_tcg: float = 0.12
    large_host_pages: float = 0.2
    leaving: float = 0.05
    plans: float = 0.05


DEFAULT: Final = Profile()


def traces(seed: int, count: int, profile: Profile = DEFAULT, first: int = 0) -> Iterator[Trace]:
    """``count`` traces of a seed, from index ``first`` on."""
    for index in range(first, first + count):
        yield generate(seed, index, profile)


def generate(seed: int, index: int, profile: Profile = DEFAULT) -> Trace:
    """The trace with this index of a seed: a valid trace of ``profile.ops`` operations."""
    return _Generator(random.Random(f"replay/1/{seed}/{index}"), profile).trace(
        f"seed-{seed}-{index}"
    )


def _a_config(rng: random.Random, profile: Profile) -> Config:
    word_bits = 8 if rng.random() < profile.small_words else 64
    hpratio = 1
    if rng.random() < profile.large_host_pages:
        hpratio = 16 if word_bits == 64 else (2, 4, 16)[int(rng.random() * 3)]
    return Config(12, hpratio, rng.random() >= profile.no_tcg, word_bits)


class _Generator(Draws):
    """The making of one trace."""

    def __init__(self, rng: random.Random, profile: Profile) -> None:
        super().__init__(rng, _a_config(rng, profile))
        self.profile = profile

    def trace(self, name: str) -> Trace:
        weights = [
            weight * (0.15, 0.6, 1.0, 1.0, 2.0, 4.0)[self.pick(6)] for weight in WEIGHTS.values()
        ]
        chosen = self.rng.choices(list(WEIGHTS), weights, k=self.profile.ops * 3)
        ops: list[Op] = []
        plan: Plan = []
        while len(ops) < self.profile.ops:
            wanted = chosen.pop() if chosen else "store"
            if not self.layout.blocks:
                wanted = "ram_alloc"
                plan.clear()
            if plan and self.random() < 0.75:
                op = plan.pop(0)()
            else:
                if not plan and self.layout.blocks and self.random() < self.profile.plans:
                    plan = a_plan(self)
                op = _MAKERS[wanted](self)
            if op is None:
                continue
            follow(op, self.layout, self.config)
            ops.append(op)
        return Trace(tuple(ops), self.config, name)

    # --- what ---

    def ram_alloc(self) -> Op | None:
        if len(self.layout.blocks) >= 6:
            return None
        word = self.word
        r = self.random()
        if r < 0.35:
            pages = 1 + self.pick(4)
        elif r < 0.7:
            pages = word * (1 + self.pick(2)) + self.pick(3) - 1
        else:
            pages = 1 + self.pick(2 * word)
        return Op("ram_alloc", (pages,)) if self.fits(pages) else None

    def ram_free(self) -> Op | None:
        if len(self.layout.blocks) < 2 and self.random() < 0.7:
            return None
        block = self.layout.blocks[self.pick(len(self.layout.blocks))]
        return Op("ram_free", (block[0] * self.page,))

    def at_a_page(self, name: str) -> Op:
        return Op(name, (self.a_page() * self.page + self.an_offset(),))

    def store(self) -> Op:
        size = (1, 2, 4)[self.pick(3)]
        offset = min(self.an_offset(), self.page - size)
        return Op("store", (self.a_page() * self.page + offset, size))

    def store_notdirty(self) -> Op:
        return Op("store_notdirty", (self.a_page() * self.page + self.an_offset() // 4 * 4,))

    def region(self, name: str) -> Op:
        may_leave = self.profile.leaving if name != "region_get_dirty" else 0.1
        resets = name in ("region_reset_dirty", "region_test_and_clear_dirty")
        past_ram = name == "region_reset_dirty"
        if resets and not self.config.tcg:
            may_leave = 0.15
        return Op(name, (*self.a_range(may_leave, past_ram), self.a_client()))

    def kvm_log_sync(self) -> Op:
        first, length = self.layout.blocks[self.pick(len(self.layout.blocks))]
        if self.random() < 0.6:
            start = first
        else:
            start = self.a_page()
            block = self.layout.block_of(start)
            assert block is not None
            first, length = block
            if self.random() < 0.5:
                start = max(start // self.word * self.word, first)
        pages = -(-(first + length - start) // self.config.hpratio)
        if self.random() < 0.4:
            pages = 1 + self.pick(pages)
        return Op("kvm_log_sync", (start * self.page, pages, self.a_log(pages)))

    def a_log(self, pages: int) -> tuple[int, ...]:
        count = -(-pages // self.word)
        full = (1 << self.word) - 1
        r = self.random()
        if r < 0.12:
            return (0,) * count
        if r < 0.5:
            log = 1 << self.pick(pages)
        elif r < 0.62:
            log = (1 << pages) - 1
        else:
            log = self.rng.getrandbits(pages)
        if self.random() < 0.15:
            log |= self.rng.getrandbits(count * self.word)  # bits past the section's pages
        return tuple(log >> (i * self.word) & full for i in range(count))

    def migration_start(self) -> Op | None:
        return None if self.layout.migrating else Op("migration_start")

    def migrating(self, name: str) -> Op | None:
        if not self.layout.migrating:
            return self.migration_start() if self.random() < 0.25 else None
        return Op(name)

    def migration_next(self) -> Op | None:
        if not self.layout.migrating:
            return None
        first, pages = self.layout.blocks[self.pick(len(self.layout.blocks))]
        start = 0
        if self.random() < 0.6:
            page = self.a_page()
            block = self.layout.block_of(page)
            assert block is not None
            first, pages = block
            start = (page - first) * self.page + self.an_offset()
        elif self.random() < 0.1:
            start = pages * self.page + self.pick(2) * self.page
        return Op("migration_next", (first * self.page, start))


def _region(name: str) -> Callable[[_Generator], Op]:
    return lambda g: g.region(name)


def _page(name: str) -> Callable[[_Generator], Op]:
    return lambda g: g.at_a_page(name)


_MAKERS: Final[dict[str, Callable[[_Generator], Op | None]]] = {
    "ram_alloc": _Generator.ram_alloc,
    "ram_free": _Generator.ram_free,
    "tlb_fill": _page("tlb_fill"),
    "tlb_flush": lambda g: Op("tlb_flush"),
    "store": _Generator.store,
    "dma_write": lambda g: Op("dma_write", g.a_range()),
    "store_notdirty": _Generator.store_notdirty,
    "translate": _page("translate"),
    "region_set_dirty": lambda g: Op("region_set_dirty", g.a_range(0.05)),
    "region_get_dirty": _region("region_get_dirty"),
    "region_test_and_clear_dirty": _region("region_test_and_clear_dirty"),
    "region_reset_dirty": _region("region_reset_dirty"),
    "page_is_dirty": _page("page_is_dirty"),
    "page_get_flag": lambda g: Op(
        "page_get_flag", (g.a_page() * g.page + g.an_offset(), g.a_client())
    ),
    "kvm_log_sync": _Generator.kvm_log_sync,
    "migration_start": _Generator.migration_start,
    "migration_sync": lambda g: g.migrating("migration_sync"),
    "migration_next": _Generator.migration_next,
    "migration_stop": lambda g: g.migrating("migration_stop"),
}

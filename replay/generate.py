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

from replay.domain import Layout, follow
from replay.trace import CLIENTS, Config, Op, Trace

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


class _Generator:
    """The making of one trace. ``pick`` draws an index, far cheaper than randrange."""

    def __init__(self, rng: random.Random, profile: Profile) -> None:
        self.rng = rng
        self.random = rng.random
        self.profile = profile
        self.config = self._config()
        self.word = self.config.word_bits
        self.page = self.config.page_size
        self.layout = Layout()
        self.hot: list[int] = []
        self.limit = self.word * (2 + self.pick(3)) + self.pick(9)

    def pick(self, n: int) -> int:
        return int(self.random() * n)

    def _config(self) -> Config:
        p = self.profile
        word_bits = 8 if self.random() < p.small_words else 64
        hpratio = 1
        if self.random() < p.large_host_pages:
            hpratio = 16 if word_bits == 64 else (2, 4, 16)[self.pick(3)]
        return Config(12, hpratio, self.random() >= p.no_tcg, word_bits)

    def trace(self, name: str) -> Trace:
        weights = [
            weight * (0.15, 0.6, 1.0, 1.0, 2.0, 4.0)[self.pick(6)] for weight in WEIGHTS.values()
        ]
        chosen = self.rng.choices(list(WEIGHTS), weights, k=self.profile.ops * 3)
        ops: list[Op] = []
        plan: list[Callable[[], Op | None]] = []
        while len(ops) < self.profile.ops:
            wanted = chosen.pop() if chosen else "store"
            if not self.layout.blocks:
                wanted = "ram_alloc"
                plan.clear()
            if plan and self.random() < 0.75:
                op = plan.pop(0)()
            else:
                if not plan and self.layout.blocks and self.random() < self.profile.plans:
                    plan = self.a_plan()
                op = _MAKERS[wanted](self)
            if op is None:
                continue
            follow(op, self.layout, self.config)
            ops.append(op)
        return Trace(tuple(ops), self.config, name)

    # --- where ---

    def a_page(self) -> int:
        """A page of RAM: one used before, an edge of a block or a word, or any."""
        r = self.random()
        if r < 0.45 and self.hot:
            page = self.hot[self.pick(len(self.hot))]
            if self.layout.block_of(page):
                return page
        first, pages = self.layout.blocks[self.pick(len(self.layout.blocks))]
        if r < 0.75:
            edges = (first, first + pages - 1, first + pages // self.word * self.word, first + 1)
            page = edges[self.pick(4)]
        elif r < 0.88:
            page = (first + self.pick(pages)) // self.word * self.word - self.pick(2)
        else:
            page = first + self.pick(pages)
        page = min(max(page, first), first + pages - 1)
        self.hot.append(page)
        if len(self.hot) > 4:
            self.hot.pop(0)
        return page

    def an_offset(self) -> int:
        """A place in a page: mostly its start, else its edges or anywhere."""
        r = self.random()
        if r < 0.55:
            return 0
        if r < 0.8:
            return (1, 100, self.page - 1, self.page - 4)[self.pick(4)]
        return self.pick(self.page)

    def a_length(self, room: int) -> int:
        """A length in bytes of at most ``room``: empty, part of a page, pages, all."""
        r = self.random()
        if r < 0.08:
            return 0
        if r < 0.3:
            length = 1 + self.pick(self.page)
        elif r < 0.55:
            length = self.page * (1 + self.pick(3))
        elif r < 0.75:
            length = self.page * (1 + self.pick(self.word + 2)) + (0, 0, 1, -1)[self.pick(4)]
        elif r < 0.85:
            length = room
        else:
            length = self.pick(room + 1)
        return min(length, room)

    def a_range(self, past_block: float = 0.0, past_ram: bool = False) -> tuple[int, int]:
        """A range in one block; with chance ``past_block`` it may reach further."""
        page = self.a_page()
        addr = page * self.page + self.an_offset()
        block = self.layout.block_of(page)
        assert block is not None
        room = inside = (block[0] + block[1]) * self.page - addr
        if past_block and self.random() < past_block:
            room = self.layout.end * self.page - addr
            if past_ram and self.random() < 0.1:
                room += 3 * self.page
            # Most lengths would stay inside all the same.
            if room > inside and self.random() < 0.3:
                return addr, inside + 1 + self.pick(room - inside)
        return addr, self.a_length(room)

    def a_client(self) -> str:
        return CLIENTS[self.pick(3)]

    # --- plans: what one operation cannot show ---

    def a_plan(self) -> list[Callable[[], Op | None]]:
        """Arm a page, let something clear it, store to it, and look."""
        page = self.a_page()
        r = self.random()
        if r < 0.15:
            return self.a_reuse(page)
        if r < 0.25:
            return self.a_gap()
        if self.random() < (0.4 if self.config.hpratio > 1 else 0.1):
            return self.a_logged_write(page)
        client = self.a_client()
        at = page * self.page

        def here(op: Op) -> Callable[[], Op | None]:
            return lambda: op if self.layout.block_of(page) else None

        def migrating(name: str) -> Callable[[], Op | None]:
            return lambda: Op(name) if self.layout.migrating else self.migration_start()

        arm = [here(Op("region_set_dirty", (at, self.page)))] if self.random() < 0.5 else []
        arm.append(here(Op("tlb_fill", (at,))))
        at_store = at + self.pick(self.page // 4) * 4
        quiet = self.random() < 0.15
        stored = here(Op("store_notdirty", (at_store,)) if quiet else Op("store", (at_store, 4)))
        if self.random() < 0.5:
            return [
                *arm,
                lambda: self.reset_around(page, client),
                stored,
                here(Op("page_get_flag", (at, client))),
            ]
        return [
            *arm,
            migrating("migration_sync"),
            lambda: self.send(page),
            stored,
            migrating("migration_sync"),
        ]

    def a_logged_write(self, page: int) -> list[Callable[[], Op | None]]:
        """Clear a page for a client, have the kernel log a write to it, and look."""
        client = CLIENTS[self.pick(2) * 2]
        clear = lambda: self.reset_around(page, client)  # noqa: E731
        look = lambda: (  # noqa: E731
            Op("page_get_flag", (page * self.page, client)) if self.layout.block_of(page) else None
        )
        return [clear, lambda: self.log_of(page), look]

    def a_reuse(self, page: int) -> list[Callable[[], Op | None]]:
        """Free a block with clean pages and put another in its place, perhaps a shorter one."""
        block = self.layout.block_of(page)
        assert block is not None
        first, pages = block
        length = max(pages - self.pick(3), 1)

        def if_there(op: Op) -> Callable[[], Op | None]:
            return lambda: op if block in self.layout.blocks else None

        def again() -> Op | None:
            return Op("ram_alloc", (length,)) if self.fits(length) else None

        whole = (first * self.page, pages * self.page)
        return [
            if_there(Op("region_reset_dirty", (*whole, self.a_client()))),
            if_there(Op("ram_free", (first * self.page,))),
            again,
        ]

    def a_gap(self) -> list[Callable[[], Op | None]]:
        """Free a last block of a word or more and one between two others, and fill the gap.

        The end of RAM falls below that of the store, by a word of a bitmap at least, and
        then comes an allocation that does not raise it. That takes four blocks.
        """

        def stop() -> Op | None:  # while a migration runs, RAM may not grow past its bitmap
            return Op("migration_stop") if self.layout.migrating else None

        def alloc(pages: int) -> Op | None:
            fits = self.fits(pages, 2 * self.word) and len(self.layout.blocks) < 6
            return Op("ram_alloc", (pages,)) if fits else None

        def free(place: int) -> Op | None:
            blocks = sorted(self.layout.blocks)
            return Op("ram_free", (blocks[place][0] * self.page,)) if len(blocks) > 2 else None

        def fill() -> Op | None:
            blocks = sorted(self.layout.blocks)
            ends = [first + pages for first, pages in blocks]
            gaps = [after[0] - end for end, after in zip(ends, blocks[1:], strict=False)]
            most = max(gaps, default=0)
            return Op("ram_alloc", (1 + self.pick(most),)) if most else None

        missing = max(3 - len(self.layout.blocks), 0)
        return [
            stop,
            *[lambda: alloc(1 + self.pick(3))] * missing,
            lambda: alloc(self.word + self.pick(3)),
            lambda: free(-1),
            lambda: free(1),
            fill,
        ]

    def fits(self, pages: int, more: int = 0) -> bool:
        """Whether a new block of so many pages stays within the limits, or ``more`` past them."""
        most = self.layout.bitmap_pages if self.layout.migrating else self.limit + more
        return self.layout.place(pages) + pages <= most

    def log_of(self, page: int) -> Op | None:
        """The log of a block in which the kernel saw a write to one page."""
        block = self.layout.block_of(page)
        if block is None:
            return None
        first, length = block
        bit = (page - first) // self.config.hpratio
        pages = -(-length // self.config.hpratio)
        words = -(-pages // self.word)
        log = 1 << bit
        mask = (1 << self.word) - 1
        return Op(
            "kvm_log_sync",
            (first * self.page, pages, tuple(log >> i * self.word & mask for i in range(words))),
        )

    def reset_around(self, page: int, client: str) -> Op | None:
        """A reset that covers a page, mostly as the last one of an unaligned range."""
        block = self.layout.block_of(page)
        if block is None:
            return None
        name = ("region_reset_dirty", "region_test_and_clear_dirty")[self.pick(2)]
        first = max(page - self.pick(3), block[0])
        offset = self.an_offset()
        end = min(page * self.page + 1 + self.an_offset(), (block[0] + block[1]) * self.page)
        return Op(name, (first * self.page + offset, max(end - first * self.page - offset, 0),
                         client))  # fmt: skip

    def send(self, page: int) -> Op | None:
        """Take a page from the migration bitmap."""
        block = self.layout.block_of(page)
        if block is None or not self.layout.migrating:
            return None
        return Op("migration_next", (block[0] * self.page, (page - block[0]) * self.page))

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

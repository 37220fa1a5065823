"""Plans: a few operations that only together show something.

A plan is a list of steps, each asked for its operation when its turn comes: other
operations go in between, so that a step may find its block gone and then gives None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from replay.dirty.language.draws import Draws
from replay.dirty.language.trace import CLIENTS, Op

Plan: TypeAlias = list[Callable[[], Op | None]]


def a_plan(draws: Draws) -> Plan:
    """Arm a page, let something clear it, store to it, and look."""
    page = draws.a_page()
    r = draws.random()
    if r < 0.15:
        return a_reuse(draws, page)
    if r < 0.25:
        return a_gap(draws)
    if draws.random() < (0.4 if draws.config.hpratio > 1 else 0.1):
        return a_logged_write(draws, page)
    client = draws.a_client()
    at = page * draws.page

    def here(op: Op) -> Callable[[], Op | None]:
        return lambda: op if draws.layout.block_of(page) else None

    def migrating(name: str) -> Callable[[], Op | None]:
        return lambda: Op(name) if draws.layout.migrating else Op("migration_start")

    arm = [here(Op("region_set_dirty", (at, draws.page)))] if draws.random() < 0.5 else []
    arm.append(here(Op("tlb_fill", (at,))))
    at_store = at + draws.pick(draws.page // 4) * 4
    quiet = draws.random() < 0.15
    stored = here(Op("store_notdirty", (at_store,)) if quiet else Op("store", (at_store, 4)))
    if draws.random() < 0.5:
        return [
            *arm,
            lambda: reset_around(draws, page, client),
            stored,
            here(Op("page_get_flag", (at, client))),
        ]
    return [
        *arm,
        migrating("migration_sync"),
        lambda: send(draws, page),
        stored,
        migrating("migration_sync"),
    ]


def a_logged_write(draws: Draws, page: int) -> Plan:
    """Clear a page for a client, have the kernel log a write to it, and look."""
    client = CLIENTS[draws.pick(2) * 2]
    clear = lambda: reset_around(draws, page, client)  # noqa: E731
    look = lambda: (  # noqa: E731
        Op("page_get_flag", (page * draws.page, client)) if draws.layout.block_of(page) else None
    )
    return [clear, lambda: log_of(draws, page), look]


def a_reuse(draws: Draws, page: int) -> Plan:
    """Free a block with clean pages and put another in its place, perhaps a shorter one."""
    block = draws.layout.block_of(page)
    assert block is not None
    first, pages = block
    length = max(pages - draws.pick(3), 1)

    def if_there(op: Op) -> Callable[[], Op | None]:
        return lambda: op if block in draws.layout.blocks else None

    def again() -> Op | None:
        return Op("ram_alloc", (length,)) if draws.fits(length) else None

    whole = (first * draws.page, pages * draws.page)
    return [
        if_there(Op("region_reset_dirty", (*whole, draws.a_client()))),
        if_there(Op("ram_free", (first * draws.page,))),
        again,
    ]


def a_gap(draws: Draws) -> Plan:
    """Free a last block of a word or more and one between two others, and fill the gap.

    The end of RAM falls below that of the store, by a word of a bitmap at least, and
    then comes an allocation that does not raise it. That takes four blocks.
    """

    def stop() -> Op | None:  # while a migration runs, RAM may not grow past its bitmap
        return Op("migration_stop") if draws.layout.migrating else None

    def alloc(pages: int) -> Op | None:
        fits = draws.fits(pages, 2 * draws.word) and len(draws.layout.blocks) < 6
        return Op("ram_alloc", (pages,)) if fits else None

    def free(place: int) -> Op | None:
        blocks = sorted(draws.layout.blocks)
        return Op("ram_free", (blocks[place][0] * draws.page,)) if len(blocks) > 2 else None

    def fill() -> Op | None:
        blocks = sorted(draws.layout.blocks)
        ends = [first + pages for first, pages in blocks]
        gaps = [after[0] - end for end, after in zip(ends, blocks[1:], strict=False)]
        most = max(gaps, default=0)
        return Op("ram_alloc", (1 + draws.pick(most),)) if most else None

    missing = max(3 - len(draws.layout.blocks), 0)
    return [
        stop,
        *[lambda: alloc(1 + draws.pick(3))] * missing,
        lambda: alloc(draws.word + draws.pick(3)),
        lambda: free(-1),
        lambda: free(1),
        fill,
    ]


def log_of(draws: Draws, page: int) -> Op | None:
    """The log of a block in which the kernel saw a write to one page."""
    block = draws.layout.block_of(page)
    if block is None:
        return None
    first, length = block
    bit = (page - first) // draws.config.hpratio
    pages = -(-length // draws.config.hpratio)
    words = -(-pages // draws.word)
    log = 1 << bit
    mask = (1 << draws.word) - 1
    return Op(
        "kvm_log_sync",
        (first * draws.page, pages, tuple(log >> i * draws.word & mask for i in range(words))),
    )


def reset_around(draws: Draws, page: int, client: str) -> Op | None:
    """A reset that covers a page, mostly as the last one of an unaligned range."""
    block = draws.layout.block_of(page)
    if block is None:
        return None
    name = ("region_reset_dirty", "region_test_and_clear_dirty")[draws.pick(2)]
    first = max(page - draws.pick(3), block[0])
    offset = draws.an_offset()
    end = min(page * draws.page + 1 + draws.an_offset(), (block[0] + block[1]) * draws.page)
    return Op(name, (first * draws.page + offset, max(end - first * draws.page - offset, 0),
                     client))  # fmt: skip


def send(draws: Draws, page: int) -> Op | None:
    """Take a page from the migration bitmap."""
    block = draws.layout.block_of(page)
    if block is None or not draws.layout.migrating:
        return None
    return Op("migration_next", (block[0] * draws.page, (page - block[0]) * draws.page))

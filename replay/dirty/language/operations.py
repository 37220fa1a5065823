"""The operations of the trace language: the one table of them.

An entry says all that the tool must know of an operation: its parameters by kind, its
result, what it does, how often it is drawn, and, where the kinds cannot say it, a hook of
its own. What is drawn, checked, shrunk, read, written, encoded and shown follows from
that. What an operation *does* is written elsewhere: in ``refmodels`` for the models, in
the driver of ``series/tree`` for the C, whose numbers of operations are their places here.

The order of the table is part of the language: the traces of a seed follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from replay.dirty.language import kind
from replay.dirty.language.addresses import Address, Aligned, OfBlock, OfSection
from replay.dirty.language.kind import Kind, Result
from replay.dirty.language.kinds import BlockPages, Client, HostPages, Length, Size, Start, Words

if TYPE_CHECKING:
    from replay.dirty.language.domain import Layout
    from replay.dirty.language.draws import Draws
    from replay.dirty.language.trace import Config, Op


@dataclass(frozen=True, slots=True)
class When:
    """When an operation may be made.

    Attributes:
        problem: what forbids it, None if nothing.
        otherwise: what to draw in its place then; None for nothing.

    """

    problem: Callable[[Layout], str | None]
    otherwise: Callable[[Draws], Op | None] = lambda draws: None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the language.

    Attributes:
        name: as in files; the models' functions have the same.
        kinds: its parameters in order.
        result: what it gives.
        does: what it does, in words.
        weight: how often it is tried in random traces, before a trace bends the mix.
        streamed: how often it stands in a stream (``native.stream``), whose operations
            must be valid at any time; 0 for never.
        when: when it may be made; None for at any time.
        draw: draws its arguments, or None for not now, in place of its kinds and ``when``.
        moves: what it does to where RAM is, given its arguments.
        parameters: the names of its parameters.

    """

    name: str
    kinds: tuple[Kind, ...]
    result: Result
    does: str
    weight: int
    streamed: int = 0
    when: When | None = None
    draw: Callable[[Draws], tuple[Any, ...] | None] | None = None
    moves: Callable[[Layout, tuple[Any, ...], Config], object] | None = None
    parameters: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Check the places of addresses, clients and logs.

        Raises:
            ValueError: an operation that the machinery could not follow.

        """
        object.__setattr__(self, "parameters", tuple(kind.name for kind in self.kinds))
        last = len(self.kinds) - 1
        for position, one in enumerate(self.kinds):
            if isinstance(one, Address) and position:
                raise ValueError(f"{self.name}: an address stands first")
            if isinstance(one, Client) and position != last:
                raise ValueError(f"{self.name}: a client stands last")
            if isinstance(one, Words) and "pages" not in self.parameters[position - 1 : position]:
                raise ValueError(f"{self.name}: words follow the pages that they cover")

    @property
    def addressed(self) -> bool:
        """Whether it has an address, which then stands first."""
        return bool(self.kinds) and isinstance(self.kinds[0], Address)

    def position(self, kind: type[Kind]) -> int | None:
        """Where a parameter of a kind stands; None where there is none."""
        for position, one in enumerate(self.kinds):
            if isinstance(one, kind):
                return position
        return None


def _table(*operations: Operation) -> dict[str, Operation]:
    return {operation.name: operation for operation in operations}


# --- when ---------------------------------------------------------------------------


def _idle(layout: Layout) -> str | None:
    if layout.migrating:
        return "a migration is running already; put a migration_stop before"
    return None if layout.blocks else "there is no RAM to migrate; put a ram_alloc before"


def _running(layout: Layout) -> str | None:
    return None if layout.migrating else "no migration is running; put a migration_start before"


IDLE: Final = When(_idle)
"""No migration runs, and there is RAM."""

RUNNING: Final = When(
    _running, lambda draws: draws.plain("migration_start") if draws.random() < 0.25 else None
)
"""A migration runs; where none does, one may be begun."""


# --- draws of their own ---------------------------------------------------------------


def _a_block_more(draws: Draws) -> tuple[Any, ...] | None:
    if len(draws.layout.blocks) >= 6:
        return None
    pages = BlockPages().draw(draws, ())
    return (pages,) if draws.fits(pages) else None


def _a_block_less(draws: Draws) -> tuple[Any, ...] | None:
    if len(draws.layout.blocks) < 2 and draws.random() < 0.7:
        return None
    return (OfBlock().draw(draws, ()),)


def _a_store(draws: Draws) -> tuple[Any, ...] | None:
    size = (1, 2, 4)[draws.pick(3)]
    offset = min(draws.an_offset(), draws.page - size)
    return (draws.a_page() * draws.page + offset, size)


def _a_section(draws: Draws) -> tuple[Any, ...] | None:
    """Mostly a whole block; else from a page or a word of it on, and perhaps not to its end."""
    first, length = draws.layout.blocks[draws.pick(len(draws.layout.blocks))]
    if draws.random() < 0.6:
        start = first
    else:
        start = draws.a_page()
        block = draws.layout.block_of(start)
        assert block is not None
        first, length = block
        if draws.random() < 0.5:
            start = max(start // draws.word * draws.word, first)
    pages = -(-(first + length - start) // draws.config.hpratio)
    if draws.random() < 0.4:
        pages = 1 + draws.pick(pages)
    if draws.beyond and draws.random() < draws.beyond:
        pages += 1 + draws.pick(draws.word)
    return (start * draws.page, pages, draws.a_log(pages))


def _a_search(draws: Draws) -> tuple[Any, ...] | None:
    """From a block's start, a page of it, or past its end."""
    if not draws.layout.migrating:
        return None
    first, pages = draws.layout.blocks[draws.pick(len(draws.layout.blocks))]
    start = 0
    if draws.random() < 0.6:
        page = draws.a_page()
        block = draws.layout.block_of(page)
        assert block is not None
        first, pages = block
        start = (page - first) * draws.page + draws.an_offset()
    elif draws.random() < 0.1:
        start = pages * draws.page + draws.pick(2) * draws.page
    return (first * draws.page, start)


# --- the table ------------------------------------------------------------------------

ADDR: Final = Address()
CLIENT: Final = Client()
IN_BLOCK: Final = Length(within="block", leaving=0.0)
RESET: Final = Length(within="ram")
"""A range that is reset may leave its block, and then often aborts. One that is asked about
first may not leave RAM: what the store has there, a byte map does not and a bitmap may."""

OPS: Final[Mapping[str, Operation]] = _table(
    Operation(
        "ram_alloc",
        (BlockPages(),),
        kind.OFFSET,
        "place a block and mark it dirty for all clients",
        weight=5,
        draw=_a_block_more,
        moves=lambda layout, args, config: layout.alloc(args[0]),
    ),
    Operation(
        "ram_free",
        (OfBlock(),),
        kind.NOTHING,
        "remove the block at this offset",
        weight=2,
        draw=_a_block_less,
        moves=lambda layout, args, config: layout.free(args[0] >> config.page_bits),
    ),
    Operation("tlb_fill", (ADDR,), kind.ENTRY, "enter a page into the TLB", weight=9, streamed=10),
    Operation("tlb_flush", (), kind.NOTHING, "drop every TLB entry", weight=1, streamed=1),
    Operation(
        "store",
        (ADDR, Size()),
        kind.PATH,
        "a CPU store of 1, 2 or 4 bytes",
        weight=18,
        streamed=20,
        draw=_a_store,
    ),
    Operation(
        "dma_write",
        (ADDR, IN_BLOCK),
        kind.NOTHING,
        "a device write, cut at page boundaries",
        weight=8,
        streamed=8,
    ),
    Operation(
        "store_notdirty",
        (Aligned(),),
        kind.NOTHING,
        "a 4-byte store, dirty only while logging",
        weight=4,
        streamed=4,
    ),
    Operation(
        "translate",
        (ADDR,),
        kind.NOTHING,
        "translate code on a page, and protect the page",
        weight=6,
        streamed=5,
    ),
    Operation(
        "region_set_dirty",
        (ADDR, Length(within="ram", leaving=0.05)),
        kind.NOTHING,
        "mark a range for all clients",
        weight=6,
        streamed=4,
    ),
    Operation(
        "region_get_dirty",
        (ADDR, Length(within="ram", leaving=0.1), CLIENT),
        kind.ANSWER,
        "any page dirty?",
        weight=6,
        streamed=8,
    ),
    Operation(
        "region_test_and_clear_dirty",
        (ADDR, RESET, CLIENT),
        kind.ANSWER,
        "as get; and if so, reset the range",
        weight=7,
        streamed=6,
    ),
    Operation(
        "region_reset_dirty",
        (ADDR, Length(past_ram=True), CLIENT),
        kind.NOTHING,
        "clear the range's bits and re-arm the TLB",
        weight=10,
        streamed=8,
    ),
    Operation(
        "page_is_dirty", (ADDR,), kind.ANSWER, "dirty for all clients?", weight=4, streamed=8
    ),
    Operation(
        "page_get_flag",
        (ADDR, CLIENT),
        kind.ANSWER,
        "dirty for this client?",
        weight=4,
        streamed=8,
    ),
    Operation(
        "kvm_log_sync",
        (OfSection(), HostPages(), Words()),
        kind.NOTHING,
        "merge the kernel's log of a section; a bit covers hpratio pages",
        weight=7,
        streamed=3,
        draw=_a_section,
    ),
    Operation(
        "migration_start",
        (),
        kind.COUNT,
        "new migration bitmap, logging on, a sync",
        weight=6,
        when=IDLE,
        moves=lambda layout, args, config: layout.start_migration(),
    ),
    Operation(
        "migration_sync",
        (),
        kind.COUNT,
        "move MIGRATION bits to the migration bitmap",
        weight=8,
        streamed=1,
        when=RUNNING,
    ),
    Operation(
        "migration_next",
        (OfBlock(), Start()),
        kind.OFFSET_IN_BLOCK,
        "take the next page of a block from the migration bitmap",
        weight=9,
        streamed=6,
        when=RUNNING,
        draw=_a_search,
    ),
    Operation(
        "migration_stop",
        (),
        kind.NOTHING,
        "logging off, the migration bitmap is dropped",
        weight=2,
        when=RUNNING,
        moves=lambda layout, args, config: layout.stop_migration(),
    ),
)

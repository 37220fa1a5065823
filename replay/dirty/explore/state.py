"""A state of a small machine in cells: how a machine is put into one, and read out again.

What is concrete in a state is its *shape*: the blocks, the room of the store, whether a
migration runs. The rest are cells, numbered the same at all steps: a step that keeps a byte
a page and one that keeps three bitmaps are put into the same state.

Left out of a state is what no function of the series reads: the count of dirty pages, which
is only counted up and down (a function that asks for its value ends the search with an
error), the version of the list of blocks, the count of strays, and the order of the TLB.
The five unused bits of a byte of the map are one cell: a function that leaves some of them 0
and others 1 ends in no state, which is a difference of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from refmodels.machine import RAMBlock
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.bits import (
    Bits,
    Count,
    Entries,
    Item,
    Pages,
    Units,
    Way,
    items_of,
    literal,
)
from replay.dirty.explore.errors import ToolError
from replay.dirty.language.domain import Layout

FLAGS: Final = 8
"""Bits of a byte of the byte map."""

Spans: TypeAlias = tuple[tuple[int, int], ...]


class Shape(NamedTuple):
    """What is concrete in a state.

    Attributes:
        blocks: (first page, pages) in list order.
        room: how many pages the dirty store has bits for.
        bitmap: how many the migration bitmap has; None when there is none.
        nominal: how many of these belong to pages: those past it no observation shows.
        logging: whether dirty logging is on.

    """

    blocks: Spans = ()
    room: int = 0
    bitmap: int | None = None
    nominal: int = 0
    logging: bool = False

    @property
    def pages(self) -> tuple[int, ...]:
        """The pages that belong to a block, in ascending order."""
        return _pages_of(self.blocks)

    @property
    def layout(self) -> Layout:
        """As the domain of traces follows it."""
        layout = Layout()
        layout.blocks = list(self.blocks)
        layout.migrating, layout.bitmap_pages = self.bitmap is not None, self.nominal
        return layout


@lru_cache(maxsize=1024)
def _pages_of(blocks: Spans) -> tuple[int, ...]:
    return tuple(sorted(page for first, count in blocks for page in range(first, first + count)))


@dataclass(frozen=True)
class Cells:
    """The cells of a scope: their numbers, and how many values each has.

    Bits of the store and of the migration bitmap are there up to the end of the last word,
    the others for the pages of RAM: so are the ``books`` of a property, if one is followed.
    """

    pages: int
    room: int
    books: tuple[str, ...] = ()

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """The number of values of each cell."""
        return tuple(3 if name == "tlb" else 2 for name, _ in self.names)

    @cached_property
    def names(self) -> tuple[tuple[str, int], ...]:
        """What each cell is, and of which page."""
        found = []
        for page in range(self.room):
            found += [(name, page) for name in ("vga", "code", "migration", "bitmap")]
            if page < self.pages:
                found += [(name, page) for name in ("tlb", "has_code", "described", "unused")]
        found += [(name, page) for page in range(self.pages) for name in self.books]
        return tuple(found)

    @cached_property
    def number(self) -> dict[tuple[str, int], int]:
        """The other way around."""
        return {name: number for number, name in enumerate(self.names)}


def cells_of(scope: Scope, books: tuple[str, ...] = ()) -> Cells:
    """The cells of the states of a scope, and of a property's books."""
    return Cells(scope.pages, scope.room, books)


def live(shape: Shape, cells: Cells) -> Iterator[int]:
    """The cells that can be other than 0 in a state of a shape."""
    inside = set(shape.pages)
    for number, (name, page) in enumerate(cells.names):
        if name == "bitmap":
            there = page < (shape.bitmap or 0)
        elif name in ("tlb", "has_code", *cells.books):
            there = page in inside
        else:
            there = name == "described" or page < shape.room
        if there:
            yield number


class After(NamedTuple):
    """What an operation made of a state.

    Attributes:
        ret: what it returned; a ``Count`` where that is the count of dirty pages.
        status: "ok", or how the machine died; then there is no more.
        events: what others were told.
        shape: the shape of the state.
        values: of each cell: a bit as in ``Bits``; of the TLB a value, or ``cell + 3``.
        counted: what was added to the count of dirty pages; an integer where it began anew.

    """

    ret: Any
    status: str
    events: tuple[tuple[str, int, int], ...]
    shape: Shape
    values: tuple[int, ...] = ()
    counted: Any = 0


class Unfit(Exception):
    """A function left the machine in a form that is no state of the search."""


@lru_cache(maxsize=256)
def symbolic(machine: Any) -> type[Any]:
    """A machine class whose stores may hold cells."""

    def new_units(self: Any, count: int = 0) -> Units:
        return Units([0] * count)

    def renew(self: Any, store: Units, count: int) -> None:
        have = len(store)
        del store[count:]
        store.extend([0] * (count - have))

    body = {"__slots__": (), "new_bytes": new_units, "new_words": new_units, "renew": renew}
    return type(f"Symbolic{machine.__name__}", (machine,), body)


class Form:
    """How the machines of one step hold a state; all of them belong to one way.

    Args:
        machine: the machine class of the step.
        scope: the scope of the search.
        way: gives the cells their values.
        cells: those of the scope, if not only the machine's.

    """

    def __init__(
        self, machine: type[Any], scope: Scope, way: Way, cells: Cells | None = None
    ) -> None:
        config = scope.config
        plain: Any = machine
        self.machine, self.scope, self.way = symbolic(plain), scope, way
        self.cells = cells or cells_of(scope)
        self.size = (config.page_bits, config.hpratio, config.tcg, config.word_bits)
        if len(machine.FIELDS) != 1:
            raise ToolError(
                f"step {plain.STEP_NUMBER} keeps its state in {', '.join(machine.FIELDS) or 'no'} "
                "fields; the search follows one store"
            )
        (self.field,) = machine.FIELDS
        vm = self.machine(*self.size)
        self.bytewise = isinstance(getattr(vm, self.field), Units)
        """Whether the dirty store has a byte a page."""
        self.clients = dict(zip(vm.clients, ("vga", "code", "migration"), strict=True))
        """The number of each client to the name of its cells."""
        number = self.cells.number
        self._bytes = [
            Bits(way, [literal(number[self.clients.get(flag, "unused"), page])
                       for flag in range(FLAGS)])
            for page in range(self.cells.pages)
        ]  # fmt: skip
        self._words = {
            name: [
                Bits(way, [literal(number[name, page]) for page in range(first, first + self.word)])
                for first in range(0, self.cells.room, self.word)
            ]
            for name in ("vga", "code", "migration", "bitmap")
        }
        self._live: dict[Shape, frozenset[int]] = {}
        self._own: dict[Shape, list[int]] = {}

    def live(self, shape: Shape) -> frozenset[int]:
        """The cells that can be other than 0 in a state of a shape at this step."""
        found = self._live.get(shape)
        if found is None:
            names = self.cells.names
            found = self._live[shape] = frozenset(
                cell for cell in live(shape, self.cells)
                if self.bytewise or names[cell][0] != "unused"
            )  # fmt: skip
        return found

    def _untouched(self, shape: Shape) -> list[int]:
        """The values of all cells where nothing was touched: its own of each that is there."""
        found = self._own.get(shape)
        if found is None:
            there, sizes = self.live(shape), self.cells.sizes
            found = self._own[shape] = [
                0 if cell not in there else cell + 3 if size == 3 else literal(cell)
                for cell, size in enumerate(sizes)
            ]
        return list(found)

    @property
    def word(self) -> int:
        """Bits of a word."""
        return self.scope.word_bits

    # --- into a state ---

    def put(self, shape: Shape) -> Any:
        """A machine in a state of this shape, none of whose cells has been asked for."""
        vm = self.machine(*self.size)
        page, number = self.scope.config.page_size, self.cells.number
        vm.blocks[:] = [RAMBlock(first * page, count * page) for first, count in shape.blocks]
        words = shape.room // self.word
        if self.bytewise:
            store: Any = Units(self._bytes[: shape.room])
        else:
            names = [self.clients[client] for client in range(len(self.clients))]
            store = [Units(self._words[name][:words]) for name in names]
        setattr(vm, self.field, store)
        inside, way = shape.pages, self.way
        vm.tlb = Entries(way, {p: number["tlb", p] + 3 for p in inside})
        vm.has_code = Pages(way, {p: literal(number["has_code", p]) for p in inside})
        every = range(self.cells.pages)
        vm.page_descs = Pages(way, {p: literal(number["described", p]) for p in every})
        if shape.bitmap is not None:
            vm.migration_bitmap = Units(self._words["bitmap"][: shape.bitmap // self.word])
        vm.migration_dirty_pages = Count()
        vm.in_migration = shape.logging
        return vm

    # --- out of it ---

    def take(self, vm: Any, shape: Shape) -> tuple[Shape, tuple[int, ...]]:
        """The shape and the cells of a machine, which was in a state of ``shape``.

        Raises:
            Unfit: it is in no state.

        """
        page = self.scope.config.page_size
        values = self._untouched(shape)
        room = self._take_store(getattr(vm, self.field), shape.room, values)
        bitmap, nominal = None, 0
        blocks = tuple([(block.offset // page, block.length // page) for block in vm.blocks])
        if vm.migration_bitmap is not None:
            began = shape.bitmap is None
            nominal = max((f + n for f, n in blocks), default=0) if began else shape.nominal
            held = vm.migration_bitmap
            bitmap = self._take_words(held, "bitmap", shape.bitmap or 0, values)
        else:
            self._gone("bitmap", 0, shape.bitmap or 0, values)
        after = Shape(blocks, room, bitmap, nominal, bool(vm.in_migration))
        self._take_pages(vm, shape, after, values)
        return after, tuple(values)

    def _take_store(self, held: Any, before: int, values: list[int]) -> int:
        """Enter what a store holds that had room for some pages; the room it has now."""
        if not self.bytewise:
            rooms = {self._take_words(held[c], n, before, values) for c, n in self.clients.items()}
            if len(rooms) != 1:
                raise Unfit("the bitmaps of the clients have different lengths")
            return rooms.pop()
        for at, byte in enumerate(held):
            if at < before and byte is self._bytes[at]:
                continue
            unused = set()
            for flag, item in enumerate(items_of(byte, FLAGS)):
                self._enter(self.clients.get(flag, "unused"), at, item, values)
                if flag not in self.clients:
                    unused.add(item)
            if len(unused) != 1:
                raise Unfit(f"the unused bits of the byte of page {at} are not alike")
        for name in (*self.clients.values(), "unused"):
            self._gone(name, len(held), before, values)
        return len(held)

    def _take_words(self, words: Units, name: str, before: int, values: list[int]) -> int:
        put, size = self._words[name], self.word
        for at, word in enumerate(words):
            if at * size < before and word is put[at]:
                continue
            for place, item in enumerate(items_of(word, size)):
                self._enter(name, at * size + place, item, values)
        self._gone(name, len(words) * size, before, values)
        return len(words) * size

    def _gone(self, name: str, first: int, end: int, values: list[int]) -> None:
        """The bits of pages [first, end) are no more."""
        for page in range(first, end):
            cell = self.cells.number.get((name, page))
            if cell is not None:
                values[cell] = 0

    def _enter(self, name: str, page: int, item: Item, values: list[int]) -> None:
        cell = self.cells.number.get((name, page))
        if cell is not None:
            values[cell] = item
        elif item:
            raise Unfit(f"{name} has a bit for page {page}, past the scope")

    def _take_pages(self, vm: Any, before: Shape, after: Shape, values: list[int]) -> None:
        number, inside = self.cells.number, after.pages
        if before.blocks != after.blocks:
            for name in ("tlb", "has_code"):
                for page in set(before.pages) - set(inside):
                    values[number[name, page]] = 0
        for page, entry in vm.tlb.held.items():
            if page in inside:
                values[number["tlb", page]] = entry
            elif vm.tlb.value(page):
                raise Unfit(f"page {page} of no block is in the TLB")
        for page, item in vm.has_code.held.items():
            if page in inside:
                values[number["has_code", page]] = item
            elif page in vm.has_code:
                raise Unfit(f"page {page} of no block holds code")
        for page, item in vm.page_descs.held.items():
            self._enter("described", page, item, values)


def settled(values: Sequence[int], way: Way, cells: Cells) -> tuple[int, ...]:
    """The same with each cell either left as it was or given a value.

    A cell that took over what another held is asked for, and one whose own value is known
    by now has that.
    """
    found = list(values)
    for cell, value in enumerate(values):
        entry = cells.sizes[cell] == 3
        if value <= 2 if entry else value < 2:
            continue
        own = value == (cell + 3 if entry else literal(cell))
        if own and cell not in way.values:
            continue
        found[cell] = way.value(value - 3) if entry else int(made_bit(way, value))
    return tuple(found)


def made_bit(way: Way, item: Item) -> int:
    """A bit, asked for."""
    return item if item < 2 else way.value((item >> 1) - 1) ^ (item & 1)

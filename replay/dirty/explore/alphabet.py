"""The scope of a search: how small the machine is, and every operation that it may get.

An operation's arguments come from a few values for each kind: the start and the middle of
each page, every range that begins and ends at these, every client, every log. What the
domain does not allow where the machine stands is left out by the same check that reads
traces.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from replay.dirty.language.addresses import Address, Aligned, OfBlock, OfSection
from replay.dirty.language.domain import Layout, check_op, follow
from replay.dirty.language.kind import Kind
from replay.dirty.language.kinds import (
    BlockPages,
    Client,
    HostPages,
    Length,
    Size,
    Start,
    Words,
)
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import CLIENTS, Config, Op

LAYOUT_OPS: Final = ("ram_alloc", "ram_free")
DEVICE_PAGES: Final = 2
"""Pages of the longest device write."""


@dataclass(frozen=True)
class Scope:
    """What a search covers.

    Attributes:
        pages: how many pages of RAM the machine may have.
        word_bits: bits of a machine word.
        hpratio: host page size in target pages.
        tcg: whether a reset re-arms the TLB.
        blocks: the pages of the blocks that RAM is made of from the beginning; empty where
            allocating and freeing are operations of the search.
        aligned: whether addresses and lengths are whole pages alone.
        without: operations that are left out.

    """

    pages: int = 4
    word_bits: int = 2
    hpratio: int = 1
    tcg: bool = True
    blocks: tuple[int, ...] = ()
    aligned: bool = False
    without: frozenset[str] = frozenset()

    @cached_property
    def config(self) -> Config:
        """The machine of its traces."""
        return Config(hpratio=self.hpratio, tcg=self.tcg, word_bits=self.word_bits)

    @property
    def room(self) -> int:
        """Pages of the last word's end: the store may have bits for so many."""
        return -(-self.pages // self.word_bits) * self.word_bits

    @property
    def prefix(self) -> tuple[Op, ...]:
        """The operations that lead to the first state."""
        return tuple(Op("ram_alloc", (pages,)) for pages in self.blocks)

    @property
    def names(self) -> tuple[str, ...]:
        """The operations of the search."""
        absent = self.without | set(LAYOUT_OPS if self.blocks else ())
        return tuple(name for name in OPS if name not in absent)

    def start(self) -> Layout:
        """Where the blocks are in the first state."""
        layout = Layout()
        for op in self.prefix:
            follow(op, layout, self.config)
        return layout

    def operations(self, layout: Layout) -> Iterator[Op]:
        """Every operation that a machine with these blocks may get, in a fixed order."""
        for name in self.names:
            kinds = OPS[name].kinds
            for args in self._arguments(kinds, layout, ()):
                op = Op(name, args)
                if check_op(op, layout, self.config) is None and self._fits(op, layout):
                    yield op

    def _fits(self, op: Op, layout: Layout) -> bool:
        """Whether RAM stays as small as the scope has it, and a device write is no long one.

        A device write is the sequence of the writes of its pieces, one a page: those of
        more than two pages are sequences of operations that are there.
        """
        if op.name == "ram_alloc":
            (pages,) = op.args
            assert isinstance(pages, int)
            return layout.place(pages) + pages <= self.pages
        if op.name == "dma_write":
            addr, length = op.args
            assert isinstance(addr, int) and isinstance(length, int)
            bits = self.config.page_bits
            return (addr + max(length, 1) - 1 >> bits) - (addr >> bits) < DEVICE_PAGES
        return True

    def _arguments(
        self, kinds: Sequence[Kind], layout: Layout, before: tuple[Any, ...]
    ) -> Iterator[tuple[Any, ...]]:
        if not kinds:
            yield before
            return
        for value in self._values(kinds[0], layout, before):
            yield from self._arguments(kinds[1:], layout, (*before, value))

    def _values(self, kind: Kind, layout: Layout, before: tuple[Any, ...]) -> Iterable[Any]:
        """The values of an argument, given the ones before it."""
        page, end = self.config.page_size, layout.end * self.config.page_size
        part = page if self.aligned else page // 2
        if isinstance(kind, OfBlock):
            return [first * page for first, _ in sorted(layout.blocks)]
        if isinstance(kind, Words):
            count = -(-before[-1] // self.word_bits)
            return itertools.product(range(1 << self.word_bits), repeat=count)
        if isinstance(kind, Length):
            return range(0, end + page - before[0] + 1, part)
        plain: dict[type[Kind], Iterable[Any]] = {
            OfSection: range(0, end, page),
            Aligned: range(0, end, page),
            Address: range(0, end, part),
            Client: CLIENTS,
            Size: (4,),
            BlockPages: range(1, self.pages + 1),
            HostPages: range(1, self.pages + 1),
            Start: range(0, end + page, page),
        }
        return plain[type(kind)]

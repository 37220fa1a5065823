"""The kinds of addresses. One stands first among the arguments of its operation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replay.dirty.language.kind import Arguments, At, Kind, Spot, lowered, spread

if TYPE_CHECKING:
    from replay.dirty.language.draws import Draws
    from replay.dirty.language.trace import Argument, Config


@dataclass(frozen=True, slots=True)
class Address(Kind):
    """A place in a block of RAM, in bytes; here anywhere in a page."""

    name: str = "addr"

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """A page, and a place in it."""
        return draws.a_page() * draws.page + draws.an_offset()

    def streamed(self, spot: Spot) -> Argument:
        """The spot's own."""
        return spot.addr

    def text(self, value: Any) -> str:
        """In hexadecimal."""
        return f"{value:#x}"

    def smaller(self, value: Any, config: Config) -> Iterator[Any]:
        """Places nearer to the start of the block, and the same in earlier blocks."""
        block, offset = value
        page = config.page_size
        for less in (0, offset % page, offset // page * page, offset % (page * config.word_bits),
                     1, page, 100, page - 4, page - 1, offset - page):  # fmt: skip
            if 0 <= less < offset:
                yield (block, less)
        for other in range(block):
            yield (other, offset)

    def cut(self, value: Any, room: int, config: Config) -> Any:
        """A place past the ``room`` bytes of its block moves into the last page."""
        page = config.page_size
        return (value[0], min(value[1], room - page + value[1] % page))

    def lowered(self, value: Any, fewer: int, page: int) -> Any:
        """The same place; one on a page that is gone moves into the first page."""
        return (value[0], lowered(value[1], fewer, page))

    def widened(self, value: Any, before: Arguments, config: Config, times: int) -> Any:
        """The first of the pages that its page has become."""
        return (value[0], spread(value[1], config.page_size, times))


@dataclass(frozen=True, slots=True)
class Aligned(Address):
    """An address of four bytes that belong together."""

    def problem(self, value: Any, at: At) -> str | None:
        """It is a multiple of 4."""
        return "addr must be a multiple of 4" if value % 4 else None

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """As any address, but aligned."""
        return draws.a_page() * draws.page + draws.an_offset() // 4 * 4

    def streamed(self, spot: Spot) -> Argument:
        """The spot's own, aligned."""
        return spot.addr // 4 * 4


@dataclass(frozen=True, slots=True)
class OfBlock(Address):
    """The address of a block: where it starts."""

    def problem(self, value: Any, at: At) -> str | None:
        """It is where a block starts."""
        start = at.block[0] << at.config.page_bits
        if start == value:
            return None
        return f"addr {value:#x} is not where a block starts; this one starts at {start:#x}"

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """Any block's."""
        blocks = draws.layout.blocks
        return blocks[draws.pick(len(blocks))][0] * draws.page

    def streamed(self, spot: Spot) -> Argument:
        """The spot's block's."""
        return spot.block


@dataclass(frozen=True, slots=True)
class OfSection(Address):
    """The address of a section that the kernel logs: a page's; :class:`Words` checks it."""

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """Any page's."""
        return draws.a_page() * draws.page

    def streamed(self, spot: Spot) -> Argument:
        """The whole block."""
        return spot.block

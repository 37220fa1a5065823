"""The kinds of arguments that are no addresses: lengths, sizes, pages, clients, logs.

A client stands last among the arguments of its operation. Each kind draws its values with
a bias to where such code breaks; the draws themselves are those of ``draws``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from replay.base.jsonlines import Place, hex_value, kind, shown
from replay.dirty.language.kind import Arguments, At, Kind, Spot, lowered, spread

if TYPE_CHECKING:
    from replay.dirty.language.draws import Draws
    from replay.dirty.language.trace import Argument, Config

MAX_PAGES: Final = 1 << 31
"""From step 19 on a page number is an int: 8 TiB of 4 KiB pages are the most."""


# --- numbers ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Length(Kind):
    """The length of a range from the address on, in bytes.

    Attributes:
        within: "block" or "ram", which it may not leave; "" where nothing forbids it.
        leaving: the chance that one is drawn which may leave its block; None for the
            chance that a trace's profile gives resets.
        past_ram: one that leaves its block may also leave RAM.

    """

    name: str = "length"
    within: str = ""
    leaving: float | None = None
    past_ram: bool = False

    def problem(self, value: Any, at: At) -> str | None:
        """The range stays inside what it may not leave."""
        last = at.named["addr"] + value
        if self.within == "block":
            end = (at.block[0] + at.block[1]) << at.config.page_bits
            if last > end:
                return f"the write ends at {last:#x}, past its block's end {end:#x}"
        elif self.within == "ram":
            end = at.layout.end << at.config.page_bits
            if last > end:
                return f"the range ends at {last:#x}, past the end of RAM {end:#x}"
        return None

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """Empty, part of a page, pages, or all the room there is."""
        leaving = draws.leaving if self.leaving is None else self.leaving
        return draws.a_length_from(drawn[0], leaving, self.past_ram)

    def streamed(self, spot: Spot) -> Argument:
        """The spot's own, inside its block."""
        return spot.length

    def weight(self, value: Any) -> int:
        """Of two ranges with one end, the shorter is the simpler."""
        return 2 * int(value)

    def cut(self, value: Any, room: int, config: Config) -> Any:
        """What there is room for."""
        return min(value, room)

    def widened(self, value: Any, before: Arguments, config: Config, times: int) -> Any:
        """As many pages more."""
        return spread(value, config.page_size, times)


@dataclass(frozen=True, slots=True)
class Size(Kind):
    """The bytes of one CPU store: 1, 2 or 4, inside a page."""

    name: str = "size"

    def problem(self, value: Any, at: At) -> str | None:
        """A size that there is, inside one page."""
        if value not in (1, 2, 4):
            return f"size is {value}; a store has 1, 2 or 4 bytes"
        page = at.config.page_size
        if (at.named["addr"] & (page - 1)) + value > page:
            return "the store crosses a page boundary; split it in two"
        return None

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """Any that stays in the page."""
        size = (1, 2, 4)[draws.pick(3)]
        return size if drawn[0] % draws.page + size <= draws.page else 1

    def streamed(self, spot: Spot) -> Argument:
        """One that fits the spot's address."""
        return spot.size


@dataclass(frozen=True, slots=True)
class BlockPages(Kind):
    """The pages of a block to be placed. What makes it smaller is the work of a pass."""

    name: str = "pages"

    def problem(self, value: Any, at: At) -> str | None:
        """At least one, and the block fits the page numbers and the migration bitmap."""
        if value < 1:
            return "pages is 0; a block has at least one page"
        layout = at.layout
        end = layout.place(value) + value
        if end > MAX_PAGES:
            return (
                f"RAM would end at page {end}; from step 19 on page numbers are "
                f"ints, so 2^31 pages are the most"
            )
        if layout.migrating and end > layout.bitmap_pages:
            return (
                f"the block would end at page {end}, past the migration bitmap's "
                f"{layout.bitmap_pages}; stop the migration first"
            )
        return None

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """A few pages, or about a word or two of them."""
        r = draws.random()
        if r < 0.35:
            return 1 + draws.pick(4)
        if r < 0.7:
            return draws.word * (1 + draws.pick(2)) + draws.pick(3) - 1
        return 1 + draws.pick(2 * draws.word)

    def smaller(self, value: Any, config: Config) -> Iterator[Any]:
        """None: a block is made smaller with all that is done to it."""
        return iter(())

    def widened(self, value: Any, before: Arguments, config: Config, times: int) -> Any:
        """As many more."""
        return value * times


@dataclass(frozen=True, slots=True)
class Start(Kind):
    """An offset in the block whose address stands first; it may lie past its end."""

    name: str = "start"

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """Anywhere in the block."""
        block = draws.layout.block_of(drawn[0] // draws.page)
        assert block is not None
        return draws.pick(block[1]) * draws.page + draws.an_offset()

    def streamed(self, spot: Spot) -> Argument:
        """A page of the spot's block."""
        return spot.start

    def text(self, value: Any) -> str:
        """In hexadecimal."""
        return f"{value:#x}"

    def lowered(self, value: Any, fewer: int, page: int) -> Any:
        """The same place, or one on the first page."""
        return lowered(value, fewer, page)

    def widened(self, value: Any, before: Arguments, config: Config, times: int) -> Any:
        """The first of the pages that its page has become."""
        return spread(value, config.page_size, times)


@dataclass(frozen=True, slots=True)
class HostPages(Kind):
    """The host pages of a section that the kernel logs."""

    name: str = "pages"

    def problem(self, value: Any, at: At) -> str | None:
        """At least one."""
        return "pages is 0; a section has at least one host page" if value < 1 else None

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """To the end of the block, or fewer."""
        block = draws.layout.block_of(drawn[0] // draws.page)
        assert block is not None
        last = sum(block) - drawn[0] // draws.page
        return 1 + draws.pick(-(-last // draws.config.hpratio))

    def streamed(self, spot: Spot) -> Argument:
        """Those of the spot's block."""
        return spot.pages

    def cut(self, value: Any, room: int, config: Config) -> Any:
        """What there is room for."""
        return min(value, -(-room // (config.page_size * config.hpratio)))

    def widened(self, value: Any, before: Arguments, config: Config, times: int) -> Any:
        """As many more."""
        return value * times


# --- clients and logs -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Client(Kind):
    """Who asks which pages are dirty: named, and numbered by its place among the names."""

    name: str = "client"
    values: tuple[str, ...] = ("vga", "code", "migration")

    def alone(self, value: Any) -> str | None:
        """One of those that there are."""
        if value in self.values:
            return None
        return f"unknown client {value!r}; clients are {', '.join(self.values)}"

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """Any."""
        return draws.a_client()

    def streamed(self, spot: Spot) -> Argument:
        """The spot's own."""
        return spot.client

    def read(self, value: Any, place: Place, config: Config) -> Argument:
        """A name.

        Raises:
            TraceError: it is none.

        """
        if not isinstance(value, str):
            place.fail(f"{self.name} is {kind(value)}; a client is named: {', '.join(self.values)}")
        if value not in self.values:
            place.fail(f"unknown client {shown(value)}; name one of {', '.join(self.values)}")
        return value

    def weight(self, value: Any) -> int:
        """None."""
        return 0

    def order(self, value: Any) -> Any:
        """Its number."""
        return self.values.index(value)

    def smaller(self, value: Any, config: Config) -> Iterator[Any]:
        """Those before it."""
        yield from self.values[: self.values.index(value)]


@dataclass(frozen=True, slots=True)
class Words(Kind):
    """The words of a log, a bit a host page; the number of pages stands before it."""

    name: str = "words"

    def alone(self, value: Any) -> str | None:
        """See :meth:`problem`."""
        return None

    def problem(self, value: Any, at: At) -> str | None:
        """As many words as the pages need, each of a word's bits, from a page on."""
        addr, page = at.named["addr"], at.config.page_size
        if addr & (page - 1):
            return f"addr {addr:#x} must be a multiple of the page size {page}"
        bits = at.config.word_bits
        wanted = -(-at.named["pages"] // bits)
        if len(value) != wanted:
            return f"{len(value)} words for {at.named['pages']} pages; there must be {wanted}"
        if any(word >> bits for word in value):
            return f"a word has more than {bits} bits"
        return None

    def draw(self, draws: Draws, drawn: Arguments) -> Any:
        """No bit, one, all, or any; at times also bits past the pages."""
        return draws.a_log(drawn[-1])

    def streamed(self, spot: Spot) -> Argument:
        """Any bits."""
        return spot.words

    def read(self, value: Any, place: Place, config: Config) -> Argument:
        """A list of hexadecimal strings.

        Raises:
            TraceError: it is none, or a word is wider than the machine's.

        """
        if not isinstance(value, list):
            place.fail(f"{self.name} is {kind(value)}; it must be a list of hexadecimal strings")
        words = tuple([hex_value(word, f"word {i}", place) for i, word in enumerate(value)])
        for i, word in enumerate(words):
            if word >> config.word_bits:
                place.fail(
                    f"word {i} has {word.bit_length()} bits; a word of this machine has "
                    f"{config.word_bits}"
                )
        return words

    def to_json(self, value: Any) -> Any:
        """As lowercase hexadecimal strings."""
        return [f"{word:x}" for word in value]

    def text(self, value: Any) -> str:
        """In hexadecimal."""
        return "[" + " ".join(self.to_json(value)) + "]"

    def weight(self, value: Any) -> int:
        """A bit weighs as much as a page of 4 KiB."""
        return sum([int(word).bit_count() << 12 for word in value], len(value))

    def smaller(self, value: Any, config: Config) -> Iterator[Any]:
        """No bit, one bit, and one word or one bit less."""
        if not any(value):
            return
        zero = (0,) * len(value)
        yield zero
        for i, word in enumerate(value):
            if word:
                yield (*zero[:i], 1, *zero[i + 1 :])
                yield (*zero[:i], word & -word, *zero[i + 1 :])
                yield (*zero[:i], 1 << (word.bit_length() - 1), *zero[i + 1 :])
        for i, word in enumerate(value):
            if word:
                yield (*value[:i], 0, *value[i + 1 :])
                yield (*value[:i], word & (word - 1), *value[i + 1 :])

    def widened(self, value: Any, before: Arguments, config: Config, times: int) -> Any:
        """As many bits for each bit, in words of 64."""
        log = sum(word << (i * config.word_bits) for i, word in enumerate(value))
        spread = sum(1 << (bit * times) for bit in range(log.bit_length()) if log >> bit & 1)
        words = -(-before[-1] * times // 64)
        return tuple(spread >> (64 * i) & (1 << 64) - 1 for i in range(words))

    def settled(self, value: Any, before: Arguments, config: Config) -> Any:
        """No more words than the pages need."""
        return tuple(value[: -(-before[-1] // config.word_bits)])

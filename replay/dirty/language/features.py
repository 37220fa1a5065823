"""Features of an operation on a machine: what decides which way the code goes.

A feature is a small pure function of the machine's configuration, what was to be seen of
it before the operation, and the operation. It gives one of its labels: the labels of a
feature exclude one another, and one always fits. ``language.paths`` says which operation has
which features, and which of them are looked at together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from replay.dirty.language.domain import Layout
    from replay.dirty.language.trace import Config

NOTHING_SEEN: Final[tuple[Any, ...]] = ((0, 0, 0), {}, frozenset(), None, 0, False)
"""What is to be seen of a fresh machine, in the order of ``machine.model.Visible``."""


class Before:
    """An operation about to be made, and the machine that it comes to.

    Attributes:
        config: the machine's configuration.
        layout: where its RAM is; it is not moved past the operation yet.
        room: the pages that the store of step 0 has room for.
        dirty: the dirty pages of each client, as page sets over blocks.
        tlb: page to True (`direct`) or False (`notdirty`).
        code: the pages that hold translated code.
        bitmap: the migration bitmap as a page set, None without one.
        args: the arguments of the operation, clients by number.
        addr, length: its range in bytes; a length of 1 where it has none.
        client: the number of its client; -1 where it has none.
        first, end: the pages that it touches, at least that of the address.
        block: (first page, pages) of the block of the address; (0, 0) where there is none.

    """

    __slots__ = (
        "addr", "args", "bitmap", "block", "client", "code", "config", "dirty", "end", "first",
        "layout", "length", "room", "tlb",
    )  # fmt: skip

    def __init__(self, config: Config, layout: Layout) -> None:
        self.config = config
        self.layout = layout
        self.room = 0
        self.args: tuple[Any, ...] = ()
        self.addr = self.length = self.first = self.end = 0
        self.client = -1
        self.block = (0, 0)
        self.see(NOTHING_SEEN)

    def see(self, visible: Any) -> None:
        """Look at the machine: a ``Visible``."""
        self.dirty, self.tlb, self.code, self.bitmap, _, _ = visible

    def touch(self, addr: int, length: int) -> None:
        """Say which range the operation touches."""
        bits = self.config.page_bits
        self.addr, self.length = addr, length
        self.first = first = addr >> bits
        self.end = max(first + 1, -(-(addr + length) >> bits))
        self.block = self.layout.block_of(first) or (0, 0)

    @property
    def mask(self) -> int:
        """The pages touched, as a page set."""
        return ((1 << (self.end - self.first)) - 1) << self.first


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature: its name, its labels, and which of them fits.

    ``asks`` is given the step too: the last features of a step may be those of its code.
    """

    name: str
    labels: tuple[str, ...]
    asks: Callable[[Before], str]


# --- of an address, a range, a client -------------------------------------------------------


def _start(b: Before) -> str:
    if b.addr & (b.config.page_size - 1):
        return "inside"
    return "page" if b.first % b.config.word_bits else "word"


def _stop(b: Before) -> str:
    return "inside" if (b.addr + b.length) & (b.config.page_size - 1) else "page"


def _extent(b: Before) -> str:
    if not b.length:
        return "empty"
    first, pages = b.block
    stop = (first + pages) << b.config.page_bits
    end = b.addr + b.length
    if end > stop:
        return "out"
    if end == stop and b.addr == first << b.config.page_bits:
        return "whole"
    if b.end - b.first == 1:
        return "part" if b.length < b.config.page_size else "one"
    bits = b.config.word_bits
    return "pages" if b.first // bits == (b.end - 1) // bits else "words"


def _size(b: Before) -> str:
    return str(b.args[1])


def _client(b: Before) -> str:
    return ("vga", "code", "migration")[b.client]


def _tlb(b: Before) -> str:
    found = "none"
    for page, direct in b.tlb.items():
        if b.first <= page < b.end:
            if direct:
                return "direct"
            found = "notdirty"
    return found


def _code(b: Before) -> str:
    return "code" if any(b.first <= page < b.end for page in b.code) else "none"


def _dirty(b: Before) -> str:
    mask = b.mask
    if b.client >= 0:
        seen = b.dirty[b.client] & mask
        return "clean" if not seen else "all" if seen == mask else "some"
    vga, code, migration = b.dirty
    if not (vga | code | migration) & mask:
        return "clean"
    return "all" if vga & code & migration & mask == mask else "some"


# --- of the machine ---------------------------------------------------------------------------


def _tcg(b: Before) -> str:
    return "on" if b.config.tcg else "off"


def _hpratio(b: Before) -> str:
    return "one" if b.config.hpratio == 1 else "more"


def _migration(b: Before) -> str:
    return "running" if b.layout.migrating else "idle"


def _entries(b: Before) -> str:
    if not b.tlb:
        return "none"
    return "direct" if any(b.tlb.values()) else "notdirty"


# --- of a block that comes or goes -------------------------------------------------------------


def _store(b: Before) -> str:
    """What the new block does to the store of step 0, which ends where RAM ended last."""
    pages = b.args[0]
    end = max(b.layout.end, b.layout.place(pages) + pages)
    if not b.room:
        return "new"
    return "grows" if end > b.room else "stays" if end == b.room else "shrinks"


def _ram(b: Before) -> str:
    pages = b.args[0]
    return "raised" if b.layout.place(pages) + pages > b.layout.end else "kept"


def _place(b: Before) -> str:
    return "page" if b.layout.place(b.args[0]) % b.config.word_bits else "word"


def _tail(b: Before) -> str:
    return "tail" if b.args[0] % b.config.word_bits else "full"


def _which(b: Before) -> str:
    if len(b.layout.blocks) == 1:
        return "only"
    return "last" if sum(b.block) == b.layout.end else "inner"


# --- of a log -----------------------------------------------------------------------------------


def _bits(b: Before) -> str:
    _, pages, words = b.args
    log = sum(word << i * b.config.word_bits for i, word in enumerate(words))
    if log >> pages:
        return "past"
    return "none" if not log else "all" if log == (1 << pages) - 1 else "some"


def _words(b: Before) -> str:
    return "several" if len(b.args[2]) > 1 else "one"


def _log_tail(b: Before) -> str:
    return "tail" if b.args[1] % b.config.word_bits else "full"


def _log_end(b: Before) -> str:
    stop = sum(b.block)
    return "inside" if b.end < stop else "block" if b.end == stop else "out"


# --- of a migration -----------------------------------------------------------------------------


def _blocks(b: Before) -> str:
    return "several" if len(b.layout.blocks) > 1 else "one"


def _starts(b: Before) -> str:
    bits = b.config.word_bits
    on = [first % bits == 0 for first, _ in b.layout.blocks]
    return "words" if all(on) else "both" if any(on) else "pages"


def _tails(b: Before) -> str:
    """Whether a block that starts on a word ends inside of one, and who else is in there."""
    bits, found = b.config.word_bits, "none"
    for first, pages in b.layout.blocks:
        end = first + pages
        if first % bits or not end % bits:
            continue
        stop = -(-end // bits) * bits
        if any(end <= other < stop for other, _ in b.layout.blocks):
            return "shared"
        found = "alone"
    return found


def _pending(b: Before) -> str:
    mask = 0
    for first, pages in b.layout.blocks:
        mask |= ((1 << pages) - 1) << first
    seen = b.dirty[2] & mask
    return "none" if not seen else "all" if seen == mask else "some"


def _armed(b: Before) -> str:
    """The entry of a page that a sync takes."""
    found = "none"
    for page, direct in b.tlb.items():
        if b.dirty[2] >> page & 1:
            if direct:
                return "direct"
            found = "notdirty"
    return found


def _search_from(b: Before) -> str:
    start = b.args[1]
    if start >= b.block[1] << b.config.page_bits:
        return "past"
    if not start:
        return "block"
    return "inside" if start & (b.config.page_size - 1) else "page"


def _found(b: Before) -> str:
    first, pages = b.block
    at = b.args[1] >> b.config.page_bits
    if at >= pages:
        return "none"
    left = ((b.bitmap or 0) >> first & (1 << pages) - 1) >> at
    return "none" if not left else "here" if left & 1 else "later"


def _left(b: Before) -> str:
    return "pages" if b.bitmap else "none"


START: Final = Feature("start", ("word", "page", "inside"), _start)
STOP: Final = Feature("stop", ("page", "inside"), _stop)
EXTENT: Final = Feature(
    "extent", ("empty", "part", "one", "pages", "words", "whole", "out"), _extent
)
SIZE: Final = Feature("size", ("1", "2", "4"), _size)
CLIENT: Final = Feature("client", ("vga", "code", "migration"), _client)
TLB: Final = Feature("tlb", ("none", "notdirty", "direct"), _tlb)
CODE: Final = Feature("code", ("none", "code"), _code)
DIRTY: Final = Feature("dirty", ("clean", "some", "all"), _dirty)
TCG: Final = Feature("tcg", ("on", "off"), _tcg)
HPRATIO: Final = Feature("hpratio", ("one", "more"), _hpratio)
MIGRATION: Final = Feature("migration", ("idle", "running"), _migration)
ENTRIES: Final = Feature("entries", ("none", "notdirty", "direct"), _entries)
STORE: Final = Feature("store", ("new", "grows", "stays", "shrinks"), _store)
RAM: Final = Feature("ram", ("raised", "kept"), _ram)
PLACE: Final = Feature("place", ("word", "page"), _place)
TAIL: Final = Feature("tail", ("full", "tail"), _tail)
WHICH: Final = Feature("which", ("only", "last", "inner"), _which)
BITS: Final = Feature("bits", ("none", "some", "all", "past"), _bits)
WORDS: Final = Feature("words", ("one", "several"), _words)
LOG_TAIL: Final = Feature("tail", ("full", "tail"), _log_tail)
LOG_END: Final = Feature("end", ("inside", "block", "out"), _log_end)
BLOCKS: Final = Feature("blocks", ("one", "several"), _blocks)
STARTS: Final = Feature("starts", ("words", "pages", "both"), _starts)
TAILS: Final = Feature("tails", ("none", "alone", "shared"), _tails)
PENDING: Final = Feature("pending", ("none", "some", "all"), _pending)
ARMED: Final = Feature("armed", ("none", "notdirty", "direct"), _armed)
SEARCH: Final = Feature("from", ("block", "page", "inside", "past"), _search_from)
FOUND: Final = Feature("found", ("here", "later", "none"), _found)
LEFT: Final = Feature("left", ("none", "pages"), _left)

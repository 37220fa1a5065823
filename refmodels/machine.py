"""What every step stands on: the machine's parts that the series never touches.

RAM blocks are placed by exec.c (an entry of the table); here are only the data it
works on, the allocator of the dirty store, and the notebook of what happened.

The store is allocated through :meth:`Machine.new_bytes` and :meth:`Machine.new_words`.
Each comes plain, for machines so small that comparing the whole store costs less than
watching it, or *watched*: then it remembers the span written since it was last looked
at, and observing costs what changed, not what there is.
"""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass
from types import FunctionType
from typing import Any, ClassVar, TypeAlias

WORD_TYPES = {2: "B", 4: "B", 8: "B", 16: "H", 32: "I", 64: "Q"}
"""Word size in bits to the array type that holds one word."""

CLIENTS = ("vga", "code", "migration")

Words: TypeAlias = "array[int]"
"""An array of machine words: a bitmap, which does not know its length in bits."""


class Aborted(Exception):
    """The real code would have called abort() or tripped an assertion: the process is dead."""


class OutOfDomain(Exception):
    """The operation is outside what this step of the series supports."""


class Span:
    """The span [low, high) of units written since the last :meth:`take`."""

    __slots__ = ("high", "low")

    def __init__(self) -> None:
        self.low = 1 << 62
        self.high = 0

    def take(self) -> tuple[int, int]:
        """The span, (0, 0) when nothing was written; starts a new one."""
        low, high = self.low, self.high
        self.low, self.high = 1 << 62, 0
        return (low, high) if low < high else (0, 0)

    def add(self, low: int, high: int) -> None:
        """Count [low, high) as written."""
        self.low = min(self.low, low)
        self.high = max(self.high, high)


class WatchedBytes(bytearray):
    """A byte map that knows which of its bytes were written."""

    span: Span

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        span = self.span
        if isinstance(index, slice):
            low, high, _ = index.indices(len(self))
            span.add(low, high)
            return
        span.low = min(span.low, index)
        if index >= span.high:
            span.high = index + 1


class WatchedWords(array):  # type: ignore[type-arg]
    """An array of words that knows which of them were written."""

    span: Span

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        span = self.span
        span.low = min(span.low, index)
        if index >= span.high:
            span.high = index + 1


class WatchedDict(dict[int, bool]):
    """A TLB that knows which pages' entries were written or dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: set[int] = set()

    def __setitem__(self, page: int, value: bool) -> None:
        super().__setitem__(page, value)
        self.touched.add(page)

    def pop(self, page: int, *default: Any) -> Any:
        """As dict.pop, noted."""
        self.touched.add(page)
        return super().pop(page, *default)

    def clear(self) -> None:
        """As dict.clear, noted."""
        self.touched.update(self)
        super().clear()


class WatchedSet(set[int]):
    """A set of pages that knows which were added or taken out."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: set[int] = set()

    def add(self, page: int, /) -> None:
        """As set.add, noted."""
        super().add(page)
        self.touched.add(page)

    def discard(self, page: object, /) -> None:
        """As set.discard, noted."""
        if isinstance(page, int):
            super().discard(page)
            self.touched.add(page)

    def difference_update(self, *others: Any) -> None:
        """As set.difference_update, noted."""
        before = self.copy()
        super().difference_update(*others)
        self.touched |= before - self


def _copy(function: FunctionType) -> FunctionType:
    """The same function with a code object of its own."""
    made = FunctionType(
        function.__code__.replace(),
        function.__globals__,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__doc__ = function.__doc__
    made.__annotations__ = function.__annotations__
    made.__module__ = function.__module__
    made.__qualname__ = function.__qualname__
    return made


@dataclass(slots=True, eq=False)
class RAMBlock:
    """A RAM block: ``offset`` is its ram_addr, ``length`` its size, both in bytes."""

    offset: int
    length: int


class Machine:
    """One virtual machine at some step; subclasses are made by ``refmodels.delta.build``.

    Args:
        page_bits: log2 of the target page size in bytes.
        hpratio: host page size / target page size; a bit of a KVM log covers so many pages.
        tcg: whether translated code runs; if not, a reset leaves the TLB alone.
        word_bits: bits of an ``unsigned long``: 64 on the real host, smaller to search.
        watched: allocate stores that remember what was written (for large machines).

    """

    __slots__ = (
        "BITS_PER_LONG",
        "LONG_MASK",
        "LONG_MAX",
        "LONG_SHIFT",
        "TARGET_PAGE_BITS",
        "TARGET_PAGE_MASK",
        "TARGET_PAGE_SIZE",
        "blocks",
        "clients",
        "events",
        "has_code",
        "hpratio",
        "in_migration",
        "migration_bitmap",
        "migration_dirty_pages",
        "page_descs",
        "ram_list_version",
        "stray",
        "tcg",
        "tlb",
        "watched",
    )

    FLAG_DIGITS = tuple(bytes(b"01"[byte >> bit & 1] for byte in range(256)) for bit in range(8))
    """For each bit of a byte: a table that turns bytes into the digits of a binary number."""

    STEP_NUMBER: ClassVar[int]
    FIELDS: ClassVar[dict[str, Any]]

    def __init_subclass__(cls) -> None:
        """Give a step its own copies of its functions: the same code, for speed.

        The interpreter specialises each instruction for the class that it meets. Steps
        share most of their functions; with one copy for all, the instruction of one step
        would undo what another has learned.
        """
        super().__init_subclass__()
        for name, value in list(vars(cls).items()):
            if isinstance(value, FunctionType):
                setattr(cls, name, _copy(value))

    def __init__(
        self, page_bits: int, hpratio: int, tcg: bool, word_bits: int, watched: bool = False
    ) -> None:
        self.TARGET_PAGE_BITS = page_bits
        self.TARGET_PAGE_SIZE = 1 << page_bits
        self.TARGET_PAGE_MASK = -1 << page_bits
        self.BITS_PER_LONG = word_bits
        self.LONG_SHIFT = word_bits.bit_length() - 1
        self.LONG_MASK = word_bits - 1
        self.LONG_MAX = (1 << word_bits) - 1
        self.hpratio = hpratio
        self.tcg = tcg
        self.watched = watched
        self.blocks: list[RAMBlock] = []
        """Longest first; equal lengths in order of insertion."""
        self.ram_list_version = 0
        self.tlb: dict[int, bool] = WatchedDict() if watched else {}
        """Page to True (`direct`: stores bypass dirty tracking) or False (`notdirty`)."""
        self.page_descs: set[int] = set()
        """Pages that ever held translated code."""
        self.has_code: set[int] = WatchedSet() if watched else set()
        """Pages that hold translated code now."""
        self.in_migration = False
        self.migration_bitmap: array[int] | None = None
        self.migration_dirty_pages = 0
        self.events: list[tuple[str, int, int]] = []
        self.stray = 0
        """Accesses past the end of the store: heap overflows in C, ignored here."""
        for name, first in self.FIELDS.items():
            setattr(self, name, first(self))
        this: Any = self
        self.clients = (
            this.DIRTY_MEMORY_VGA,
            this.DIRTY_MEMORY_CODE,
            this.DIRTY_MEMORY_MIGRATION,
        )
        """The number of each client of CLIENTS at this step."""

    # --- the allocator ---

    def new_bytes(self, count: int = 0) -> bytearray:
        """``count`` zero bytes."""
        if not self.watched:
            return bytearray(count)
        made = WatchedBytes(count)
        made.span = Span()
        return made

    def new_words(self, count: int = 0) -> array[int]:
        """``count`` zero words of this machine's word size."""
        code = WORD_TYPES[self.BITS_PER_LONG]
        if not self.watched:
            return array(code, bytes(array(code).itemsize * count))
        made = WatchedWords(code, bytes(array(code).itemsize * count))
        made.span = Span()
        return made

    def renew(self, store: Any, count: int) -> None:
        """Resize a store in place to ``count`` units, downwards too; new ones are zero.

        The C library would leave them uninitialised. The recordings of the real code
        were made with zeroes there, and so is every run here.
        """
        have = len(store)
        if count < have:
            del store[count:]
        elif count > have:
            unit = store.itemsize if isinstance(store, array) else 1
            if isinstance(store, array):
                store.frombytes(bytes(unit * (count - have)))
            else:
                store.extend(bytes(count - have))
        if self.watched:
            store.span.add(min(count, have), max(count, have))

    def memset(self, store: bytearray, first: int, count: int) -> None:
        """Zero ``count`` units of a store from ``first`` on.

        As C's memset it cannot lengthen the store, which an assignment to a slice would.
        Zeroing past an end of it is a heap overflow in C: counted, and ignored here.
        """
        low, high = max(first, 0), min(first + count, len(store))
        if not 0 <= first <= first + count <= len(store):
            self.stray += 1
        if low < high:
            store[low:high] = bytes(high - low)

    def abort(self, condition: bool = False) -> None:
        """As assert of a condition; and as abort where none is given."""
        if not condition:
            raise Aborted

    # --- the notebook ---

    def tell(self, event: str, first: int, second: int) -> None:
        """Note one call that an outsider would see: see ``Observation.events``."""
        self.events.append((event, first, second))

    def bits_of(self, words: Words, low: int, high: int) -> int:
        """Bits [low, high) of a bitmap as an integer; both are multiples of the word size.

        Words of 2 and 4 bits lie in bytes of their own; all others are packed.
        """
        bits = self.BITS_PER_LONG
        part = words[low // bits : (high + bits - 1) // bits]
        if bits < 8:
            return sum(word << (i * bits) for i, word in enumerate(part))
        if sys.byteorder == "big":
            part.byteswap()
        return int.from_bytes(part.tobytes(), "little")

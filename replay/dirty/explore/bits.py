"""Values of a machine whose bits are not known yet, and the containers that hold them.

A *cell* is a piece of a machine's state that has a few values: one bit of the dirty store,
one entry of the TLB. An operation is executed on cells: a :class:`Way` gives a cell a value
when the code asks what it is, and remembers that it was asked. Code that moves a bit
without looking at it leaves it unknown. ``Bits`` is an integer of such bits.

What cannot be told without a value is asked for; what a machine's functions do with a value
beyond that raises a TypeError, so that nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

Item: TypeAlias = int
"""One bit: 0, 1, or of a cell: ``2 * cell + 2``, and one more for its negation."""


class Way:
    """One way through an operation: the values of the cells that it asked for, in order.

    One object serves all ways through an operation, one after the other.

    Args:
        sizes: how many values each cell has.

    Attributes:
        values: of the cells that were asked for, and ``order``: in which order they were.

    """

    __slots__ = ("order", "script", "sizes", "values")

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self.script: Sequence[int] = ()
        self.order: list[int] = []
        self.values: dict[int, int] = {}

    def begin(self, script: Sequence[int]) -> None:
        """Begin anew: the first cells asked for get these values, those after them 0."""
        self.script = script
        self.order.clear()
        self.values.clear()

    def value(self, cell: int) -> int:
        """The value of a cell, decided now if it was not before."""
        known = self.values.get(cell)
        if known is None:
            at = len(self.order)
            known = self.script[at] if at < len(self.script) else 0
            self.values[cell] = known
            self.order.append(cell)
        return known

    def following(self) -> list[int] | None:
        """The script of the next way; None after the last one."""
        script = [self.values[cell] for cell in self.order]
        while script:
            if script[-1] + 1 < self.sizes[self.order[len(script) - 1]]:
                script[-1] += 1
                return script
            script.pop()
        return None


def literal(cell: int) -> Item:
    """The bit that a cell of two values holds."""
    return 2 * cell + 2


class Bits:
    """An integer, some of whose bits are cells; ``rest`` is what all higher bits are."""

    __slots__ = ("items", "rest", "way")

    def __init__(self, way: Way, items: Sequence[Item], rest: int = 0) -> None:
        self.way = way
        self.items = items
        self.rest = rest

    # --- looking without asking ---

    def known(self, item: Item) -> Item:
        """A bit as far as it is known: 0 or 1 where its cell has a value."""
        if item < 2:
            return item
        value = self.way.values.get((item >> 1) - 1)
        return item if value is None else value ^ (item & 1)

    def wide(self, width: int) -> list[Item]:
        """At least ``width`` bits of it."""
        return [*self.items, *[self.rest] * (width - len(self.items))]

    # --- asking ---

    def ask(self, item: Item) -> int:
        """A bit, asked for."""
        return item if item < 2 else self.way.value((item >> 1) - 1) ^ (item & 1)

    def __index__(self) -> int:
        number = sum(self.ask(item) << place for place, item in enumerate(self.items))
        return number - (self.rest << len(self.items))

    __int__ = __index__
    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        seen = [self.known(item) for item in self.items]
        return bool(self.rest) or 1 in seen or any(self.ask(item) for item in seen)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, int | Bits):
            return NotImplemented
        return not self ^ other

    def bit_count(self) -> int:
        """As of an integer."""
        return int(self).bit_count()

    def bit_length(self) -> int:
        """As of an integer."""
        return int(self).bit_length()

    # --- combining ---

    def __and__(self, other: Any) -> Any:
        if other.__class__ is int and other >= 0 and not self.rest:
            # What most code does with a word, without the detour.
            masked = [item if other >> at & 1 else 0 for at, item in enumerate(self.items)]
            return made(self.way, masked)
        return self._combined(other, self._and)

    def __or__(self, other: Any) -> Any:
        if other.__class__ is int and 0 <= other < 1 << len(self.items):
            joined = [1 if other >> at & 1 else item for at, item in enumerate(self.items)]
            return made(self.way, joined, self.rest)
        return self._combined(other, self._or)

    def __xor__(self, other: Any) -> Any:
        return self._combined(other, self._xor)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Any:
        return self ^ -1

    def __neg__(self) -> Any:
        """All bits above the lowest set one turn: only that one is asked for."""
        items: list[Item] = []
        for item in self.items:
            if self.ask(item):
                items.append(1)
                break
            items.append(0)
        else:
            if not self.rest:
                return 0
            raise TypeError("this is negative without an end")
        return made(self.way, items + [_not(i) for i in self.items[len(items) :]], 1 - self.rest)

    def __rshift__(self, count: int) -> Any:
        return made(self.way, self.items[count:], self.rest)

    def __lshift__(self, count: int) -> Any:
        return made(self.way, [*[0] * count, *self.items], self.rest)

    def _combined(self, other: Any, how: Any) -> Any:
        if isinstance(other, Bits):
            width = max(len(self.items), len(other.items))
            theirs, rest = other.wide(width), other.rest
        elif isinstance(other, int):
            width = max(len(self.items), other.bit_length())
            theirs, rest = [other >> place & 1 for place in range(width)], int(other < 0)
        else:
            return NotImplemented
        items = [how(a, b) for a, b in zip(self.wide(width), theirs, strict=True)]
        return made(self.way, items, how(self.rest, rest))

    def _and(self, one: Item, two: Item) -> Item:
        if one > two:
            one, two = two, one
        if one < 2:
            return two if one else 0
        seen, other = self.known(one), self.known(two)
        if seen < 2 or other < 2:
            return self._and(seen, other)
        if seen == other:
            return seen
        if seen == other ^ 1:
            return 0
        # Two that are not known: one of them is asked for.
        return self._and(self.ask(seen), other)

    def _or(self, one: Item, two: Item) -> Item:
        return _not(self._and(_not(one), _not(two)))

    def _xor(self, one: Item, two: Item) -> Item:
        if one > two:
            one, two = two, one
        if one < 2:
            return _not(two) if one else two
        seen, other = self.known(one), self.known(two)
        if seen < 2 or other < 2:
            return self._xor(seen, other)
        if seen == other:
            return 0
        if seen == other ^ 1:
            return 1
        return self._xor(self.ask(seen), other)


def _not(item: Item) -> Item:
    return item ^ 1


def made(way: Way, items: Sequence[Item], rest: int = 0) -> int | Bits:
    """A plain integer where all bits are known."""
    values = way.values
    seen = [
        item if item < 2 or (known := values.get((item >> 1) - 1)) is None else known ^ (item & 1)
        for item in items
    ]
    if max(seen, default=0) > 1:
        return Bits(way, seen, rest)
    number = -rest
    for item in reversed(seen):
        number = number << 1 | item
    return number


def items_of(value: int | Bits, width: int) -> list[Item]:
    """The lowest bits of a value.

    Raises:
        OverflowError: there are more.

    """
    if isinstance(value, Bits):
        items = value.wide(width)
        if value.rest or any(items[width:]):
            raise OverflowError("a word holds more bits than it has")
        return items[:width]
    if not 0 <= value < 1 << width:
        raise OverflowError("a word holds more bits than it has")
    return [value >> place & 1 for place in range(width)]


class Units(list[Any]):
    """A store of bytes or words, as the machine's functions use arrays."""

    itemsize: Final = 1

    def frombytes(self, data: bytes) -> None:
        """As of an array of bytes."""
        self.extend(data)


class Count:
    """A number that is only counted up and down: what was added to its first value."""

    __slots__ = ("added",)

    def __init__(self, added: int = 0) -> None:
        self.added = added

    def __add__(self, other: Any) -> Count:
        return Count(self.added + int(other))

    def __sub__(self, other: Any) -> Count:
        return Count(self.added - int(other))

    __radd__ = __add__

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Count):
            return self.added == other.added
        raise TypeError("a count of dirty pages was asked for its value")

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise TypeError("a count of dirty pages was asked for its value")


class Pages:
    """A set of pages, some of which are cells of two values: what holds translated code."""

    __slots__ = ("held", "way")

    def __init__(self, way: Way, held: dict[int, Item]) -> None:
        self.way = way
        self.held = held

    def __contains__(self, page: object) -> bool:
        item = self.held.get(page, 0) if isinstance(page, int) else 0
        return bool(item if item < 2 else self.way.value((item >> 1) - 1))

    def __iter__(self) -> Iterator[int]:
        return iter([page for page in sorted(self.held) if page in self])

    def add(self, page: int) -> None:
        """As of a set."""
        self.held[page] = 1

    def discard(self, page: int) -> None:
        """As of a set."""
        self.held[page] = 0

    def difference_update(self, pages: Iterable[int]) -> None:
        """As of a set."""
        for page in pages:
            self.discard(page)


NONE, NOTDIRTY, DIRECT = range(3)
"""The values of a cell of the TLB."""


class Entries:
    """A TLB, some of whose entries are cells of three values."""

    __slots__ = ("held", "way")

    def __init__(self, way: Way, held: dict[int, int]) -> None:
        self.way = way
        self.held = held
        """Page to a value, or to ``cell + 3``."""

    def value(self, page: int) -> int:
        """The value of an entry, asked for."""
        held = self.held.get(page, NONE)
        return held if held <= DIRECT else self.way.value(held - 3)

    def get(self, page: int, default: Any = None) -> Any:
        """As of a dict."""
        value = self.value(page)
        return default if value == NONE else value == DIRECT

    def __getitem__(self, page: int) -> bool:
        value = self.value(page)
        if value == NONE:
            raise KeyError(page)
        return value == DIRECT

    def __setitem__(self, page: int, direct: bool) -> None:
        self.held[page] = DIRECT if direct else NOTDIRTY

    def __contains__(self, page: object) -> bool:
        return isinstance(page, int) and self.value(page) != NONE

    def __iter__(self) -> Iterator[int]:
        return iter(self.keys())

    def keys(self) -> list[int]:
        """The pages that have an entry, in ascending order: no function goes by the order."""
        return [page for page in sorted(self.held) if self.value(page) != NONE]

    def items(self) -> list[tuple[int, bool]]:
        """As of a dict."""
        return [(page, self[page]) for page in self.keys()]

    def pop(self, page: int, default: Any = None) -> Any:
        """As of a dict, with a default."""
        found = self.get(page, default)
        self.held[page] = NONE
        return found

    def clear(self) -> None:
        """As of a dict."""
        for page in self.held:
            self.held[page] = NONE

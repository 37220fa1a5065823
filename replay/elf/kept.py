"""What a baseline keeps of a build, as plain values that JSON can hold, and back.

Places are told by the number of their symbol, so that they get their names when it is
known what the other file calls its own. A text in the place of a number is a symbol that
is not in the table.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any, Final, TypeAlias

from replay.elf.forms import Form, Reference
from replay.elf.image import Image, Symbol
from replay.elf.names import Names
from replay.elf.referents import UNNAMED, Content, Held, Pointer, Referent

Row: TypeAlias = list[Any]
Named: TypeAlias = Callable[[int | str], str]
"""Gives the name for the number of a symbol."""

_SEPARATOR: Final = "\0"
_PLAIN: Final = "_GLOBAL_OFFSET_TABLE_"


class NumberedNames(Names):
    """Names for the symbols of one file that no two have: with their numbers."""

    def __init__(self, image: Image) -> None:
        super().__init__(image, frozenset(), {})
        self._numbers = {s: n for n, s in enumerate(image.symbols) if s.name and s.name != _PLAIN}

    def __call__(self, symbol: Symbol) -> str:
        """The name, and behind it the number."""
        number = self._numbers.get(symbol)
        return symbol.name if number is None else f"{symbol.name}{_SEPARATOR}{number}"


def _numbered(name: str) -> int | str:
    _, separator, number = name.rpartition(_SEPARATOR)
    return int(number) if separator else name


class Writer:
    """Writes forms and contents; each place once.

    Attributes:
        places: those that were written, in an order in which each comes behind what it
            refers to.
    """

    def __init__(self) -> None:
        self.places: list[Row] = []
        self._known: dict[Referent, int] = {}

    def form(self, form: Form | None) -> Row | None:
        """A function's code, which is reduced already."""
        if form is None:
            return None
        references = [[r.offset, r.how, self.place(r.place)] for r in form.references]
        return [form.code.hex(), references, form.doubtful, form.raw]

    def place(self, place: Referent) -> int:
        """The number of a place."""
        if place not in self._known:
            content = self.content(place.content)
            names = sorted(([_numbered(n), at] for n, at in place.names), key=str)
            self._known[place] = len(self.places)
            self.places.append([names, place.exact, content])
        return self._known[place]

    def content(self, content: Content | None) -> Row | None:
        """Contents, which are reduced already."""
        if content is None:
            return None
        return [
            content.kind.value,
            base64.b64encode(content.data).decode(),
            content.size,
            [[p.offset, p.size, p.how, self.place(p.place)] for p in content.pointers],
            [[_numbered(name), size] for name, size in content.ended],
            content.number,
        ]


class Reader:
    """Reads what :class:`Writer` wrote.

    Args:
        places: in their order.
        named: gives the name that a symbol has in this comparison.
    """

    def __init__(self, places: Sequence[Row], named: Named) -> None:
        self.named = named
        self.places: list[Referent] = []
        for row in places:
            self.places.append(self._place(row))

    def form(self, row: Row | None) -> Form | None:
        """A function's code."""
        if row is None:
            return None
        code, references, doubtful, raw = row
        told = tuple(Reference(offset, how, self.places[n]) for offset, how, n in references)
        return Form(bytes.fromhex(code), told, doubtful, raw)

    def _place(self, row: Row) -> Referent:
        names, exact, content = row
        told = frozenset((self.named(number), distance) for number, distance in names)
        # Of a name that names several things it is not known which is meant.
        if any("#" in name for name, _ in told):
            return UNNAMED
        return Referent(told, exact, self.content(content))

    def content(self, row: Row | None) -> Content | None:
        """Contents."""
        if row is None:
            return None
        kind, data, size, pointers, ended, number = row
        return Content(
            Held(kind),
            base64.b64decode(data, validate=True),
            size,
            tuple(
                Pointer(offset, width, how, self.places[n]) for offset, width, how, n in pointers
            ),
            tuple(sorted((self.named(name), length) for name, length in ended)),
            number,
        )


def written(value: Any) -> Row:
    """A flat value as a row."""
    return list(astuple(value))

"""Names for the symbols of several files, equal only where they mean the same."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from replay.elf.image import WRITE, Image, Symbol

LARGEST_CONSTANT: Final = 4096
"""Bytes; a larger one without a name is not compared."""

_NUMBERED: Final = re.compile(r"\.\d+$")


class Names:
    """What the symbols of one file are called, so that other files mean the same by it.

    A local name that any of the files has more than once is told apart by its source
    file. If even that leaves two, they are numbered, and the name identifies nothing.
    The constants that a compiler numbers, such as ``__func__.0``, go by their contents:
    the numbers change whenever another function comes or goes.
    """

    def __init__(self, image: Image, twice: frozenset[str]) -> None:
        self.image = image
        self.twice = twice
        self._names: dict[Symbol, str] = {}
        count: dict[str, int] = {}
        for symbol in image.symbols:
            name = self._plain(symbol)
            if symbol.bind == "LOCAL" and symbol.section is not None and "=" not in name:
                count[name] = count.get(name, 0) + 1
                if symbol.name in twice and count[name] > 1:
                    name += f"#{count[name]}"
            self._names[symbol] = name

    def __call__(self, symbol: Symbol) -> str:
        """The symbol's name."""
        return self._names.get(symbol) or self._plain(symbol)

    def _plain(self, symbol: Symbol) -> str:
        if symbol.bind != "LOCAL":
            return symbol.name
        numbered = _NUMBERED.search(symbol.name) and symbol.type == "OBJECT"
        if numbered and 0 < symbol.size <= LARGEST_CONSTANT:
            content = self._content(symbol)
            if content is not None:
                return f"{symbol.name.rpartition('.')[0]}={hashlib.sha256(content).hexdigest()}"
        if symbol.name in self.twice:
            return f"{symbol.file}:{symbol.name}"
        return symbol.name

    def _content(self, symbol: Symbol) -> bytes | None:
        """The value of a constant without addresses in it."""
        if symbol.section is None or self.image.type == "ET_EXEC":
            return None
        section = self.image.sections[symbol.section]
        start, end = symbol.value, symbol.value + symbol.size
        if section.flags & WRITE or not section.has_bytes:
            return None
        filled = self.image.relocations(section)
        near = bisect_left(filled, start - 7, key=lambda r: r.offset)
        if near < len(filled) and filled[near].offset < end:
            return None
        base = self.image.base(section)
        start, end = start - base, end - base
        return self.image.bytes_of(section)[start:end] if start >= 0 else None


def shared_names(images: Sequence[Image]) -> tuple[Names, ...]:
    """Names for the symbols of each file, that mean the same in all of them."""
    twice: set[str] = set()
    for image in images:
        seen: set[str] = set()
        for symbol in image.symbols:
            if symbol.section is not None and symbol.type not in ("FILE", "SECTION"):
                (twice if symbol.name in seen else seen).add(symbol.name)
    return tuple(Names(image, frozenset(twice)) for image in images)

"""Names for the symbols of several files, equal only where they mean the same."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Final

from replay.elf.image import WRITE, Image, Symbol
from replay.elf.relocate import width_of

LARGEST_CONSTANT: Final = 4096
"""Bytes; a larger one without a name is not compared."""

_NUMBERED: Final = re.compile(r"\.\d+$")


def plain(name: str) -> str:
    """A symbol's name in the source: without file, number and version."""
    return name.rpartition(":")[2].partition("#")[0].partition("@")[0]


class Names:
    """What the symbols of one file are called, so that other files mean the same by it.

    A local name that any of the files has more than once is told apart by its source
    file. If even that leaves two, they are numbered, and the name identifies nothing.
    The constants that a compiler numbers, such as ``__func__.0``, go by their contents:
    the numbers change whenever another function comes or goes. So do those of variables
    that are static in a function, which are counted anew, in their order. The version
    of an exported symbol is no part of its name, unless there are several.
    """

    def __init__(
        self,
        image: Image,
        twice: frozenset[str],
        given: dict[Symbol, str],
        digests: Mapping[Symbol, str] | None = None,
    ) -> None:
        self.image = image
        self._digests = digests
        self.twice = twice
        self._given = given
        self._names: dict[Symbol, str] = {}
        count: dict[str, int] = {}
        for symbol in image.symbols:
            name = self._plain(symbol)
            if symbol.bind == "LOCAL" and symbol.section is not None and "=" not in name:
                count[name] = count.get(name, 0) + 1
                if self._source(symbol) in twice and count[name] > 1:
                    name += f"#{count[name]}"
            self._names[symbol] = name

    def __call__(self, symbol: Symbol) -> str:
        """The symbol's name."""
        return self._names.get(symbol) or self._plain(symbol)

    def _source(self, symbol: Symbol) -> str:
        return self._given.get(symbol, symbol.name)

    def _plain(self, symbol: Symbol) -> str:
        own = self._source(symbol)
        if symbol.bind != "LOCAL":
            return own
        numbered = _NUMBERED.search(symbol.name) and symbol.type == "OBJECT"
        if numbered and 0 < symbol.size <= LARGEST_CONSTANT:
            digest = self._digest(symbol)
            if digest is not None:
                return f"{symbol.name.rpartition('.')[0]}={digest}"
        return f"{symbol.file}:{own}" if own in self.twice else own

    def _digest(self, symbol: Symbol) -> str | None:
        """The digest of a constant's value; None where it has addresses in it."""
        if self._digests is not None:
            return self._digests.get(symbol)
        content = self._content(symbol)
        return None if content is None else hashlib.sha256(content).hexdigest()

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
        while near < len(filled) and filled[near].offset < end:
            if filled[near].offset + width_of(self.image.machine, filled[near].type) > start:
                return None
            near += 1
        base = self.image.base(section)
        start, end = start - base, end - base
        return self.image.bytes_of(section)[start:end] if start >= 0 else None


def shared_names(
    images: Sequence[Image], digests: Sequence[Mapping[Symbol, str] | None] = ()
) -> tuple[Names, ...]:
    """Names for the symbols of each file, that mean the same in all of them.

    Args:
        images: the files.
        digests: of each file whose bytes are not at hand, the digests of its constants.
    """
    twice: set[str] = set()
    given = [_counted(image) | _unversioned(image) for image in images]
    for image, names in zip(images, given, strict=True):
        seen: set[str] = set()
        for symbol in image.symbols:
            if symbol.section is not None and symbol.type not in ("FILE", "SECTION"):
                name = names.get(symbol, symbol.name)
                (twice if name in seen else seen).add(name)
    known = digests or (None,) * len(images)
    each = zip(images, given, known, strict=True)
    return tuple(Names(image, frozenset(twice), own, digest) for image, own, digest in each)


def _counted(image: Image) -> dict[Symbol, str]:
    """The variables that a compiler numbered, numbered in their order in each file."""
    alike: dict[tuple[str, str], list[tuple[int, Symbol]]] = {}
    for symbol in image.symbols:
        if symbol.bind == "LOCAL" and symbol.is_variable and _NUMBERED.search(symbol.name):
            base, _, number = symbol.name.rpartition(".")
            alike.setdefault((symbol.file, base), []).append((int(number), symbol))
    found: dict[Symbol, str] = {}
    for (_, base), symbols in alike.items():
        symbols.sort(key=lambda pair: pair[0])
        found |= {symbol: f"{base}.{rank}" for rank, (_, symbol) in enumerate(symbols)}
    return found


def _unversioned(image: Image) -> dict[Symbol, str]:
    """The exported symbols with a version, without it; the older ones of a name keep theirs."""
    versions: dict[str, list[Symbol]] = {}
    for symbol in image.symbols:
        if symbol.section is not None and "@" in symbol.name:
            versions.setdefault(symbol.name.partition("@")[0], []).append(symbol)
    return {
        symbol: base
        for base, symbols in versions.items()
        for symbol in symbols
        if "@@" in symbol.name or len(symbols) == 1
    }

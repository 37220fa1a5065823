"""What an address is called: the places that code refers to, comparable between files.

Two files lay their functions and data out differently, so addresses cannot be compared.
A place can: by the symbol it belongs to, or by the constant that is there. Where neither
is known for sure, the place is unknown, and so is the result of comparing it.
"""

from __future__ import annotations

import enum
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from replay.elf.image import (
    ALLOC,
    EXECUTE,
    MERGE,
    STRINGS,
    TLS,
    WRITE,
    Image,
    Relocation,
    Section,
    Symbol,
)
from replay.elf.names import LARGEST_CONSTANT, Names

PC32: Final = 2
"""R_X86_64_PC32: a distance from the place that is filled in."""


class Match(enum.Enum):
    """Whether two places are the same."""

    SAME = "same"
    OTHER = "other"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Referent:
    """Something that code can refer to.

    Attributes:
        names: symbols with the distance from each, in bytes.
        exact: all the names mean the very same thing. Otherwise the place lies in data
            whose order the linker chose, and only all of the names together say where:
            an array's end is the start of what follows it.
        content: the constant there, if it has no name; if not ``exact``, all that is
            around it, so that only equality says something.
    """

    names: frozenset[tuple[str, int]] = frozenset()
    exact: bool = True
    content: Hashable = None

    @property
    def known(self) -> bool:
        """Whether it can be compared at all."""
        return bool(self.names) or self.content is not None

    def __str__(self) -> str:
        if self.content is not None:
            return "a constant"
        if not self.names:
            return "unnamed data"
        name, distance = min(self.names, key=lambda n: (n[1] < 0, abs(n[1]), n[0]))
        name = name.partition("=")[0]
        return f"{name}{distance:+#x}" if distance else name


UNNAMED: Final = Referent()


def match(a: Referent, b: Referent, renamed: Mapping[str, frozenset[str]]) -> Match:
    """Whether a place of one file is that of another.

    Args:
        a: a place of the first file.
        b: a place of the second file.
        renamed: what each function of the first file may be called in the second, where
            that is not just its own name.
    """
    if not a.known or not b.known or (a.content is None) != (b.content is None):
        return Match.UNKNOWN
    if a.content is not None:
        other = Match.OTHER if a.exact and b.exact else Match.UNKNOWN
        return Match.SAME if a.content == b.content else other
    own = frozenset(
        (new, distance)
        for name, distance in a.names
        for new in renamed.get(name, frozenset((name,)))
    )
    if not own & b.names:
        return Match.OTHER
    if a.exact and b.exact:
        return Match.SAME
    return Match.SAME if own == b.names else Match.UNKNOWN


@dataclass(frozen=True, slots=True)
class _Span:
    """The symbols that start at one place of a section, and where the largest ends."""

    start: int
    end: int
    symbols: tuple[Symbol, ...]

    def holds(self, address: int) -> bool:
        """Whether an address is in it, or is where it starts."""
        return address == self.start or self.start < address < self.end


class Atlas:
    """The named places of a file.

    An address is an offset in its section in an object, and an address in a linked file.
    """

    def __init__(self, image: Image, names: Names) -> None:
        self.image = image
        self.names = names
        self._relocations: dict[int, dict[int, Relocation]] = {}
        self._ordered: dict[int, list[int]] = {}
        self._digests: dict[int, str] = {}

    def _area(self, section: int) -> int:
        """What is laid out as one: a section of an object, all sections of a linked file.

        There, the end of a section's last variable is the start of the next section.
        """
        return section if self.image.type == "ET_REL" else -1

    @cached_property
    def _spans(self) -> dict[int, list[_Span]]:
        starts: dict[int, dict[int, list[Symbol]]] = {}
        for symbol in self.image.symbols:
            # Of a thread's own variables a linked file tells no address.
            placed = symbol.type != "TLS" or self.image.type == "ET_REL"
            if symbol.section is not None and placed and _names_something(symbol):
                section = starts.setdefault(self._area(symbol.section), {})
                section.setdefault(symbol.value, []).append(symbol)
        spans: dict[int, list[_Span]] = {}
        for index, places in starts.items():
            spans[index] = []
            for start, symbols in sorted(places.items()):
                # A label beside a sized symbol, such as _edata, is where it is by chance.
                sized = [s for s in symbols if s.size] or symbols
                end = start + max(s.size for s in sized)
                spans[index].append(_Span(start, end, tuple(sized)))
        return spans

    @cached_property
    def _starts(self) -> dict[int, list[int]]:
        return {index: [span.start for span in spans] for index, spans in self._spans.items()}

    @cached_property
    def _loaded(self) -> list[Section]:
        # .tbss takes no memory of its own; its addresses are those of what follows.
        return [
            s
            for s in self.image.sections
            if s.flags & ALLOC and s.address and s.size and not (s.flags & TLS and not s.has_bytes)
        ]

    def section_at(self, address: int) -> Section | None:
        """The section of a linked file that an address lies in, its end included."""
        near = None
        for section in self._loaded:
            if section.address <= address < section.address + section.size:
                return section
            if address == section.address + section.size:
                near = section
        return near

    def relocations(self, section: Section) -> dict[int, Relocation]:
        """What the linker fills into a section of an object, by offset, in order."""
        if section.index not in self._relocations:
            found = self.image.relocations(section)
            self._relocations[section.index] = {r.offset: r for r in found}
        return self._relocations[section.index]

    def filled(self, section: Section, start: int, size: int) -> dict[int, Relocation]:
        """What the linker, or in a linked file the loader, fills in, by offset from ``start``."""
        linked = self.image.type != "ET_REL"
        source = self.image.dynamic_relocations if linked else self.relocations(section)
        number = -1 if linked else section.index
        if number not in self._ordered:
            self._ordered[number] = sorted(source)
        places = self._ordered[number]
        inside = places[bisect_left(places, start) : bisect_left(places, start + size)]
        return {at - start: source[at] for at in inside}

    def next_start(self, section: Section, address: int, end: int) -> int:
        """Where the next symbol after an address of a section starts, or ``end``."""
        starts = self._starts.get(self._area(section.index), [])
        later = bisect_right(starts, address)
        return min(starts[later], end) if later < len(starts) else end

    def named(self, symbol: Symbol, distance: int) -> Referent:
        """The place at a distance from a symbol that is referred to by its name."""
        name = self.names(symbol)
        return UNNAMED if "#" in name else Referent(frozenset(((name, distance),)))

    def at(self, section: Section, address: int, access: bool = False) -> Referent:
        """The place at an address, by the symbols around it; unnamed if they do not say.

        Args:
            section: where it is.
            address: in that section.
            access: the very bytes there are used, so that no end of an object is meant.
        """
        spans = self._spans.get(self._area(section.index), [])
        number = bisect_right(self._starts.get(self._area(section.index), []), address) - 1
        if number < 0 or not spans[number].holds(address):
            return UNNAMED
        meant = [spans[number]]
        exact = access or bool(section.flags & EXECUTE)
        if not exact:
            # Of data, also the end of what comes before may be meant, and compilers form
            # addresses somewhat before an array that is counted from 1.
            meant += spans[number + 1 : number + 2]
            if address == spans[number].start and number:
                meant.append(spans[number - 1])
        names = {(self.names(s), address - span.start) for span in meant for s in span.symbols}
        if any("#" in name or name == "_GLOBAL_OFFSET_TABLE_" for name, _ in names):
            return UNNAMED
        return Referent(frozenset(names), exact)

    def constant(self, section: Section, address: int) -> Referent:
        """The place of an unnamed constant in an object, by its value.

        A string is what comes before the next NUL, another constant of a merged section
        has that section's size. Any other ends where the next symbol starts at the
        latest; what else lies before that is compared along with it, so there only
        equality says something.
        """
        if section.flags & WRITE or not section.flags & ALLOC or not section.has_bytes:
            return UNNAMED
        data = self.image.bytes_of(section)
        exact = True
        if section.flags & STRINGS and section.entry_size == 1:
            end = data.find(b"\0", address) + 1
        elif section.flags & MERGE and section.entry_size:
            end = address + section.entry_size
        else:
            end = self.next_start(section, address, len(data))
            exact = False
            if self._ends(section, address):
                return UNNAMED
        if not 0 <= address < end <= min(len(data), address + LARGEST_CONSTANT):
            return UNNAMED
        filled = []
        for offset, entry in self.filled(section, address, end - address).items():
            target = self._filler(entry)
            if not target.known:
                return UNNAMED
            filled.append((offset, entry.type, target.names))
        return Referent(exact=exact, content=(data[address:end], tuple(filled)))

    def _ends(self, section: Section, address: int) -> bool:
        """Whether a named object ends there, so that its end may be meant."""
        spans = self._spans.get(self._area(section.index), [])
        before = bisect_left(self._starts.get(self._area(section.index), []), address) - 1
        return before >= 0 and spans[before].end == address

    def _filler(self, entry: Relocation) -> Referent:
        """The place that the linker fills into a constant."""
        symbol = entry.symbol
        if symbol is None or entry.addend is None:
            return UNNAMED
        if symbol.is_label and symbol.section is not None:
            section = self.image.sections[symbol.section]
            return self.at(section, symbol.value + entry.addend)
        return self.named(symbol, entry.addend)

    def unchanged(self, section: Section, address: int, function: Symbol) -> Referent:
        """An unnamed place in a linked file, by all of its section and where that lies.

        It is the same in another file if the function lies where it did, too: the
        entries of a switch's table are distances from the table into the function.
        """
        if section.flags & (WRITE | EXECUTE) or not section.has_bytes:
            return UNNAMED
        if section.index not in self._digests:
            data = self.image.bytes_of(section)
            self._digests[section.index] = hashlib.sha256(data).hexdigest()
        digest = self._digests[section.index]
        content = (section.name, section.address, digest, address, function.value)
        return Referent(exact=False, content=content)

    def jump_table(self, section: Section, address: int, function: Symbol) -> Referent:
        """The place of a switch's table in an object, by where in the function it leads.

        It is as long as its entries lead into the function, or into the part of it that
        the compiler moved away as unlikely.
        """
        filled = self.relocations(section)
        targets: list[tuple[str, int]] = []
        first = filled.get(address)
        stride = 4 if first is not None and first.type == PC32 else 8
        while entry := filled.get(address + len(targets) * stride):
            if len(targets) * stride > LARGEST_CONSTANT:
                return UNNAMED
            target = self._entry(entry, entry.offset - address, function)
            if target is None:
                break
            targets.append(target)
        return Referent(content=tuple(targets)) if targets else UNNAMED

    def _entry(self, entry: Relocation, distance: int, function: Symbol) -> tuple[str, int] | None:
        symbol = entry.symbol
        if symbol is None or symbol.section is None or entry.addend is None:
            return None
        target = symbol.value + entry.addend - (distance if entry.type == PC32 else 0)
        inside = target - function.value
        if symbol.section == function.section and 0 <= inside <= function.size:
            return "", inside
        for name, apart in self.at(self.image.sections[symbol.section], target).names:
            if name.startswith(function.name + ".cold"):
                return "cold", apart
        return None


def _names_something(symbol: Symbol) -> bool:
    """Whether code can mean a symbol: no file, no section, no label made by the assembler."""
    if not symbol.name or symbol.type in ("FILE", "SECTION"):
        return False
    return not symbol.name.startswith(".L")

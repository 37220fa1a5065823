"""What an address is called: the named places of a file.

Two files lay their functions and data out differently, so addresses cannot be compared.
A place can: by the symbol it belongs to. What is at a place without a name is told by
:mod:`replay.elf.holding`.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from replay.elf.image import ALLOC, EXECUTE, TLS, WRITE, Image, Relocation, Section, Symbol
from replay.elf.names import Names
from replay.elf.referents import UNNAMED, Referent

MOST_KNOWN: Final = 1 << 16
"""Places that are kept, because code refers to few places often."""


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
        self._known: dict[tuple[int, int, bool], Referent] = {}
        self._digests: dict[int, str] = {}

    def area(self, section: int) -> int:
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
                section = starts.setdefault(self.area(symbol.section), {})
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
        found = (
            s
            for s in self.image.sections
            if s.flags & ALLOC and s.address and s.size and not (s.flags & TLS and not s.has_bytes)
        )
        return sorted(found, key=lambda section: section.address)

    def section_at(self, address: int) -> Section | None:
        """The section of a linked file that an address lies in, its end included."""
        starts, loaded = self._loaded_starts, self._loaded
        number = bisect_right(starts, address) - 1
        if number < 0:
            return None
        found = loaded[number]
        return found if address <= found.address + found.size else None

    @cached_property
    def _loaded_starts(self) -> list[int]:
        return [section.address for section in self._loaded]

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

    def block(self, section: Section, address: int) -> Referent:
        """An address from which others near it are formed, by all that is near it.

        It is the same in another file only if all of that is: which of it is meant is in
        the instructions.
        """
        if section.index not in self._digests:
            data = b"" if section.flags & WRITE else self.image.bytes_of(section)
            self._digests[section.index] = hashlib.sha256(data).hexdigest()
        names = {(f"={self._digests[section.index]}", address), ("", 0)}
        for span in self._spans.get(self.area(section.index), []):
            names |= {(self.names(symbol), address - span.start) for symbol in span.symbols}
        return Referent(frozenset(names), exact=False)

    def named_from(self, section: Section, address: int) -> tuple[str, ...]:
        """The names of what starts at an address; none where nothing does."""
        spans = self._spans.get(self.area(section.index), [])
        number = bisect_left(self._starts.get(self.area(section.index), []), address)
        if number == len(spans) or spans[number].start != address:
            return ()
        return tuple(sorted(map(self.names, spans[number].symbols)))

    def ended(self, section: Section, address: int) -> tuple[tuple[str, int], ...]:
        """The names and sizes of what ends at an address, so that its end may be meant."""
        spans = self._spans.get(self.area(section.index), [])
        before = bisect_left(self._starts.get(self.area(section.index), []), address) - 1
        if before < 0 or spans[before].end != address:
            return ()
        return tuple(sorted((self.names(s), s.size) for s in spans[before].symbols))

    def next_start(self, section: Section, address: int, end: int) -> int:
        """Where the next symbol after an address of a section starts, or ``end``."""
        starts = self._starts.get(self.area(section.index), [])
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
        key = section.index, address, access
        found = self._known.get(key)
        if found is None:
            if len(self._known) > MOST_KNOWN:
                self._known.clear()
            found = self._known[key] = self._at(section, address, access)
        return found

    def _at(self, section: Section, address: int, access: bool) -> Referent:
        spans = self._spans.get(self.area(section.index), [])
        number = bisect_right(self._starts.get(self.area(section.index), []), address) - 1
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


def _names_something(symbol: Symbol) -> bool:
    """Whether code can mean a symbol: no file, no section, no label made by the assembler."""
    if not symbol.name or symbol.type in ("FILE", "SECTION"):
        return False
    # Assemblers mark with $x and $d where code ends and data begins.
    marks = symbol.type == "NOTYPE" and symbol.bind == "LOCAL" and symbol.name.startswith("$")
    return not marks and not symbol.name.startswith(".L")

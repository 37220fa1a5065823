"""What data holds: variables, and what has no name, by contents that two files can compare.

How far data without a name reaches is not written anywhere. It ends at the latest where
the next symbol starts, or the next address that anything refers to; characters end with
their NUL, and what an instruction loads is as wide as it loads.

What is assumed: in a program for fixed addresses, an aligned word whose value is the
address of something is a pointer to it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Final, Literal

from replay.elf.image import (
    ALLOC,
    EXECUTE,
    MERGE,
    RELATIVE,
    STRINGS,
    TLS,
    WRITE,
    Image,
    Relocation,
    Section,
    Symbol,
)
from replay.elf.places import Atlas
from replay.elf.referents import UNNAMED, Content, Held, Pointer, Referent
from replay.elf.relocate import width_of

LARGEST: Final = 1 << 16
"""Bytes of data without a name that are compared."""

DEEPEST: Final = 4
"""Pointers in data without a name that are followed, one after another."""

NEAR: Final = 64
"""Bytes before a named object from which its address may be formed, for an array counted
from 1 or more."""

PC32: Final = {"EM_X86_64": frozenset((2, 24)), "EM_AARCH64": frozenset((260, 261))}
"""Relocations of data that put in a distance from their own place."""

_PRINTABLE: Final = frozenset((*range(0x20, 0x7F), *range(0x80, 0x100), *b"\t\n\r\x1b\a\b\f\v"))


class Holder:
    """The contents of one file's data.

    Args:
        atlas: of the file.
        referred: gives the addresses in an area of the atlas that code refers to.
    """

    def __init__(self, atlas: Atlas, referred: Callable[[], dict[int, set[int]]]) -> None:
        self.atlas = atlas
        self.image: Image = atlas.image
        self._by_code = referred
        self._word = self.image.bits // 8
        self._order: Literal["little", "big"] = "little" if self.image.little_endian else "big"
        self._linked = self.image.type != "ET_REL"

    # --- variables --------------------------------------------------------------------

    def variable(self, symbol: Symbol) -> Content | None:
        """What a variable holds at the start; None where the file does not say."""
        if symbol.place == "COMMON":
            return Content(Held.DATA, b"", symbol.size)
        section = self._section_of(symbol)
        if section is None:
            return None
        return self._content(section, self.address(symbol), symbol.size, 0, symbol.name)

    def whole(self, section: Section) -> Content | None:
        """What a section holds."""
        return self._content(section, self.image.base(section), section.size, 0)

    def held(self, section: Section, address: int, size: int) -> Content | None:
        """What so many bytes hold; None where the file does not say."""
        return self._content(section, address, size, 0)

    def referred_in(self, section: Section) -> frozenset[int]:
        """The addresses in a section that code and data refer to."""
        places = self._referred.get(self.atlas.area(section.index), [])
        base = self.image.base(section)
        return frozenset(
            places[bisect_right(places, base - 1) : bisect_right(places, base + section.size)]
        )

    def _section_of(self, symbol: Symbol) -> Section | None:
        if symbol.section is None or not symbol.size:
            return None
        section = self.image.sections[symbol.section]
        inside = self.address(symbol) - self.image.base(section) >= 0
        return section if inside and section.flags & ALLOC else None

    def address(self, symbol: Symbol) -> int:
        """Where it is; of a thread's own variables a linked file tells a distance only."""
        if symbol.type != "TLS" or not self._linked:
            return symbol.value
        return symbol.value + self._first_tls

    @cached_property
    def _first_tls(self) -> int:
        return min((s.address for s in self.image.sections if s.flags & TLS), default=0)

    # --- what has no name -------------------------------------------------------------

    def place(
        self,
        section: Section,
        address: int,
        loaded: tuple[int, Held] | None = None,
        depth: int = 0,
    ) -> Referent:
        """The place of data without a name, by its contents.

        Args:
            section: where it is.
            address: in that section.
            loaded: how many bytes of it an instruction loads, and as what.
            depth: how many pointers led to it.
        """
        if not _is_followed(section) or depth > DEEPEST:
            return UNNAMED
        data, start = self.image.bytes_of(section), address - self.image.base(section)
        if not 0 <= start < len(data):
            return UNNAMED
        if loaded is not None:
            return self._exact(section, address, *loaded, depth)
        if self._linked or not section.flags & (MERGE | STRINGS) or not section.entry_size:
            return self._open(section, address, data[start : start + LARGEST + 1], depth)
        if not section.flags & STRINGS:
            return self._exact(section, address, section.entry_size, Held.NUMBER, depth)
        size = section.entry_size
        end = start
        while any(data[end : end + size]):
            end += size
        return Referent(content=Content(Held.TEXT, data[start:end], end - start))

    def _exact(self, section: Section, address: int, size: int, kind: Held, depth: int) -> Referent:
        content = self._content(section, address, size, depth)
        if content is None:
            return UNNAMED
        return Referent(content=Content(kind, content.data, size, content.pointers))

    def _open(self, section: Section, address: int, data: bytes, depth: int) -> Referent:
        """What is at an address that says not how far it reaches."""
        ended = self.atlas.ended(section, address)
        length = data.find(b"\0")
        if length > 0 and _PRINTABLE.issuperset(data[:length]):
            rest = self.boundary(section, address + length) - address
            if not any(data[length:rest]) and not self.atlas.filled(section, address, length):
                text = Content(Held.TEXT, data[:length], length, (), ended)
                return Referent(content=text)
        end = self.boundary(section, address)
        if end - address > LARGEST:
            return UNNAMED
        content = self._content(section, address, end - address, depth)
        if content is None:
            return UNNAMED
        near = self.atlas.named_from(section, end) if end - address <= NEAR else ()
        around = (*ended, *((name, -1) for name in near))
        whole = Content(Held.DATA, content.data, content.size, content.pointers, around)
        return Referent(exact=False, content=whole)

    def boundary(self, section: Section, address: int) -> int:
        """Where what is at an address ends at the latest."""
        end = self.image.base(section) + section.size
        end = self.atlas.next_start(section, address, end)
        places = self._referred.get(self.atlas.area(section.index), [])
        later = bisect_right(places, address)
        return min(end, places[later]) if later < len(places) else end

    @cached_property
    def _referred(self) -> dict[int, list[int]]:
        """The addresses by area that code and data refer to, in order."""
        found = {area: set(places) for area, places in self._by_code().items()}
        if self._linked:
            own = RELATIVE.get(self.image.machine)
            entries = self.image.dynamic_relocations.values()
            places = {e.addend for e in entries if e.type == own and e.addend is not None}
            found.setdefault(-1, set()).update(places)
            if self.image.type == "ET_EXEC" and self.image.bits == 64:
                found[-1].update(self._word_targets())
        else:
            for section in self.image.sections:
                if section.flags & ALLOC and not section.flags & EXECUTE:
                    self._note_targets(section, found)
        return {area: sorted(places) for area, places in found.items()}

    def _word_targets(self) -> Iterator[int]:
        """The addresses that words of data are, where data is followed."""
        for section in self.image.sections:
            if section.flags & ALLOC and not section.flags & EXECUTE and section.has_bytes:
                data = self.image.bytes_of(section)
                start = -section.address % 8
                words = memoryview(data)[start : start + (len(data) - start & ~7)].cast("Q")
                yield from set(words)

    def _note_targets(self, section: Section, found: dict[int, set[int]]) -> None:
        for entry in self.atlas.relocations(section).values():
            symbol, addend = entry.symbol, entry.addend
            if symbol and symbol.is_label and symbol.section is not None and addend is not None:
                area = self.atlas.area(symbol.section)
                found.setdefault(area, set()).add(symbol.value + addend)

    # --- contents ---------------------------------------------------------------------

    def _content(
        self, section: Section, address: int, size: int, depth: int, name: str = ""
    ) -> Content | None:
        """So many bytes, and the places that the linker or the loader fills in."""
        start = address - self.image.base(section)
        data = bytearray(self.image.bytes_of(section)[start : start + size])
        if section.has_bytes and len(data) < size:
            return None
        pointers: list[Pointer] = []
        if section.has_bytes:
            pointers += self._filled_in(section, address, size, data, depth, name)
            if name.startswith("reltable.") and self._linked:
                pointers += self._distances(address, data, depth)
            if self.image.type == "ET_EXEC" and self.image.bits == 64:
                pointers += self._words(address, data, depth, {p.offset for p in pointers})
        pointers.sort(key=lambda p: p.offset)
        return Content(Held.DATA, bytes(data).rstrip(b"\0"), size, tuple(pointers))

    def _filled_in(
        self, section: Section, address: int, size: int, data: bytearray, depth: int, name: str
    ) -> list[Pointer]:
        found = []
        for offset, entry in self.atlas.filled(section, address, size).items():
            width = self._word if self._linked else width_of(self.image.machine, entry.type)
            width = min(width, size - offset)
            value = int.from_bytes(data[offset : offset + width], self._order)
            base = address if name.startswith("reltable.") else None
            place = self._filler(entry, value, depth, base)
            data[offset : offset + width] = bytes(width)
            found.append(Pointer(offset, width, entry.type, place))
        return found

    def _filler(self, entry: Relocation, value: int, depth: int, base: int | None) -> Referent:
        """The place that is filled in, ``value`` being what the file holds there."""
        addend = value if entry.addend is None else entry.addend
        symbol = entry.symbol
        if self._linked:
            if symbol is not None and symbol.name:
                return self.atlas.named(symbol, addend)
            return (
                self.linked(addend, depth) if entry.type in own_relocations(self.image) else UNNAMED
            )
        if symbol is None:
            return UNNAMED
        if not symbol.is_label or symbol.section is None:
            return self.atlas.named(symbol, addend)
        target = symbol.value + addend
        if entry.type in PC32.get(self.image.machine, ()):
            if base is None:
                return UNNAMED
            target -= entry.offset - base
        return self.somewhere(self.image.sections[symbol.section], target, depth)

    def linked(self, address: int, depth: int = 0) -> Referent:
        """What is at an address of a linked file."""
        section = self.atlas.section_at(address)
        return UNNAMED if section is None else self.somewhere(section, address, depth)

    def somewhere(self, section: Section, address: int, depth: int) -> Referent:
        """What a pointer leads to."""
        place = self.atlas.at(section, address)
        return place if place.known else self.place(section, address, None, depth + 1)

    def _distances(self, address: int, data: bytearray, depth: int) -> list[Pointer]:
        """Where a table leads that clang makes of pointers: to distances from its start."""
        found = []
        for at in range(0, len(data) & ~3, 4):
            distance = int.from_bytes(data[at : at + 4], self._order, signed=True)
            found.append(Pointer(at, 4, 0, self.linked(address + distance, depth)))
            data[at : at + 4] = bytes(4)
        return found

    def _words(self, address: int, data: bytearray, depth: int, taken: set[int]) -> list[Pointer]:
        """The pointers in data of a program for fixed addresses, see above."""
        found = []
        values = {
            at: int.from_bytes(data[at : at + 8], self._order)
            for at in range(-address % 8, len(data) - 7, 8)
            if at not in taken and any(data[at : at + 8])
        }
        sections = {at: self.atlas.section_at(value) for at, value in values.items()}
        labels = all(section and section.flags & EXECUTE for section in sections.values())
        for at, value in values.items():
            section = sections[at]
            place = self._pointed(section, value, labels, depth) if section else UNNAMED
            if place.known:
                found.append(Pointer(at, 8, 0, place))
                data[at : at + 8] = bytes(8)
        return found

    def _pointed(self, section: Section, value: int, labels: bool, depth: int) -> Referent:
        """What a word leads to: a named thing's start, characters, or labels if all do."""
        place = self.atlas.at(section, value, access=True)
        if labels or any(not distance for _, distance in place.names):
            return place
        place = self.place(section, value, None, depth + 1)
        text = place.content is not None and place.content.kind is Held.TEXT
        return place if text else UNNAMED


def _is_followed(section: Section) -> bool:
    """Whether what it holds without a name is constant, and in the file."""
    constant = not section.flags & WRITE or section.name.startswith(".data.rel.ro")
    return constant and section.has_bytes and section.flags & (ALLOC | EXECUTE) == ALLOC


def own_relocations(image: Image) -> frozenset[int]:
    """The relocations of the loader that are an address of the file itself."""
    also = {"EM_X86_64": {37}, "EM_AARCH64": {1032}}.get(image.machine, set())
    return frozenset({RELATIVE.get(image.machine, -1), *also})

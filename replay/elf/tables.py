"""The tables of a switch, by where in its function each entry leads."""

from __future__ import annotations

from typing import Final, Literal

from replay.elf.holding import Holder
from replay.elf.image import EXECUTE, WRITE, Relocation, Section, Symbol
from replay.elf.places import Atlas
from replay.elf.referents import UNNAMED, Content, Held, Pointer, Referent

LARGEST: Final = 1 << 16
"""Bytes of a table."""

_PC32: Final = 2
"""R_X86_64_PC32: a distance from the place that is filled in."""


class Tables:
    """The tables of one file for x86-64."""

    def __init__(self, atlas: Atlas, holder: Holder) -> None:
        self.atlas = atlas
        self.image = atlas.image
        self.holder = holder
        self._order: Literal["little", "big"] = "little" if self.image.little_endian else "big"

    def at(self, section: Section, address: int, function: Symbol) -> Referent:
        """The place of a table at an address, if it is one; else unnamed.

        It is as long as its entries lead into the function, or into the part of it that
        the compiler moved away as unlikely.
        """
        if section.flags & EXECUTE or not section.has_bytes:
            return UNNAMED
        if self.image.type == "ET_REL":
            entries = self._filled(section, address, function)
        elif section.flags & WRITE and not section.name.startswith(".data.rel.ro"):
            return UNNAMED
        else:
            entries = self._written(section, address, function)
        if not entries:
            return UNNAMED
        size = entries[-1].offset + entries[-1].size
        return Referent(content=Content(Held.TABLE, b"", size, tuple(entries)))

    def _filled(self, section: Section, address: int, function: Symbol) -> list[Pointer]:
        """The entries in an object, which the linker fills in."""
        filled = self.atlas.relocations(section)
        first = filled.get(address)
        stride = 4 if first is not None and first.type == _PC32 else 8
        found: list[Pointer] = []
        while (entry := filled.get(address + len(found) * stride)) and len(found) < LARGEST:
            place = self._target(entry, entry.offset - address, function)
            if place is None:
                break
            found.append(Pointer(len(found) * stride, stride, 0, place))
        return found

    def _target(self, entry: Relocation, distance: int, function: Symbol) -> Referent | None:
        symbol = entry.symbol
        if symbol is None or symbol.section is None or entry.addend is None:
            return None
        target = symbol.value + entry.addend - (distance if entry.type == _PC32 else 0)
        return self._inside(self.image.sections[symbol.section], target, function)

    def _inside(self, section: Section, target: int, function: Symbol) -> Referent | None:
        """A place in the function or in its unlikely part; None if it is in neither."""
        inside = target - function.value
        if section.index == function.section and 0 <= inside <= function.size:
            return Referent(frozenset((("the function", inside),)))
        for name, apart in self.atlas.at(section, target).names:
            if name.startswith(function.name + ".cold"):
                return Referent(frozenset((("its unlikely part", apart),)))
        return None

    def _written(self, section: Section, address: int, function: Symbol) -> list[Pointer]:
        """The entries in a linked file: distances from the table, or addresses."""
        end = min(self.holder.boundary(section, address), address + LARGEST)
        start = address - section.address
        data = self.image.bytes_of(section)[start : start + end - address]
        near = self._entries(data, 4, address, function)
        fixed = self.image.type == "ET_EXEC"
        found = near or (self._entries(data, self.image.bits // 8, 0, function) if fixed else [])
        return found if len(found) > 1 else []

    def _entries(self, data: bytes, size: int, base: int, function: Symbol) -> list[Pointer]:
        found = []
        for at in range(0, len(data) - size + 1, size):
            value = int.from_bytes(data[at : at + size], self._order, signed=bool(base))
            section = self.atlas.section_at(base + value)
            place = self._inside(section, base + value, function) if section else None
            if place is None:
                break
            found.append(Pointer(at, size, 0, place))
        return found

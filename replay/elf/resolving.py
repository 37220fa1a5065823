"""What an address in the code of a function leads to, for any machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from replay.elf.holding import Holder, own_relocations
from replay.elf.image import ALLOC, EXECUTE, Image, Relocation, Section, Symbol
from replay.elf.places import Atlas
from replay.elf.referents import UNNAMED, Content, Held, Pointer, Referent
from replay.elf.tables import Tables

SLOT: Final = 1000
"""Added to the number of the relocation of what is reached by way of a table of addresses,
so that it is not taken for the place itself."""

Loaded = tuple[int, Held] | None
"""Bytes that an instruction loads, and as what; None where that is not known."""


class Resolver:
    """The places that one function refers to.

    Args:
        of_file: its named places, its data and its tables.
        section: where the function is.
        function: its symbol.
        jumps: whether it jumps to addresses that it computes.
        slot_of: gives the offset of the slot that an entry of a procedure linkage table
            jumps to, by the section's bytes, address and the entry's offset.
    """

    def __init__(
        self,
        of_file: tuple[Atlas, Holder, Tables],
        section: Section,
        function: Symbol,
        jumps: bool,
        slot_of: Callable[[bytes, int, int], int | None],
    ) -> None:
        self.atlas, self.holder, self.tables = of_file
        self.image: Image = self.atlas.image
        self.section = section
        self.function = function
        self.jumps = jumps
        self._slot_of = slot_of
        self._order: Literal["little", "big"] = "little" if self.image.little_endian else "big"

    def fixed(self, section: Section, value: int) -> Referent:
        """What a number in a program for fixed addresses leads to, if it is an address."""
        place = self.atlas.at(section, value)
        if place.known:
            pointers = (Pointer(0, 0, 0, place),)
            return Referent(content=Content(Held.DATA, b"", 0, pointers, number=value))
        place = self._unnamed(section, value, None)
        if place.content is None:
            return UNNAMED
        content = place.content
        numbered = Content(
            content.kind, content.data, content.size, content.pointers, content.ended, value
        )
        return Referent(place.names, place.exact, numbered)

    def target(
        self, relocation: Relocation, past: int, access: bool, loaded: Loaded = None
    ) -> Referent:
        """What a relocation of an object means; it counts from ``past`` bytes behind itself."""
        symbol = relocation.symbol
        if symbol is None or relocation.addend is None:
            return UNNAMED
        distance = relocation.addend + past
        if symbol.section is None or not symbol.is_label:
            return self.atlas.named(symbol, distance)
        section = self.image.sections[symbol.section]
        return self.place(section, symbol.value + distance, access, loaded)

    def linked(
        self, address: int, access: bool, branch: bool, loaded: Loaded = None
    ) -> tuple[int, Referent]:
        """What is at an address of a linked file, and how it gets there."""
        section = self.atlas.section_at(address)
        if section is None:
            return 0, UNNAMED
        if section.name.startswith(".got"):
            return self._slot(section, address)
        if branch and section.name.startswith((".plt", ".iplt")):
            return 0, self._stub(section, address)
        return 0, self.place(section, address, access, loaded)

    def _slot(self, section: Section, address: int) -> tuple[int, Referent]:
        """What an entry of the global offset table holds, and how it gets there."""
        entry = self.image.dynamic_relocations.get(address)
        if entry is not None:
            return SLOT + entry.type, self._loaded(entry)
        if self.image.type != "ET_EXEC":
            return SLOT, UNNAMED
        start = address - section.address
        word = self.image.bytes_of(section)[start : start + self.image.bits // 8]
        return SLOT, self.holder.linked(int.from_bytes(word, self._order))

    def _loaded(self, entry: Relocation) -> Referent:
        """What the loader puts into an entry of a table."""
        if entry.symbol is not None and entry.symbol.name:
            return self.atlas.named(entry.symbol, entry.addend or 0)
        if entry.type not in own_relocations(self.image) or entry.addend is None:
            return UNNAMED
        return self.holder.linked(entry.addend)

    def _stub(self, section: Section, address: int) -> Referent:
        """The function that an entry of the procedure linkage table jumps to."""
        code = self.image.bytes_of(section)
        slot = self._slot_of(code, section.address, address - section.address)
        if slot is None:
            return UNNAMED
        entry = self.image.dynamic_relocations.get(section.address + slot)
        return UNNAMED if entry is None else self._loaded(entry)

    def place(self, section: Section, address: int, access: bool, loaded: Loaded) -> Referent:
        """The place at an address; ``access`` if an instruction goes or loads there."""
        place = self.atlas.at(section, address, access)
        if place.known or section.flags & EXECUTE or not section.flags & ALLOC:
            return place
        return self._unnamed(section, address, loaded)

    def _unnamed(self, section: Section, address: int, loaded: Loaded) -> Referent:
        if self.jumps:
            table = self.tables.at(section, address, self.function)
            if table.known:
                return table
        return self.holder.place(section, address, loaded)

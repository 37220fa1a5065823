"""Splits a function of x86-64 into bytes that stay and references to places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from replay.elf.forms import Form, Reference
from replay.elf.holding import Holder
from replay.elf.image import ALLOC, EXECUTE, Image, Relocation, Section, Symbol
from replay.elf.places import Atlas
from replay.elf.referents import UNNAMED, Content, Held, Pointer, Referent
from replay.elf.tables import Tables
from replay.elf.widths import loaded
from replay.elf.x86 import (
    Field,
    Instruction,
    UnknownInstructionError,
    computes_target,
    decode,
    slot_of,
)

_PLAIN: Final = frozenset((1, 2, 4, 10, 11, 24))
"""R_X86_64_64, PC32, PLT32, 32, 32S, PC64: the address of the symbol itself."""

_WIDTH: Final = {1: 8, 24: 8, 17: 8, 18: 8, 25: 8, 27: 8, 28: 8, 29: 8, 30: 8, 31: 8}
"""Bytes of the fields that have not 4."""

_TLS_CALL: Final = 35
"""R_X86_64_TLSDESC_CALL marks an instruction and fills in nothing."""

_RELATIVE: Final = 8
"""R_X86_64_RELATIVE: an address in the file itself."""

_INDIRECT: Final = 37
"""R_X86_64_IRELATIVE: what the function at an address of the file itself returns."""

_SLOT: Final = 1000
"""Added to the number of the relocation of what is reached by way of a table of addresses,
so that it is not taken for the place itself."""

STACK_GUARD: Final = 0x28


@dataclass(frozen=True, slots=True)
class Scan:
    """A function's instructions.

    Attributes:
        instructions: with their offsets; without those that refer to nothing.
        jumps: whether it jumps to addresses that it computes, as a switch does.
    """

    instructions: tuple[tuple[int, Instruction], ...]
    jumps: bool


def scan(code: bytes, filled: dict[int, Relocation]) -> Scan:
    """The instructions of a function.

    Raises:
        UnknownInstructionError: one is not known.
    """
    found: list[tuple[int, Instruction]] = []
    at, jumps = 0, False
    while at < len(code):
        instruction = decode(code, at)
        end = at + instruction.length
        relative = instruction.relative
        leads = relative is not None and (
            at + relative.at in filled or not 0 <= end + relative.value < len(code)
        )
        if leads or instruction.absolute or instruction.segment or at in filled:
            found.append((at, instruction))
        jumps = jumps or computes_target(code[at:end])
        at = end
    return Scan(tuple(found), jumps)


def referred(
    image: Image, atlas: Atlas, function: Symbol, found: Scan, filled: dict[int, Relocation]
) -> list[tuple[int, int]]:
    """The places that a function refers to without their names, as (area, address)."""
    places: list[tuple[int, int]] = []
    for at, instruction in found.instructions:
        end, relative = at + instruction.length, instruction.relative
        fields = [*instruction.absolute, *([relative] if relative else [])]
        for operand in fields:
            entry = filled.get(at + operand.at)
            past = end - at - operand.at if operand is relative else 0
            if entry is None:
                if operand is relative and image.type != "ET_REL":
                    places.append((-1, function.value + end + operand.value))
                elif image.type == "ET_EXEC":
                    places.append((-1, operand.value % (1 << 8 * operand.size)))
            elif (symbol := entry.symbol) and symbol.is_label and symbol.section is not None:
                target = symbol.value + (entry.addend or 0) + past
                places.append((atlas.area(symbol.section), target))
    return places


class Masker:
    """Splits one x86-64 function.

    Args:
        of_file: its named places, its data and its tables.
        section: where the function is.
        code: its bytes.
        found: its instructions.
        filled: what the linker fills into it, by offset.
    """

    def __init__(
        self,
        of_file: tuple[Atlas, Holder, Tables],
        section: Section,
        function: Symbol,
        code: bytes,
        found: Scan,
        filled: dict[int, Relocation],
    ) -> None:
        self.atlas, self.holder, self.tables = of_file
        self.image: Image = self.atlas.image
        self.found = found
        self.section = section
        self.function = function
        self.code = code
        self.masked = bytearray(code)
        self.filled = filled
        self.references: list[Reference] = []
        self.doubtful = 0

    def run(self) -> Form:
        """Its form.

        Raises:
            UnknownInstructionError: a relocation lies where no operand is.
        """
        for at, instruction in self.found.instructions:
            self._instruction(at, instruction)
        if self.filled:
            raise UnknownInstructionError("a relocation between its operands")
        return Form(bytes(self.masked), tuple(self.references), self.doubtful)

    def _instruction(self, at: int, instruction: Instruction) -> None:
        end = at + instruction.length
        if self.filled and (mark := self.filled.get(at)) and mark.type == _TLS_CALL:
            self._refer(at, 0, self.filled.pop(at), 0)
        relative = instruction.relative
        code = None if instruction.lea else self.code[at:end]
        if relative is not None:
            field = at + relative.at
            if field in self.filled:
                self._refer(field, relative.size, self.filled.pop(field), end - field, code)
            else:
                self._distance(field, relative, end + relative.value, instruction, code)
        for operand in instruction.absolute:
            field = at + operand.at
            if field in self.filled:
                self._refer(field, operand.size, self.filled.pop(field), 0)
            elif self.image.type == "ET_EXEC":
                self._maybe_address(field, operand)
        if instruction.segment and self.image.type != "ET_REL":
            # Thread-local variables lie at distances that only the linker knows; the
            # stack guard lies at one that is part of the ABI. A distance in a register
            # was loaded from where the loader put it.
            counted = {number.at for number in instruction.numbers}
            far = [operand.value for operand in instruction.absolute if operand.at not in counted]
            self.doubtful += bool(far) and far != [STACK_GUARD]

    def _maybe_address(self, field: int, operand: Field) -> None:
        """Note a number in a program for a fixed address that can be one, or just a number.

        The same number is the same only if what would be at that address is. Another
        number is the same where what is there is: then it is an address.
        """
        for value in (operand.value % (1 << 8 * operand.size), operand.value):
            section = self.atlas.section_at(value)
            if section is not None:
                place = self._fixed(section, value)
                self._note(field, operand.size, 0, place)
                return

    def _fixed(self, section: Section, value: int) -> Referent:
        place = self.atlas.at(section, value)
        if place.known:
            pointers = (Pointer(0, 0, 0, place),)
            return Referent(content=Content(Held.DATA, b"", 0, pointers, number=value))
        place = self._unnamed(section, value, None)
        if place.content is None:
            return UNNAMED
        return replace(place, content=replace(place.content, number=value))

    def _refer(
        self,
        field: int,
        size: int,
        relocation: Relocation,
        past: int,
        code: bytes | None = None,
    ) -> None:
        """Note what the linker will fill in; ``past`` bytes lie from it to where it counts."""
        width = _WIDTH.get(relocation.type, 4) if relocation.type != _TLS_CALL else 0
        if width != size:
            raise UnknownInstructionError("a relocation as wide as no operand")
        how = 0 if relocation.type in _PLAIN else relocation.type
        self._note(field, size, how, self._target(relocation, past, code))

    def _target(self, relocation: Relocation, past: int, code: bytes | None) -> Referent:
        symbol = relocation.symbol
        if symbol is None or relocation.addend is None:
            return UNNAMED
        distance = relocation.addend + past
        if symbol.section is None or not symbol.is_label:
            return self.atlas.named(symbol, distance)
        section = self.image.sections[symbol.section]
        return self._place(section, symbol.value + distance, code)

    def _distance(
        self, field: int, operand: Field, target: int, instruction: Instruction, code: bytes | None
    ) -> None:
        """Note a distance that is already filled in; one inside the function stays as it is."""
        if 0 <= target < len(self.code):
            return
        address = self.function.value + target
        how = 0
        if self.image.type == "ET_REL":
            place = self._place(self.section, address, code)
        else:
            how, place = self._linked(address, instruction, code)
        self._note(field, operand.size, how, place)

    def _linked(
        self, address: int, instruction: Instruction, code: bytes | None
    ) -> tuple[int, Referent]:
        section = self.atlas.section_at(address)
        if section is None:
            return 0, UNNAMED
        if section.name.startswith(".got"):
            return self._slot(section, address)
        if instruction.branch and section.name.startswith((".plt", ".iplt")):
            return 0, self._stub(section, address)
        return 0, self._place(section, address, code)

    def _slot(self, section: Section, address: int) -> tuple[int, Referent]:
        """What an entry of the global offset table holds, and how it gets there."""
        entry = self.image.dynamic_relocations.get(address)
        if entry is not None:
            return _SLOT + entry.type, self._loaded(entry)
        if self.image.type != "ET_EXEC":
            return _SLOT, UNNAMED
        start = address - section.address
        word = self.image.bytes_of(section)[start : start + 8]
        return _SLOT, self.holder.linked(int.from_bytes(word, "little"))

    def _loaded(self, entry: Relocation) -> Referent:
        """What the loader puts into an entry of a table."""
        if entry.symbol is not None and entry.symbol.name:
            return self.atlas.named(entry.symbol, entry.addend or 0)
        if entry.type not in (_RELATIVE, _INDIRECT) or entry.addend is None:
            return UNNAMED
        return self.holder.linked(entry.addend)

    def _stub(self, section: Section, address: int) -> Referent:
        """The function that an entry of the procedure linkage table jumps to."""
        slot = slot_of(self.image.bytes_of(section), address - section.address)
        if slot is None:
            return UNNAMED
        entry = self.image.dynamic_relocations.get(section.address + slot)
        return UNNAMED if entry is None else self._loaded(entry)

    def _place(self, section: Section, address: int, code: bytes | None) -> Referent:
        """The place at an address; ``code`` is the instruction that goes there, if it does."""
        place = self.atlas.at(section, address, code is not None)
        if place.known or section.flags & EXECUTE or not section.flags & ALLOC:
            return place
        return self._unnamed(section, address, code)

    def _unnamed(self, section: Section, address: int, code: bytes | None) -> Referent:
        if self.found.jumps:
            table = self.tables.at(section, address, self.function)
            if table.known:
                return table
        return self.holder.place(section, address, loaded(code) if code else None)

    def _note(self, field: int, size: int, how: int, place: Referent) -> None:
        self.masked[field : field + size] = bytes(size)
        self.references.append(Reference(field, how, place))

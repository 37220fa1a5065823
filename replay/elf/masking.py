"""Splits a function of x86-64 into bytes that stay and references to places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from replay.elf.forms import Form, Reference
from replay.elf.holding import Holder
from replay.elf.image import Image, Relocation, Section, Symbol
from replay.elf.places import Atlas
from replay.elf.referents import Referent
from replay.elf.resolving import Resolver
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


def scan(
    image: Image, section: Section, address: int, code: bytes, filled: dict[int, Relocation]
) -> Scan:
    """The instructions of a function.

    Raises:
        UnknownInstructionError: one is not known.
    """
    del image, section, address  # its instructions are the same anywhere
    found: list[tuple[int, Instruction]] = []
    at, size, jumps = 0, len(code), False
    while at < size:
        instruction = decode(code, at)
        end = at + instruction.length
        relative = instruction.relative
        leads = relative is not None and (
            at + relative.at in filled or not 0 <= end + relative.value < size
        )
        if leads or instruction.absolute or instruction.segment or at in filled:
            found.append((at, instruction))
        jumps = jumps or (0xFF in code[at:end] and computes_target(code[at:end]))
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


def mask(
    of_file: tuple[Atlas, Holder, Tables],
    section: Section,
    function: Symbol,
    code: bytes,
    found: Scan,
    filled: dict[int, Relocation],
) -> Form:
    """The form of a function.

    Raises:
        UnknownInstructionError: a relocation lies where no operand is.
    """
    return Masker(of_file, section, function, code, found, filled).run()


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
        self.resolver = Resolver(of_file, section, function, found.jumps, _slot_of)
        self.atlas = self.resolver.atlas
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
                place = self.resolver.fixed(section, value)
                self._note(field, operand.size, 0, place)
                return

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
        access = code is not None
        place = self.resolver.target(relocation, past, access, loaded(code) if code else None)
        self._note(field, size, how, place)

    def _distance(
        self, field: int, operand: Field, target: int, instruction: Instruction, code: bytes | None
    ) -> None:
        """Note a distance that is already filled in; one inside the function stays as it is."""
        if 0 <= target < len(self.code):
            return
        address = self.function.value + target
        held = loaded(code) if code else None
        how = 0
        if self.image.type == "ET_REL":
            place = self.resolver.place(self.section, address, code is not None, held)
        else:
            branch = instruction.branch
            how, place = self.resolver.linked(address, code is not None, branch, held)
        self._note(field, operand.size, how, place)

    def _note(self, field: int, size: int, how: int, place: Referent) -> None:
        self.masked[field : field + size] = bytes(size)
        self.references.append(Reference(field, how, place))


def _slot_of(code: bytes, address: int, at: int) -> int | None:
    """As :func:`replay.elf.x86.slot_of`: distances are no matter of the section's address."""
    del address
    return slot_of(code, at)

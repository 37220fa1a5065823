"""The code of a function in a form in which two builds of it can be compared.

For x86-64 every instruction is split into bytes that do not depend on where things lie
and references, each to a :class:`~replay.elf.places.Place`. Of other machines, and where
an instruction is not known, there are only the bytes as they are.

What is assumed of x86-64: a function's bytes are instructions from its first to its
last, as compilers emit them (hand-written assembly may mix data in); and an address is
formed from the object that it means, its end, or somewhat before its start.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from replay.elf.errors import REBUILD, ElfError
from replay.elf.image import ALLOC, EXECUTE, Image, Relocation, Section, Symbol
from replay.elf.places import UNNAMED, Atlas, Match, Referent, match
from replay.elf.x86 import Field, Instruction, UnknownInstructionError, decode, slot_of

_PLAIN: Final = frozenset((1, 2, 4, 10, 11, 24))
"""R_X86_64_64, PC32, PLT32, 32, 32S, PC64: the address of the symbol itself."""

_WIDTH: Final = {1: 8, 24: 8, 17: 8, 18: 8, 25: 8, 27: 8, 28: 8, 29: 8, 30: 8, 31: 8}
"""Bytes of the fields that have not 4."""

_TLS_CALL: Final = 35
"""R_X86_64_TLSDESC_CALL marks an instruction and fills in nothing."""

_RELATIVE: Final = 8
"""R_X86_64_RELATIVE: an address in the file itself."""

_SLOT: Final = 1000
"""Added to the number of the relocation of what is reached by way of a table of addresses,
so that it is not taken for the place itself."""

STACK_GUARD: Final = 0x28


class Code(enum.Enum):
    """What comparing a function's code found."""

    IDENTICAL = "identical"
    """The same instructions, and every reference leads to the same place."""
    MASKED = "identical as far as compared"
    """The same instructions, but some references lead to what has no name."""
    BYTES = "identical bytes, compared without masking"
    """Nothing is known of the references."""
    DIFFERENT = "different"
    """Other instructions, or a reference to something else."""
    OTHER_BYTES = "different bytes, compared without masking"
    """Perhaps only because other things lie elsewhere."""
    ONE_SIDE = "in one file only"
    """Inlined everywhere, or absent, in the other."""
    NONE = "no code of its own"
    """Inlined everywhere in both."""
    UNKNOWN = "not in the file"
    """The file does not hold the bytes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a function that leads elsewhere.

    Attributes:
        offset: bytes from the start of the function.
        how: 0 for the plain address, else by the number of the relocation.
    """

    offset: int
    how: int
    place: Referent


@dataclass(frozen=True, slots=True)
class Form:
    """A function's code.

    Attributes:
        code: its bytes; those of references are zero, unless ``raw``.
        references: in order. If ``raw``, the relocations.
        doubtful: uses of thread-local variables, at distances that the linker chose.
        raw: why the bytes are as they are; empty if they are masked.
    """

    code: bytes
    references: tuple[Reference, ...]
    doubtful: int = 0
    raw: str = ""


@dataclass(frozen=True, slots=True)
class FormMatch:
    """What comparing two forms found.

    Attributes:
        retargeted: references that lead elsewhere, as (before, after).
        uncompared: references and operands that could not be compared.
    """

    code: Code
    retargeted: tuple[tuple[str, str], ...] = ()
    uncompared: int = 0


def compare_forms(
    a: Form | None, b: Form | None, renamed: Mapping[str, frozenset[str]]
) -> FormMatch:
    """Compare two functions.

    IDENTICAL is claimed only if all references lead to places known to be the same.
    """
    if a is None or b is None:
        return FormMatch(Code.UNKNOWN)
    alike = a.code == b.code and [(r.offset, r.how) for r in a.references] == [
        (r.offset, r.how) for r in b.references
    ]
    if not alike:
        return FormMatch(Code.OTHER_BYTES if a.raw or b.raw else Code.DIFFERENT)
    pairs = list(zip(a.references, b.references, strict=True))
    matches = [match(x.place, y.place, renamed) for x, y in pairs]
    if a.raw or b.raw:
        same = a.raw and b.raw and Match.OTHER not in matches
        return FormMatch(Code.BYTES if same else Code.OTHER_BYTES)
    retargeted = tuple(
        (str(x.place), str(y.place))
        for (x, y), found in zip(pairs, matches, strict=True)
        if found is Match.OTHER
    )
    uncompared = matches.count(Match.UNKNOWN) + max(a.doubtful, b.doubtful)
    if retargeted:
        return FormMatch(Code.DIFFERENT, retargeted, uncompared)
    return FormMatch(Code.MASKED if uncompared else Code.IDENTICAL, (), uncompared)


class CodeReader:
    """The forms of the functions of one file."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self.image = atlas.image
        self.masks = self.image.machine == "EM_X86_64"
        code = sum(s.size for s in self.image.sections if s.has_bytes and s.flags & EXECUTE)
        self._left = 8 * code + (1 << 18)

    def size(self, function: Symbol) -> int:
        """Bytes of a function; one that does not tell reaches to the next symbol."""
        if function.size or function.section is None:
            return function.size
        section = self.image.sections[function.section]
        end = self.image.base(section) + section.size
        return self.atlas.next_start(section, function.value, end) - function.value

    def form(self, function: Symbol) -> Form | None:
        """A function's code; None if the file does not hold it.

        Raises:
            ElfError: the functions, taken together, are many times what code there is.
        """
        if function.section is None:
            return None
        section = self.image.sections[function.section]
        start, size = function.value - self.image.base(section), self.size(function)
        code = self.image.bytes_of(section)[max(start, 0) : start + size]
        if start < 0 or size <= 0 or len(code) < size:
            return None
        self._left -= size
        if self._left < 0:
            problem = "corrupt: its functions lie upon one another"
            raise ElfError(self.image.path, problem, REBUILD, f"section {section.name}")
        filled = self.atlas.filled(section, function.value, size)
        if not self.masks:
            return _raw(self, code, function, filled, f"{self.image.machine} is not known here")
        if filled and self.image.type != "ET_REL":
            return _raw(self, code, function, filled, "the loader changes the code")
        try:
            return _Masker(self, section, function, code, filled).run()
        except UnknownInstructionError as error:
            return _raw(self, code, function, filled, f"an instruction is not known: {error}")


def _raw(
    reader: CodeReader, code: bytes, function: Symbol, filled: dict[int, Relocation], why: str
) -> Form:
    references = []
    for offset, relocation in sorted(filled.items()):
        place = UNNAMED
        if relocation.symbol is not None:
            place = reader.atlas.named(relocation.symbol, relocation.addend or 0)
        references.append(Reference(offset, relocation.type, place))
    return Form(code, tuple(references), 0, why)


class _Masker:
    """Splits one x86-64 function."""

    def __init__(
        self,
        reader: CodeReader,
        section: Section,
        function: Symbol,
        code: bytes,
        filled: dict[int, Relocation],
    ) -> None:
        self.atlas = reader.atlas
        self.image: Image = reader.image
        self.section = section
        self.function = function
        self.code = code
        self.masked = bytearray(code)
        self.filled = filled
        self.references: list[Reference] = []
        self.doubtful = 0

    def run(self) -> Form:
        at = 0
        while at < len(self.code):
            instruction = decode(self.code, at)
            self._instruction(at, instruction)
            at += instruction.length
        if self.filled:
            raise UnknownInstructionError("a relocation between its operands")
        return Form(bytes(self.masked), tuple(self.references), self.doubtful)

    def _instruction(self, at: int, instruction: Instruction) -> None:
        end = at + instruction.length
        if self.filled and (mark := self.filled.get(at)) and mark.type == _TLS_CALL:
            self._refer(at, 0, self.filled.pop(at), 0)
        relative = instruction.relative
        if relative is not None:
            field = at + relative.at
            if field in self.filled:
                past, access = end - field, not instruction.lea
                self._refer(field, relative.size, self.filled.pop(field), past, access)
            else:
                self._distance(field, relative, end + relative.value, instruction)
        for operand in instruction.absolute:
            field = at + operand.at
            if field in self.filled:
                self._refer(field, operand.size, self.filled.pop(field), 0)
            elif self.image.type == "ET_EXEC":
                self._maybe_address(field, operand)
        if instruction.segment and self.image.type != "ET_REL":
            # Thread-local variables lie at distances that only the linker knows; the
            # stack guard lies at one that is part of the ABI.
            guard = [operand.value for operand in instruction.absolute] == [STACK_GUARD]
            self.doubtful += not guard

    def _maybe_address(self, field: int, operand: Field) -> None:
        """Note a number in a program for a fixed address that can be one, or just a number.

        It is the same only if the number is, and what would be at that address, too.
        """
        for value in (operand.value % (1 << 8 * operand.size), operand.value):
            section = self.atlas.section_at(value)
            if section is not None:
                place = self.atlas.at(section, value)
                if place.known:
                    place = Referent(exact=False, content=(value, place.names))
                self._note(field, operand.size, 0, place)
                return

    def _refer(
        self, field: int, size: int, relocation: Relocation, past: int, access: bool = False
    ) -> None:
        """Note what the linker will fill in; ``past`` bytes lie from it to where it counts."""
        width = _WIDTH.get(relocation.type, 4) if relocation.type != _TLS_CALL else 0
        if width != size:
            raise UnknownInstructionError("a relocation as wide as no operand")
        how = 0 if relocation.type in _PLAIN else relocation.type
        self._note(field, size, how, self._target(relocation, past, access))

    def _target(self, relocation: Relocation, past: int, access: bool) -> Referent:
        symbol = relocation.symbol
        if symbol is None or relocation.addend is None:
            return UNNAMED
        distance = relocation.addend + past
        if symbol.section is None or not symbol.is_label:
            return self.atlas.named(symbol, distance)
        section = self.image.sections[symbol.section]
        return self._place(section, symbol.value + distance, access)

    def _distance(self, field: int, operand: Field, target: int, instruction: Instruction) -> None:
        """Note a distance that is already filled in; one inside the function stays as it is."""
        if 0 <= target < len(self.code):
            return
        address = self.function.value + target
        how = 0
        if self.image.type == "ET_REL":
            place = self._place(self.section, address, not instruction.lea)
        else:
            how, place = self._linked(address, instruction)
        self._note(field, operand.size, how, place)

    def _linked(self, address: int, instruction: Instruction) -> tuple[int, Referent]:
        section = self.atlas.section_at(address)
        if section is None:
            return 0, UNNAMED
        if section.name.startswith(".got"):
            entry = self.image.dynamic_relocations.get(address)
            return (_SLOT + entry.type, self._slot(entry)) if entry else (_SLOT, UNNAMED)
        if instruction.branch and section.name.startswith(".plt"):
            return 0, self._stub(section, address)
        place = self.atlas.at(section, address, not instruction.lea)
        return 0, place if place.known else self.atlas.unchanged(section, address, self.function)

    def _slot(self, entry: Relocation) -> Referent:
        """What the loader puts into an entry of the global offset table."""
        if entry.symbol is not None:
            return self.atlas.named(entry.symbol, entry.addend or 0)
        if entry.type != _RELATIVE or entry.addend is None:
            return UNNAMED
        section = self.atlas.section_at(entry.addend)
        return self.atlas.at(section, entry.addend) if section else UNNAMED

    def _stub(self, section: Section, address: int) -> Referent:
        """The function that an entry of the procedure linkage table jumps to."""
        slot = slot_of(self.image.bytes_of(section), address - section.address)
        if slot is None:
            return UNNAMED
        entry = self.image.dynamic_relocations.get(section.address + slot)
        if entry is None or entry.symbol is None:
            return UNNAMED
        return self.atlas.named(entry.symbol, 0)

    def _place(self, section: Section, address: int, access: bool) -> Referent:
        """The place at an offset in a section of an object."""
        place = self.atlas.at(section, address, access)
        if place.known or section.flags & EXECUTE or not section.flags & ALLOC:
            return place
        table = self.atlas.jump_table(section, address, self.function)
        return table if table.known else self.atlas.constant(section, address)

    def _note(self, field: int, size: int, how: int, place: Referent) -> None:
        self.masked[field : field + size] = bytes(size)
        self.references.append(Reference(field, how, place))

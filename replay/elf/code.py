"""Reads the functions of a file so that two builds of them can be compared.

For x86-64 every instruction is split into bytes that do not depend on where things lie
and references, each to a :class:`~replay.elf.referents.Referent`. Of objects for aarch64
and RISC-V the relocations are the references. Of other machines, and where an instruction
is not known, there are only the bytes as they are.

What is assumed of x86-64: a function's bytes are instructions from its first to its
last, as compilers emit them (hand-written assembly may mix data in); and an address is
formed from the object that it means, its end, or somewhat before its start.
"""

from __future__ import annotations

from typing import Final

from replay.elf.errors import REBUILD, ElfError
from replay.elf.forms import Code, Form, FormMatch, Reference, compare_forms
from replay.elf.holding import Holder
from replay.elf.image import EXECUTE, MERGE, Relocation, Section, Symbol
from replay.elf.masking import Masker, Scan, referred, scan
from replay.elf.places import Atlas
from replay.elf.referents import UNNAMED, Referent
from replay.elf.tables import Tables
from replay.elf.x86 import UnknownInstructionError

__all__ = ["Code", "CodeReader", "Form", "FormMatch", "Reference", "compare_forms"]

TOLD: Final = frozenset(("EM_AARCH64", "EM_RISCV"))
"""Machines in whose objects every reference is a relocation that names the place itself, with
nothing added for where the instruction is, and with the addend beside it."""


class CodeReader:
    """The forms of the functions of one file."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self.image = atlas.image
        self.decodes = self.image.machine == "EM_X86_64"
        told = self.image.machine in TOLD and self.image.type == "ET_REL"
        self.masks = self.decodes or told
        self.holder = Holder(atlas, self._referred)
        self._tables = Tables(atlas, self.holder)
        self._scans: dict[tuple[int, int, int], Scan | str] = {}
        self._forms: dict[tuple[int, int, int], Form | None] = {}
        self._referring: set[tuple[int, int, int]] = set()
        code = sum(s.size for s in self.image.sections if s.has_bytes and s.flags & EXECUTE)
        self._left = 16 * code + (1 << 18)

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
        key = function.section, function.value, self.size(function)
        if key not in self._forms:
            self._forms[key] = self._form(function, *key)
        return self._forms[key]

    def _form(  # noqa: PLR0911 - a line a reason
        self, function: Symbol, number: int, address: int, size: int
    ) -> Form | None:
        section = self.image.sections[number]
        code = self._code(section, address, size)
        if code is None:
            return None
        self._spend(size, section)
        filled = self.atlas.filled(section, address, size)
        if not self.masks:
            return _raw(self, code, filled, f"{self.image.machine} is not known here")
        if not self.decodes:
            return _told(self, code, filled)
        if filled and self.image.type != "ET_REL":
            return _raw(self, code, filled, "the loader changes the code")
        found = self._scan(section, address, code)
        if isinstance(found, str):
            return _raw(self, code, filled, found)
        of_file = self.atlas, self.holder, self._tables
        try:
            return Masker(of_file, section, function, code, found, dict(filled)).run()
        except UnknownInstructionError as error:
            return _raw(self, code, filled, f"an instruction is not known: {error}")

    def _code(self, section: Section, address: int, size: int) -> bytes | None:
        start = address - self.image.base(section)
        if start < 0 or size <= 0:
            return None
        code = self.image.bytes_of(section)[start : start + size]
        return code if len(code) == size else None

    def _spend(self, size: int, section: Section) -> None:
        self._left -= size
        if self._left < 0:
            problem = "corrupt: its functions lie upon one another"
            raise ElfError(self.image.path, problem, REBUILD, f"section {section.name}")

    def _scan(self, section: Section, address: int, code: bytes) -> Scan | str:
        """The instructions of a function, or why they are not known."""
        key = section.index, address, len(code)
        if key not in self._scans:
            filled = self.atlas.filled(section, address, len(code))
            try:
                self._scans[key] = scan(code, filled)
            except UnknownInstructionError as error:
                self._scans[key] = f"an instruction is not known: {error}"
        return self._scans[key]

    def _referred(self) -> dict[int, set[int]]:
        """The addresses by area that the file's functions refer to without a name."""
        found: dict[int, set[int]] = {}
        for function in self.image.symbols if self.decodes else ():
            if not function.is_function or function.section is None:
                continue
            section, size = self.image.sections[function.section], self.size(function)
            code = self._code(section, function.value, size)
            if code is None or (section.index, function.value, size) in self._referring:
                continue
            self._referring.add((section.index, function.value, size))
            self._spend(size, section)
            scanned = self._scan(section, function.value, code)
            if isinstance(scanned, Scan):
                filled = self.atlas.filled(section, function.value, size)
                for area, at in referred(self.image, self.atlas, function, scanned, filled):
                    found.setdefault(area, set()).add(at)
        if self.masks and not self.decodes:
            for section in self.image.sections:
                if section.flags & EXECUTE:
                    self._note_filled(section, found)
        return found

    def _note_filled(self, section: Section, found: dict[int, set[int]]) -> None:
        for entry in self.atlas.relocations(section).values():
            symbol = entry.symbol
            if symbol and symbol.is_label and symbol.section is not None:
                area = self.atlas.area(symbol.section)
                found.setdefault(area, set()).add(symbol.value + (entry.addend or 0))


def _told(reader: CodeReader, code: bytes, filled: dict[int, Relocation]) -> Form:
    """The form of a function of an object whose relocations tell all that it refers to.

    What the linker fills in is zero in the code, so the bytes need no masking.
    """
    references = []
    for offset, entry in sorted(filled.items()):
        symbol, addend = entry.symbol, entry.addend or 0
        if symbol is None:
            place = Referent(frozenset((("", addend),)))  # a mark for the linker
        elif symbol.section is None or not symbol.is_label:
            place = reader.atlas.named(symbol, addend)
        else:
            section = reader.image.sections[symbol.section]
            place = _labelled(reader, section, symbol.value + addend)
        references.append(Reference(offset, entry.type, place))
    return Form(code, tuple(references))


def _labelled(reader: CodeReader, section: Section, address: int) -> Referent:
    """A place that the compiler has a label of its own for.

    It may be one from which the places of several variables are formed, unless it is in
    code or among merged constants.
    """
    if section.flags & EXECUTE:
        return reader.atlas.at(section, address)
    if section.flags & MERGE:
        return reader.holder.place(section, address)
    return reader.atlas.block(section, address)


def _raw(reader: CodeReader, code: bytes, filled: dict[int, Relocation], why: str) -> Form:
    references = []
    for offset, relocation in sorted(filled.items()):
        place = UNNAMED
        if relocation.symbol is not None:
            place = reader.atlas.named(relocation.symbol, relocation.addend or 0)
        references.append(Reference(offset, relocation.type, place))
    return Form(code, tuple(references), 0, why)

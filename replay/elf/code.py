"""Reads the functions of a file so that two builds of them can be compared.

For x86-64 and aarch64 every instruction is split into bytes that do not depend on where
things lie and references, each to a :class:`~replay.elf.referents.Referent`. Of objects for
RISC-V the relocations are the references. Of other machines, and where an instruction is
not known, there are only the bytes as they are.

What is assumed: a function's bytes are instructions from its first to its
last, as compilers emit them (hand-written assembly may mix data in); and an address is
formed from the object that it means, its end, or somewhat before its start.
"""

from __future__ import annotations

from replay.elf.errors import REBUILD, ElfError
from replay.elf.forms import Code, Form, FormMatch, Reference, compare_forms
from replay.elf.holding import Holder
from replay.elf.image import EXECUTE, Relocation, Section, Symbol
from replay.elf.machines import Machine, Scanned, machine_of
from replay.elf.places import Atlas
from replay.elf.referents import UNNAMED
from replay.elf.tables import Tables
from replay.elf.x86 import UnknownInstructionError

__all__ = ["Code", "CodeReader", "Form", "FormMatch", "Reference", "compare_forms"]


class CodeReader:
    """The forms of the functions of one file."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self.image = atlas.image
        self.machine: Machine | None = machine_of(self.image)
        self.masks = self.machine is not None
        self.holder = Holder(atlas, self._referred)
        self._tables = Tables(atlas, self.holder)
        self._scans: dict[tuple[int, int, int], Scanned | str] = {}
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

    def _form(self, function: Symbol, number: int, address: int, size: int) -> Form | None:
        section = self.image.sections[number]
        code = self._code(section, address, size)
        if code is None:
            return None
        self._spend(size, section)
        filled = self.atlas.filled(section, address, size)
        if self.machine is None:
            return _raw(self, code, filled, f"{self.image.machine} is not known here")
        if filled and self.image.type != "ET_REL":
            return _raw(self, code, filled, "the loader changes the code")
        found = self._scan(section, address, code)
        self._scans.pop((section.index, address, len(code)), None)
        if isinstance(found, str):
            return _raw(self, code, filled, found)
        of_file = self.atlas, self.holder, self._tables
        try:
            return self.machine.mask(of_file, section, function, code, found, dict(filled))
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

    def _scan(self, section: Section, address: int, code: bytes) -> Scanned | str:
        """The instructions of a function, or why they are not known."""
        key = section.index, address, len(code)
        if key not in self._scans:
            filled = self.atlas.filled(section, address, len(code))
            try:
                assert self.machine is not None
                self._scans[key] = self.machine.scan(self.image, section, address, code, filled)
            except UnknownInstructionError as error:
                self._scans[key] = f"an instruction is not known: {error}"
        return self._scans[key]

    def _referred(self) -> dict[int, set[int]]:
        """The addresses by area that the file's functions refer to without a name."""
        found: dict[int, set[int]] = {}
        for function in self.image.symbols if self.masks else ():
            if not function.is_function or function.section is None:
                continue
            section, size = self.image.sections[function.section], self.size(function)
            code = self._code(section, function.value, size)
            if code is None or (section.index, function.value, size) in self._referring:
                continue
            self._referring.add((section.index, function.value, size))
            self._spend(size, section)
            scanned = self._scan(section, function.value, code)
            if self.machine is not None and not isinstance(scanned, str):
                filled = self.atlas.filled(section, function.value, size)
                places = self.machine.referred(self.image, self.atlas, function, scanned, filled)
                for area, at in places:
                    found.setdefault(area, set()).add(at)
        return found


def _raw(reader: CodeReader, code: bytes, filled: dict[int, Relocation], why: str) -> Form:
    references = []
    for offset, relocation in sorted(filled.items()):
        place = UNNAMED
        if relocation.symbol is not None:
            place = reader.atlas.named(relocation.symbol, relocation.addend or 0)
        references.append(Reference(offset, relocation.type, place))
    return Form(code, tuple(references), 0, why)

"""A function's code as a list of instructions, with what each refers to.

Capstone, if it is installed, tells them in words; without it their bytes are shown. The
bytes that depend on where things lie are zero, and what is meant there is named instead,
so that code which only moved reads the same. Branches inside of a function are told by
where they lead, whether in their short form or their long one.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from replay.elf.forms import Form, Reference
from replay.elf.image import Image, Symbol
from replay.elf.x86 import UnknownInstructionError, decode

EXTRA: Final = "elf"
"""What is to be installed with this package so that capstone is there."""

X86: Final = ("EM_X86_64", "EM_386")

_ARCHITECTURES: Final = {
    "EM_X86_64": ("CS_ARCH_X86", ("CS_MODE_64",)),
    "EM_386": ("CS_ARCH_X86", ("CS_MODE_32",)),
    "EM_AARCH64": ("CS_ARCH_ARM64", ()),
    "EM_ARM": ("CS_ARCH_ARM", ()),
    "EM_RISCV": ("CS_ARCH_RISCV", ("CS_MODE_RISCV64", "CS_MODE_RISCVC")),
    "EM_S390": ("CS_ARCH_SYSZ", ()),
    "EM_PPC64": ("CS_ARCH_PPC", ("CS_MODE_64",)),
    "EM_PPC": ("CS_ARCH_PPC", ("CS_MODE_32",)),
    "EM_MIPS": ("CS_ARCH_MIPS", ("CS_MODE_MIPS32",)),
}
_BRANCH_RELATIVE: Final = 7
"""CS_GRP_BRANCH_RELATIVE."""


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction.

    Attributes:
        offset: bytes from the start of the function.
        raw: its bytes as the file has them, but for what is filled in.
        text: in words, or its bytes in hexadecimal.
        key: equal for two that do the same, apart from where they lead.
        target: the offset in the function where a branch leads; None for others.
        references: what it refers to outside.
    """

    offset: int
    raw: bytes
    text: str
    key: tuple[object, ...]
    target: int | None
    references: tuple[Reference, ...]


@cache
def capstone() -> Any | None:
    """The disassembler, if it is installed."""
    try:
        return importlib.import_module("capstone")
    except ImportError:
        return None


def instructions(image: Image, function: Symbol, form: Form) -> tuple[Step, ...]:
    """The instructions of a function, whose form is given."""
    return tuple(_Lister(image, function, form).run())


class _Lister:
    def __init__(self, image: Image, function: Symbol, form: Form) -> None:
        self.machine = image.machine
        self.form = form
        self.code = form.code
        self.order = "little" if image.little_endian else "big"
        thumb = image.machine == "EM_ARM" and bool(function.value & 1)
        self.engine = _engine(image.machine, image.little_endian, image.bits, thumb)

    def run(self) -> Iterator[Step]:
        at, code = 0, self.code
        references = list(self.form.references)
        while at < len(code):
            size, word, operands, target, branch = self._one(at)
            inside: list[Reference] = []
            while references and references[0].offset < at + size:
                inside.append(references.pop(0))
            raw = code[at : at + size]
            key: tuple[object, ...] = (raw, tuple(r.offset - at for r in inside))
            text = f"{word} {operands}".rstrip()
            if target is not None:
                key = _branch(self.machine, raw, word)
            if inside:
                names = ", ".join(str(reference.place) for reference in inside)
                text = f"{word} {names}" if branch else f"{text}  # {names}"
            yield Step(at, raw, text, key, target, tuple(inside))
            at += size

    def _one(self, at: int) -> tuple[int, str, str, int | None, bool]:
        """Length, words, where a branch leads inside the function, and whether it is one."""
        size, target = self._length(at)
        plain = self.code[at : at + size].hex(" ")
        if self.engine is None:
            return size, plain, "", target, False
        found = next(self.engine.disasm(self.code[at : at + 16], at, 1), None)
        if found is None:
            return size, f".byte {plain}", "", target, False
        branch = _BRANCH_RELATIVE in found.groups
        if branch and self.machine != "EM_X86_64" and not self._is_filled(at, found.size):
            target = self._inside(found.op_str)
        return found.size, found.mnemonic, found.op_str, target, branch

    def _inside(self, operands: str) -> int | None:
        last = operands.rpartition(" ")[2].lstrip("#")
        try:
            place = int(last, 0)
        except ValueError:
            return None
        return place if 0 <= place < len(self.code) else None

    def _length(self, at: int) -> tuple[int, int | None]:
        """Bytes of the instruction there, and the target of a branch of x86 inside."""
        if self.machine == "EM_X86_64":
            try:
                found = decode(self.code, at)
            except UnknownInstructionError:
                return 1, None
            relative = found.relative
            if relative is None or not found.branch or self._is_filled(at, found.length):
                return found.length, None
            place = at + found.length + relative.value
            return found.length, place if 0 <= place < len(self.code) else None
        first = self.code[at : at + 4]
        if self.machine == "EM_RISCV":
            size = 4 if first[0] & 3 == 3 else 2
        elif self.machine == "EM_S390":
            size = (2, 4, 4, 6)[first[0] >> 6]
        else:
            size = 1 if self.machine in X86 else 4
        return min(size, len(self.code) - at), None

    def _is_filled(self, at: int, size: int) -> bool:
        return any(at <= r.offset < at + size for r in self.form.references)


def _branch(machine: str, raw: bytes, word: str) -> tuple[object, ...]:
    """What a branch is, without where it leads; short and long forms are the same."""
    if machine != "EM_X86_64":
        return ("branch", word)
    first = raw[0]
    if 0x70 <= first <= 0x7F:
        return ("branch", "if", first & 15)
    if first == 0x0F and len(raw) > 1 and 0x80 <= raw[1] <= 0x8F:
        return ("branch", "if", raw[1] & 15)
    if first in (0xEB, 0xE9):
        return ("branch", "always")
    width = 1 if len(raw) <= 3 else 4
    return ("branch", raw[:-width])


@cache
def _engine(machine: str, little: bool, bits: int, thumb: bool) -> Any | None:
    known, library = _ARCHITECTURES.get(machine), capstone()
    if known is None or library is None:
        return None
    mode = 0 if little else library.CS_MODE_BIG_ENDIAN
    for name in known[1]:
        mode |= getattr(library, name)
    if machine == "EM_RISCV" and bits == 32:
        mode = library.CS_MODE_RISCV32 | library.CS_MODE_RISCVC
    if thumb:
        mode |= library.CS_MODE_THUMB
    try:
        engine = library.Cs(getattr(library, known[0]), mode)
    except (AttributeError, library.CsError):
        return None
    engine.detail = True
    return engine

"""The constants that a library's functions hold: integers, floating numbers, texts.

They are read from the code of x86-64 and from the data that it refers to. Of another
machine there is only what lies in the read-only data, which belongs to no function.
"""

from __future__ import annotations

import hashlib
import math
import struct
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.elf.image import ALLOC, EXECUTE, WRITE, Image, Section, Symbol
from replay.elf.x86 import Instruction, UnknownInstructionError, decode

MOST_CODE: Final = 1 << 19
"""Bytes of code that are read of a library; the rest is only asked whether it is the same."""
LONGEST_TEXT: Final = 64
LONGEST_RUN: Final = 16
"""Characters in a text that is only spelled out by the code, one comparison after another."""
_WINDOW: Final = 4
"""Numbers behind one another that may be parts of one comparison."""
_STACK: Final = (b"\xec", b"\xc4", b"\xe4")
"""ModRM of sub, add and and with the stack pointer, whose numbers say nothing."""
_PLAUSIBLE: Final = (1e-30, 1e30)
_WHOLE: Final = "\x00"
"""The name of what belongs to no function; no function has it."""


@dataclass(slots=True)
class Held:
    """What one function holds, each in order of the code.

    Attributes:
        ints: numbers that it calculates or compares with, signed.
        sums: what follows from two of them: the far end of a switch, a shifted mask.
        floats: numbers that it loads.
        texts: strings that it refers to or spells out, and single characters.
        form: equal for two that hold the same code, as far as that is told apart here.

    """

    ints: list[int] = field(default_factory=list)
    sums: list[int] = field(default_factory=list)
    floats: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    form: str = ""


def read_constants(path: Path, first: frozenset[str] = frozenset()) -> dict[str, Held]:
    """What each function of a library holds, by its name; those of ``first`` are read first.

    A name is that of the source: without what a compiler appends, as in ``f.part.0``.

    Raises:
        ElfError: it cannot be read.

    """
    with Image(path) as image:
        return _Reader(image).run(first)


class _Reader:
    def __init__(self, image: Image) -> None:
        self.image = image
        self.data = sorted(
            (s for s in image.sections if s.has_bytes and s.flags & ALLOC and s.address),
            key=lambda s: s.address,
        )
        self.starts = [section.address for section in self.data]
        self.sizes = {s.value: s.size for s in image.symbols if s.type == "OBJECT"}

    def run(self, first: frozenset[str]) -> dict[str, Held]:
        found: dict[str, Held] = {}
        left = MOST_CODE
        functions = [f for f in self.image.symbols if f.is_function and f.size]
        functions.sort(key=lambda f: (plain(f.name) not in first, f.name, f.value))
        for symbol in functions:
            code = self.image.code_of(symbol)
            held = found.setdefault(plain(symbol.name), Held())
            known = self.image.machine == "EM_X86_64" and len(code) <= left
            if known:
                left -= len(code)
                form = _Walk(self, symbol, code, held).run()
            else:
                form = code
            held.form = hashlib.sha256(held.form.encode() + form).hexdigest()
        if self.image.machine != "EM_X86_64":
            found[_WHOLE] = self.whole()
        return found

    def section_at(self, address: int) -> Section | None:
        place = bisect_right(self.starts, address) - 1
        section = self.data[place] if place >= 0 else None
        inside = section is not None and address < section.address + section.size
        return section if inside else None

    def bytes_at(self, address: int, size: int) -> bytes:
        """Data at an address; empty where there is code, or what may change."""
        section = self.section_at(address)
        if section is None or section.flags & (EXECUTE | WRITE):
            return b""
        at = address - section.address
        return self.image.bytes_of(section)[at : at + size]

    def texts_at(self, address: int) -> Iterator[str]:
        """The string at an address, or those that the pointers there lead to."""
        text = _text(self.bytes_at(address, LONGEST_TEXT + 1))
        if text:
            yield text
        section = self.section_at(address)
        if section is not None and section.flags & WRITE:
            for at in range(address, address + min(self.sizes.get(address, 8), 4096), 8):
                entry = self.image.dynamic_relocations.get(at)
                if entry is not None and entry.symbol is None and entry.addend:
                    pointed = _text(self.bytes_at(entry.addend, LONGEST_TEXT + 1))
                    if pointed:
                        yield pointed

    def whole(self) -> Held:
        """What the read-only data holds, where the code cannot be read."""
        held = Held()
        section = self.image.find(".rodata")
        data = self.image.bytes_of(section)[:MOST_CODE] if section else b""
        for piece in data.split(b"\0"):
            text = _text(piece + b"\0")
            if len(text) > 1:
                held.texts.append(text)
        for at in range(0, len(data) - 7, 8):
            held.floats += plausible(data[at : at + 8], 8)
        return held


class _Walk:
    """One pass over the code of a function."""

    def __init__(self, reader: _Reader, symbol: Symbol, code: bytes, held: Held) -> None:
        self.reader = reader
        self.symbol = symbol
        self.code = code
        self.held = held
        self.form = bytearray(code)
        self.near: list[tuple[int, str]] = []
        self.spelled = ""

    def run(self) -> bytes:
        """Note what the function holds; its code, with what it refers to for the distances."""
        at = 0
        try:
            while at < len(self.code):
                instruction = decode(self.code, at)
                self.instruction(at, instruction)
                at += instruction.length
        except UnknownInstructionError:
            pass
        self.spell("")
        return bytes(self.form)

    def instruction(self, at: int, instruction: Instruction) -> None:
        code = self.code[at : at + instruction.length]
        relative = instruction.relative
        if relative is not None:
            target = self.symbol.value + at + instruction.length + relative.value
            inside = 0 <= target - self.symbol.value < len(self.code)
            if not inside:
                field = at + relative.at
                self.form[field : field + relative.size] = bytes(relative.size)
            if not instruction.branch:
                self.refer(code, target)
        if code[1:2] in (b"\x81", b"\x83") and code[2:3] in _STACK:
            return
        for number in instruction.numbers:
            self.number(code, instruction, number.value, number.size)

    def refer(self, code: bytes, address: int) -> None:
        size = float_size(code)
        if size:
            data = self.reader.bytes_at(address, size)
            self.held.floats += plausible(data, size)
            self.form += data
            return
        for text in self.reader.texts_at(address):
            self.held.texts.append(text)
            self.form += text.encode("latin-1")

    def number(self, code: bytes, instruction: Instruction, value: int, size: int) -> None:
        how = "-" if instruction.lea or _subtracts(code) else _shift(code)
        self.held.ints.append(value)
        if how == "-":
            self.held.ints.append(-value)
        for before, did in self.near:
            self.held.sums += _follow(before, did, value)
        self.near = [*self.near[1 - _WINDOW :], (value, how)]
        for width in (4, 8):
            if size == width:
                self.held.floats += plausible(value.to_bytes(width, "little", signed=True), width)
        raw = value.to_bytes(size, "little", signed=True).rstrip(b"\0")
        text = _printable(raw)
        if text or not _adds(code):
            # The way to the next character, which is added, is no part of a text nor its end.
            self.spell(text)

    def spell(self, text: str) -> None:
        """Go on with a text that the code spells out; nothing ends it."""
        if text:
            self.held.texts.append(text)
            self.spelled += text
            return
        if 1 < len(self.spelled) <= LONGEST_RUN:
            self.held.texts.append(self.spelled)
        self.spelled = ""


def plain(name: str) -> str:
    """A function's name in the source."""
    return name.split(".", 1)[0] or name


def float_size(code: bytes) -> int:
    """Bytes of the floating number that an instruction loads; 0 where it loads none."""
    at = 0
    while code[at] in (0x66, 0xF2, 0xF3):
        at += 1
    prefix = code[at - 1] if at else 0
    if code[at] & 0xF0 == 0x40:
        at += 1
    if code[at] in (0xC4, 0xC5):
        last = at + (1 if code[at] == 0xC5 else 2)
        prefix = (0, 0x66, 0xF3, 0xF2)[code[last] & 3]
        opcode = code[last + 1]
    elif code[at] == 0x0F:
        opcode = code[at + 1]
    else:
        return {0xD8: 4, 0xD9: 4, 0xDC: 8, 0xDD: 8}.get(code[at], 0)
    if opcode in (0x2E, 0x2F):
        return 8 if prefix == 0x66 else 4
    return {0xF2: 8, 0xF3: 4}.get(prefix, 0)


def _adds(code: bytes) -> bool:
    """Whether its number is added: 83 and 81 with /0, and the short form."""
    at = 1 if code[0] & 0xF0 == 0x40 else 0
    return code[at] == 0x05 or (code[at] in (0x81, 0x83) and not code[at + 1] >> 3 & 7)


def _subtracts(code: bytes) -> bool:
    """Whether its number is subtracted: 83 and 81 with /5, and the short forms."""
    at = 1 if code[0] & 0xF0 == 0x40 else 0
    if code[at] in (0x81, 0x83, 0x80):
        return code[at + 1] >> 3 & 7 == 5
    return code[at] in (0x2C, 0x2D)


def _shift(code: bytes) -> str:
    """Whether its number is that of places to shift by, and which way; or a factor."""
    at = 1 if code[0] & 0xF0 == 0x40 else 0
    if code[at] in (0xC0, 0xC1):
        return ">" if code[at + 1] >> 3 & 7 in (5, 7) else "<"
    return "*" if code[at] in (0x69, 0x6B) else ""


def _follow(before: int, did: str, value: int) -> list[int]:
    """What a parameter must have been to be ``value`` after a number was applied to it."""
    if did == "-":
        return [value + before, value - before]
    if did == ">" and 0 < before < 64:
        return [(value << before) % (1 << 64)]
    if did == "<" and 0 < before < 64:
        return [value >> before]
    return [value // before] if did == "*" and before > 0 else []


def plausible(data: bytes, size: int) -> list[float]:
    """The floating number in some bytes; none where they are more likely something else."""
    if len(data) != size:
        return []
    value = float(struct.unpack("<f" if size == 4 else "<d", data)[0])
    fine = math.isfinite(value) and (not value or _PLAUSIBLE[0] < abs(value) < _PLAUSIBLE[1])
    return [value] if fine else []


def _printable(raw: bytes) -> str:
    good = raw and all(0x20 <= byte < 0x7F or byte in (9, 10, 13) for byte in raw)
    return raw.decode("latin-1") if good else ""


def _text(data: bytes) -> str:
    """The string that starts here; empty where there is none that is worth to be drawn."""
    raw, end, _ = data.partition(b"\0")
    return _printable(raw) if end else ""

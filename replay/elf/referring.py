"""Functions of a linked x86-64 file, with what each refers to, told so that files compare.

Where :mod:`replay.elf.comparison` compares functions by the names of what they refer to,
this looks at what is there as well: a string or a table that changed changes the functions
that use it. What it says is meant to err towards *changed*. It is no proof of the contrary.
"""

from __future__ import annotations

import re
import struct
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeAlias

from replay.elf.alike import Neutral
from replay.elf.image import ALLOC, EXECUTE, WRITE, Image, Relocation, Section, Symbol
from replay.elf.names import Names
from replay.elf.x86 import UnknownInstructionError, computes_target, decode, slot_of

RELATIVE: Final = frozenset((8, 37))
"""R_X86_64_RELATIVE and IRELATIVE: an address in the file itself."""
LONGEST: Final = 1 << 16
"""Bytes of data without a name that are looked at."""
DEEPEST: Final = 2
"""Pointers in data without a name that are followed, one after another."""
_TEXT: Final = re.compile(rb"([\t-\r\x20-\x7e\x80-\xff]+)\0+")
"""A string, and what fills the space behind it."""

Place: TypeAlias = Hashable
"""What is at an address, equal in two files only if the same is meant there and is there."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A function's instructions.

    Attributes:
        code: its bytes, those of distances that lead out of it zero.
        targets: (offset of the distance, address that it leads to), in order.
        jumps: whether it jumps to addresses that it computes, as a switch does.
        whole: whether every instruction is known; else ``code`` is as it stands.
    """

    code: bytes
    targets: tuple[tuple[int, int], ...]
    jumps: bool = False
    whole: bool = True


class Linked:
    """A linked file, by what its addresses mean.

    Args:
        image: a shared library for x86-64 with all its symbols.
        names: of its symbols, that mean the same in the other file.
        called: what functions are called in the other file, where that is another name.
    """

    def __init__(self, image: Image, names: Names, called: Mapping[str, str]) -> None:
        self.image = image
        self.neutral = Neutral(image)
        self.functions: dict[str, Symbol] = {}
        self.objects: dict[str, Symbol] = {}
        for symbol in image.symbols:
            if symbol.section is None or not symbol.name:
                continue
            name = names(symbol)
            if symbol.is_function:
                self.functions.setdefault(called.get(name, name), symbol)
            elif symbol.type == "OBJECT" and symbol.size:
                self.objects.setdefault(name, symbol)
        starts = {s.value for s in (*self.functions.values(), *self.objects.values())}
        self.starts = sorted(starts)
        self._code = _Spans({n: (s.value, self.size(s)) for n, s in self.functions.items()})
        self._data = _Spans({n: (s.value, s.size) for n, s in self.objects.items()})
        self._sections = sorted(
            (s for s in image.sections if s.flags & ALLOC and s.size and not s.flags & 0x400),
            key=lambda s: s.address,
        )
        self._walks: dict[str, Walk] = {}

    def size(self, function: Symbol) -> int:
        """Bytes of a function; one that does not tell reaches to the next symbol."""
        if function.size or function.section is None:
            return function.size
        section = self.image.sections[function.section]
        later = bisect_right(self.starts, function.value)
        end = section.address + section.size
        return min(self.starts[later], end) - function.value if later < len(self.starts) else (
            end - function.value
        )  # fmt: skip

    def section_at(self, address: int) -> Section | None:
        """The loaded section that an address lies in."""
        number = bisect_right(self._sections, address, key=lambda s: s.address) - 1
        if number < 0:
            return None
        found = self._sections[number]
        return found if address < found.address + found.size else None

    def function_at(self, address: int) -> str | None:
        """The function that an address lies in."""
        return self._code.at(address)

    def bytes_at(self, start: int, size: int) -> bytes:
        """What the file holds at an address; nothing where it holds no bytes."""
        section = self.section_at(start)
        if section is None or not section.has_bytes:
            return b""
        return self.neutral.bytes_of(section)[start - section.address :][:size]

    # --- code -------------------------------------------------------------------------

    def walk(self, name: str) -> Walk:
        """The instructions of a function."""
        if name not in self._walks:
            symbol = self.functions[name]
            self._walks[name] = walk(
                self.bytes_at(symbol.value, self.size(symbol)), symbol.value
            )  # fmt: skip
        return self._walks[name]

    def told(self, name: str) -> Place:
        """A function by its instructions and all that they refer to."""
        found = self.walk(name)
        symbol = self.functions[name]
        if not found.whole:
            return found.code, symbol.value
        targets = tuple((at, self.place(target, name)) for at, target in found.targets)
        return found.code, self.size(symbol), targets

    # --- places -----------------------------------------------------------------------

    def place(self, address: int, user: str = "", depth: int = 0) -> Place:
        """What is at an address that a function, ``user``, refers to.

        Of what has a name, that: what it holds is told by :meth:`content`.
        """
        section = self.section_at(address)
        if section is None:
            return "outside", self._past(address)
        if section.flags & EXECUTE:
            return self._executed(section, address)
        if section.name.startswith(".got"):
            return "slot", self._slot(address)
        name = self._data.at(address)
        if name is not None:
            return "object", name, address - self.objects[name].value
        if section.flags & WRITE and (depth > DEEPEST or not section.has_bytes):
            return "section", section.name, address - section.address
        return self._table(address, user) or self._unnamed(section, address, depth)

    def _executed(self, section: Section, address: int) -> Place:
        name = self._code.at(address)
        if name is not None:
            return "function", name, address - self.functions[name].value
        return "stub", self._stub(section, address)

    def _past(self, address: int) -> Place:
        """The end of a section, by its name."""
        near = [s.name for s in self._sections if s.address + s.size == address]
        return near[0] if near else ""

    def _stub(self, section: Section, address: int) -> Place:
        """The function that an entry of the procedure linkage table jumps to."""
        slot = slot_of(self.image.bytes_of(section), address - section.address)
        if slot is not None:
            return self._slot(section.address + slot)
        return section.name, address - section.address

    def _slot(self, address: int) -> Place:
        entry = self.image.dynamic_relocations.get(address)
        return self._filled(entry) if entry else ("nothing", address)

    def _filled(self, entry: Relocation, depth: int = 0) -> Place:
        """What the loader puts into a place."""
        if entry.symbol is not None and entry.symbol.name:
            return entry.type, entry.symbol.name, entry.addend
        if entry.type in RELATIVE and entry.addend is not None:
            return entry.type, self.place(entry.addend, depth=depth + 1)
        return entry.type, entry.addend

    def content(self, name: str) -> Place:
        """What a variable or constant holds at the start; of what it points to, the name."""
        symbol = self.objects[name]
        led = tuple(self.place(to, depth=DEEPEST) for to in self._distances(name))
        return led or self._held(symbol.value, symbol.size)

    def _distances(self, name: str) -> list[int]:
        """Where a table leads that clang makes of pointers: to distances from its start."""
        if not name.rpartition(":")[2].startswith("reltable."):
            return []
        symbol = self.objects[name]
        data = self.bytes_at(symbol.value, symbol.size & ~3)
        return [symbol.value + distance for (distance,) in struct.iter_unpack("<i", data)]

    def pointed(self, name: str) -> set[str]:
        """The variables that one points to."""
        symbol = self.objects[name]
        places = self._filled_places(symbol.value, symbol.value + symbol.size)
        entries = (self.image.dynamic_relocations[at] for at in places)
        return {found for entry in entries if (found := self._object(entry)) is not None}

    def used(self, name: str) -> set[str]:
        """The variables that a function refers to."""
        found = set()
        for _, target in self.walk(name).targets:
            entry = self.image.dynamic_relocations.get(target)
            found.add(self._object(entry) if entry else None)
            found.add(self._data.at(target))
        return {name for name in found if name is not None}

    def _object(self, entry: Relocation) -> str | None:
        """The variable that the loader puts the address of into a place."""
        if entry.symbol is not None and entry.symbol.name:
            return entry.symbol.name if entry.symbol.name in self.objects else None
        if entry.type in RELATIVE and entry.addend is not None:
            return self._data.at(entry.addend)
        return None

    def _held(self, start: int, size: int, depth: int = 0) -> Place:
        """Bytes, and what the loader fills into them."""
        data = bytearray(self.bytes_at(start, size))
        filled = []
        for at in self._filled_places(start, start + size):
            entry = self.image.dynamic_relocations[at]
            filled.append((at - start, self._filled(entry, depth)))
            data[at - start : at - start + 8] = bytes(len(data[at - start : at - start + 8]))
        return size, bytes(data), tuple(filled)

    @cached_property
    def _all_filled(self) -> list[int]:
        return sorted(self.image.dynamic_relocations)

    def _filled_places(self, start: int, end: int) -> list[int]:
        places = self._all_filled
        return places[bisect_left(places, start) : bisect_left(places, end)]

    def _unnamed(self, section: Section, address: int, depth: int) -> Place:
        """Data without a name, up to the next that something refers to."""
        end = min(self._boundary(section, address), address + LONGEST)
        if text := _TEXT.fullmatch(self.bytes_at(address, end - address)):
            return "text", text[1]
        return "data", self._held(address, end - address, depth)

    def _boundary(self, section: Section, address: int) -> int:
        end = section.address + section.size
        for places in (self.starts, self.referred):
            later = bisect_right(places, address)
            if later < len(places):
                end = min(end, places[later])
        return end

    @cached_property
    def referred(self) -> list[int]:
        """The addresses that functions and filled data refer to, in order."""
        found = {target for name in self.functions for _, target in self.walk(name).targets}
        found.update(to for name in self.objects for to in self._distances(name))
        for entry in self.image.dynamic_relocations.values():
            if entry.type in RELATIVE and entry.addend is not None:
                found.add(entry.addend)
        return sorted(found)

    def _table(self, address: int, user: str) -> Place | None:
        """A switch's table, by where in its function it leads: the entries are distances."""
        if not user or not self.walk(user).jumps:
            return None
        section = self.section_at(address)
        if section is None:
            return None
        end = self._boundary(section, address)
        data = self.bytes_at(address, end - address)
        led: list[tuple[str, int]] = []
        for (distance,) in struct.iter_unpack("<i", data[: len(data) & ~3]):
            name = self._code.at(address + distance)
            if name is None or name.removesuffix(".cold") != user.removesuffix(".cold"):
                break
            led.append((name, address + distance - self.functions[name].value))
        return ("table", tuple(led)) if len(led) > 1 else None


class _Spans:
    """Which named thing an address lies in."""

    def __init__(self, named: Mapping[str, tuple[int, int]]) -> None:
        ordered = sorted((start, start + size, name) for name, (start, size) in named.items())
        self.rows = ordered
        self.starts = [row[0] for row in ordered]

    def at(self, address: int) -> str | None:
        """Its name; of several at one place the first of the alphabet."""
        number = bisect_right(self.starts, address) - 1
        if number < 0:
            return None
        start = self.starts[number]
        for low, end, name in self.rows[bisect_left(self.starts, start) : number + 1]:
            if low <= address < end:
                return name
        return None


def walk(code: bytes, start: int) -> Walk:
    """The instructions of code that is loaded at an address."""
    masked = bytearray(code)
    targets: list[tuple[int, int]] = []
    at, jumps = 0, False
    try:
        while at < len(code):
            instruction = decode(code, at)
            end = at + instruction.length
            relative = instruction.relative
            if relative is not None and not 0 <= end + relative.value < len(code):
                field = at + relative.at
                masked[field : field + relative.size] = bytes(relative.size)
                targets.append((field, start + end + relative.value))
            jumps = jumps or computes_target(code[at:end])
            at = end
    except UnknownInstructionError:
        return Walk(code, (), jumps=True, whole=False)
    return Walk(bytes(masked), tuple(targets), jumps)

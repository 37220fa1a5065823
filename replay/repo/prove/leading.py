"""What a function of a library leads to: functions, data that can be written, other libraries.

Told from the code alone. Where it cannot be told, as with a call through a pointer, that is a
reason, and whoever asks proves nothing of that function.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.elf.image import WRITE, Image, Symbol
from replay.elf.names import shared_names
from replay.elf.referring import RELATIVE, Linked
from replay.elf.x86 import Instruction, UnknownInstructionError, decode
from replay.repo.code import EXPORTED, plain

_PREFIXES: Final = frozenset((0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3))
_CANARY: Final = b"\x25\x28\x00\x00\x00"
"""The end of an instruction that reads the stack protector's word: fs:0x28."""
_MACHINE: Final = (b"\x0f\x05", b"\x0f\x34", b"\x0f\x31", b"\x0f\xa2", b"\x0f\xc7", b"\x0f\x01")
"""System calls, and what asks the machine: its clocks, its kind, chance."""
_STARTED: Final = (".got", ".dynamic", ".init_array", ".fini_array", ".data.rel.ro", ".tm_clone")
"""Sections that can be written only while a library is loaded, or are not the program's."""


@dataclass(slots=True)
class Reached:
    """What a function leads to, itself with it.

    Attributes:
        functions: by their names in the source.
        written: the variables that can be written, by the names of their symbols, each with
            its address and bytes; a place without a symbol has the name of its section.
        outside: the functions of other libraries.
        converts: whether a floating number becomes an integer somewhere.
        unknown: why not all is known; empty where it is.

    """

    functions: frozenset[str] = frozenset()
    written: dict[str, tuple[int, int]] = field(default_factory=dict)
    outside: frozenset[str] = frozenset()
    converts: bool = False
    unknown: str = ""


class Leading:
    """The functions of a library, by what they lead to.

    Args:
        image: an x86-64 shared library with all its symbols, open.

    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self.linked = Linked(image, shared_names((image,))[0], {})
        self.all = set(self.linked.functions)
        self._known: dict[str, Reached] = {}

    @classmethod
    def read(cls, path: Path) -> Leading:
        """Of a file, read to its end.

        Raises:
            ElfError: it cannot be read.

        """
        with Image(path) as image:
            leading = cls(image)
            for name in leading.all:
                leading.reached(plain(name))
            linked = leading.linked
            leading.contents = {name: linked.content(name) for name in linked.objects}
            leading.exported = frozenset(
                name for name, symbol in linked.objects.items() if symbol.bind in EXPORTED
            )
            leading.pointed = leading.stored()
        return leading

    contents: dict[str, object]
    """What each variable and constant holds at the start."""
    exported: frozenset[str]
    """Those of them that are exported."""
    pointed: frozenset[str]
    """The functions that data of the library points to."""

    @property
    def public(self) -> frozenset[str]:
        """The functions that are exported."""
        each = self.linked.functions.items()
        return frozenset(name for name, symbol in each if symbol.bind in EXPORTED)

    @property
    def local(self) -> frozenset[str]:
        """The functions that are not exported, by their names in the source."""
        return frozenset(plain(name) for name in self.all) - self.public

    def stored(self) -> frozenset[str]:
        """The functions whose addresses lie in data, by their names in the source."""
        entries = self.image.dynamic_relocations.values()
        to = {entry.addend for entry in entries if entry.type in RELATIVE and entry.addend}
        names = {self.linked.function_at(address) for address in to}
        names |= {
            entry.symbol.name for at, entry in self.image.dynamic_relocations.items()
            if entry.symbol is not None and not self._is_slot(at)
        }  # fmt: skip
        return frozenset(plain(name) for name in names if name is not None)

    def _is_slot(self, address: int) -> bool:
        section = self.linked.section_at(address)
        return section is not None and section.name.startswith(".got")

    def reached(self, name: str) -> Reached | None:
        """All that a function leads to, by its name in the source; None where there is none."""
        if name not in self._known:
            starts = [one for one in self.all if plain(one) == name]
            if not starts:
                return None
            self._known[name] = self._all(starts)
        return self._known[name]

    def _all(self, starts: list[str]) -> Reached:
        found = Reached()
        step = _Step(self, found)
        waiting, seen = list(starts), set(starts)
        while waiting and not found.unknown:
            step.led.clear()
            step.function(waiting.pop())
            waiting += step.led - seen
            seen |= step.led
        found.functions = frozenset(map(plain, seen))
        found.outside = frozenset(step.outside)
        return found


class _Step:
    """Notes what one function after the other refers to."""

    def __init__(self, leading: Leading, found: Reached) -> None:
        self.linked, self.found = leading.linked, found
        self.led: set[str] = set()
        self.outside: set[str] = set()
        self._objects: set[str] = set()

    def function(self, name: str) -> None:
        symbol = self.linked.functions[name]
        walk = self.linked.walk(name)
        source = plain(name)
        if symbol.type != "FUNC":
            self.stop(f"{source} is chosen when the library is loaded")
        if not walk.whole:
            self.stop(f"{source} has instructions that are not known")
            return
        code = self.linked.bytes_at(symbol.value, self.linked.size(symbol))
        places = [self.linked.place(target, name) for _, target in walk.targets]
        has_table = any(isinstance(one, tuple) and one[0] == "table" for one in places)
        for raw, one, at in _instructions(code, symbol.value):
            if why := self.odd(raw, one, at, has_table):
                self.stop(f"{source} {why}")
        for _, target in walk.targets:
            self.address(target, name)

    def stop(self, why: str) -> None:
        self.found.unknown = self.found.unknown or why

    def odd(self, raw: bytes, one: Instruction, at: int, has_table: bool) -> str:
        """What an instruction does that references do not show; empty for nothing."""
        if one.segment and not raw.endswith(_CANARY):
            return "uses variables of a thread"
        start = 0
        while start < len(raw) and (raw[start] in _PREFIXES or raw[start] & 0xF0 == 0x40):
            start += 1
        rest = raw[start:]
        if rest[:2] in _MACHINE or rest[:1] in (b"\xcd", b"\xcc"):
            return "asks the machine or the system"
        if rest[:2] in (b"\x0f\x2c", b"\x0f\x2d") or rest[:1] in (b"\xc5", b"\x62"):
            # Of the vector extensions some do, too: which is not looked at.
            self.found.converts = True
        if rest[:1] == b"\xff" and len(rest) > 1 and rest[1] >> 3 & 7 in (2, 3, 4, 5):
            if rest[1] & 0xC7 == 5 and one.relative is not None:
                section = self.linked.section_at(at + one.length + one.relative.value)
                return "" if section and section.name.startswith(".got") else _POINTER
            return "" if rest[1] >> 3 & 7 in (4, 5) and has_table else _POINTER
        return ""

    def address(self, target: int, user: str) -> None:
        """Note what a function or a table refers to at an address."""
        entry = self.linked.image.dynamic_relocations.get(target)
        section = self.linked.section_at(target)
        if section is not None and section.name.startswith(".got"):
            if entry is None:
                self.stop(f"{plain(user)} uses a slot that nothing fills")
            elif entry.symbol is not None and entry.symbol.name:
                self.named(entry.symbol.name, entry.symbol)
            elif entry.type in RELATIVE and entry.addend is not None:
                self.address(entry.addend, user)
            return
        self.place(self.linked.place(target, user), user)

    def place(self, place: object, user: str) -> None:
        kind, *rest = place if isinstance(place, tuple) and place else ("outside",)
        if kind == "function":
            self.led.add(str(rest[0]))
        elif kind == "object":
            self.object(str(rest[0]), user)
        elif kind == "stub" and isinstance(rest[0], tuple) and len(rest[0]) == 3:
            self.named(str(rest[0][1]), None)
        elif kind == "section":
            self.found.written.setdefault(str(rest[0]), (0, 0))
        elif kind == "data" and isinstance(rest[0], tuple) and not rest[0][2]:
            pass
        elif kind not in ("table", "text"):
            self.stop(f"{plain(user)} refers to something that has no name")

    def named(self, name: str, symbol: Symbol | None) -> None:
        """Note what the loader finds by a name: here, as nobody else takes it, or elsewhere."""
        if name in self.linked.functions:
            self.led.add(name)
        elif name in self.linked.objects:
            self.object(name, name)
        elif symbol is not None and symbol.type in ("OBJECT", "TLS"):
            self.stop(f"it uses {name} of another library")
        else:
            self.outside.add(name)

    def object(self, name: str, user: str) -> None:
        if name in self._objects:
            return
        self._objects.add(name)
        symbol = self.linked.objects[name]
        section = self.linked.section_at(symbol.value)
        if section is None or (section.flags & WRITE and not section.name.startswith(_STARTED)):
            self.found.written[name] = (symbol.value, symbol.size)
        for at, entry in self.linked.image.dynamic_relocations.items():
            if not symbol.value <= at < symbol.value + symbol.size:
                continue
            if entry.symbol is not None and entry.symbol.name:
                self.named(entry.symbol.name, entry.symbol)
            elif entry.addend is not None:
                self.address(entry.addend, user)


_POINTER: Final = "calls through a pointer"


def _instructions(code: bytes, start: int) -> Iterator[tuple[bytes, Instruction, int]]:
    """Each instruction: its bytes, what is known of it, its address."""
    at = 0
    while at < len(code):
        try:
            one = decode(code, at)
        except UnknownInstructionError:
            return
        yield code[at : at + one.length], one, start + at
        at += one.length

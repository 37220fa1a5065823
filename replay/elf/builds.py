"""One of the two builds that are compared: what it defines, and what it can tell."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

from replay.elf.changes import Side
from replay.elf.code import CodeReader, Form
from replay.elf.contents import FunctionInfo, Selection, read_functions
from replay.elf.debug import DebugInfo
from replay.elf.dynamic import Dynamic
from replay.elf.elsewhere import refuse_without_code
from replay.elf.errors import AbsentError
from replay.elf.image import ALLOC, EXECUTE, Image, Section, Symbol
from replay.elf.moved import is_padding
from replay.elf.names import Names, plain
from replay.elf.places import Atlas
from replay.elf.types import Types

_STUBS: Final = (".plt", ".iplt", ".MIPS.stubs")
"""Sections of code that the linker makes; no symbol names what is in there."""

NOPS: Final = {
    "EM_AARCH64": (b"\x1f\x20\x03\xd5",),
    "EM_RISCV": (b"\x13\0\0\0", b"\x01\0"),
    "EM_ARM": (b"\0\xf0\x20\xe3", b"\0\0\xa0\xe1", b"\xbf\0", b"\xc0\x46"),
    "EM_PPC64": (b"\0\0\0\x60",),
    "EM_S390": (b"\x07\x07", b"\0\x07"),
    "EM_LOONGARCH": (b"\0\0\x40\x03",),
}
"""By machine what does nothing, of a little-endian file; zeros are padding everywhere."""


class Build:
    """The functions and variables of one file.

    Attributes:
        code: the functions with code by name; of several names for one, each.
        known: what the debug information says of functions, by their names in the source.
        debug: that information; None where it cannot be read, see ``problem``.
        types: what it says of types and variables.
        dynamic: how it is linked, where that is known otherwise than from the file itself.
    """

    dynamic: Dynamic | None = None

    def __init__(self, image: Image, names: Names, only: Selection | None) -> None:
        refuse_without_code(image)
        self.image = image
        self.only = only
        self.reader = CodeReader(Atlas(image, names))
        self.holder = self.reader.holder
        self._names = names
        self.code = self._found(_is_code)
        self.variables = self._found(_is_data)
        self.known: dict[str, list[FunctionInfo]] = {}
        self.debug: DebugInfo | None = None
        self.types: Types | None = None
        self.problem = ""
        try:
            debug = DebugInfo(image)
            for function in read_functions(debug, only):
                self.known.setdefault(function.symbol, []).append(function)
            self.types = Types(debug)
            self.debug = debug
        except AbsentError as error:
            self.known, self.problem = {}, f"{error.problem}; {error.cure}"

    def _found(self, wanted: Callable[[Image, Symbol], bool]) -> dict[str, Symbol]:
        found: dict[str, Symbol] = {}
        for symbol in self.image.symbols:
            name = self._names(symbol) if symbol.name else ""
            if wanted(self.image, symbol) and (self.only is None or plain(name) in self.only):
                found.setdefault(name, symbol)
        return found

    @cached_property
    def inlined(self) -> frozenset[str]:
        """The functions without code that the debug information tells of."""
        with_code = {plain(name) for name in self.code}
        return frozenset(name for name in self.known if name not in with_code)

    @cached_property
    def is_hollow(self) -> bool:
        """Whether the code and data were taken out, as of a file of debug information."""
        return any(
            s.flags & EXECUTE and s.size and not s.has_bytes and not s.name.startswith(_STUBS)
            for s in self.image.sections
        )

    @property
    def untold(self) -> str:
        """Why the types of the file, or of a part of it, are not known; empty if they are."""
        if not self.code and not self.variables:
            return ""
        if self.types is None:
            return "no debug information"
        return "debug information of -g1" if self.types.untyped else ""

    @property
    def is_bare(self) -> bool:
        """Whether it has neither symbols nor debug information, but what they would name."""
        named = self.image.symbol_table is not None or self.debug is not None
        return not named and any(map(_is_filled, self.image.sections))

    @cached_property
    def unnamed_code(self) -> int:
        """Bytes of code that belong to no function: the file was stripped of its name."""
        spans: dict[int, list[tuple[int, int]]] = {}
        for symbol in self.image.symbols:
            if symbol.section is not None and _is_code(self.image, symbol):
                start = symbol.value - self.image.base(self.image.sections[symbol.section])
                span = (start, start + self.reader.size(symbol))
                spans.setdefault(symbol.section, []).append(span)
        return sum(
            _uncovered(self.image, section, spans.get(section.index, []))
            for section in self.image.sections
            if section.flags & EXECUTE and not section.name.startswith(_STUBS)
        )

    @property
    def is_whole(self) -> bool:
        """Whether what has no symbol here is not here."""
        return self.image.symbol_table == "SHT_SYMTAB" and not self.unnamed_code

    def lacks(self, symbol: Symbol) -> bool:
        """Whether this file is known not to have a symbol of the other one."""
        if symbol.bind != "LOCAL" and symbol.visibility in ("DEFAULT", "PROTECTED"):
            return self.image.symbol_table is not None
        return self.is_whole

    def form(self, name: str) -> Form | None:
        """The code of a function; None if the file does not hold it."""
        return self.reader.form(self.code[name])

    def side(self, name: str) -> Side:
        """What is known of a function."""
        symbol = self.code.get(name)
        size = self.reader.size(symbol) if symbol else None
        return Side(name, self.prototype(name), size, self.signature(name))

    def prototype(self, name: str) -> str:
        """The prototype of a function; of several of one name, that of the same file."""
        return self._told({f.prototype for f in self._meant(name)})

    def signature(self, name: str) -> str:
        """The prototype without names of parameters and function; empty if unknown."""
        return self._told({f.types.replace(f"{f.name}(", "(", 1) for f in self._meant(name)})

    def _meant(self, name: str) -> list[FunctionInfo]:
        found = self.known.get(plain(name), [])
        file = name.rpartition(":")[0]
        return [f for f in found if Path(f.file).name == file] or found if file else found

    def _told(self, texts: set[str]) -> str:
        found = texts.pop() if len(texts) == 1 else ""
        return "" if found.endswith("(?)") else found


def _is_code(image: Image, symbol: Symbol) -> bool:
    """Whether a symbol names code: also code in assembly that nobody said is a function."""
    if symbol.is_function:
        return True
    if symbol.type != "NOTYPE" or symbol.bind == "LOCAL" or symbol.section is None:
        return False
    section = image.sections[symbol.section]
    inside = image.base(section) <= symbol.value < image.base(section) + section.size
    return bool(section.flags & EXECUTE) and inside


def _is_data(image: Image, symbol: Symbol) -> bool:
    return symbol.is_variable and bool(symbol.size)


def _is_filled(section: Section) -> bool:
    noted = section.type == "SHT_NOTE" or section.name.startswith((".eh_frame", ".comment"))
    return bool(section.flags & ALLOC and section.size) and not noted


def _uncovered(image: Image, section: Section, spans: list[tuple[int, int]]) -> int:
    """Bytes that are in no span and are no padding."""
    data = image.bytes_of(section)
    at = found = 0
    for start, end in [*sorted(spans), (len(data), len(data))]:
        gap = data[at:start] if start > at else b""
        found += 0 if _is_padding(image, gap) else len(gap)
        at = max(at, end)
    return found


def _is_padding(image: Image, gap: bytes) -> bool:
    """Whether bytes between functions are what assemblers and linkers fill them with."""
    if image.machine in ("EM_X86_64", "EM_386"):
        return is_padding(gap)
    for nop in NOPS.get(image.machine, ()):
        gap = gap.replace(nop if image.little_endian else nop[::-1], b"")
    return not any(gap)

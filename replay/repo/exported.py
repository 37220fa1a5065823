"""The data that a library exports, and how it lies in memory, so that changes can be seen.

What is observed of an object follows from its type in DWARF; where there is none, it is
bytes. See ``replay.repo.seeing`` for the form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from replay.elf.debug import DebugInfo, Die
from replay.elf.dwarftypes import TypeReader, lengths
from replay.elf.errors import reading

MOST_OBJECTS: Final = 1024
MOST_LEAVES: Final = 2048
"""Of an object; what comes after them is bytes."""
MOST_SIZE: Final = 1 << 16
"""Bytes of an object that are looked at."""
DEEPEST: Final = 16

_NOT_OURS: Final = ("_ZT", "_ZGV", "__")
"""Tables of C++, and names that are the compiler's and the sanitizers'."""

Leaf: TypeAlias = tuple[str, int, str, int]
"""Path, offset, code and count."""


@dataclass(frozen=True, slots=True)
class DataObject:
    """An exported object: where it is (from its name on), and what is observed of it.

    Attributes:
        name: of its symbol; its address is the symbol's.
        size: bytes that are looked at.
        writable: whether it can change.
        typed: whether DWARF knows its type; else its leaves are bytes.
        leaves: in order of address.

    """

    name: str
    size: int
    writable: bool
    typed: bool
    leaves: tuple[Leaf, ...]

    @property
    def paths(self) -> frozenset[str]:
        """What its labels are, without indices."""
        return frozenset(self.name + re.sub(r"\[\d+\]", "", leaf[0]) for leaf in self.leaves)

    def to_json(self) -> dict[str, Any]:
        """As a worker is told."""
        return {
            "name": self.name, "size": self.size, "writable": self.writable,
            "leaves": [list(leaf) for leaf in self.leaves],
        }  # fmt: skip


def exported_data(path: Path, debug: DebugInfo | None) -> tuple[DataObject, ...]:
    """The objects that a library exports, by name; of more than 1024 the first.

    Raises:
        ElfError: it cannot be read.

    """
    symbols = _symbols(path)
    types = _types(debug, symbols.keys()) if debug is not None and symbols else {}
    found = []
    for name in sorted(symbols)[:MOST_OBJECTS]:
        whole, writable = symbols[name]
        size = min(whole, MOST_SIZE)
        leaves = Leaves(types[name][0], size).of(types[name][1]) if name in types else None
        found.append(
            DataObject(name, size, writable, bool(leaves), leaves or (("", 0, "x", size),))
        )
    return tuple(found)


def _symbols(path: Path) -> dict[str, tuple[int, bool]]:
    """The exported objects: how many bytes, and whether they can be written."""
    found: dict[str, tuple[int, bool]] = {}
    with path.open("rb") as file, reading(path, "the dynamic symbols"):
        elf: Any = ELFFile(file)
        table = elf.get_section_by_name(".dynsym")
        if not isinstance(table, SymbolTableSection):
            return {}
        for symbol in table.iter_symbols():
            info, place = symbol["st_info"], symbol["st_shndx"]
            if (
                info["type"] not in ("STT_OBJECT", "STT_TLS")
                or info["bind"] not in ("STB_GLOBAL", "STB_WEAK")
                or not isinstance(place, int)
                or not symbol["st_size"]
                or symbol.name.startswith(_NOT_OURS)
            ):
                continue
            section = elf.get_section(place)
            written = bool(section["sh_flags"] & SH_FLAGS.SHF_WRITE)
            protected = section.name.startswith(".data.rel.ro")
            found[symbol.name] = symbol["st_size"], written and not protected
    return found


def _types(debug: DebugInfo, names: Any) -> dict[str, tuple[TypeReader, Die]]:
    """The types of the variables of these names, where DWARF knows them."""
    types = TypeReader(debug)
    found: dict[str, tuple[TypeReader, Die]] = {}
    for unit in debug.units():
        for die in unit.top:
            if die.tag != "variable" or die.values.get("declaration"):
                continue
            declared = die.number("specification")
            source = debug.die(declared) if declared is not None else die
            name = die.name or source.name
            target = types.target(die if "type" in die.values else source)
            if name in names and target is not None:
                found.setdefault(name, (types, target))
    return found


@dataclass(slots=True)
class Leaves:
    """The leaves of a type, within ``size`` bytes."""

    types: TypeReader
    size: int
    found: list[Leaf] = field(default_factory=list)

    def of(self, type_: Die) -> tuple[Leaf, ...] | None:
        """All of them, in order; None where the type is not complete."""
        whole = self.types.size(type_)
        if not whole:
            return None
        for leaf in self._each(type_, "", 0, 0):
            _, offset, code, count = leaf
            end = offset + count * (1 if code in "cx" else _width(code))
            if end > self.size:
                break
            if len(self.found) >= MOST_LEAVES:
                self.found.append(("", offset, "x", self.size - offset))
                break
            self.found.append(leaf)
        return tuple(sorted(self.found, key=lambda leaf: leaf[1]))

    def pointers(self, type_: Die) -> tuple[int, ...]:
        """Where the pointers in it are."""
        found = []
        for _, offset, code, count in self.of(type_) or ():
            if code == "p":
                found += [offset + 8 * index for index in range(count)]
        return tuple(found)

    def _each(self, type_: Die | None, path: str, offset: int, depth: int) -> Iterator[Leaf]:
        inner = self.types.resolved(type_)
        if inner is None or depth > DEEPEST:
            return
        size = self.types.size(inner) or 0
        if inner.tag == "structure_type":
            yield from self._members(inner, path, offset, depth)
        elif inner.tag == "array_type":
            yield from self._elements(inner, path, offset, depth)
        elif size:
            code = plain_code(inner, size)
            yield path, offset, code, size if code == "x" else 1

    def _members(self, struct: Die, path: str, offset: int, depth: int) -> Iterator[Leaf]:
        done = -1
        for die in struct.children:
            if die.tag != "member":
                continue
            inside = f"{path}.{die.name}" if die.name else path
            at = offset + (die.number("data_member_location") or 0)
            if "bit_size" not in die.values:
                yield from self._each(self.types.target(die), inside, at, depth + 1)
                continue
            # Bit-fields are seen as the bytes that hold them.
            first = die.number("data_bit_offset")
            start = offset + first // 8 if first is not None else at
            over = (first or 0) % 8 + (die.number("bit_size") or 0)
            last = start + max((over + 7) // 8, 1)
            if last > max(done, start):
                yield inside, max(done, start), "x", last - max(done, start)
                done = last

    def _elements(self, array: Die, path: str, offset: int, depth: int) -> Iterator[Leaf]:
        target = self.types.target(array)
        element = self.types.resolved(target)
        size = self.types.size(target) or 0
        if element is None or not size:
            return
        dimensions = [length or 0 for length in lengths(array)]
        yield from self._rows(dimensions, element, size, path, offset, depth)

    def _rows(
        self, dimensions: list[int], element: Die, size: int, path: str, offset: int, depth: int
    ) -> Iterator[Leaf]:
        count, *rest = dimensions or [0]
        if rest:
            stride = size
            for length in rest:
                stride *= length
            for index in range(min(count, MOST_LEAVES)):
                inside = f"{path}[{index}]"
                yield from self._rows(rest, element, size, inside, offset + index * stride, depth)
            return
        plain = element.tag in ("base_type", "enumeration_type", "pointer_type")
        code = plain_code(element, size) if plain else ""
        if code in ("i1", "u1"):
            yield path, offset, "c", count
        elif plain and code != "x" and count:
            yield path, offset, code, count
        else:
            for index in range(min(count, MOST_LEAVES + 1)):
                yield from self._each(element, f"{path}[{index}]", offset + index * size, depth + 1)


def _width(code: str) -> int:
    return 8 if code == "p" else int(code[1:])


def plain_code(type_: Die, size: int) -> str:
    """What is observed of a type that is no aggregate."""
    if type_.tag == "pointer_type":
        return "p" if size == 8 else "x"
    words = type_.name.split()
    if type_.tag == "enumeration_type":
        return f"i{size}" if size in (1, 2, 4, 8) else "x"
    if type_.tag != "base_type" or "_Complex" in words or "complex" in words:
        return "x"
    if "_Bool" in words or "bool" in words:
        return "b1" if size == 1 else "x"
    if "float" in words or "double" in words:
        return f"f{size}" if size in (4, 8) else "x"
    return f"{'u' if 'unsigned' in words else 'i'}{size}" if size in (1, 2, 4, 8) else "x"

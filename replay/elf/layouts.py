"""How a variable or a struct lies in memory, from DWARF."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.elf import ctype
from replay.elf.debug import DebugInfo, Die
from replay.elf.dwarftypes import TypeReader
from replay.elf.errors import REBUILD, ElfError
from replay.elf.image import Image

_AGGREGATES: Final = {
    "structure_type": "struct", "union_type": "union", "class_type": "class",
    "enumeration_type": "enum",
}  # fmt: skip

MOST_MEMBERS: Final = 1 << 16
"""Of a struct with the unnamed structs in it; damaged files can nest them in circles."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct or union.

    Attributes:
        name: empty for an unnamed struct or union, whose members follow in ``members``.
        offset: bytes from the start of the outermost struct; of a bit-field, to the byte
            with its first bit.
        size: bytes of its type; None for an open array. Of a bit-field, too.
        type: as in C, for instance ``unsigned long *[3]``.
        bit: the first bit in the byte at ``offset``, counted as the machine counts; None
            for what is no bit-field.
        bits: how many bits it has.
        members: of an unnamed struct or union.
    """

    name: str
    offset: int
    size: int | None
    type: str
    bit: int | None = None
    bits: int | None = None
    members: tuple[Member, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """A variable or a type and its members.

    Attributes:
        name: as asked for.
        kind: variable, typedef, struct, union, class or enum.
        type: of the variable or typedef, as in C.
        size: bytes; None where unknown.
        members: of the struct, or of one element of an array of structs.
        file, line: where it is declared.
        values: of an enum, each with its name, in order.
    """

    name: str
    kind: str
    type: str
    size: int | None
    members: tuple[Member, ...]
    file: str
    line: int
    values: tuple[tuple[str, int], ...] = ()


def layout(path: Path | str, name: str, debug_folders: Sequence[Path] = ()) -> Layout:
    """The layout of a variable, ``struct TAG``, ``union TAG``, ``enum TAG`` or typedef.

    A plain name is looked for as a variable first, then as a typedef, then as a tag.

    Raises:
        ElfError: the file cannot be read, has no debug information, or knows no such
            name or only that it exists.
    """
    with Image(path, debug_folders) as image:
        return _Search(DebugInfo(image), name).run()


def first_bit(image: Image, die: Die, size: int | None, bits: int | None) -> int:
    """Where a member starts, in bits from the start of its struct.

    Args:
        image: the file.
        die: the member.
        size: of its type, in bytes.
        bits: how many it has, of a bit-field.
    """
    direct = die.number("data_bit_offset")
    if direct is not None:
        return direct
    start = 8 * (die.number("data_member_location") or 0)
    old = die.number("bit_offset")
    if old is None or bits is None:
        return start
    if not image.little_endian:
        return start + old
    # Before DWARF 4, and by GCC still in it, a bit-field is told by the unit it is
    # loaded in and the bits above it.
    unit = die.number("byte_size") or size or 0
    return start + 8 * unit - old - bits


def _values(die: Die) -> tuple[tuple[str, int], ...]:
    """The values of an enum."""
    if die.tag != "enumeration_type":
        return ()
    found = ((child.name, child.number("const_value")) for child in die.children)
    return tuple((name, value) for name, value in found if name and value is not None)


class _Search:
    def __init__(self, debug: DebugInfo, name: str) -> None:
        self.debug = debug
        self.types = TypeReader(debug)
        self.name = name
        words = name.split()
        self.tag = words[0] if len(words) == 2 and words[0] in _AGGREGATES.values() else ""
        self.wanted = words[1] if self.tag else name
        self.incomplete = False
        self.function = False
        self.known: set[str] = set()
        self.left = MOST_MEMBERS

    def run(self) -> Layout:
        best: tuple[int, Layout] | None = None
        for unit in self.debug.units():
            for die in unit.top:
                rank = self._rank(die)
                if rank is None or (best is not None and best[0] <= rank):
                    continue
                found = self._layout(die)
                if found is not None:
                    best = rank, found
            if best is not None and best[0] == 0:
                break
        if best is None:
            raise self._absent()
        return best[1]

    def _rank(self, die: Die) -> int | None:
        """How well an entry fits the name: 0 best, None not at all."""
        if die.name and len(self.known) < 1 << 16:
            self.known.add(die.name)
        keyword = _AGGREGATES.get(die.tag, "")
        if self._name(die) != self.wanted or (self.tag and keyword != self.tag):
            return None
        self.function = self.function or die.tag == "subprogram"
        ranks = {"variable": 0, "typedef": 2, "structure_type": 3, "union_type": 4}
        ranks |= {"class_type": 5, "enumeration_type": 6}
        rank = ranks.get(die.tag)
        return 1 if rank == 0 and die.values.get("declaration") else rank

    def _name(self, die: Die) -> str:
        declared = die.number("specification")
        return die.name or (self.debug.die(declared).name if declared is not None else "")

    def _layout(self, die: Die) -> Layout | None:
        """The layout that an entry tells; None if its type is incomplete here."""
        declared = die.number("specification")
        source = die
        if declared is not None and "type" not in die.values:
            source = self.debug.die(declared)
        aggregate = die.tag in _AGGREGATES
        type_ = die if aggregate else self.types.target(source)
        inner = self.types.resolved(type_)
        while inner is not None and inner.tag == "array_type":
            inner = self.types.resolved(self.types.target(inner))
            self._spend()
        if inner is not None and inner.values.get("declaration"):
            self.incomplete = True
            return None
        kind = _AGGREGATES.get(die.tag, die.tag)
        shown = f"{kind} {die.name}" if aggregate else ctype.spell(self.types.of(source))
        located = die if "decl_line" in die.values else source
        return Layout(
            self.name,
            kind,
            shown,
            self.types.size(type_),
            self._members(inner, 0, 0) if inner is not None else (),
            self.debug.file(located),
            located.number("decl_line") or 0,
            _values(inner) if inner is not None else (),
        )

    def _members(self, struct: Die, base: int, depth: int) -> tuple[Member, ...]:
        """The members of a struct that starts ``base`` bits into the outermost one."""
        if struct.tag not in _AGGREGATES or struct.tag == "enumeration_type":
            return ()
        if depth > ctype.DEEPEST:
            raise self._endless()
        return tuple(
            self._member(die, base, depth) for die in struct.children if die.tag == "member"
        )

    def _member(self, die: Die, base: int, depth: int) -> Member:
        self._spend()
        target = self.types.target(die)
        size = self.types.size(target)
        bits = die.number("bit_size")
        start = base + first_bit(self.debug.image, die, size, bits)
        inner: tuple[Member, ...] = ()
        if not die.name:
            unnamed = self.types.resolved(target)
            inner = self._members(unnamed, start, depth + 1) if unnamed is not None else ()
        return Member(
            die.name,
            start // 8,
            size,
            ctype.spell(self.types.of(die)),
            start % 8 if bits is not None else None,
            bits,
            inner,
        )

    def _spend(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise self._endless()

    def _endless(self) -> ElfError:
        return ElfError(
            self.debug.path,
            "truncated or corrupt: a struct that contains itself",
            REBUILD,
            "section .debug_info",
        )

    def _absent(self) -> ElfError:
        if self.incomplete:
            return ElfError(
                self.debug.path,
                f"{self.name} is declared here, but what it is made of is not",
                "give the object of a file that uses its members",
            )
        if self.function:
            return ElfError(
                self.debug.path,
                f"{self.name} is a function, and has no layout",
                f"see its prototype with 'replay elf show --function {self.name}'",
            )
        near = difflib.get_close_matches(self.wanted, sorted(self.known), 3)
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        return ElfError(
            self.debug.path,
            f"no variable, struct, union, enum or typedef is called {self.name}{hint}",
            "check the name; what a file does not use is not in it",
        )

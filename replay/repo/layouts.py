"""How a type lies in memory: its fields, and what it is passed as by value.

A field is ``(path, offset, code, count)``; offset in bytes, ``count`` of them in a row. The
path is empty for the type itself, of a number. The code says what it is:

    i1 … i8, u1 … u8, b1  an integer or a truth value
    f4, f8                a floating number
    p                     a pointer
    c                     ``count`` characters
    x                     ``count`` bytes of which nothing else is known: a union, say
    bi, bu                a bit-field, signed or not: offset and count are bits
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from replay.elf.debug import Die
from replay.elf.dwarftypes import TypeReader, lengths
from replay.repo.exported import DEEPEST, plain_code

Field: TypeAlias = tuple[str, int, str, int]

MOST_FIELDS: Final = 512
MOST_SIZE: Final = 1 << 14
REGISTERS: Final = 16
"""Bytes of a struct that may be passed in registers; a larger one lies in memory."""
HOMOGENEOUS: Final = 64
"""The same where there are registers for a few equal floating numbers."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A type in memory.

    Attributes:
        size: bytes.
        fields: in order of address; what stands between them is padding.
        abi: what it is passed as by value: (code, count) of members that are aligned as
            is usual; empty where that is not known.
        odd: the type in it that is in the way: a vector, say; empty if there is none.
        enums: (path, name of the enum) of fields that are enums.

    """

    size: int
    fields: tuple[Field, ...]
    abi: tuple[tuple[str, int], ...] = ()
    odd: str = ""
    enums: tuple[tuple[str, str], ...] = ()

    @property
    def pointers(self) -> bool:
        """Whether there are pointers in it, or what may be one."""
        return any(code == "p" for _, _, code, _ in self.fields)

    def to_json(self) -> dict[str, Any]:
        """As a worker is told."""
        return {"size": self.size, "fields": self.fields, "abi": self.abi}


def scalar(code: str) -> Layout:
    """The layout of a number or pointer."""
    size = 8 if code == "p" else int(code[1:])
    return Layout(size, (("", 0, code, 1),), ((code, 1),))


def layout_of(types: TypeReader, type_: Die) -> Layout | None:
    """The layout of a complete struct or union; None where it is empty or too large."""
    size = types.size(type_) or 0
    if not 0 < size <= MOST_SIZE:
        return None
    walk = _Walk(types)
    fields = tuple(sorted(walk.members(type_, "", 0, 0), key=_start))
    if type_.tag == "union_type":
        fields = (("", 0, "x", size),)
    if len(fields) > MOST_FIELDS or len(walk.scalars) > MOST_FIELDS or not fields:
        return None
    abi = () if walk.odd else _passed(sorted(walk.scalars), size)
    return Layout(size, fields, abi, walk.odd, tuple(walk.enums))


def _start(field: Field) -> int:
    return field[1] if field[2] in ("bi", "bu") else 8 * field[1]


class _Walk:
    """Collects fields, and all scalars with those of unions, which may lie on each other."""

    def __init__(self, types: TypeReader) -> None:
        self.types = types
        self.scalars: list[tuple[int, str]] = []
        self.enums: list[tuple[str, str]] = []
        self.odd = ""

    def members(self, struct: Die, path: str, offset: int, depth: int) -> Iterator[Field]:
        for die in struct.children:
            if die.tag != "member" or len(self.scalars) > MOST_FIELDS:
                continue
            inside = ".".join(filter(None, (path, die.name)))
            at = offset + (die.number("data_member_location") or 0)
            if "bit_size" in die.values:
                yield self.bits(die, inside, offset)
            else:
                yield from self.each(self.types.target(die), inside, at, depth + 1)

    def bits(self, die: Die, path: str, offset: int) -> Field:
        """A bit-field; old compilers count from the end of the unit that it lies in."""
        width, first = die.number("bit_size") or 0, die.number("data_bit_offset")
        inner = self.types.resolved(self.types.target(die))
        if first is None:
            unit = die.number("byte_size") or self.types.size(inner) or 4
            at = 8 * (die.number("data_member_location") or 0)
            first = at + 8 * unit - (die.number("bit_offset") or 0) - width
        for byte in range((8 * offset + first) // 8, (8 * offset + first + width + 7) // 8):
            self.scalars.append((byte, "u1"))
        code = plain_code(inner, self.types.size(inner) or 0) if inner is not None else "u4"
        return path, 8 * offset + first, "bi" if code[0] == "i" else "bu", width

    def each(self, type_: Die | None, path: str, offset: int, depth: int) -> Iterator[Field]:
        inner = self.types.resolved(type_)
        size = self.types.size(inner) or 0
        if inner is None or depth > DEEPEST or not size:
            return
        if inner.tag == "structure_type":
            yield from self.members(inner, path, offset, depth)
        elif inner.tag == "union_type":
            # What is in it is known to those alone who know which member counts.
            found = list(self.members(inner, path, offset, depth))
            pointers = any(code == "p" for _, _, code, _ in found)
            yield path, offset, "p" if pointers and size == 8 else "x", 1 if pointers else size
        elif inner.tag == "array_type":
            yield from self.elements(inner, path, offset, depth)
        else:
            if inner.tag == "enumeration_type" and type_ is not None:
                self.enums.append((path, inner.name or type_.name))
            yield self.one(inner, path, offset, size, 1)

    def one(self, type_: Die, path: str, offset: int, size: int, count: int) -> Field:
        """A number or pointer, or a row of them."""
        code = plain_code(type_, size)
        if code == "x":
            self.odd = self.odd or type_.name or "type that is not known"
            return path, offset, "x", size * count
        self.scalars += [(offset + size * n, code) for n in range(min(count, MOST_FIELDS + 1))]
        if path and count > 1 and code in ("i1", "u1"):
            code = "c"
        return path, offset, code, count

    def elements(self, array: Die, path: str, offset: int, depth: int) -> Iterator[Field]:
        target = self.types.target(array)
        element, size = self.types.resolved(target), self.types.size(target) or 0
        count = 1
        for length in lengths(array):
            count *= length or 0
        if "GNU_vector" in array.values:
            self.odd = self.odd or "vector"
        if element is None or not size:
            return
        if element.tag in ("base_type", "enumeration_type", "pointer_type"):
            if count:
                yield self.one(element, path, offset, size, count)
            return
        for index in range(min(count, MOST_FIELDS + 1)):
            at = offset + index * size
            yield from self.each(element, f"{path}[{index}]", at, depth + 1)


def _width(code: str) -> int:
    return 8 if code == "p" else int(code[1:])


def _passed(scalars: list[tuple[int, str]], size: int) -> tuple[tuple[str, int], ...]:
    """Members that a struct of plain C could have, and that are passed as these are."""
    if size > HOMOGENEOUS:
        return (("u8", size // 8),) if size % 8 == 0 else (("u1", size),)
    end, most = 0, 1
    for offset, code in scalars:
        width = _width(code)
        if offset != -(-end // width) * width:
            break
        end, most = offset + width, max(most, width)
    else:
        if -(-end // most) * most == size:
            return tuple((code, 1) for _, code in scalars)
    if size > REGISTERS:
        return (("u1", size),)
    # By the class of each word: floating numbers alone, or anything else.
    words: list[tuple[str, int]] = []
    for start in range(0, size, 8):
        codes = [code for offset, code in scalars if start <= offset < start + 8]
        long = min(8, size - start)
        floating = codes and all(code[0] == "f" for code in codes) and long % 4 == 0
        words.append(("f4", long // 4) if floating else ("u1", long))
    return tuple(words)

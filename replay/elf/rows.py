"""The rows of tables of symbols and relocations, many at a time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

_TYPES: Final = {
    0: "NOTYPE", 1: "OBJECT", 2: "FUNC", 3: "SECTION", 4: "FILE", 5: "COMMON", 6: "TLS",
    10: "IFUNC",
}  # fmt: skip
_BINDS: Final = {0: "LOCAL", 1: "GLOBAL", 2: "WEAK", 10: "LOOS"}
_VISIBILITIES: Final = ("DEFAULT", "INTERNAL", "HIDDEN", "PROTECTED")
_PLACES: Final = {0: "UNDEF", 0xFFF1: "ABS", 0xFFF2: "COMMON"}
FAR: Final = 0xFFFF
"""In place of a section's number that is too large for its field."""


def type_name(info: int) -> str:
    """The type of a symbol."""
    return _TYPES.get(info & 15, str(info & 15))


def bind_name(info: int) -> str:
    """How a symbol is bound."""
    return _BINDS.get(info >> 4, str(info >> 4))


def visibility_name(other: int) -> str:
    """Who may see a symbol."""
    return _VISIBILITIES[other & 3]


def place_name(number: int) -> str | None:
    """What a section's number means that is none; None of a plain number."""
    if number in _PLACES:
        return _PLACES[number]
    return f"{number:#x}" if 0xFF00 <= number < FAR else None


def symbol_rows(
    data: bytes, bits: int, little: bool
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Offset of the name, info, other, section, value and size of each symbol.

    Raises:
        ValueError: the table ends inside a row.
    """
    order = "<" if little else ">"
    form = order + ("IBBHQQ" if bits == 64 else "IIIBBH")
    for row in _rows(form, data):
        if bits == 64:
            yield row  # type: ignore[misc]
        else:
            name, value, size, info, other, section = row
            yield name, info, other, section, value, size


def relocation_rows(
    data: bytes, bits: int, little: bool, addends: bool
) -> Iterator[tuple[int, int, int, int | None]]:
    """Offset, number of the symbol, type and addend of each relocation.

    Raises:
        ValueError: the table ends inside a row.
    """
    order, word = ("<" if little else ">"), ("Q" if bits == 64 else "I")
    form = order + word * 2 + (word.lower() if addends else "")
    shift = 32 if bits == 64 else 8
    mask = (1 << shift) - 1
    for row in _rows(form, data):
        yield row[0], row[1] >> shift, row[1] & mask, row[2] if addends else None


def _rows(form: str, data: bytes) -> Iterator[tuple[int, ...]]:
    if len(data) % struct.calcsize(form):
        raise ValueError("a table that ends inside a row")
    return struct.iter_unpack(form, data)

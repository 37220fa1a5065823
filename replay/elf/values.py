"""Bytes as the values that the source says: numbers, floating numbers, characters."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

LONGEST_TEXT: Final = 60
"""Characters of a string that are told."""

_FLOATS: Final = {4: "f", 8: "d"}


@dataclass(frozen=True, slots=True)
class Leaf:
    """A part of an object that has a value of its own.

    Attributes:
        offset, size: in bytes.
        member: how the source reaches it: ``.x[3].y``; empty for the whole object.
        kind: signed, unsigned, float, text, or empty for bytes.
        little_endian: the order of its bytes.
    """

    offset: int
    size: int
    member: str = ""
    kind: str = ""
    little_endian: bool = True

    def spell(self, data: bytes) -> str:
        """The value that bytes have here."""
        if not data:
            return "nothing"
        if self.kind == "text":
            return quoted(data.rstrip(b"\0"))
        if self.kind == "float":
            return spelt(True, data, self.little_endian)
        return spelt(False, data, self.little_endian, self.kind == "signed")


def spelt(floating: bool, data: bytes, little: bool = True, signed: bool = False) -> str:
    """A number, or several of the same kind, or bytes.

    Of a number that is 8 bytes wide and not known to be whole or not, what it is as a
    floating number is told as well where that is one that people write.
    """
    if floating:
        size = 8 if len(data) % 8 == 0 and len(data) != 16 else 4
        if len(data) == 16:
            size = 8 if _is_written(data[:8], little) else 4
        shown = [_float(data[at : at + size], little) for at in range(0, len(data), size)]
        if len(shown) > 1 and not any(data[size:]):
            shown = shown[:1]
        return shown[0] if len(shown) == 1 else "{" + ", ".join(shown) + "}"
    if len(data) in (16, 32, 64):
        words = (data[at : at + 4] for at in range(0, len(data), 4))
        return "{" + ", ".join(spelt(False, word, little, signed) for word in words) + "}"
    if len(data) > 8:
        return f"bytes {data[:16].hex(' ')}" + ("..." if len(data) > 16 else "")
    order: Literal["little", "big"] = "little" if little else "big"
    number = int.from_bytes(data, order, signed=signed)
    if not signed and len(data) == 8 and number >> 48 and _is_written(data, little):
        return f"{_float(data, little)} ({number:#x})"
    return str(number) if abs(number) < 1 << 20 else f"{number:#x}"


def _float(data: bytes, little: bool) -> str:
    order = "<" if little else ">"
    if len(data) not in _FLOATS:
        return f"bytes {data.hex(' ')}"
    (value,) = struct.unpack(order + _FLOATS[len(data)], data)
    if len(data) == 8:
        return repr(value)
    for digits in range(6, 10):
        short = f"{value:.{digits}g}"
        if value != value or struct.pack(order + "f", float(short)) == data:  # noqa: PLR0124 - NaN
            return repr(float(short))
    return repr(value)


def _is_written(data: bytes, little: bool) -> bool:
    """Whether 8 bytes are a floating number as people write them."""
    (value,) = struct.unpack("<d" if little else ">d", data)
    return bool(value == 0 or 1e-9 < abs(value) < 1e15)


def quoted(data: bytes) -> str:
    """Characters in quotes, cut where they are many."""
    text = data.decode("utf-8", "replace")
    shown = text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 3] + "..."
    escaped = shown.translate(
        {ord(c): f"\\{n}" for c, n in zip('"\\\n\t\r\0', '"\\ntr0', strict=True)}
    )
    return f'"{escaped}"'


def plain_leaves(size: int, differing: Iterable[int]) -> Iterator[Leaf]:
    """The words of 4 bytes, of an object of at most 8 bytes the whole, with bytes that differ."""
    last = -1
    for at in differing:
        if size in (1, 2, 4, 8):
            yield Leaf(0, size)
            return
        if at // 4 != last:
            last = at // 4
            yield Leaf(4 * last, min(4, size - 4 * last))

"""Structs and arrays in the process apart: what is passed by value, and what is seen by field.

A layout is ``{"size", "fields": [[path, offset, code, count], …], "abi": [[code, count], …]}``,
see ``replay.repo.layouts``. Imports the standard library alone: it is loaded by path.
"""

from __future__ import annotations

import ctypes
import struct
import sys

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

GUARD = 16
"""Bytes behind each buffer that a call gets; written to, they tell of an overrun."""
FILL = 0xA5
FORMATS = {
    "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
    "b1": "B", "f4": "f", "f8": "d", "p": "Q",
}  # fmt: skip
NUMBERS: dict[str, Any] = {
    "i1": ctypes.c_int8, "i2": ctypes.c_int16, "i4": ctypes.c_int32, "i8": ctypes.c_int64,
    "u1": ctypes.c_uint8, "u2": ctypes.c_uint16, "u4": ctypes.c_uint32, "u8": ctypes.c_uint64,
    "b1": ctypes.c_uint8, "f4": ctypes.c_float, "f8": ctypes.c_double, "p": ctypes.c_uint64,
}  # fmt: skip
_types: dict[tuple[tuple[str, int], ...], Any] = {}


def struct_type(layout: Mapping[str, Any]) -> Any:
    """A ctypes structure that is passed as a struct of this layout is; the same for equals."""
    one_by_one = tuple(spread(layout["abi"]))
    if one_by_one not in _types:
        members = [
            (f"m{n}", NUMBERS[code] if count == 1 else NUMBERS[code] * count)
            for n, (code, count) in enumerate(one_by_one)
        ]
        _types[one_by_one] = type("Struct", (ctypes.Structure,), {"_fields_": members})
    return _types[one_by_one]


def spread(abi: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """The members, one by one where there are few: arrays have no class of their own."""
    found: list[tuple[str, int]] = []
    for code, count in abi:
        found += [(code, 1)] * count if count <= 16 else [(code, count)]
    return found


def type_of(data: Mapping[str, Any], plain: Mapping[str, Any]) -> Any:
    """The ctypes type of a parameter or result."""
    return struct_type(data["layout"]) if data["type"] == "s" else plain[data["type"]]


def element(raw: bytes, layout: Mapping[str, Any]) -> Any:
    """One element as it is shown: a number, or its fields by path."""
    seen = {field[0]: value(raw, field) for field in layout["fields"]}
    return seen[""] if list(seen) == [""] else seen


def elements(raw: bytes, layout: Mapping[str, Any]) -> list[Any]:
    """A row of them."""
    size = layout["size"]
    return [element(raw[at : at + size], layout) for at in range(0, len(raw) - size + 1, size)]


def value(raw: bytes, field: Any) -> Any:
    """What is shown of a field."""
    _, offset, code, count = field
    if code in ("bi", "bu"):
        return bits(raw, offset, count, code == "bi")
    if code == "x":
        return raw[offset : offset + count].hex()
    if code == "c":
        return raw[offset : offset + count].rstrip(b"\0").decode("latin-1")
    found = [
        plain(code, one) for one in struct.unpack_from(f"={count}{FORMATS[code]}", raw, offset)
    ]
    return found[0] if count == 1 else found


def plain(code: str, number: Any) -> Any:
    """A number as records have it; of a pointer whether it is NULL."""
    if code == "p":
        return "not NULL" if number else "NULL"
    return repr(number) if code in ("f4", "f8") else number


def bits(raw: bytes, offset: int, width: int, signed: bool) -> int:
    """A bit-field."""
    number = int.from_bytes(raw, "little") >> offset & (1 << width) - 1
    return number - (1 << width) if signed and number >> width - 1 else number


def passed(arg: Mapping[str, Any], given: Any, trace: Any) -> Any:
    """What is passed for a struct by value, a number to start with, an array of strings."""
    if arg["role"] == "struct":
        return struct_type(arg["layout"]).from_buffer_copy(bytes.fromhex(given))
    if arg["role"] == "start":
        size = arg["constant"]
        return trace.buffer((given & (1 << 8 * size) - 1).to_bytes(size, "little"), size)
    texts = [trace.buffer(line + b"\0", 0) for line in lines(given)]
    made = (ctypes.c_void_p * (len(texts) + 1))(*map(ctypes.addressof, texts), None)
    trace.kept.append(made)
    return made


def length(arg: Mapping[str, Any], given: str) -> int:
    """How many characters, bytes, elements or strings the value of a parameter is."""
    if arg["lines"]:
        return len(lines(given))
    return len(given) // (2 * int(arg["unit"]) if arg["hex"] else 1)


def buffers(
    args: Iterable[Mapping[str, Any]], given: list[Any], values: list[Any], of: str
) -> list[tuple[str, int, int]]:
    """The name, address and bytes of what a call was given; of a parameter alone, or of all."""
    return [
        (
            arg["name"], ctypes.addressof(one),
            len(values[arg["value"]]) if arg["role"] == "string" else len(one) - GUARD - 1,
        )
        for arg, one in zip(args, given, strict=True)
        if arg["role"] in ("bytes", "inout", "string", "out", "storage")
        and (not of or arg["name"] == of)
    ]  # fmt: skip


def seen(arg: Mapping[str, Any], buffer: Any) -> Any:
    """What is observed of a buffer after the call."""
    raw: bytes = buffer.raw
    # create_string_buffer adds a NUL of its own behind the guard.
    content, guard = raw[: -GUARD - 1], raw[-GUARD - 1 : -1]
    if guard != bytes([FILL]) * GUARD:
        return content.hex() + " and past its end"
    if arg["role"] == "out" and content == bytes([FILL]) * len(content) and content:
        return "untouched"
    if arg["number"] or "layout" not in arg:
        return decoded(content, arg["number"])
    found = elements(content, arg["layout"])
    return found[0] if arg["single"] else found


def decoded(content: bytes, number: str) -> Any:
    """Bytes as the number that they are, or in hexadecimal."""
    if number:
        return int.from_bytes(content, sys.byteorder, signed=number == "signed")
    return content.hex()


def lines(text: str) -> list[bytes]:
    """The strings of an array of strings; in a trace each ends in a line feed."""
    return [one.encode("latin-1") for one in text.split("\n")[:-1]]


def place(
    pointer: int | None,
    handles: Mapping[int, Any],
    kinds: Mapping[int, str],
    buffers: Iterable[tuple[str, int, int]],
    sizes: Mapping[str, int],
) -> str:
    """Where a pointer points: an object, into a buffer (name, address, bytes), or elsewhere.

    Args:
        pointer: the address.
        handles: of live objects, by number.
        kinds: what they are.
        buffers: that the call was given.
        sizes: bytes of the objects of a kind, where they are known.

    """
    if not pointer:
        return "NULL"
    for number in sorted(handles):
        if handles[number] == pointer:
            return f"{kinds[number]}{number}"
    for name, start, size in buffers:
        if start <= pointer <= start + size:
            return f"{name}+{pointer - start}"
    for number in sorted(handles):
        if handles[number] < pointer < handles[number] + sizes.get(kinds[number], 0):
            return f"{kinds[number]}{number}+{pointer - handles[number]}"
    return "not NULL"

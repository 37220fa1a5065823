"""Which libraries are one and the same code: of such, one need be run to know what all do.

Compared is what a library has in memory once it is loaded: the bytes of its segments, and
where they go. Two things are looked past that no code depends on: the build id, which is a
checksum over the debug information too, and where in the file its table of sections stands.
So steps that differ in names, prototypes, comments or layout of the text alone are the same,
and whatever else the compiler makes the same code of.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

ELF: Final = b"\x7fELF\x02\x01\x01"
"""How a file begins that has words of 64 bits, the little end first."""

SECTIONS: Final = ((40, 48), (60, 64))
"""The bytes of the header that are about the table of sections."""

TABLE: Final = struct.Struct("<32xQ14x2H")
"""The header of a file: where its segments are listed, bytes of an entry, how many."""

SEGMENT: Final = struct.Struct("<2I6Q")
LOADED: Final = 1
NOTE: Final = 4
BUILD_ID: Final = struct.pack("<3I4s", 4, 20, 3, b"GNU\0")


def code_of(path: str) -> bytes:
    """A digest of all that a library is once it is loaded: equal ones do the same.

    A file that is not understood is the same as its copies only; one that cannot be read,
    only as itself.
    """
    try:
        data = Path(path).read_bytes()
    except OSError:
        return sha256(b"path" + path.encode()).digest()
    try:
        return sha256(b"code" + loaded(bytearray(data))).digest()
    except (struct.error, ValueError):
        return sha256(b"file" + data).digest()


def loaded(data: bytearray) -> bytes:
    """The segments of a library that are loaded, their headers among them.

    Raises:
        ValueError, struct.error: no such file, or a damaged one.

    """
    if not data.startswith(ELF):
        raise ValueError("no ELF file of 64 bits, the little end first")
    for first, end in SECTIONS:
        data[first:end] = bytes(end - first)
    at, size, count = TABLE.unpack_from(data)
    if size != SEGMENT.size:
        raise ValueError("its segments have other headers")
    parts = []
    for place in range(at, at + count * size, size):
        kind, _, offset, _, _, length, _, _ = SEGMENT.unpack_from(data, place)
        if offset + length > len(data):
            raise ValueError("a segment leaves the file")
        if kind == NOTE and data.startswith(BUILD_ID, offset):
            first = offset + len(BUILD_ID)
            data[first : first + 20] = bytes(20)
        parts.append((kind, offset, length))
    table = bytes(data[at : at + count * size])
    return table + b"".join(data[o : o + n] for kind, o, n in parts if kind == LOADED)


def twins(paths: Iterable[tuple[int, str]]) -> dict[int, int]:
    """For each step the first one whose library is the same code: often itself."""
    first: dict[bytes, int] = {}
    return {step: first.setdefault(code_of(path), step) for step, path in paths}

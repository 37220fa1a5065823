"""The file names of a line table, DWARF 2 to 5; the line numbers themselves are not read.

pyelftools builds the whole header, and trusts its counts; a declaration's file needs
only the names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PATH, DIRECTORY = 1, 2
"""The two kinds of content (DW_LNCT) that are kept."""

_FIXED: Final = {0x0B: 1, 0x05: 2, 0x06: 4, 0x07: 8, 0x1E: 16}
"""Forms of a fixed size: data1, data2, data4, data8, data16."""

_STRING, _LINE_STRP, _STRP, _UDATA, _BLOCK = 0x08, 0x1F, 0x0E, 0x0F, 0x09


@dataclass(slots=True)
class Cursor:
    """A place in bytes from which numbers and strings are read one after another.

    Every method raises a ValueError at the end of the bytes.
    """

    data: bytes
    at: int
    little_endian: bool

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if not 0 <= count <= len(self.data) - self.at:
            raise ValueError(f"{count} bytes are wanted where {len(self.data) - self.at} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int) -> int:
        """An unsigned number of so many bytes."""
        return int.from_bytes(self.take(size), "little" if self.little_endian else "big")

    def leb(self) -> int:
        """An unsigned LEB128 number."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ValueError("a number of more than 10 bytes")

    def string(self) -> bytes:
        """Bytes up to a NUL, which is taken as well."""
        end = self.data.find(b"\0", self.at)
        if end < 0:
            raise ValueError("a string without an end")
        text = self.data[self.at : end]
        self.at = end + 1
        return text


@dataclass(frozen=True, slots=True)
class Strings:
    """Where strings outside the line table are: each gives the one at an offset."""

    line: Callable[[int], bytes]
    general: Callable[[int], bytes]


def file_names(table: Cursor, strings: Strings, unit_name: str, directory: str) -> tuple[str, ...]:
    """The files that ``DW_AT_decl_file`` numbers, from number 0.

    Args:
        table: at the start of the unit's line table.
        strings: of the other sections.
        unit_name: the unit's own file: number 0 before DWARF 5.
        directory: where the compiler ran; names below it are given relative to it.

    Raises:
        ValueError: the table is damaged or uses a form that is not known here.
    """
    offset_size = 4
    if table.number(4) == 0xFFFFFFFF:
        offset_size = 8
        table.take(8)
    version = table.number(2)
    if not 2 <= version <= 5:
        raise ValueError(f"line table of version {version}")
    if version == 5:
        table.take(2)
    table.take(offset_size)
    table.take(5 if version >= 4 else 4)
    table.take(table.number(1) - 1)
    if version == 5:
        directories = [path for path, _ in _entries(table, strings, offset_size)]
        files = _entries(table, strings, offset_size)
    else:
        directories, files = _old_tables(table, unit_name)
    return tuple(_join(directories, place, path, directory) for path, place in files)


def _old_tables(table: Cursor, unit_name: str) -> tuple[list[str], list[tuple[str, int]]]:
    directories = [""]
    while name := table.string():
        directories.append(_text(name))
    files = [(unit_name, 0)]
    while name := table.string():
        place = table.leb()
        table.leb()
        table.leb()
        files.append((_text(name), place))
    return directories, files


def _entries(table: Cursor, strings: Strings, offset_size: int) -> list[tuple[str, int]]:
    """One table of DWARF 5: path and directory number of each entry."""
    fields = [(table.leb(), table.leb()) for _ in range(table.number(1))]
    count = table.leb()
    if count and not fields:
        raise ValueError(f"a table of {count} entries without fields")
    found = []
    for _ in range(count):
        before = table.at
        path, place = "", 0
        for content, form in fields:
            value = _value(table, strings, form, offset_size)
            if content == PATH and isinstance(value, bytes):
                path = _text(value)
            elif content == DIRECTORY and isinstance(value, int):
                place = value
        if table.at == before:
            raise ValueError("an entry without contents")
        found.append((path, place))
    return found


def _value(table: Cursor, strings: Strings, form: int, offset_size: int) -> bytes | int:
    if form in _FIXED:
        return table.number(_FIXED[form])
    if form == _STRING:
        return table.string()
    if form == _LINE_STRP:
        return strings.line(table.number(offset_size))
    if form == _STRP:
        return strings.general(table.number(offset_size))
    if form == _UDATA:
        return table.leb()
    if form == _BLOCK:
        return table.take(table.leb())
    raise ValueError(f"form {form:#x} in a line table")


def _join(directories: list[str], place: int, path: str, base: str) -> str:
    if path.startswith("/"):
        full = path
    elif place == 0 or not 0 <= place < len(directories):
        return path
    else:
        full = f"{directories[place].rstrip('/')}/{path}" if directories[place] else path
    return full.removeprefix(base.rstrip("/") + "/") if base else full


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")

"""The members of archives, thin ones too.

The format is read here: a header of 60 bytes before each member, names of more than 15
characters in a table (GNU) or before the contents (BSD). A thin archive has the names of
files alone, relative to its own folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from replay.elf.errors import REBUILD, ElfError, reading

PLAIN, THIN = b"!<arch>\n", b"!<thin>\n"
"""How archives start."""

LARGEST_NAMES: Final = 1 << 26
"""Bytes of a table of names."""

_HEAD: Final = 60
_INDEXES: Final = ("/", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED", "__.SYMDEF_64")
"""What is in an archive beside its members: tables of their symbols."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The bytes of one thing that can be compared.

    Attributes:
        name: what it is called; several in an archive may have one name.
        path: the file that holds the bytes.
        offset, size: where they are in that file.
        number: which of those of one name it is, from 1.
    """

    name: str
    path: Path
    offset: int
    size: int
    number: int = 1

    @property
    def label(self) -> str:
        """Its name, with the number of a later one of that name."""
        return self.name if self.number == 1 else f"{self.name} #{self.number}"


def is_archive(path: Path) -> bool:
    """Whether a file starts as archives do."""
    try:
        with path.open("rb") as file:
            return file.read(len(PLAIN)) in (PLAIN, THIN)
    except OSError:
        return False


def archive_members(path: Path) -> tuple[Stored, ...]:
    """The members in order; several may have one name.

    Raises:
        ElfError: the archive is damaged, or a file that a thin one names is not there.
    """
    with reading(path, "archive"), path.open("rb") as file:
        return tuple(_Reader(path, file).run())


class _Reader:
    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.thin = file.read(len(PLAIN)) == THIN
        self.names = b""

    def run(self) -> Iterator[Stored]:
        at = len(PLAIN)
        while at < self.size:
            self.file.seek(at)
            head = self.file.read(_HEAD)
            if len(head) < _HEAD or head[58:] != b"`\n":
                raise self._damaged(at, "no member starts where one should")
            name, size = self._text(head[:16]), self._number(head[48:58], at)
            start = at + _HEAD
            index = name in (*_INDEXES, "//")
            inside = index or not self.thin
            if inside and start + size > self.size:
                raise self._damaged(at, f"a member ends behind the file, at {start + size}")
            at = start + size + (size & 1) if inside else start
            if name == "//":
                self._read_names(size, start)
            elif not index:
                yield from self._member(name, start, size)

    def _member(self, name: str, start: int, size: int) -> Iterator[Stored]:
        if name.startswith("#1/"):
            length = self._number(name[3:].encode(), start)
            if length > min(size, LARGEST_NAMES):
                raise self._damaged(start, "a name longer than its member")
            shown = self._text(self.file.read(length).rstrip(b"\0"))
            if shown not in _INDEXES:
                yield Stored(shown, self.path, start + length, size - length)
            return
        if name.startswith("/"):
            name = self._long_name(name, start)
        name = name.removesuffix("/")
        if not name:
            raise self._damaged(start, "a member without a name")
        yield self._thin_member(name, size) if self.thin else Stored(name, self.path, start, size)

    def _thin_member(self, name: str, size: int) -> Stored:
        path = self.path.parent / name
        try:
            found = path.stat().st_size
        except (OSError, ValueError):
            raise ElfError(
                self.path,
                f"a thin archive, and there is no file {path} of its member",
                "keep its objects beside it, or build it without T",
            ) from None
        if found != size:
            raise ElfError(
                self.path,
                f"a thin archive of another build: {path} has {found} bytes and not {size}",
                REBUILD,
            )
        return Stored(name, path, 0, size)

    def _read_names(self, size: int, start: int) -> None:
        if size > LARGEST_NAMES:
            raise self._damaged(start, "a table of names too large to be one")
        self.names = self.file.read(size)

    def _long_name(self, name: str, start: int) -> str:
        where, _, inner = name[1:].partition(":")
        if inner:
            raise ElfError(
                self.path, "a thin archive of another archive's members",
                "build it from the objects", f"byte {start}",
            )  # fmt: skip
        at = self._number(where.encode(), start)
        end = self.names.find(b"\n", at)
        if at >= len(self.names) or end < 0:
            raise self._damaged(start, "a name that is not in its table")
        return self._text(self.names[at:end])

    def _number(self, digits: bytes, at: int) -> int:
        text = digits.strip()
        if not text.isdigit():
            raise self._damaged(at, f"{text[:16]!r} where a number should be")
        return int(text)

    def _text(self, raw: bytes) -> str:
        return raw.decode("utf-8", "surrogateescape").rstrip(" ")

    def _damaged(self, at: int, what: str) -> ElfError:
        return ElfError(self.path, f"a truncated or corrupt archive: {what}", REBUILD, f"byte {at}")

"""Entries below an open folder, whatever lies there: no symbolic link is ever followed.

A path is bytes relative to the folder, with ``/`` between its components. Every folder on
the way to an entry is opened by its name in the one above it, as a folder and nothing else,
so that nothing is read, written or removed outside, whatever a build has left below.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Stamp(NamedTuple):
    """What of an entry's state changes when anybody writes, replaces or retouches it."""

    mode: int
    size: int
    inode: int
    modified: int
    changed: int


Found: TypeAlias = tuple[bytes, Stamp]
"""The path of an entry and its stamp; a folder's path ends with a slash."""


def stamp(info: os.stat_result) -> Stamp:
    """The stamp of an entry."""
    return Stamp(info.st_mode, info.st_size, info.st_ino, info.st_mtime_ns, info.st_ctime_ns)


class Beneath:
    """A folder that is there, held open; close it.

    The way to the last entry stays open, since the next one is mostly beside it. Everything
    raises OSError where it cannot be done.
    """

    def __init__(self, path: Path) -> None:
        self._way: list[tuple[bytes, int]] = [(b"", os.open(path, _FOLDER))]

    def close(self) -> None:
        """Let go of the folder."""
        self._leave(0)

    def _leave(self, depth: int) -> None:
        while len(self._way) > depth:
            os.close(self._way.pop()[1])

    def _at(self, path: bytes, make: bool = False) -> tuple[int, bytes]:
        """The open folder in which an entry stands, and its name there."""
        *folders, name = path.split(b"/")
        depth = 0
        while depth < min(len(folders), len(self._way) - 1):
            if self._way[depth + 1][0] != folders[depth]:
                break
            depth += 1
        self._leave(depth + 1)
        for folder in folders[depth:]:
            above = self._way[-1][1]
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=above)
            self._way.append((folder, os.open(folder, _FOLDER, dir_fd=above)))
        return self._way[-1][1], name

    def write(
        self, path: bytes, executable: bool, content: Iterable[bytes], modified: int | None
    ) -> Stamp:
        """Make a file where there is none, and the folders above it.

        Its time of modification is given in nanoseconds, or left as it comes.
        """
        folder, name = self._at(path, make=True)
        file = os.open(name, _NEW, 0o777 if executable else 0o666, dir_fd=folder)
        try:
            for block in content:
                view = memoryview(block)
                while view:
                    view = view[os.write(file, view) :]
            if modified is not None:
                os.utime(file, ns=(modified, modified))
            return stamp(os.fstat(file))
        finally:
            os.close(file)

    def link(self, path: bytes, target: bytes) -> Stamp:
        """Make a symbolic link where there is nothing; what it names is not looked at."""
        folder, name = self._at(path, make=True)
        os.symlink(target, name, dir_fd=folder)
        return stamp(os.stat(name, dir_fd=folder, follow_symlinks=False))

    def folder(self, path: bytes) -> None:
        """See that there is a folder, and those above it."""
        self._at(path + b"/", make=True)

    def remove(self, path: bytes) -> None:
        """Remove an entry, a folder with all that is in it; nothing where there is none."""
        try:
            folder, name = self._at(path)
            info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISDIR(info.st_mode):
            self._leave(len(path.split(b"/")))
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)

    def remove_empty(self, path: bytes) -> bool:
        """Remove a folder if nothing is in it; whether it is gone."""
        try:
            folder, name = self._at(path)
            self._leave(len(path.split(b"/")))
            os.rmdir(name, dir_fd=folder)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def clear(self, path: bytes) -> None:
        """Make room for an entry: what is no folder on the way to it is removed."""
        parts = path.split(b"/")
        for depth in range(1, len(parts)):
            on_the_way = b"/".join(parts[:depth])
            try:
                self._at(on_the_way + b"/")
            except FileNotFoundError:
                return
            except OSError:
                self.remove(on_the_way)
                return
        self.remove(path)

    def walk(self, known: Iterable[bytes]) -> Iterator[Found]:
        """All entries, those of a folder only where it is among the known ones.

        A folder comes before what is in it. Nothing may be changed meanwhile.
        """
        known = frozenset(known)
        self._leave(1)
        waiting = [b""]
        while waiting:
            above = waiting.pop()
            folder = self._at(above)[0]
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = above + os.fsencode(entry.name)
                    info = entry.stat(follow_symlinks=False)
                    if not stat.S_ISDIR(info.st_mode):
                        yield path, stamp(info)
                        continue
                    yield path + b"/", stamp(info)
                    if path in known:
                        waiting.append(path + b"/")

    def set_mode(self, path: bytes, mode: int) -> None:
        """Set the permissions of a folder."""
        os.fchmod(self._at(path + b"/")[0], mode)

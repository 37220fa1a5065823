"""Whether a path leads to something that can be an ELF file."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from replay.elf.errors import ElfError, reading

_NOT_ELF: Final = (
    (b"!<arch>\n", "an archive", "take an object out of it with `ar x`"),
    (b"!<thin>\n", "a thin archive", "give one of the objects that `ar t` lists"),
    (b"BC\xc0\xde", "LLVM bitcode", "build it without -flto"),
    (b"MZ", "a Windows program", "build it for an ELF system"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file", "build it for an ELF system"),
    (b"/* GNU ld", "a linker script", "give the library that it names"),
)


def checked_size(path: Path) -> int:
    """The file's size in bytes, after making sure that it can be an ELF file.

    Raises:
        ElfError: it is none; the message says what it is instead.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise ElfError(path, "there is no such file", "check the path, or build it") from None
    except (OSError, ValueError) as error:
        raise ElfError(path, f"cannot be opened: {error}", "check the path") from None
    if stat.S_ISDIR(status.st_mode):
        raise ElfError(path, "is a directory", "give one file in it")
    if not stat.S_ISREG(status.st_mode):
        raise ElfError(path, "is not a regular file", "copy its contents to one")
    if status.st_size == 0:
        raise ElfError(path, "is empty", "see why the build left it so, and build it again")
    with reading(path, "start"), path.open("rb") as file:
        start = file.read(16)
    if not start.startswith(b"\x7fELF"):
        for magic, name, cure in _NOT_ELF:
            if start.startswith(magic):
                raise ElfError(path, f"is {name}, not an ELF file", cure)
        raise ElfError(
            path,
            f"is not an ELF file (it starts with {start[:8]!r})",
            "give an object (.o), a shared library or an executable",
        )
    return status.st_size

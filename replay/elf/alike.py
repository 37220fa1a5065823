"""Whether two linked files load the same bytes, the folder that each was built in aside.

A proof, for any machine: what is loaded to run, and how it is loaded, is compared byte by
byte. Two things are looked past. The build id, a checksum over the debug information too,
which no code depends on. And the folder of the build, where it is written into strings of
the library (by ``__FILE__``, say): it ends in ``tree-`` and the id of a tree, and must be the
same length in both, so that nothing lies elsewhere because of it. What is not loaded, debug
information and the names of local symbols, does not count.
"""

from __future__ import annotations

import re
from typing import Final

from replay.elf.errors import reading
from replay.elf.image import ALLOC, Image, Section

BUILD_ID: Final = ".note.gnu.build-id"

_FOLDER: Final = re.compile(
    rb"/(?:[^\0-\x20/\"':;,=<>|]+/)*tree-(?:[0-9a-f]{64}|[0-9a-f]{40})(?![0-9a-f])"
)
_HEADER: Final = ("e_type", "e_machine", "e_version", "e_entry", "e_flags")
_SEGMENT: Final = ("p_type", "p_flags", "p_vaddr", "p_filesz", "p_memsz", "p_align")


def alike(a: Image, b: Image) -> bool:
    """Whether both load the same bytes to the same places. False is no proof of anything.

    Raises:
        ElfError: a file is damaged.
    """
    if not is_laid_out_alike(a, b):
        return False
    left, right = Neutral(a), Neutral(b)
    return all(x.name == BUILD_ID or left.bytes_of(x) == right.bytes_of(y) for x, y in paired(a, b))


def is_laid_out_alike(a: Image, b: Image) -> bool:
    """Whether headers, segments and loaded sections are the same, whatever they hold."""
    pairs = paired(a, b)
    return (
        bool(pairs)
        and len(loaded(a)) == len(loaded(b))
        and head(a) == head(b)
        and segments(a) == segments(b)
        and all(placed(x) == placed(y) for x, y in pairs)
    )


def loaded(image: Image) -> list[Section]:
    """The sections that are loaded to run, in order."""
    return [section for section in image.sections if section.flags & ALLOC]


def paired(a: Image, b: Image) -> list[tuple[Section, Section]]:
    """The loaded sections of both, one by one; see that there are as many of them."""
    return list(zip(loaded(a), loaded(b), strict=False))


def placed(section: Section) -> tuple[object, ...]:
    """What a section is and where it lies in memory."""
    return (
        section.name, section.type, section.flags, section.address, section.size, section.entry_size
    )  # fmt: skip


def head(image: Image) -> tuple[object, ...]:
    """What the ELF header says of how the file runs."""
    with reading(image.path, "ELF header"):
        header = image.reader.header
        own = (header["e_ident"]["EI_CLASS"], header["e_ident"]["EI_OSABI"])
        return (image.little_endian, *own, *(header[name] for name in _HEADER))


def segments(image: Image) -> list[tuple[object, ...]]:
    """How the file is mapped: whether the stack may be executed is said here, too."""
    with reading(image.path, "program headers"):
        return [tuple(s.header[name] for name in _SEGMENT) for s in image.reader.iter_segments()]


class Neutral:
    """The bytes of a file's sections, the folder of its build written over if there is just one.

    A library that speaks of several such folders got them from somewhere else than its
    own build: they stay as they are.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self._folders = {
            found.group()
            for section in loaded(image)
            for found in _FOLDER.finditer(image.bytes_of(section))
        }
        self._bytes: dict[int, bytes] = {}

    def bytes_of(self, section: Section) -> bytes:
        """What a loaded section holds."""
        if section.index not in self._bytes:
            data = self.image.bytes_of(section)
            if len(self._folders) == 1:
                (folder,) = self._folders
                data = data.replace(folder, b"/" * len(folder))
            self._bytes[section.index] = data
        return self._bytes[section.index]

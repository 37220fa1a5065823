"""Where debug information is that is not in the file itself, or why there is none to read.

Looked for are separate debug files (by build id and by .gnu_debuglink), what dwz shares
between files, and split DWARF. Nothing is fetched from a network.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from replay.elf.errors import AbsentError, ElfError, reading
from replay.elf.image import Image
from replay.elf.lines import Cursor

SYSTEM: Final = Path("/usr/lib/debug")

_INSTALL: Final = (
    "install its debug package, give the folder with --debug-dir, or build it with -g and do "
    "not strip it"
)
_ELSEWHERE: Final = (
    (
        ".zdebug_info",
        "its debug information is packed in an old way",
        "run `objcopy --decompress-debug-sections` on it",
    ),
    (
        ".gnu.lto_",
        "it holds code for link-time optimisation and no debug information",
        "build it with -fno-lto and -g",
    ),
    (".gnu_debuglink", "stripped: its debug information is in another file, not found", _INSTALL),
)
"""Sections by the start of their names, what they mean, and the cure."""


def debug_file(image: Image) -> Path | None:
    """The separate file with the debug information of a stripped one; None if not found.

    Raises:
        ElfError: the sections that name it are damaged.
    """
    for path in _candidates(image):
        if path.is_file() and not _is_same(path, image.path):
            return path
    return None


def _candidates(image: Image) -> Iterator[Path]:
    folders = (*image.debug_folders, SYSTEM)
    build = build_id(image)
    for folder in folders if len(build) > 2 else ():
        yield folder / ".build-id" / build[:2] / f"{build[2:]}.debug"
    section = image.find(".gnu_debuglink")
    if section is None:
        return
    with reading(image.path, "section .gnu_debuglink"):
        data = Cursor(image.bytes_of(section), 0, image.little_endian)
        name = os.fsdecode(data.string())
        data.take(-data.at % 4)
        checksum = data.number(4)
    if not name or "/" in name or name in (".", ".."):
        return
    beside = image.path.absolute().parent
    places = [beside, beside / ".debug", *image.debug_folders]
    places += [folder / str(beside).lstrip("/") for folder in folders]
    for place in places:
        path = place / name
        if path.is_file() and _checksum(path) == checksum:
            yield path


def adopt_symbols(image: Image) -> None:
    """Give a stripped file the symbols that its separate debug file has, if that is found.

    Raises:
        ElfError: that file is damaged.
    """
    if image.symbol_table == "SHT_SYMTAB" or image.type == "ET_REL":
        return
    path = debug_file(image)
    if path is None:
        return
    with Image(path) as other:
        if other.symbol_table != "SHT_SYMTAB" or other.machine != image.machine:
            return
        # Both have the same loaded sections, but not the same numbers of others.
        places = {(s.name, s.address): s.index for s in image.sections}
        found = []
        for symbol in other.symbols:
            index = symbol.section
            if index is not None:
                section = other.sections[index]
                index = places.get((section.name, section.address))
            if index is not None or symbol.section is None:
                found.append(replace(symbol, section=index))
        image.adopt(tuple(found))


def build_id(image: Image) -> str:
    """The build id in hexadecimal digits; empty if there is none.

    Raises:
        ElfError: its note is damaged.
    """
    section = image.find(".note.gnu.build-id")
    if section is None or not section.has_bytes:
        return ""
    with reading(image.path, f"section {section.name}"):
        data = Cursor(image.bytes_of(section), 0, image.little_endian)
        names, size = data.number(4), data.number(4)
        data.take(4 + (names + 3 & ~3))
        return data.take(size).hex()


def _checksum(path: Path) -> int:
    found = 0
    with reading(path, "contents"), path.open("rb") as file:
        while block := file.read(1 << 20):
            found = zlib.crc32(block, found)
    return found


def _is_same(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        return False


def shared_file(image: Image) -> Path | None:
    """The file that dwz put shared debug information into; None if there is none.

    Raises:
        AbsentError: it is not found.
        ElfError: the section that names it is damaged.
    """
    name = ""
    if (section := image.find(".gnu_debugaltlink")) is not None:
        with reading(image.path, f"section {section.name}"):
            data = Cursor(image.bytes_of(section), 0, image.little_endian)
            name = os.fsdecode(data.string())
    elif (section := image.find(".debug_sup")) is not None:
        with reading(image.path, f"section {section.name}"):
            data = Cursor(image.bytes_of(section), 0, image.little_endian)
            data.take(2)
            name = "" if data.number(1) else os.fsdecode(data.string())
    if not name:
        return None
    beside = image.path.absolute().parent
    base = Path(name).name
    places = [beside / name, beside / base]
    places += [folder / base for folder in image.debug_folders]
    places += [folder / ".dwz" / base for folder in (*image.debug_folders, SYSTEM)]
    for path in places:
        if path.is_file():
            return path
    raise AbsentError(
        image.path,
        f"it shares debug information with {name} (dwz), which is not found",
        "put that file beside it, give its folder with --debug-dir, or give the file as it was "
        "before dwz",
    )


def split_file(image: Image, directory: str, name: str) -> Path:
    """The file with the entries of a unit of split DWARF.

    Raises:
        AbsentError: it is not found.
    """
    beside = image.path.absolute().parent
    packed = image.path.with_name(f"{image.path.name}.dwp")
    base = Path(name).name
    places = [packed, Path(directory) / name, beside / name, beside / base]
    places += [folder / base for folder in image.debug_folders]
    for path in places:
        if path.is_file():
            return path
    raise AbsentError(
        image.path,
        f"its debug information is in {base}, which is not found",
        "keep the .dwo files where the compiler put them, pack them with `dwp`, give their "
        "folder with --debug-dir, or build it without -gsplit-dwarf",
    )


def refuse_absent(image: Image) -> None:
    """Say why there is no debug information to read, if there is none.

    Raises:
        AbsentError: there is none in this file.
    """
    names = {s.name for s in image.sections}
    for start, problem, cure in _ELSEWHERE:
        if any(name.startswith(start) for name in names) and ".debug_info" not in names:
            raise AbsentError(image.path, problem, cure)
    section = image.find(".debug_info")
    if section is None:
        cure = "build it with -g, and do not strip it"
        raise AbsentError(image.path, "stripped, or built without debug information", cure)
    if not section.has_bytes or not section.size:
        raise AbsentError(image.path, "its .debug_info is empty", "build it with -g")


def refuse_without_code(image: Image) -> None:
    """Say so where an object holds nothing but the compiler's own form of the code.

    Raises:
        ElfError: it is such an object.
    """
    if any(s.name == "__gnu_lto_slim" for s in image.symbols):
        raise ElfError(
            image.path,
            "it is an object for link-time optimisation, without code",
            "build it with -fno-lto or with -ffat-lto-objects, or give the linked file",
        )

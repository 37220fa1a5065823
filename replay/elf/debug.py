"""DWARF as plain values: the entries of each unit that say what functions and types are.

Only a few units are in memory at a time, so memory does not grow with the file's debug
information. pyelftools decodes the entries; it is given nothing but the sections named in
:mod:`replay.elf.sources`, relocated by us: its own handler knows fewer machines and no
thread-local symbols. What is in other files is looked for, see :mod:`replay.elf.elsewhere`.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.typeunit import TypeUnit

from replay.elf.elsewhere import debug_file, refuse_absent, shared_file, split_file
from replay.elf.entries import Plans
from replay.elf.errors import REBUILD, AbsentError, ElfError, reading
from replay.elf.image import Image
from replay.elf.lines import Cursor, Strings, file_names
from replay.elf.sources import SPACE, Source
from replay.elf.units import Bases, Die, Unit, is_type, read_unit

__all__ = ["DebugInfo", "Die", "Unit"]

UNITS_KEPT: Final = 32
"""Units in memory at once; more are read again when another unit refers to them."""


class DebugInfo:
    """The debugging information of a file.

    Raises:
        AbsentError: there is none, or it is in another file that is not found.
        ElfError: it is damaged.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self.path = image.path
        with contextlib.ExitStack() as stack:
            holder = image
            if image.find(".debug_info") is None and (path := debug_file(image)):
                holder = stack.enter_context(Image(path, image.debug_folders))
            refuse_absent(holder)
            self._holder = holder.path
            shared = shared_file(holder)
            other = None
            if shared is not None:
                other = Source(stack.enter_context(Image(shared)), 2 * SPACE)
            own = Source(holder, 0, shared=other)
        self._sources = [own] if other is None else [own, other]
        self._heads: list[tuple[int, Source, CompileUnit | TypeUnit, Bases]] = []
        self._signatures: dict[int, int] = {}
        for source in self._sources:
            self._add(source)
        self._listed = len(self._heads)
        self._split: dict[Path, Source] = {}
        self._plans: Plans = {}
        self._kept: OrderedDict[int, Unit] = OrderedDict()
        self._files: dict[int, tuple[str, ...]] = {}

    def _add(self, source: Source) -> None:
        self._heads += [(start, source, cu, bases) for start, cu, bases in source.heads]
        self._starts = [head[0] for head in self._heads]
        self._signatures |= source.signatures

    @property
    def versions(self) -> tuple[int, ...]:
        """The DWARF versions in the file."""
        return tuple(sorted({v for source in self._sources for v in source.versions}))

    def units(self) -> Iterator[Unit]:
        """Every unit in order; at most a few are in memory at a time."""
        for number in range(self._listed):
            yield self._unit(number)

    def die(self, offset: int) -> Die:
        """The entry at an offset in .debug_info.

        Raises:
            ElfError: nothing that was kept starts there: the reference is damaged.
        """
        number = bisect_right(self._starts, offset) - 1
        found = self._unit(number).dies.get(offset) if number >= 0 else None
        if found is None:
            raise ElfError(
                self.path,
                "truncated or corrupt: a reference leads to no type or function",
                REBUILD,
                f".debug_info offset {offset % SPACE:#x}",
            )
        # A type with a unit of its own has just its signature here.
        signed = found.number("signature")
        if signed is not None and signed != offset and is_type(found.tag):
            inner = self._unit(bisect_right(self._starts, signed) - 1).dies.get(signed)
            return inner or found
        return found

    def file(self, die: Die) -> str:
        """The source file that declares an entry, relative to the compiler's directory."""
        number, unit = die.number("decl_file"), die.unit
        if number is None or unit.lines is None:
            return ""
        if unit.offset not in self._files:
            with reading(self.path, f"section .debug_line, table at {unit.lines:#x}"):
                table, strings = self.line_table(unit.lines)
                self._files[unit.offset] = file_names(table, strings, unit.name, unit.directory)
        names = self._files[unit.offset]
        return names[number] if number < len(names) else ""

    def line_table(self, offset: int) -> tuple[Cursor, Strings]:
        """The line table at an offset, to be read, and the strings that it refers to."""
        base = offset - offset % SPACE
        source = next(source for source in self._sources if source.base == base)
        strings = Strings(
            lambda at: source.string("line_str", at), lambda at: source.string("str", at)
        )
        return Cursor(source.section("line"), offset - base, source.little_endian), strings

    def _unit(self, number: int) -> Unit:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        start, source, cu, bases = self._heads[number]
        with reading(source.path, f"unit at .debug_info offset {start % SPACE:#x}"):
            unit = read_unit(cu, self._signatures, bases, source.entry, self._plans)
        if unit.split and source in self._sources:
            unit = self._unit_of(unit)
        self._kept[number] = unit
        if len(self._kept) > UNITS_KEPT:
            self._kept.popitem(last=False)
        return unit

    def _unit_of(self, skeleton: Unit) -> Unit:
        """The unit that a skeleton stands for, from the file where it is.

        Raises:
            AbsentError: that file is not found.
        """
        path = split_file(self.image, skeleton.directory, skeleton.split)
        if path not in self._split:
            with Image(path) as image:
                source = Source(image, (4 + 2 * len(self._split)) * SPACE, split=True)
            self._split[path] = source
            self._add(source)
        source = self._split[path]
        found = [
            number
            for number, (_, other, cu, _) in enumerate(self._heads)
            if other is source
            and not isinstance(cu, TypeUnit)
            and "type_signature" not in cu.header
        ]
        for number in found:
            unit = self._unit(number)
            if unit.split_id == skeleton.split_id or len(found) == 1:
                unit.lines = skeleton.lines
                unit.name, unit.directory = unit.name or skeleton.name, skeleton.directory
                return unit
        raise AbsentError(
            path, f"it does not hold the unit {skeleton.split} of {self.path}", REBUILD
        )

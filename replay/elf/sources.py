"""The debug sections of one file, opened for reading."""

from __future__ import annotations

import inspect
from functools import lru_cache
from typing import Any, Final

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo
from elftools.dwarf.typeunit import TypeUnit

from replay.elf.bounded import BoundedBytes, Budget
from replay.elf.errors import reading
from replay.elf.image import Image
from replay.elf.packages import Package
from replay.elf.relocate import relocated
from replay.elf.units import Bases

LONGEST_STRING: Final = 1 << 16
SPACE: Final = 1 << 48
"""Offsets that one section may have: those of several are told apart by multiples of it."""

_SECTIONS: Final = ("info", "types", "abbrev", "str", "line", "line_str", "str_offsets", "addr")
_UNRELOCATED: Final = ("loclists", "rnglists")
"""Only their tables of offsets are read, by pyelftools as it decodes an entry."""
_JOINED: Final = ("info", "types")
_STRX: Final = ("DW_FORM_strx", "DW_FORM_GNU_str_index", *(f"DW_FORM_strx{n}" for n in range(1, 5)))

_GNU: Final = ("DW_FORM_GNU_str_index", "DW_FORM_GNU_addr_index")
"""Of split DWARF before version 5; pyelftools knows their names and not how to read them."""


class Source:
    """The debug sections of a file.

    Args:
        image: the file; it may be closed afterwards.
        base: added to its offsets; those of .debug_types come ``SPACE`` behind.
        split: the sections are those of split DWARF, .dwo or .dwp.
        shared: the file that it shares entries with, if any.

    Attributes:
        heads: its units by where they start, base included.
        little_endian: the order of its bytes.

    Raises:
        ElfError: its sections are damaged.
    """

    def __init__(
        self, image: Image, base: int = 0, split: bool = False, shared: Source | None = None
    ) -> None:
        self.path, self.little_endian = image.path, image.little_endian
        self.base = base
        self._suffix = ".dwo" if split else ""
        self._data = {name: self._load(image, name) for name in _SECTIONS + _UNRELOCATED}
        budget = Budget(sum(map(len, self._data.values())), 256)
        self.string = lru_cache(maxsize=4096)(self._string_at)
        self.entry: type[DIE] = DIE
        other = shared.base if shared else 0
        info = Bases(base, base, other, base)
        types = Bases(base + SPACE, base, other, base)
        self.heads: list[tuple[int, CompileUnit | TypeUnit, Bases]] = []
        with reading(self.path, f"section .debug_info{self._suffix}"):
            self.reader: DWARFInfo = _open(image, self._data, budget)
            reader = self.reader
            reader.supplementary_dwarfinfo = shared.reader if shared else None
            for cu in reader.iter_CUs():
                self._check(cu, "info")
                self.heads.append((base + cu.cu_offset, cu, info))
        with reading(self.path, f"section .debug_types{self._suffix}"):
            for tu in reader.iter_TUs():
                self._check(tu, "types")
                self.heads.append((base + SPACE + tu.cu_offset, tu, types))
        if split:
            package = Package(image)
            for _, unit, _ in self.heads:
                package.place(unit)
                forms = unit.structs.Dwarf_dw_form
                for name in _GNU:
                    forms.setdefault(name, unit.structs.the_Dwarf_uleb128)
            self.entry = _split_entry(self, package)

    @property
    def signatures(self) -> dict[int, int]:
        """The types that have units of their own, by their signatures."""
        return {
            cu[name]: start + cu["type_offset"]
            for start, cu, _ in self.heads
            for name in ("type_signature", "signature")
            if name in cu.header
        }

    @property
    def versions(self) -> set[int]:
        """The DWARF versions in it."""
        return {cu["version"] for _, cu, _ in self.heads}

    def section(self, name: str) -> bytes:
        """A section's bytes by the name behind ``.debug_``."""
        return self._data[name]

    def _load(self, image: Image, name: str) -> bytes:
        # An object has a section of its own for every type that has a unit of its own.
        # Units refer to one another by signature, so joined they read the same.
        found = [s for s in image.sections if s.name == f".debug_{name}{self._suffix}"]
        data = []
        for section in found if name in _JOINED else found[:1]:
            content = image.bytes_of(section)
            if image.type == "ET_REL" and name not in _UNRELOCATED and not self._suffix:
                content = relocated(image, section, content)
            data.append(content)
        return b"".join(data)

    def _check(self, cu: CompileUnit | TypeUnit, name: str) -> None:
        if cu.cu_offset + cu.size > len(self._data[name]) or cu["unit_length"] < 7:
            raise ValueError(f"the unit at {cu.cu_offset:#x} does not end in the section")

    def _string_at(self, section: str, offset: int) -> bytes:
        data = self._data[section]
        end = data.find(b"\0", offset, offset + LONGEST_STRING)
        if end < 0:
            raise ValueError(f"no string at offset {offset:#x} of .debug_{section}")
        return data[offset:end]


def _open(image: Image, data: dict[str, bytes], budget: Budget) -> DWARFInfo:
    # Which sections the constructor takes differs between versions of pyelftools;
    # those that are not given must be None.
    wanted = inspect.signature(DWARFInfo).parameters
    given: dict[str, Any] = {name: None for name in wanted if name != "config"}
    for name, content in data.items():
        if content:
            given[f"debug_{name}_sec"] = DebugSectionDescriptor(
                stream=BoundedBytes(content, budget),
                name=f".debug_{name}",
                global_offset=0,
                size=len(content),
                address=0,
            )
    config = DwarfConfig(
        little_endian=image.little_endian, machine_arch="", default_address_size=image.bits // 8
    )
    return DWARFInfo(config=config, **given)


def _split_entry(source: Source, package: Package) -> type[DIE]:
    """Reads entries of split DWARF: their strings are told by number, their addresses elsewhere."""

    class Entry(DIE):
        def _translate_attr_value(self, form: str, raw_value: Any) -> Any:
            if form not in _STRX:
                plain = "x" not in form.rpartition("_")[2] and "index" not in form
                return super()._translate_attr_value(form, raw_value) if plain else raw_value
            wide = self.cu.structs.dwarf_format == 64
            size = 8 if wide else 4
            header = (16 if wide else 8) if self.cu["version"] >= 5 else 0
            at = package.strings(self.cu) + header + int(raw_value) * size
            data = source.section("str_offsets")[at : at + size]
            if len(data) < size:
                raise ValueError(f"string {raw_value} is not in .debug_str_offsets")
            offset = int.from_bytes(data, "little" if source.little_endian else "big")
            return source.string("str", offset)

    return Entry

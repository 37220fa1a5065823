"""DWARF as plain values: the entries of each unit that say what functions and types are.

A unit is read flat, entry by entry; only the tags that prototypes and layouts need are
kept, and only a few units at a time, so memory does not grow with the file's debug
information. pyelftools decodes the entries; it is given nothing but the sections named
here, relocated by us: its own handler knows fewer machines and no thread-local symbols.
"""

from __future__ import annotations

import inspect
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo

from replay.elf.bounded import BoundedBytes, Budget
from replay.elf.elsewhere import refuse_absent
from replay.elf.errors import REBUILD, ElfError, reading
from replay.elf.image import Image
from replay.elf.lines import Cursor, Strings, file_names
from replay.elf.relocate import relocated

UNITS_KEPT: Final = 32
"""Units in memory at once; more are read again when another unit refers to them."""

LONGEST_STRING: Final = 1 << 16

_SECTIONS: Final = ("info", "abbrev", "str", "line", "line_str", "str_offsets", "addr")
_UNRELOCATED: Final = ("loclists", "rnglists")
"""Only their tables of offsets are read, by pyelftools as it decodes an entry."""

_TYPES: Final = frozenset(
    [
        "base_type",
        "pointer_type",
        "const_type",
        "volatile_type",
        "restrict_type",
        "atomic_type",
        "array_type",
        "subroutine_type",
        "structure_type",
        "union_type",
        "enumeration_type",
        "typedef",
        "unspecified_type",
    ]
)
"""Of C. Those of other languages, all that end in ``_type``, are kept for their names."""
_PARTS: Final = frozenset((
    "formal_parameter", "unspecified_parameters", "subrange_type", "member", "inheritance",
    "subprogram",
))  # fmt: skip
_NUMBERS: Final = frozenset(
    [
        "byte_size",
        "encoding",
        "inline",
        "decl_file",
        "decl_line",
        "data_member_location",
        "data_bit_offset",
        "bit_offset",
        "bit_size",
        "GNU_vector",
        "upper_bound",
        "count",
    ]
)
_FLAGS: Final = frozenset(["declaration", "external", "prototyped"])
_REFERENCES: Final = frozenset(["type", "abstract_origin", "specification", "signature"])
_CXX: Final = frozenset((0x04, 0x1A, 0x21, 0x2B, 0x3A))
_LEVEL: Final = re.compile(r"-g(gdb)?[0-3]?")
_PRESENCE: Final = frozenset(["low_pc", "ranges"])

Value: TypeAlias = int | str | bool
Signatures: TypeAlias = dict[int, int]
"""Of types in units of their own, to their offsets in .debug_info."""


@dataclass(slots=True, eq=False)
class Die:
    """A kept debugging information entry.

    Attributes:
        tag: without ``DW_TAG_``.
        offset: in .debug_info.
        values: attributes without ``DW_AT_``; a reference is an offset in .debug_info.
        children: the kept entries directly below, in order.
        unit: what it belongs to.
    """

    tag: str
    offset: int
    values: dict[str, Value]
    unit: Unit
    children: list[Die] = field(default_factory=list)

    def number(self, name: str) -> int | None:
        """An attribute's value as a number; None where it is absent or no constant."""
        value = self.values.get(name)
        return value if isinstance(value, int) else None

    @property
    def name(self) -> str:
        """Its name; empty if it has none."""
        return str(self.values.get("name", ""))


@dataclass(slots=True, eq=False)
class Unit:
    """A compilation unit.

    Attributes:
        version: of DWARF.
        address_size: bytes of a pointer.
        name, directory: of its source file, and where the compiler ran.
        assembler: written in assembly, so without prototypes.
        cxx: written in C++.
        untyped: compiled without types (-g1), so that no prototype is known.
        dies: the kept entries by offset.
        top: those at the unit's top level.
        lines: offset of its line table.
    """

    offset: int
    version: int
    address_size: int
    name: str = ""
    directory: str = ""
    assembler: bool = False
    cxx: bool = False
    untyped: bool = False
    split: bool = False
    lines: int | None = None
    dies: dict[int, Die] = field(default_factory=dict)
    top: list[Die] = field(default_factory=list)


class DebugInfo:
    """The debugging information of a file.

    Raises:
        ElfError: there is none, it is elsewhere, or it is damaged.
    """

    def __init__(self, image: Image) -> None:
        self.image = image
        self.path = image.path
        refuse_absent(image)
        data = {name: self._load(name) for name in _SECTIONS + _UNRELOCATED}
        self._budget = Budget(sum(map(len, data.values())), 256)
        self._data = data
        with reading(self.path, "section .debug_info"):
            self._reader = self._open(data)
            self._heads = [(cu.cu_offset, cu) for cu in self._reader.iter_CUs() if self._whole(cu)]
        self._starts = [start for start, _ in self._heads]
        self._signatures = {
            cu["type_signature"]: start + cu["type_offset"]
            for start, cu in self._heads
            if "type_signature" in cu.header
        }
        self._kept: OrderedDict[int, Unit] = OrderedDict()
        self._string = lru_cache(maxsize=4096)(self._string_at)
        self._files: dict[int, tuple[str, ...]] = {}

    @property
    def versions(self) -> tuple[int, ...]:
        """The DWARF versions in the file."""
        return tuple(sorted({cu["version"] for _, cu in self._heads}))

    def units(self) -> Iterator[Unit]:
        """Every unit in order; at most a few are in memory at a time."""
        for number in range(len(self._heads)):
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
                f".debug_info offset {offset:#x}",
            )
        # A type with a unit of its own has just its signature here.
        signed = found.number("signature")
        if signed is not None and signed != offset and _is_type(found.tag):
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
        strings = Strings(
            lambda at: self._string("line_str", at), lambda at: self._string("str", at)
        )
        return Cursor(self._data["line"], offset, self.image.little_endian), strings

    def _string_at(self, section: str, offset: int) -> bytes:
        data = self._data[section]
        end = data.find(b"\0", offset, offset + LONGEST_STRING)
        if end < 0:
            raise ValueError(f"no string at offset {offset:#x} of .debug_{section}")
        return data[offset:end]

    def _load(self, name: str) -> bytes:
        # An object has a section of its own for every type that has a unit of its own.
        # Units refer to one another by signature, so joined they read the same.
        found = [s for s in self.image.sections if s.name == f".debug_{name}"]
        data = []
        for section in found if name == "info" else found[:1]:
            content = self.image.bytes_of(section)
            if self.image.type == "ET_REL" and name not in _UNRELOCATED:
                content = relocated(self.image, section, content)
            data.append(content)
        return b"".join(data)

    def _open(self, data: dict[str, bytes]) -> DWARFInfo:
        # Which sections the constructor takes differs between versions of pyelftools;
        # those that are not given must be None.
        wanted = inspect.signature(DWARFInfo).parameters
        given: dict[str, Any] = {name: None for name in wanted if name != "config"}
        for name, content in data.items():
            if content:
                stream = BoundedBytes(content, self._budget)
                given[f"debug_{name}_sec"] = DebugSectionDescriptor(
                    stream=stream,
                    name=f".debug_{name}",
                    global_offset=0,
                    size=len(content),
                    address=0,
                )
        config = DwarfConfig(
            little_endian=self.image.little_endian,
            machine_arch="",
            default_address_size=self.image.bits // 8,
        )
        return DWARFInfo(config=config, **given)

    def _whole(self, cu: CompileUnit) -> bool:
        if cu.cu_offset + cu.size > len(self._data["info"]) or cu["unit_length"] < 7:
            raise ValueError(f"the unit at {cu.cu_offset:#x} does not end in the section")
        return True

    def _unit(self, number: int) -> Unit:
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        start, cu = self._heads[number]
        with reading(self.path, f"unit at .debug_info offset {start:#x}"):
            unit = _read_unit(cu, self._signatures)
        if unit.split:
            raise ElfError(
                self.path,
                "its debug information is in .dwo files",
                "build it without -gsplit-dwarf",
                f"unit {unit.name}",
            )
        self._kept[number] = unit
        if len(self._kept) > UNITS_KEPT:
            self._kept.popitem(last=False)
        return unit


def _read_unit(cu: CompileUnit, signatures: Signatures) -> Unit:
    """The kept entries of a unit, read one after another without recursion."""
    root = cu.get_top_DIE()
    unit = Unit(cu.cu_offset, cu["version"], cu["address_size"])
    _describe(unit, root)
    end = cu.cu_offset + cu.size
    at = root.offset + root.size
    parents: list[Die | None] = [None] if root.has_children else []
    while parents and at < end:
        raw = DIE(cu, root.stream, at)
        if raw.size <= 0 or at + raw.size > end:
            raise ValueError(f"the entry at {at:#x} does not end in its unit")
        if raw.tag is None:
            parents.pop()
        else:
            kept = _keep(raw, unit, len(parents) == 1, signatures)
            if kept is not None:
                unit.dies[at] = kept
                parent = parents[-1]
                (parent.children if parent else unit.top).append(kept)
            if raw.has_children:
                parents.append(kept)
        at += raw.size
    if parents:
        raise ValueError("the unit ends inside an entry")
    unit.untyped = unit.untyped or not any(map(_is_telling, unit.dies.values()))
    return unit


def _is_type(tag: str) -> bool:
    return tag in _TYPES or tag.endswith("_type")


def _is_telling(die: Die) -> bool:
    """Whether an entry shows that its unit was compiled with types."""
    typed = die.tag == "subprogram" and ("type" in die.values or "prototyped" in die.values)
    return typed or die.tag == "formal_parameter" or _is_type(die.tag)


def _describe(unit: Unit, root: DIE) -> None:
    values = root.attributes
    unit.name = _decoded(values["DW_AT_name"].value) if "DW_AT_name" in values else ""
    unit.directory = _decoded(values["DW_AT_comp_dir"].value) if "DW_AT_comp_dir" in values else ""
    language = values.get("DW_AT_language")
    unit.assembler = language is not None and language.value == 0x8001
    unit.cxx = language is not None and language.value in _CXX
    made = values["DW_AT_producer"].value if "DW_AT_producer" in values else b""
    levels = [word for word in _decoded(made).split() if _LEVEL.fullmatch(word)]
    unit.untyped = bool(levels) and levels[-1] in ("-g1", "-ggdb1")
    unit.split = "DW_AT_GNU_dwo_name" in values or "DW_AT_dwo_name" in values
    lines = values.get("DW_AT_stmt_list")
    unit.lines = lines.value if lines is not None and isinstance(lines.value, int) else None


def _keep(raw: DIE, unit: Unit, top: bool, signatures: Signatures) -> Die | None:
    tag = str(raw.tag).removeprefix("DW_TAG_")
    tag = "typedef" if tag == "template_alias" else tag
    if not (_is_type(tag) or tag in _PARTS or (top and tag == "variable")):
        return None
    values: dict[str, Value] = {}
    for full, attribute in raw.attributes.items():
        name = str(full).removeprefix("DW_AT_")
        if name in ("name", "linkage_name", "MIPS_linkage_name"):
            values[name.removeprefix("MIPS_")] = _decoded(attribute.value)
        elif name in _NUMBERS:
            number = _number(attribute.value)
            # A bound may refer to a variable that holds it: no number to know here.
            if number is not None and not attribute.form.startswith("DW_FORM_ref"):
                values[name] = number
        elif name in _FLAGS:
            values[name] = bool(attribute.value)
        elif name in _PRESENCE:
            values[name] = True
        elif name in _REFERENCES:
            values[name] = _reference(attribute, unit.offset, signatures)
    return Die(tag, raw.offset, values, unit)


def _decoded(value: Any) -> str:
    if not isinstance(value, bytes):
        raise ValueError("a name that is no string")
    return value.decode("utf-8", "replace")


def _number(value: Any) -> int | None:
    """A constant; also the one operation that old compilers place members with."""
    if isinstance(value, int):
        return int(value)
    if isinstance(value, list) and len(value) > 1 and value[0] == 0x23:
        return Cursor(bytes(value[1:]), 0, True).leb()
    return None


def _reference(attribute: Any, unit: int, signatures: Signatures) -> int:
    form, raw = attribute.form, attribute.raw_value
    if form in ("DW_FORM_ref1", "DW_FORM_ref2", "DW_FORM_ref4", "DW_FORM_ref8"):
        return unit + int(raw)
    if form in ("DW_FORM_ref", "DW_FORM_ref_udata"):
        return unit + int(raw)
    if form == "DW_FORM_ref_addr":
        return int(raw)
    if form == "DW_FORM_ref_sig8" and raw in signatures:
        return signatures[raw]
    raise ValueError(f"a reference to nothing, {form} {raw}")

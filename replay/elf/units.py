"""A unit of debugging information as plain values: the entries that say what things are.

A unit is read flat, entry by entry; only the tags that prototypes and layouts need are kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.typeunit import TypeUnit

from replay.elf.entries import Entries, Plans, UnreadError, leb
from replay.elf.lines import Cursor

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
    "subprogram", "enumerator",
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
        "const_value",
        "upper_bound",
        "count",
    ]
)
_FLAGS: Final = frozenset(["declaration", "external", "prototyped"])
_REFERENCES: Final = frozenset(["type", "abstract_origin", "specification", "signature"])
_CXX: Final = frozenset((0x04, 0x1A, 0x21, 0x2B, 0x3A))
_C: Final = frozenset((0x01, 0x02, 0x0C, 0x1D, 0x2C, 0x3E))
_LANGUAGES: Final = {
    0x03: "Ada", 0x0D: "Ada", 0x2E: "Ada", 0x05: "Cobol", 0x06: "Cobol", 0x07: "Fortran",
    0x08: "Fortran", 0x0E: "Fortran", 0x22: "Fortran", 0x23: "Fortran", 0x2D: "Fortran",
    0x09: "Pascal", 0x0A: "Modula-2", 0x0B: "Java", 0x10: "Objective-C", 0x11: "Objective-C++",
    0x13: "D", 0x15: "OpenCL", 0x16: "Go", 0x18: "Haskell", 0x1B: "OCaml", 0x1C: "Rust",
    0x1E: "Swift", 0x27: "Zig", 0x8001: "assembly",
}  # fmt: skip
"""DW_AT_language. C++ and C are told by sets of their own."""
_LEVEL: Final = re.compile(r"-g(gdb)?[0-3]?")
_PRESENCE: Final = frozenset(["low_pc", "ranges"])
_NAMES: Final = frozenset(["name", "linkage_name", "MIPS_linkage_name"])
_WANTED: Final = _NUMBERS | _FLAGS | _REFERENCES | _PRESENCE | _NAMES

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
        language: what it is written in, in words; C where nothing is said, and nothing of
            what units of several languages may share.
        untyped: compiled without types (-g1), so that no prototype is known.
        dies: the kept entries by offset.
        top: those at the unit's top level.
        lines: offset of its line table.
        split: the file that its entries are in, if they are not here.
        split_id: what that file calls the unit.
    """

    offset: int
    version: int
    address_size: int
    name: str = ""
    directory: str = ""
    assembler: bool = False
    cxx: bool = False
    language: str = "C"
    untyped: bool = False
    split: str = ""
    split_id: int | None = None
    lines: int | None = None
    dies: dict[int, Die] = field(default_factory=dict)
    top: list[Die] = field(default_factory=list)


class _Raw(NamedTuple):
    """A reference as it stands in the file."""

    form: str
    raw_value: Any


@dataclass(frozen=True, slots=True)
class Bases:
    """What is added to offsets, so that those of several sections are told apart.

    Attributes:
        own: to those in the unit's own section.
        info: to those in the .debug_info beside it.
        shared: to those in the file that it shares entries with.
        lines: to those of line tables.
    """

    own: int = 0
    info: int = 0
    shared: int = 0
    lines: int = 0


def read_unit(
    cu: CompileUnit | TypeUnit,
    signatures: Signatures,
    bases: Bases,
    entry: type[DIE],
    plans: Plans,
) -> Unit:
    """The kept entries of a unit, read one after another without recursion.

    Args:
        cu: the unit.
        signatures: of types that have units of their own.
        bases: see there.
        entry: reads an entry.
        plans: of the file's tables of abbreviations, which are added to.
    """
    root = cu.get_top_DIE() if entry is DIE else entry(cu, _stream(cu), cu.cu_die_offset)
    unit = Unit(bases.own + cu.cu_offset, cu["version"], cu["address_size"])
    _describe(unit, root, bases)
    if root.has_children:
        span = root.offset + root.size, cu.cu_offset + cu.size
        known = signatures, bases
        try:
            if entry is not DIE:
                raise UnreadError(entry)
            _read_planned(Entries(cu, root.stream, _WANTED, plans), unit, span, *known)
        except UnreadError:
            unit.dies, unit.top = {}, []
            _read_singly(cu, unit, (root.stream, *span), entry, known)
    unit.untyped = unit.untyped or not any(map(_is_telling, unit.dies.values()))
    return unit


def _read_singly(
    cu: CompileUnit | TypeUnit,
    unit: Unit,
    span: tuple[Any, int, int],
    entry: type[DIE],
    known: tuple[Signatures, Bases],
) -> None:
    """Read the entries of a unit one after another as pyelftools does."""
    stream, at, end = span
    parents: list[Die | None] = [None]
    while parents and at < end:
        raw = entry(cu, stream, at)
        if raw.size <= 0 or at + raw.size > end:
            raise ValueError(f"the entry at {at:#x} does not end in its unit")
        if raw.tag is None:
            parents.pop()
        else:
            kept = _keep(raw, unit, len(parents) == 1, known)
            if kept is not None:
                unit.dies[kept.offset] = kept
                parent = parents[-1]
                (parent.children if parent else unit.top).append(kept)
            if raw.has_children:
                parents.append(kept)
        at += raw.size
    if parents:
        raise ValueError("the unit ends inside an entry")


def _read_planned(
    entries: Entries, unit: Unit, span: tuple[int, int], signatures: Signatures, bases: Bases
) -> None:
    """The same by plans.

    Raises:
        UnreadError: there is something in the unit that plans do not read.
    """
    (at, end), data = span, entries.data
    plans, stepped = entries.plans, entries.stepped
    parents: list[Die | None] = [None]
    while parents and at < end:
        start = at
        code, at = leb(data, at)
        if not code:
            parents.pop()
            continue
        plan = plans.get(code) or entries.plan(code)
        tag = "typedef" if plan.tag == "template_alias" else plan.tag
        kept = None
        if tag in _PARTS or is_type(tag) or (tag == "variable" and len(parents) == 1):
            kept = Die(tag, bases.own + start, {}, unit)
            for steps, name, form, read in plan.parts:
                value, at = read(data, stepped(at, steps))
                _note(kept, (name, form, value), signatures, bases)
            at = stepped(at, plan.rest)
            unit.dies[kept.offset] = kept
            parent = parents[-1]
            (parent.children if parent else unit.top).append(kept)
        else:
            at = stepped(at, plan.skip)
        if at > end:
            raise ValueError(f"the entry at {start:#x} does not end in its unit")
        if plan.has_children:
            parents.append(kept)
    if parents:
        raise ValueError("the unit ends inside an entry")


def _note(die: Die, read: tuple[str, str, Any], signatures: Signatures, bases: Bases) -> None:
    """Keep an attribute of an entry, see :func:`_keep`."""
    name, form, value = read
    if name in _NAMES:
        if not isinstance(value, str):
            raise UnreadError(form)
        die.values[name.removeprefix("MIPS_")] = value
    elif name in _REFERENCES:
        raw = _Raw(f"DW_FORM_{form}", value)
        die.values[name] = _reference(raw, die.unit.offset, signatures, bases)
    elif name in _FLAGS:
        die.values[name] = bool(value)
    elif name in _PRESENCE:
        die.values[name] = True
    else:
        number = _number(value)
        if number is not None and not form.startswith("ref"):
            die.values[name] = number


def _stream(cu: CompileUnit | TypeUnit) -> Any:
    info = cu.dwarfinfo
    section = info.debug_types_sec if isinstance(cu, TypeUnit) else info.debug_info_sec
    assert section is not None
    return section.stream


def is_type(tag: str) -> bool:
    """Whether the tag of an entry is that of a type."""
    return tag in _TYPES or tag.endswith("_type")


def _is_telling(die: Die) -> bool:
    """Whether an entry shows that its unit was compiled with types."""
    typed = die.tag == "subprogram" and ("type" in die.values or "prototyped" in die.values)
    return typed or die.tag == "formal_parameter" or is_type(die.tag)


def _describe(unit: Unit, root: DIE, bases: Bases) -> None:
    values = root.attributes
    unit.name = _decoded(values["DW_AT_name"].value) if "DW_AT_name" in values else ""
    unit.directory = _decoded(values["DW_AT_comp_dir"].value) if "DW_AT_comp_dir" in values else ""
    language = values.get("DW_AT_language")
    number = None if language is None else language.value
    unit.assembler, unit.cxx = number == 0x8001, number in _CXX
    if unit.cxx:
        unit.language = "C++"
    elif number is None and root.tag == "DW_TAG_partial_unit":
        unit.language = ""
    elif number is not None and number not in _C:
        unit.language = _LANGUAGES.get(number, f"language {number:#x}")
    made = values["DW_AT_producer"].value if "DW_AT_producer" in values else b""
    levels = [word for word in _decoded(made).split() if _LEVEL.fullmatch(word)]
    unit.untyped = bool(levels) and levels[-1] in ("-g1", "-ggdb1")
    split = values.get("DW_AT_GNU_dwo_name") or values.get("DW_AT_dwo_name")
    unit.split = _decoded(split.value) if split is not None else ""
    own = values.get("DW_AT_GNU_dwo_id")
    unit.split_id = own.value if own is not None else root.cu.header.get("dwo_id")
    lines = values.get("DW_AT_stmt_list")
    if lines is not None and isinstance(lines.value, int):
        unit.lines = bases.lines + lines.value


def _keep(raw: DIE, unit: Unit, top: bool, known: tuple[Signatures, Bases]) -> Die | None:
    tag = str(raw.tag).removeprefix("DW_TAG_")
    tag = "typedef" if tag == "template_alias" else tag
    if not (is_type(tag) or tag in _PARTS or (top and tag == "variable")):
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
            values[name] = _reference(attribute, unit.offset, *known)
    return Die(tag, known[1].own + raw.offset, values, unit)


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


def _reference(attribute: Any, unit: int, signatures: Signatures, bases: Bases) -> int:
    form, raw = attribute.form, attribute.raw_value
    if form in ("DW_FORM_ref1", "DW_FORM_ref2", "DW_FORM_ref4", "DW_FORM_ref8"):
        return unit + int(raw)
    if form in ("DW_FORM_ref", "DW_FORM_ref_udata"):
        return unit + int(raw)
    if form == "DW_FORM_ref_addr":
        return bases.info + int(raw)
    if form in ("DW_FORM_GNU_ref_alt", "DW_FORM_ref_sup4", "DW_FORM_ref_sup8"):
        return bases.shared + int(raw)
    if form == "DW_FORM_ref_sig8" and raw in signatures:
        return signatures[raw]
    raise ValueError(f"a reference to nothing, {form} {raw}")

"""Reads the entries of a unit of debugging information by plans made of its abbreviations.

Most of what is in an entry is skipped; an abbreviation says of all its entries alike how
far each attribute reaches. So each is looked through once, and what it says of skipping and
reading is kept. What this does not read, it says so, and pyelftools is asked instead.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.typeunit import TypeUnit

Read: TypeAlias = Callable[[bytes, int], tuple[Any, int]]
"""Reads a value at an offset; it and the offset behind it."""

LEB, TEXT, BLOCK1, BLOCK2, BLOCK4, BLOCK = -1, -2, -3, -4, -5, -6
"""What is not of a size that the form tells: steps over it are done by hand."""

_FIXED: Final = {
    "data1": 1, "data2": 2, "data4": 4, "data8": 8, "data16": 16, "flag": 1, "flag_present": 0,
    "implicit_const": 0, "ref1": 1, "ref2": 2, "ref4": 4, "ref8": 8, "ref_sig8": 8, "strx1": 1,
    "strx2": 2, "strx3": 3, "strx4": 4, "addrx1": 1, "addrx2": 2, "addrx3": 3, "addrx4": 4,
}  # fmt: skip
_OFFSETS: Final = ("strp", "line_strp", "sec_offset")
_LEBS: Final = ("udata", "sdata", "ref_udata", "strx", "addrx", "loclistx", "rnglistx")
_SKIPPED: Final = {
    **dict.fromkeys(_LEBS, LEB), "string": TEXT, "block1": BLOCK1, "block2": BLOCK2,
    "block4": BLOCK4, "block": BLOCK, "exprloc": BLOCK,
}  # fmt: skip
_PREFIXES: Final = {BLOCK1: 1, BLOCK2: 2, BLOCK4: 4}


LONGEST: Final = 1 << 16
"""Bytes of a string; one that is longer, or damaged, is left to pyelftools and its budget."""


class UnreadError(Exception):
    """Something that is not read here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How the entries of one abbreviation are read.

    Attributes:
        tag: without ``DW_TAG_``.
        has_children: entries below follow.
        skip: steps over the whole entry: bytes, or one of the kinds above.
        parts: steps before an attribute that is wanted, its name without ``DW_AT_``, its
            form without ``DW_FORM_``, and how it is read.
        rest: steps behind the last of them.
    """

    tag: str
    has_children: bool
    skip: tuple[int, ...]
    parts: tuple[tuple[tuple[int, ...], str, str, Read], ...]
    rest: tuple[int, ...]


class Entries:
    """The plans of one unit, and the bytes that it is read from.

    Args:
        cu: the unit.
        stream: of the section that it is in.
        wanted: the names of the attributes that are read.
        known: the plans of tables of abbreviations that were met before.

    Raises:
        UnreadError: of a kind that is not read here.
    """

    def __init__(
        self,
        cu: CompileUnit | TypeUnit,
        stream: Any,
        wanted: frozenset[str],
        known: dict[tuple[int, ...], dict[int, Plan]],
    ) -> None:
        structs, info = cu.structs, cu.dwarfinfo
        self.data: bytes = stream.getvalue()
        self.wanted = wanted
        self.offset_size = 8 if structs.dwarf_format == 64 else 4
        self.address_size: int = cu["address_size"]
        self.version: int = cu["version"]
        self.order: Any = "little" if structs.little_endian else "big"
        self._table = cu.get_abbrev_table()
        self._texts = info.debug_str_sec, info.debug_line_str_sec
        key = (id(info), self._table.offset, self.offset_size, self.address_size, self.version)
        self.plans = known.setdefault(key, {})

    def plan(self, code: int) -> Plan:
        """How entries of an abbreviation are read."""
        found = self.plans.get(code)
        if found is None:
            found = self.plans[code] = self._plan(code)
        return found

    def _plan(self, code: int) -> Plan:
        declared: Any = self._table.get_abbrev(code)
        whole: list[int] = []
        parts: list[tuple[tuple[int, ...], str, str, Read]] = []
        before: list[int] = []
        for spec in declared["attr_spec"]:
            name, form = str(spec.name).removeprefix("DW_AT_"), str(spec.form)
            form = form.removeprefix("DW_FORM_")
            size = self._size(form)
            _add(whole, size)
            if name in self.wanted:
                parts.append((tuple(before), name, form, self._reader(form, size, spec.value)))
                before = []
            else:
                _add(before, size)
        tag = str(declared["tag"]).removeprefix("DW_TAG_")
        children = declared.has_children()
        return Plan(tag, children, tuple(whole), tuple(parts), tuple(before))

    def _size(self, form: str) -> int:
        """The bytes of a form, or one of the kinds above."""
        if form == "addr":
            return self.address_size
        if form in _OFFSETS:
            return self.offset_size
        if form == "ref_addr":
            return self.address_size if self.version < 3 else self.offset_size
        size = _FIXED.get(form, _SKIPPED.get(form))
        if size is None:
            raise UnreadError(form)
        return size

    def _reader(  # noqa: PLR0911 - a line a form
        self, form: str, size: int, given: Any
    ) -> Read:
        order = self.order
        if form == "implicit_const":
            return lambda data, at: (given, at)
        if form == "flag_present":
            return lambda data, at: (True, at)
        if form in ("strp", "line_strp"):
            return self._pointed(form, size)
        if form == "string":
            return _text
        if size == LEB:
            return signed_leb if form == "sdata" else leb
        if size < 0:
            return lambda data, at: _block(data, at, size, order)
        if form == "data16":
            return lambda data, at: (list(data[at : at + 16]), at + 16)
        return lambda data, at: (int.from_bytes(data[at : at + size], order), at + size)

    def _pointed(self, form: str, size: int) -> Read:
        section = self._texts[form == "line_strp"]
        if section is None:
            raise UnreadError(form)
        texts: bytes = section.stream.getvalue()  # type: ignore[attr-defined]
        order = self.order

        def read(data: bytes, at: int) -> tuple[str, int]:
            start = int.from_bytes(data[at : at + size], order)
            return _text(texts, start)[0], at + size

        return read

    def stepped(self, at: int, steps: tuple[int, ...]) -> int:
        """The offset behind some steps."""
        data = self.data
        for step in steps:
            if step >= 0:
                at += step
            elif step == LEB:
                while data[at] & 0x80:
                    at += 1
                at += 1
            elif step == TEXT:
                at = data.index(0, at) + 1
            elif step == BLOCK:
                size, at = leb(data, at)
                at += size
            else:
                wide = _PREFIXES[step]
                at += wide + int.from_bytes(data[at : at + wide], self.order)
        return at


def _add(steps: list[int], size: int) -> None:
    if size >= 0 and steps and steps[-1] >= 0:
        steps[-1] += size
    elif size:
        steps.append(size)


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(b"\0", at, at + LONGEST)
    if end < 0 or at >= len(data):
        raise UnreadError("string")
    return data[at:end].decode("utf-8", "replace"), end + 1


def _block(data: bytes, at: int, kind: int, order: Any) -> tuple[list[int], int]:
    if kind == BLOCK:
        size, at = leb(data, at)
    else:
        wide = _PREFIXES[kind]
        size, at = int.from_bytes(data[at : at + wide], order), at + wide
    return list(data[at : at + size]), at + size


def leb(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned number in LEB128, and the offset behind it."""
    value = data[at]
    at += 1
    if value < 0x80:
        return value, at
    value &= 0x7F
    shift = 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 10 * 7:
            raise ValueError("a number of more than 10 bytes")


def signed_leb(data: bytes, at: int) -> tuple[int, int]:
    """A signed number in LEB128, and the offset behind it."""
    value, end = leb(data, at)
    bits = 7 * (end - at)
    return value - (1 << bits) if value >> (bits - 1) & 1 else value, end


Plans: TypeAlias = dict[tuple[int, ...], dict[int, Plan]]

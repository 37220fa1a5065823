"""The named types that a file defines, and which functions and variables reach them.

A type is told by its members as text, so that two builds can be compared: where each lies
and what type it has. A type that has no name of its own is told as part of what names it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from replay.elf import ctype
from replay.elf.contents import READ
from replay.elf.debug import DebugInfo, Die, Unit
from replay.elf.dwarftypes import TAGGED, TypeReader
from replay.elf.errors import ElfError
from replay.elf.layouts import first_bit
from replay.elf.values import Leaf

MOST_ROWS: Final = 1 << 16
"""Members that are told of one type; damaged files can nest them in circles."""

LONGEST_ARRAY: Final = 4096
"""Elements of an array whose values are told by their members."""

_SIGNED: Final = (5, 6, 13)
_FLOAT: Final = 4
_ENCODED: Final = {2: "unsigned", 7: "unsigned", 8: "unsigned", 16: "unsigned"}


@dataclass(frozen=True, slots=True)
class Definition:
    """What a type is made of.

    Attributes:
        size: in bytes; None where unknown.
        rows: its members, values or meaning as text, in order.
    """

    size: int | None
    rows: tuple[str, ...]


@dataclass(slots=True)
class Known:
    """A named type.

    Attributes:
        definitions: the different ones, with the source files of the units that have them.
        uses: the named types that it is made of or points to.
    """

    definitions: dict[Definition, list[str]] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)


class Types:
    """The types of one file.

    Attributes:
        known: by their names, ``struct S``.
        variables: by name, their types as in C and where they are told; a name that has
            several types has none.
        users: the named types by the functions and variables whose types name them.
        untyped: whether a part of it was compiled without types (-g1).
    """

    untyped = False

    def __init__(self, debug: DebugInfo) -> None:
        self.debug = debug
        self.reader = TypeReader(debug)
        self.known: dict[str, Known] = {}
        self.variables: dict[str, tuple[str, int]] = {}
        self.users: dict[str, set[str]] = {}
        self._seen: set[tuple[object, ...]] = set()
        self._named: dict[int, frozenset[str]] = {}
        self._left = MOST_ROWS
        for unit in debug.units():
            # What dwz shares among units has no name, and may be nothing but a struct.
            self.untyped |= unit.untyped and bool(unit.name) and not unit.assembler
            if unit.language in READ:
                self._unit(unit)

    def _unit(self, unit: Unit) -> None:
        self._named.clear()
        for die in list(unit.dies.values()):
            try:
                self._entry(die, unit)
            except ElfError:
                # What C++ says of types may be more than is kept here.
                if unit.language == "C":
                    raise

    def _entry(self, die: Die, unit: Unit) -> None:
        self._left = MOST_ROWS
        if die.values.get("declaration"):
            return
        if (die.tag in TAGGED or die.tag == "typedef") and die.name:
            self._define(die, unit)
        elif die.tag == "subprogram":
            self._function(die)
        elif die.tag == "variable":
            self._variable(die)

    def _define(self, die: Die, unit: Unit) -> None:
        name = type_name(die)
        parts = tuple((c.name, *sorted(c.values.items())) for c in die.children)
        # A type of a header is in every unit that includes it: references are at other
        # offsets in each, so where it stands in the source tells the same ones apart.
        file = self.debug.file(die) or str(unit.offset)
        plain = tuple((p[0], *[v for v in p[1:] if v[0] != "type"]) for p in parts)
        place = (name, file, die.number("decl_line"), die.number("byte_size"), plain)
        if place in self._seen:
            self._note_unit(name, unit)
            return
        self._seen.add(place)
        found = self.known.setdefault(name, Known())
        found.uses |= self._reached(die)
        definition = self._definition(die)
        units = found.definitions.setdefault(definition, [])
        if unit.name not in units:
            units.append(unit.name)

    def _note_unit(self, name: str, unit: Unit) -> None:
        found = self.known.get(name)
        if found is not None and len(found.definitions) == 1:
            units = next(iter(found.definitions.values()))
            if unit.name not in units[-1:]:
                units.append(unit.name)

    def _definition(self, die: Die) -> Definition:
        size = self.reader.size(die)
        if die.tag == "enumeration_type":
            rows = (
                f"{c.name} = {c.values.get('const_value', '?')}"
                for c in die.children
                if c.tag == "enumerator"
            )
            return Definition(size, tuple(rows))
        if die.tag != "typedef":
            return Definition(size, tuple(self._members(die, 0, "")))
        target = self.reader.target(die)
        resolved = self.reader.resolved(target)
        if resolved is not None and resolved.tag in TAGGED and not resolved.name:
            return Definition(size, self._definition(resolved).rows)
        return Definition(size, (ctype.spell(self.reader.of(die)),))

    def _members(self, struct: Die, base: int, prefix: str) -> Iterator[str]:
        """The members of a struct that starts ``base`` bits into the named one."""
        for die in struct.children:
            if die.tag not in ("member", "inheritance"):
                continue
            self._left -= 1
            if self._left < 0:
                return
            target = self.reader.resolved(self.reader.target(die))
            size, bits = self.reader.size(target), die.number("bit_size")
            start = base + first_bit(self.debug.image, die, size, bits)
            named = f"{prefix}{die.name}"
            unnamed = target is not None and target.tag in TAGGED and not target.name
            if unnamed and target is not None and target.tag != "enumeration_type":
                yield from self._members(target, start, f"{named}." if die.name else prefix)
                continue
            kind = ctype.spell(self.reader.of(die))
            if unnamed and target is not None:
                kind = "enum { " + ", ".join(self._definition(target).rows) + " }"
            at = f"offset {start // 8}" if bits is None else f"bit {start}, {bits} bits"
            width = "" if size is None or bits is not None else f", {size} bytes"
            yield f"{named or '(base)'}: {kind}, {at}{width}"

    def _function(self, die: Die) -> None:
        name = die.name
        if not name and (declared := die.number("specification")) is not None:
            name = self.debug.die(declared).name
        if name:
            self.users.setdefault(name, set()).update(self._reached(die))

    def _variable(self, die: Die) -> None:
        source = die
        declared = die.number("specification")
        if declared is not None:
            source = self.debug.die(declared)
            source = die if "type" in die.values else source
        name = die.name or (self.debug.die(declared).name if declared is not None else "")
        if not name:
            return
        self.users.setdefault(name, set()).update(self._reached(source))
        told = ctype.spell(self.reader.of(source))
        if name in self.variables and self.variables[name][0] != told:
            told = ""
        self.variables[name] = told, source.offset

    def _reached(self, die: Die, depth: int = 0) -> frozenset[str]:
        """The named types that an entry's type and those of its parts name."""
        found: set[str] = set()
        parts = [die, *(c for c in die.children if c.tag in ("member", "formal_parameter"))]
        for part in parts:
            if part is die and die.tag in TAGGED:
                continue
            target = self.reader.target(part)
            if target is not None:
                found |= self._names(target, depth)
        return frozenset(found)

    def _names(self, die: Die, depth: int) -> frozenset[str]:
        if die.offset in self._named:
            return self._named[die.offset]
        if depth > ctype.DEEPEST:
            return frozenset()
        if die.name and (die.tag in TAGGED or die.tag == "typedef"):
            found = frozenset((type_name(die),))
        else:
            found = self._reached(die, depth + 1)
        self._named[die.offset] = found
        return found

    # --- values -----------------------------------------------------------------------

    def leaves(self, name: str) -> tuple[Leaf, ...]:
        """The parts of a variable that have values; none where its type is not known."""
        told, offset = self.variables.get(name, ("", 0))
        if not told:
            return ()
        self._left = MOST_ROWS
        return tuple(self._leaves(self.reader.target(self.debug.die(offset)), 0, "", 0))

    def _leaves(self, type_: Die | None, base: int, member: str, depth: int) -> Iterator[Leaf]:
        die = self.reader.resolved(type_)
        size = self.reader.size(die)
        self._left -= 1
        if die is None or not size or depth > ctype.DEEPEST or self._left < 0:
            return
        if die.tag == "array_type":
            yield from self._elements(die, base, member, depth)
        elif die.tag == "structure_type":
            for child in die.children:
                if child.tag != "member" or child.number("bit_size") is not None:
                    continue
                target = self.reader.target(child)
                start = first_bit(self.debug.image, child, self.reader.size(target), None) // 8
                inner = f"{member}.{child.name}" if child.name else member
                yield from self._leaves(target, base + start, inner, depth + 1)
            yield from self._packed(die, base, member)
        else:
            kind, little = _kind(die), self.debug.image.little_endian
            yield Leaf(base, size, member, kind, little)

    def _packed(self, struct: Die, base: int, member: str) -> Iterator[Leaf]:
        """The bytes of a struct that hold bit-fields."""
        image = self.debug.image
        found: set[int] = set()
        for child in struct.children:
            bits = child.number("bit_size")
            if child.tag == "member" and bits is not None:
                size = self.reader.size(self.reader.target(child))
                start = first_bit(image, child, size, bits)
                found.update(range(start // 8, (start + bits - 1) // 8 + 1))
        for at in sorted(found):
            yield Leaf(base + at, 1, f"{member} (bit-fields)".strip(), "unsigned")

    def _elements(self, die: Die, base: int, member: str, depth: int) -> Iterator[Leaf]:
        target = self.reader.target(die)
        element, whole = self.reader.size(target), self.reader.size(die) or 0
        inner = self.reader.resolved(target)
        if not element or inner is None:
            return
        if inner.tag == "base_type" and inner.number("encoding") in (6, 8) and element == 1:
            yield Leaf(base, whole, member, "text")
            return
        for number in range(min(whole // element, LONGEST_ARRAY)):
            start = base + number * element
            yield from self._leaves(target, start, f"{member}[{number}]", depth + 1)


def type_name(die: Die) -> str:
    """A named type with its keyword."""
    return f"{TAGGED.get(die.tag, 'typedef')} {die.name}"


def _kind(die: Die) -> str:
    encoding = die.number("encoding")
    if encoding == _FLOAT:
        return "float"
    if encoding in _SIGNED or die.tag == "enumeration_type":
        return "signed"
    return _ENCODED.get(encoding or 0, "" if die.tag == "base_type" else "unsigned")

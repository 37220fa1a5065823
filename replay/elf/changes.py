"""What comparing two builds gives, as plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from replay.elf.forms import Code
from replay.elf.names import plain
from replay.elf.referents import Difference


class Change(enum.Enum):
    """What became of a function."""

    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    UNKNOWN = "unknown"
    """It is in one file, and the other does not tell whether it has it: it is stripped."""


class Whole(enum.Enum):
    """What became of all the code and data of a file."""

    IDENTICAL = "identical code"
    DATA = "different data"
    DIFFERENT = "different code"
    UNDECIDED = "not decided"
    NOTHING = "nothing compared"


class Kind(enum.IntFlag):
    """The kinds of differences, as the exit code of the command tells them together.

    2, 3 and what is above 127 are errors of any command, and no sum of these.
    """

    CODE = 1
    """Functions or data differ, are added or removed; those that are exported are linkage, too."""
    UNCOMPARED = 4
    """Something could not be compared, as types without debug information."""
    INTERFACE = 8
    """A prototype, or the type of a variable."""
    LAYOUT = 16
    """The size of a variable, or the size, members or values of a type."""
    LINKAGE = 32
    """What is exported and how, and what the file needs."""


KINDS: Final = {
    Kind.CODE: "code", Kind.UNCOMPARED: "not compared", Kind.INTERFACE: "interface",
    Kind.LAYOUT: "layout", Kind.LINKAGE: "linkage",
}  # fmt: skip


UNTYPED: Final = "files whose types are not known"
PARTIAL: Final = "files without the names of local functions"
"""What cannot be compared of whole files."""


@dataclass(frozen=True, slots=True)
class Side:
    """A function in one build.

    Attributes:
        name: a local name that occurs more than once has its source file before it.
        prototype: empty if unknown: no debug information, or a part of a function.
        size: bytes of its code; None if it has none of its own.
        types: the prototype without names of parameters and function; empty if unknown.
    """

    name: str
    prototype: str
    size: int | None
    types: str = ""


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function in two builds; one side is None for what was added or removed.

    Attributes:
        retargeted: references that lead elsewhere, as (before, after).
        uncompared: references and operands that could not be compared.
        data: the variables and constants that it refers to and that hold something else.
    """

    change: Change
    before: Side | None
    after: Side | None
    code: Code
    retargeted: tuple[tuple[str, str], ...] = ()
    uncompared: int = 0
    data: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its name, that before if it was renamed."""
        side = self.before or self.after
        return side.name if side else ""

    @property
    def signature_changed(self) -> bool:
        """Whether both prototypes are known and differ, apart from a new name."""
        if not self.before or not self.after:
            return False
        old, new = self.before.prototype, self.after.prototype
        called = f"{plain(self.before.name)}("
        if self.change is Change.RENAMED and called not in old:
            return self.types_changed  # symbols are not called as functions are, in C++
        if self.change is Change.RENAMED:
            old = old.replace(called, f"{plain(self.after.name)}(", 1)
        return bool(old and new) and old != new

    @property
    def types_changed(self) -> bool:
        """Whether both prototypes are known and differ for who calls it."""
        known = self.before and self.after and self.before.types and self.after.types
        return bool(known) and self.before.types != self.after.types  # type: ignore[union-attr]

    @property
    def size_changed(self) -> bool:
        """Whether its code has another size, or is there on one side only."""
        return bool(self.before and self.after) and (
            self.before.size != self.after.size  # type: ignore[union-attr]
        )


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable or constant in one build.

    Attributes:
        type: as in C; empty if unknown.
        size: in bytes.
    """

    type: str
    size: int


@dataclass(frozen=True, slots=True)
class DataChange:
    """A variable or constant in two builds; one side is None for what was added or removed.

    Attributes:
        differences: where it holds something else at the start.
        uncompared: pointers in it that could not be compared.
    """

    change: Change
    name: str
    before: Variable | None
    after: Variable | None
    differences: tuple[Difference, ...] = ()
    uncompared: int = 0

    @property
    def size_changed(self) -> bool:
        """Whether it is in both, in another size."""
        return bool(self.before and self.after) and (
            self.before.size != self.after.size  # type: ignore[union-attr]
        )

    @property
    def type_changed(self) -> bool:
        """Whether both types are known and differ."""
        if not self.before or not self.after or not self.before.type or not self.after.type:
            return False
        return self.before.type != self.after.type


@dataclass(frozen=True, slots=True)
class TypeChange:
    """A type of the source, or what is said of it, in two builds.

    Attributes:
        name: with its keyword: ``struct S``, ``enum e``, ``typedef T``.
        before, after: bytes; None where it is not there, or its size is not known.
        removed, added: its members, values or meaning that only one build has, as text.
        users: the functions and variables through whose types it is reached.
        units: the source files that define it otherwise than others do, with what they
            say; empty if all of a build agree.
    """

    change: Change
    name: str
    before: int | None
    after: int | None
    removed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkageChange:
    """What changed of how a file or one of its symbols is linked.

    Attributes:
        name: of the symbol; empty for the file.
        what: exported, version, visibility, binding, kind, aliases, section, SONAME...
        before, after: in words; empty where there is none.
    """

    name: str
    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two builds.

    Attributes:
        a, b: their paths.
        verdict: of the code of the functions that were compared, renames apart.
        functions: all that were compared, by name.
        masked: whether what depends on layout was masked; else only bytes were compared.
        notes: what limits the verdict, in words.
        data: all variables and constants with a name that were compared.
        types: those that differ.
        linkage: what differs.
        uncompared: what could not be compared, and how many of it.
        unmatched: of the patterns that were asked for, those that fit nothing.
    """

    a: str
    b: str
    verdict: Whole
    functions: tuple[FunctionChange, ...]
    masked: bool
    notes: tuple[str, ...]
    data: tuple[DataChange, ...] = ()
    types: tuple[TypeChange, ...] = ()
    linkage: tuple[LinkageChange, ...] = ()
    uncompared: tuple[tuple[str, int], ...] = ()
    unmatched: tuple[str, ...] = ()

    def changes(self) -> tuple[FunctionChange, ...]:
        """The functions that are not the same."""
        return tuple(f for f in self.functions if f.change is not Change.SAME)

    @property
    def kinds(self) -> Kind:
        """The kinds of differences; none if all was compared and is the same."""
        tests = {
            Kind.CODE: self.verdict in (Whole.DIFFERENT, Whole.DATA),
            Kind.UNCOMPARED: bool(self.uncompared)
            or self.verdict in (Whole.UNDECIDED, Whole.NOTHING),
            Kind.INTERFACE: any(f.types_changed for f in self.functions)
            or any(d.type_changed for d in self.data),
            Kind.LAYOUT: any(d.size_changed for d in self.data) or bool(self.types),
            Kind.LINKAGE: bool(self.linkage),
        }
        found = Kind(0)
        for kind, holds in tests.items():
            found |= kind if holds else Kind(0)
        return found

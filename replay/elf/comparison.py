"""What changed between two builds, function by function.

The guarantee is one-sided. *Identical* is said of a function only if both builds have the
same instructions and every address in them leads to a place known to be the same: the
same function, the same offset in the same variable, an equal constant. What such places
hold is compared only if it is a function or a constant without a name. Where a reference
leads to data without a name, or the machine is not x86-64, the result says so instead;
*different* may then still be due to layout. See :class:`replay.elf.code.Code`.

A rename is likely, never certain: a function that is gone and one that is new, with
identical code, and no other that could be meant. A function that was inlined everywhere
has no code to tell it by.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.elf.code import Code, CodeReader, Form, FormMatch, compare_forms
from replay.elf.contents import FunctionInfo, Selection, read_functions
from replay.elf.debug import DebugInfo
from replay.elf.errors import ElfError
from replay.elf.image import Image, Symbol
from replay.elf.names import Names, shared_names
from replay.elf.places import Atlas
from replay.errors import UsageError

MOST_PAIRS: Final = 256
"""Of one code: among more functions alike no rename is looked for."""


class Change(enum.Enum):
    """What became of a function."""

    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"


class Whole(enum.Enum):
    """What became of all the code of a file."""

    IDENTICAL = "identical code"
    DIFFERENT = "different code"
    UNDECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class Side:
    """A function in one build.

    Attributes:
        name: a local name that occurs more than once has its source file before it.
        prototype: empty if unknown: no debug information, or a part of a function.
        size: bytes of its code; None if it has none of its own.
    """

    name: str
    prototype: str
    size: int | None


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function in two builds; one side is None for what was added or removed.

    Attributes:
        retargeted: references that lead elsewhere, as (before, after).
        uncompared: references and operands that could not be compared.
    """

    change: Change
    before: Side | None
    after: Side | None
    code: Code
    retargeted: tuple[tuple[str, str], ...] = ()
    uncompared: int = 0

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
        if self.change is Change.RENAMED:
            old = old.replace(f"{_plain(self.before.name)}(", f"{_plain(self.after.name)}(", 1)
        return bool(old and new) and old != new

    @property
    def size_changed(self) -> bool:
        """Whether its code has another size, or is there on one side only."""
        return bool(self.before and self.after) and (
            self.before.size != self.after.size  # type: ignore[union-attr]
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two builds.

    Attributes:
        a, b: their paths.
        verdict: of the code of the functions that were compared, renames apart.
        functions: all that were compared, by name.
        masked: whether what depends on layout was masked; else only bytes were compared.
        notes: what limits the verdict, in words.
    """

    a: str
    b: str
    verdict: Whole
    functions: tuple[FunctionChange, ...]
    masked: bool
    notes: tuple[str, ...]

    def changes(self) -> tuple[FunctionChange, ...]:
        """The functions that are not the same."""
        return tuple(f for f in self.functions if f.change is not Change.SAME)


def compare(a: Path | str, b: Path | str, only: Selection | None = None) -> Comparison:
    """Compare two builds of the same source files, function by function.

    Args:
        a: the build before: an object, shared library or executable.
        b: the build after, of the same kind.
        only: the functions that are wanted; all by default.

    Raises:
        ElfError: a file cannot be read, or has neither symbols nor debug information.
        UsageError: the files are of different kinds or for different machines.
    """
    with Image(a) as before, Image(b) as after:
        for word, x, y in (
            ("machine", before.machine, after.machine),
            ("kind", before.type, after.type),
            ("word size", before.bits, after.bits),
        ):
            if x != y:
                raise UsageError(
                    f"{a} and {b} differ in {word}, {x} and {y}; compare two builds alike"
                )
        names = shared_names((before, after))
        sides = [_Build(i, n, only) for i, n in zip((before, after), names, strict=True)]
        return _Comparer(*sides).run(str(a), str(b))


class _Build:
    """The functions of one file."""

    def __init__(self, image: Image, names: Names, only: Selection | None) -> None:
        self.image = image
        self.reader = CodeReader(Atlas(image, names))
        self.code = _coded(image, names, only)
        self.known: dict[str, list[FunctionInfo]] = {}
        self.debug = image.find(".debug_info") is not None
        if self.debug:
            for function in read_functions(DebugInfo(image), only):
                self.known.setdefault(function.name, []).append(function)
        elif image.symbol_table is None:
            raise ElfError(
                image.path,
                "stripped: it has neither symbols nor debug information",
                "build it with -g, and do not strip it",
            )
        with_code = {_plain(name) for name in self.code}
        self.names = set(self.code) | {n for n in self.known if n not in with_code}

    def form(self, name: str) -> Form | None:
        return self.reader.form(self.code[name])

    def side(self, name: str) -> Side:
        symbol = self.code.get(name)
        size = self.reader.size(symbol) if symbol else None
        return Side(name, self.prototype(name), size)

    def prototype(self, name: str) -> str:
        """The prototype of a function; of several of one name, that of the same file."""
        found = self.known.get(_plain(name), [])
        file = name.rpartition(":")[0]
        if file:
            found = [f for f in found if Path(f.file).name == file] or found
        prototypes = {f.prototype for f in found}
        return prototypes.pop() if len(prototypes) == 1 else ""

    def types(self, name: str) -> str:
        """The prototype without names of parameters and function; empty if unknown."""
        found = {f.types for f in self.known.get(_plain(name), [])}
        return found.pop().replace(_plain(name) + "(", "(", 1) if len(found) == 1 else ""


def _coded(image: Image, names: Names, only: Selection | None) -> dict[str, Symbol]:
    """The functions with code by name; of several names for one, each."""
    found: dict[str, Symbol] = {}
    for symbol in image.symbols:
        wanted = symbol.name and (only is None or symbol.name in only)
        if symbol.is_function and wanted:
            found.setdefault(names(symbol), symbol)
    return found


def _plain(name: str) -> str:
    """A function's name in the source, without file or number."""
    return name.rpartition(":")[2].partition("#")[0]


class _Comparer:
    def __init__(self, before: _Build, after: _Build) -> None:
        self.before = before
        self.after = after
        self.renames: dict[str, str] = {}
        self.renamed: dict[str, frozenset[str]] = {}
        self.equal = before.image.fingerprint == after.image.fingerprint

    def run(self, a: str, b: str) -> Comparison:
        self.renames = self._find_renames()
        self.renamed = {old: frozenset((new,)) for old, new in self.renames.items()}
        renamed_to = set(self.renames.values())
        names = (self.before.names | self.after.names) - set(self.renames) - renamed_to
        changes = [self._common(name) for name in names]
        changes += [self._pair(old, new, Change.RENAMED) for old, new in self.renames.items()]
        changes.sort(key=lambda change: change.name)
        masked = self.before.reader.masks
        return Comparison(a, b, self._whole(changes), tuple(changes), masked, self._notes(changes))

    def _common(self, name: str) -> FunctionChange:
        if name not in self.after.names:
            code = Code.ONE_SIDE if name in self.before.code else Code.NONE
            return FunctionChange(Change.REMOVED, self.before.side(name), None, code)
        if name not in self.before.names:
            code = Code.ONE_SIDE if name in self.after.code else Code.NONE
            return FunctionChange(Change.ADDED, None, self.after.side(name), code)
        return self._pair(name, name, Change.SAME)

    def _pair(self, old: str, new: str, change: Change) -> FunctionChange:
        before, after = self.before.side(old), self.after.side(new)
        verdict = self._verdict(old, new)
        found = FunctionChange(
            change, before, after, verdict.code, verdict.retargeted, verdict.uncompared
        )
        if change is Change.SAME and (found.signature_changed or _differs(verdict.code)):
            return FunctionChange(
                Change.CHANGED,
                before,
                after,
                verdict.code,
                verdict.retargeted,
                verdict.uncompared,
            )
        return found

    def _verdict(self, old: str, new: str) -> FormMatch:
        here, there = old in self.before.code, new in self.after.code
        if not here or not there:
            return FormMatch(Code.ONE_SIDE if here or there else Code.NONE)
        x, y = self.before.code[old], self.after.code[new]
        if self.equal and (x.value, x.size, x.section) == (y.value, y.size, y.section):
            return FormMatch(Code.IDENTICAL)
        return compare_forms(self.before.form(old), self.after.form(new), self.renamed)

    def _find_renames(self) -> dict[str, str]:
        """Which removed function is which added one, where only one can be meant.

        First all pairs are taken for possible whose masked bytes agree; then those are
        dropped, until nothing changes, whose references agree under no possible pair.
        So functions that call one another can be found together.
        """
        gone = {n: self.before.form(n) for n in self.before.code if n not in self.after.names}
        new = {n: self.after.form(n) for n in self.after.code if n not in self.before.names}
        pairs: set[tuple[str, str]] = set()
        added = _by_code(new)
        for code, olds in _by_code(gone).items():
            news = added.get(code, [])
            if len(olds) * len(news) <= MOST_PAIRS:
                pairs |= {(old, other) for old in olds for other in news}
        pairs = _consistent(pairs, gone, new)
        return dict(_consistent(self._unambiguous(pairs), gone, new))

    def _unambiguous(self, pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
        alone = _one_to_one(pairs)
        alike = {
            (old, new)
            for old, new in pairs - alone
            if self.before.types(old) and self.before.types(old) == self.after.types(new)
        }
        return alone | _one_to_one(alike)

    def _whole(self, changes: Iterable[FunctionChange]) -> Whole:
        codes = {change.code for change in changes}
        if codes & {Code.DIFFERENT, Code.ONE_SIDE}:
            return Whole.DIFFERENT
        partial = {self.before.image.symbol_table, self.after.image.symbol_table} != {"SHT_SYMTAB"}
        if partial or codes - {Code.IDENTICAL, Code.NONE}:
            return Whole.UNDECIDED
        return Whole.IDENTICAL

    def _notes(self, changes: Iterable[FunctionChange]) -> tuple[str, ...]:
        notes = []
        for build in (self.before, self.after):
            path = build.image.path
            if build.image.symbol_table != "SHT_SYMTAB":
                notes.append(f"{path} is stripped: only exported functions were compared")
            if not build.debug:
                notes.append(f"{path} has no debug information: prototypes are unknown")
        if not self.before.reader.masks:
            notes.append(
                f"code bytes compared without masking: {self.before.image.machine} is not known"
            )
        elif any(change.code in (Code.BYTES, Code.OTHER_BYTES) for change in changes):
            notes.append("some functions: code bytes compared without masking")
        unnamed = sum(change.code is Code.MASKED for change in changes)
        if unnamed:
            notes.append(
                f"{unnamed} functions refer to data without a name, which was not compared"
            )
        return tuple(notes)


def _differs(code: Code) -> bool:
    return code in (Code.DIFFERENT, Code.OTHER_BYTES, Code.ONE_SIDE)


def _consistent(
    pairs: set[tuple[str, str]], gone: dict[str, Form | None], new: dict[str, Form | None]
) -> set[tuple[str, str]]:
    """The largest set of pairs whose code is the same if all of them are renames."""
    while True:
        renamed: dict[str, frozenset[str]] = {}
        for old, other in pairs:
            renamed[old] = renamed.get(old, frozenset()) | {other}
        kept = {
            (old, other)
            for old, other in pairs
            if compare_forms(gone[old], new[other], renamed).code in (Code.IDENTICAL, Code.MASKED)
        }
        if kept == pairs:
            return pairs
        pairs = kept


def _by_code(forms: dict[str, Form | None]) -> dict[bytes, list[str]]:
    """The functions by their masked bytes, without those that could not be masked."""
    found: dict[bytes, list[str]] = {}
    for name, form in forms.items():
        if form is not None and not form.raw:
            found.setdefault(form.code, []).append(name)
    return found


def _one_to_one(pairs: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """The pairs whose parts are in no other pair."""
    olds = Counter(old for old, _ in pairs)
    news = Counter(new for _, new in pairs)
    return {(old, new) for old, new in pairs if olds[old] == 1 and news[new] == 1}

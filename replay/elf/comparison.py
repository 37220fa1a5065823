"""What changed between two builds: functions, data, types, and how they are linked.

The guarantee is one-sided. *Identical* is said of a function only if both builds have the
same instructions and every address in them leads to a place known to be the same: the
same function, the same offset in the same variable, equal data where there is no name.
What variables hold at the start is compared by itself; a function that refers to one that
holds something else is not identical. Where a reference leads to what cannot be told, or
its machine is not known here, the result says so instead; *different* may then still be due to
layout. See :class:`replay.elf.forms.Code`.

A rename is likely, never certain: a function that is gone and one that is new, with
identical code, and no other that could be meant. A function that was inlined everywhere
has no code to tell it by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from replay.elf.builds import Build
from replay.elf.changes import (
    PARTIAL,
    UNTYPED,
    Change,
    Comparison,
    DataChange,
    FunctionChange,
    Side,
    TypeChange,
    Whole,
)
from replay.elf.code import Code, Form, FormMatch, compare_forms
from replay.elf.contents import Selection
from replay.elf.datacompare import DataComparer, variables_in
from replay.elf.elsewhere import adopt_symbols
from replay.elf.errors import ElfError
from replay.elf.image import Image
from replay.elf.linkage import compare_linkage
from replay.elf.names import plain, shared_names
from replay.elf.referents import Renamed
from replay.elf.renaming import find_renames
from replay.elf.saved import SavedBuild
from replay.elf.typecompare import compare_types
from replay.elf.uncovered import pieces, uncompared_data
from replay.errors import UsageError

__all__ = ["Change", "Comparison", "FunctionChange", "Side", "Whole", "compare"]

STRIPPED = "build it with -g, and do not strip it"

START_FILES: Final = frozenset(
    ("deregister_tm_clones", "register_tm_clones", "__do_global_dtors_aux", "frame_dummy")
)
"""Functions that the compiler links to every file, and that mean the ends of its sections: what
is named there is no matter to them."""


def compare(
    a: Path | str,
    b: Path | str,
    only: Selection | None = None,
    debug_folders: Sequence[Path] = (),
) -> Comparison:
    """Compare two builds of the same source files.

    Args:
        a: the build before: an object, shared library or executable.
        b: the build after, of the same kind.
        only: the functions, variables and types that are wanted; all by default.
        debug_folders: where separate debug information is looked for, beside the usual places.

    Raises:
        ElfError: a file cannot be read, or neither has symbols or debug information.
        UsageError: the files are of different kinds or for different machines.
    """
    with Image(a, debug_folders) as before, Image(b, debug_folders) as after:
        adopt_symbols(before)
        adopt_symbols(after)
        refuse_unlike(before, after)
        names = shared_names((before, after))
        sides = Build(before, names[0], only), Build(after, names[1], only)
        return compare_builds(*sides, only)


def refuse_unlike(before: Image, after: Image) -> None:
    """Refuse two files that cannot be builds of the same.

    Raises:
        UsageError: they are of different kinds or for different machines.
    """
    for word, x, y in (
        ("machine", before.machine, after.machine),
        ("kind", before.type, after.type),
        ("word size", before.bits, after.bits),
    ):
        if x != y:
            raise UsageError(
                f"{before.path} and {after.path} differ in {word}, {x} and {y}; "
                f"compare two builds alike"
            )


def compare_builds(before: Build, after: Build, only: Selection | None) -> Comparison:
    """Compare two builds whose names mean the same.

    Raises:
        ElfError: neither has symbols or debug information.
    """
    if before.is_bare and after.is_bare:
        problem = "stripped: it has neither symbols nor debug information"
        raise ElfError(before.image.path, problem, STRIPPED)
    paths = str(before.image.path), str(after.image.path)
    return _Comparer(before, after, only).run(*paths)


class _Comparer:
    def __init__(self, before: Build, after: Build, only: Selection | None) -> None:
        self.before = before
        self.after = after
        self.only = only
        self.renames: dict[str, str] = {}
        self.renamed: Renamed = {}
        hollow = before.is_hollow or after.is_hollow
        self.equal = not hollow and before.image.fingerprint == after.image.fingerprint
        self.uncovered = 0

    def run(self, a: str, b: str) -> Comparison:
        before, after = self.before, self.after
        gone = {n: before.form(n) for n in before.code if n not in after.code}
        new = {n: after.form(n) for n in after.code if n not in before.code}
        self.renames = find_renames(gone, new, self._alike)
        data = DataComparer(
            before, after, {o: frozenset((n,)) for o, n in self.renames.items()}, self.equal
        )
        self.renamed = data.renamed
        changes = [self._referring(change, data) for change in self._functions()]
        changes.sort(key=lambda change: change.name)
        self.uncovered = self._uncovered(changes, data)
        return Comparison(
            a,
            b,
            self._whole(changes, data.changes),
            tuple(changes),
            before.reader.masks,
            self._notes(changes),
            data.changes,
            tuple(self._types()),
            compare_linkage(before, after, self.renamed),
            uncompared=self._uncompared(changes, data.changes),
            unmatched=self._unmatched(),
        )

    def _alike(self, old: str, new: str) -> bool:
        types = self.before.signature(old)
        return bool(types) and types == self.after.signature(new)

    def _types(self) -> Sequence[TypeChange]:
        if self.before.types is None or self.after.types is None:
            return ()
        wanted = None
        if self.only is not None:
            names = {n for b in self._builds for n in (*b.code, *b.inlined, *b.variables)}
            wanted = frozenset(map(plain, names))
        return compare_types(self.before.types, self.after.types, wanted)

    def _functions(self) -> Iterable[FunctionChange]:
        before, after = self.before, self.after
        names = before.code.keys() | after.code.keys()
        if before.debug and after.debug:
            names |= before.inlined | after.inlined
        renamed_to = set(self.renames.values())
        for name in names - set(self.renames) - renamed_to:
            yield self._common(name)
        for old, new in self.renames.items():
            yield self._pair(old, new, Change.RENAMED)

    def _common(self, name: str) -> FunctionChange:
        here = name in self.before.code or name in self.before.inlined
        there = name in self.after.code or name in self.after.inlined
        if here and there:
            return self._pair(name, name, Change.SAME)
        build, other = (self.before, self.after) if here else (self.after, self.before)
        symbol = build.code.get(name)
        code = Code.ONE_SIDE if symbol else Code.NONE
        change = Change.REMOVED if here else Change.ADDED
        if symbol and not other.lacks(symbol):
            change, code = Change.UNKNOWN, Code.UNKNOWN
        side = build.side(name)
        return FunctionChange(change, side if here else None, None if here else side, code)

    def _pair(self, old: str, new: str, change: Change) -> FunctionChange:
        verdict = self._verdict(old, new)
        found = FunctionChange(
            change,
            self.before.side(old),
            self.after.side(new),
            verdict.code,
            verdict.retargeted,
            verdict.uncompared,
        )
        if change is Change.SAME and (found.signature_changed or _differs(verdict.code)):
            return replace(found, change=Change.CHANGED)
        return found

    def _verdict(self, old: str, new: str) -> FormMatch:
        here, there = old in self.before.code, new in self.after.code
        if not here or not there:
            return FormMatch(Code.ONE_SIDE if here or there else Code.NONE)
        x, y = self.before.code[old], self.after.code[new]
        if self.equal and (x.value, x.size, x.section) == (y.value, y.size, y.section):
            return FormMatch(Code.IDENTICAL)
        form, other = self.before.form(old), self.after.form(new)
        if old in START_FILES and form and other and form.code == other.code:
            return FormMatch(Code.IDENTICAL)
        return compare_forms(form, other, self.renamed)

    def _referring(self, change: FunctionChange, data: DataComparer) -> FunctionChange:
        """A function with the data that it refers to, where that holds something else."""
        alike = change.code in (Code.IDENTICAL, Code.MASKED)
        if not alike or not change.before or not data.changed:
            return change
        form: Form | None = self.before.form(change.before.name)
        used = variables_in(reference.place for reference in form.references) if form else set()
        found = tuple(sorted(data.reached(used)))
        if not found:
            return change
        whole = Change.CHANGED if change.change is Change.SAME else change.change
        return replace(change, change=whole, code=Code.DATA, data=found)

    # --- the whole --------------------------------------------------------------------

    def _uncovered(self, changes: Sequence[FunctionChange], data: DataComparer) -> int:
        """Bytes of data in no variable that could not be compared."""
        if self.equal or self.only is not None:
            return 0
        first, second = (
            build.uncovered if isinstance(build, SavedBuild) else pieces(build)
            for build in self._builds
        )
        different = bool(data.changed) or any(_differs(c.code) for c in changes)
        return uncompared_data(first, second, self.renamed, different)

    def _whole(self, changes: Sequence[FunctionChange], data: Sequence[DataChange]) -> Whole:
        codes = {change.code for change in changes}
        if codes & {Code.DIFFERENT, Code.ONE_SIDE}:
            return Whole.DIFFERENT
        moved = {d.change for d in data} - {Change.SAME, Change.UNKNOWN}
        if Code.DATA in codes or moved:
            return Whole.DATA
        compared = any(c.before and c.after for c in changes) or any(
            d.before and d.after for d in data
        )
        anything = bool(changes or data) or any(b.unnamed_code for b in self._builds)
        if not compared and (anything or self.only):
            return Whole.NOTHING
        partial = {b.image.symbol_table for b in self._builds} - {"SHT_SYMTAB"}
        doubtful = self.uncovered > 0 or any(
            d.change is Change.UNKNOWN or d.uncompared for d in data
        )
        if doubtful or codes - {Code.IDENTICAL, Code.NONE} or (partial and anything):
            return Whole.UNDECIDED
        unnamed = any(b.unnamed_code for b in self._builds) and self.only is None
        return Whole.UNDECIDED if unnamed and not self.equal else Whole.IDENTICAL

    @property
    def _builds(self) -> tuple[Build, Build]:
        return self.before, self.after

    def _uncompared(
        self, changes: Sequence[FunctionChange], data: Sequence[DataChange]
    ) -> tuple[tuple[str, int], ...]:
        """What could not be compared, and how many of it."""
        unmasked = (Code.BYTES, Code.OTHER_BYTES)
        unnamed = 0 if self.equal or self.only else max(b.unnamed_code for b in self._builds)
        found = {
            "functions that one file does not tell of": _count(changes, Change.UNKNOWN),
            "functions whose code a file does not hold": sum(
                c.code is Code.UNKNOWN and c.change is not Change.UNKNOWN for c in changes
            ),
            "functions of which only bytes were compared": sum(c.code in unmasked for c in changes),
            "references from functions": sum(
                c.uncompared for c in changes if c.code not in unmasked
            ),
            "bytes of code in no function": unnamed,
            "bytes of data in no variable": self.uncovered,
            "variables that one file does not tell of": _count(data, Change.UNKNOWN),
            "pointers in variables": sum(d.uncompared for d in data),
            UNTYPED: sum(bool(b.untold) for b in self._builds),
            PARTIAL: sum(map(_is_partial, self._builds)),
        }
        return tuple((what, count) for what, count in found.items() if count)

    def _unmatched(self) -> tuple[str, ...]:
        if self.only is None:
            return ()
        names = {
            name
            for build in self._builds
            for name in (*build.code, *build.inlined, *build.variables)
        }
        return self.only.unmatched(names)

    def _notes(self, changes: Iterable[FunctionChange]) -> tuple[str, ...]:
        notes = []
        for build in self._builds:
            path = build.image.path
            if _is_partial(build):
                notes.append(f"{path} is stripped: only exported functions were compared")
            elif build.is_bare:
                notes.append(f"{path} is stripped: it has no symbols; {STRIPPED}")
            if not build.debug:
                notes.append(
                    f"{path} has no debug information to read, so prototypes and types are "
                    f"unknown: {build.problem}"
                )
            elif build.untold:
                notes.append(f"{path}: types not known: {build.untold}; build it with -g")
            if build.is_hollow:
                notes.append(f"{path} holds no code and data: it is a file of debug information")
        if not self.before.reader.masks:
            notes.append(
                f"code bytes compared without masking: {self.before.image.machine} is not known"
            )
        elif any(change.code in (Code.BYTES, Code.OTHER_BYTES) for change in changes):
            notes.append("some functions: code bytes compared without masking")
        unnamed = sum(change.code is Code.MASKED for change in changes)
        if unnamed:
            code = f"the code of {unnamed} function" + "s" * (unnamed != 1)
            notes.append(f"{code} refers to what has no name and was not compared")
        return tuple(dict.fromkeys(notes))


def _count(changes: Sequence[FunctionChange] | Sequence[DataChange], wanted: Change) -> int:
    return sum(change.change is wanted for change in changes)


def _is_partial(build: Build) -> bool:
    """Whether only exported symbols are left."""
    return build.image.symbol_table not in ("SHT_SYMTAB", None)


def _differs(code: Code) -> bool:
    return code in (Code.DIFFERENT, Code.OTHER_BYTES, Code.ONE_SIDE)

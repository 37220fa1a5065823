"""Many files in one comparison: archives and folders, matched by name.

In a folder every ELF file counts, and every archive with each of its members; what else
is there is counted. Several members of an archive with one name are told apart: which
one is which is told by the symbols that they define, then by their order.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final, TypeAlias

from replay.elf.archives import Stored, archive_members, is_archive
from replay.elf.changes import Change, Comparison, Kind, Whole
from replay.elf.comparison import compare
from replay.elf.contents import Selection
from replay.elf.disassembly import Disassembly, disassemble
from replay.elf.errors import ElfError, reading
from replay.elf.image import Image
from replay.errors import UsageError

_MAGIC: Final = b"\x7fELF"
_BLOCK: Final = 1 << 20

MOST_PAIRS: Final = 4096
"""Of members with one name; more are taken in their order."""

Pair: TypeAlias = tuple[Stored | None, Stored | None]
Symbols: TypeAlias = Callable[[Stored], frozenset[str] | None]


@dataclass(frozen=True, slots=True)
class Bundle:
    """An archive or a folder.

    Attributes:
        kind: "archive" or "folder".
        stored: what can be compared in it, by name.
        left_out: how many files in the folder are none that is read here.
    """

    path: Path
    kind: str
    stored: tuple[Stored, ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class MemberChange:
    """What became of one member or file.

    Attributes:
        change: SAME, CHANGED, ADDED, REMOVED, or UNKNOWN where it could not be compared.
        before: its name in the first; empty if it is not there.
        after: the same of the second.
        comparison: none where its bytes are the same, or it is on one side only.
        problem: why it could not be compared.
        code: the functions that differ, if they were asked for.
    """

    change: Change
    before: str
    after: str
    comparison: Comparison | None = None
    problem: str = ""
    code: Disassembly | None = None

    @property
    def name(self) -> str:
        """Its name, that in the first if it is there."""
        return self.before or self.after

    @property
    def kinds(self) -> Kind:
        """The kinds of differences."""
        if self.comparison is not None:
            return self.comparison.kinds
        if self.change is Change.UNKNOWN:
            return Kind.UNCOMPARED
        return Kind(0) if self.change is Change.SAME else Kind.CODE


@dataclass(frozen=True, slots=True)
class BundleComparison:
    """Two archives or folders.

    Attributes:
        a, b: their paths.
        kind: "archive" or "folder".
        members: all of both, by name.
        notes: what limits the verdict, in words.
        unmatched: of the patterns that were asked for, those that fit nothing in any member.
    """

    a: str
    b: str
    kind: str
    members: tuple[MemberChange, ...]
    notes: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()

    @property
    def verdict(self) -> Whole:
        """Of the code and data of all members."""
        verdicts = {m.comparison.verdict for m in self.members if m.comparison is not None}
        equal = any(m.change is Change.SAME and m.comparison is None for m in self.members)
        if not equal and not verdicts - {Whole.NOTHING}:
            return Whole.NOTHING
        one_sided = any(m.change in (Change.ADDED, Change.REMOVED) for m in self.members)
        if Whole.DIFFERENT in verdicts or one_sided:
            return Whole.DIFFERENT
        if Whole.DATA in verdicts:
            return Whole.DATA
        unknown = any(m.change is Change.UNKNOWN for m in self.members)
        if unknown or verdicts & {Whole.UNDECIDED, Whole.NOTHING}:
            return Whole.UNDECIDED
        return Whole.IDENTICAL

    @property
    def kinds(self) -> Kind:
        """The kinds of differences of all members; UNCOMPARED if nothing was compared."""
        found = Kind.UNCOMPARED if self.verdict is Whole.NOTHING else Kind(0)
        for member in self.members:
            found |= member.kinds
        return found


def is_bundle(path: Path | str) -> bool:
    """Whether a path leads to a folder or an archive."""
    return Path(path).is_dir() or is_archive(Path(path))


def read_bundle(path: Path | str) -> Bundle:
    """What can be compared in an archive or folder.

    Raises:
        ElfError: an archive is damaged, or a folder cannot be read.
    """
    path = Path(path)
    if not path.is_dir():
        return Bundle(path, "archive", _told_apart(archive_members(path)))
    found: list[Stored] = []
    left_out = 0
    with reading(path, "folder"):
        files = [f for f in sorted(path.rglob("*")) if f.is_file() and not _doubled(f, path)]
    for file in files:
        name = file.relative_to(path).as_posix()
        if is_archive(file):
            inner = _told_apart(archive_members(file))
            found += [replace(stored, name=f"{name}({stored.name})") for stored in inner]
        elif _starts(file).startswith(_MAGIC):
            found.append(Stored(name, file, 0, file.stat().st_size))
        else:
            left_out += 1
    return Bundle(path, "folder", tuple(found), left_out)


def _doubled(file: Path, root: Path) -> bool:
    """Whether it is another name of a file in the same folder, as libx.so is of libx.so.1."""
    return file.is_symlink() and file.resolve().is_relative_to(root.resolve())


def _starts(file: Path) -> bytes:
    with reading(file, "start"), file.open("rb") as stream:
        return stream.read(4)


def _told_apart(members: Sequence[Stored]) -> tuple[Stored, ...]:
    """Members by the last part of their names, those of one name numbered in order."""
    count: dict[str, int] = {}
    found = []
    for member in members:
        name = member.name.rpartition("/")[2] or member.name
        count[name] = count.get(name, 0) + 1
        found.append(replace(member, name=name, number=count[name]))
    return tuple(found)


def compare_bundles(
    a: Path | str,
    b: Path | str,
    only: Selection | None = None,
    debug_folders: Sequence[Path] = (),
    code: bool = False,
) -> BundleComparison:
    """Compare two archives, or two folders, member by member.

    Args:
        a: what was built before.
        b: what was built after, of the same kind.
        only: the functions, variables and types that are wanted; all by default.
        debug_folders: where separate debug information is looked for, beside the usual places.
        code: the code of functions that differ is wanted, too.

    Raises:
        ElfError: an archive is damaged. A member that cannot be read is told as such.
        UsageError: one is an archive, or a file, and the other is a folder.
    """
    kinds = [_kind(Path(path)) for path in (a, b)]
    if kinds[0] != kinds[1]:
        raise UsageError(f"{a} is {kinds[0]} and {b} is {kinds[1]}; compare two alike")
    first, second = read_bundle(a), read_bundle(b)
    with tempfile.TemporaryDirectory(prefix="replay-elf-") as folder:
        members = tuple(_Comparer(first, second, only, debug_folders, Path(folder), code).run())
    notes = tuple(
        f"{count} files in {bundle.path} are no ELF files, and were left out"
        for bundle in (first, second)
        if (count := bundle.left_out)
    )
    unmatched = () if only is None else _unmatched(members, only)
    asked = tuple(m for m in members if only is None or _concerns(m, only))
    return BundleComparison(str(a), str(b), first.kind, asked, notes, unmatched)


def _kind(path: Path) -> str:
    if not path.exists():
        raise ElfError(path, "there is no such file", "check the path, or build it")
    return "a folder" if path.is_dir() else "an archive" if is_archive(path) else "a file"


def _unmatched(members: Sequence[MemberChange], only: Selection) -> tuple[str, ...]:
    """The patterns that fit nothing in any member that could be read."""
    told = [m.comparison.unmatched for m in members if m.comparison is not None]
    if any(m.comparison is None for m in members):
        return ()
    return tuple(p for p in only.patterns if all(p in each for each in told))


def _concerns(member: MemberChange, only: Selection) -> bool:
    """Whether a member has anything of what was asked for, or is not known to have nothing."""
    found = member.comparison
    return found is None or len(found.unmatched) < len(only.patterns)


class _Comparer:
    """Compares the members of two bundles.

    Args:
        first: before.
        second: after.
        only: what is wanted.
        debug_folders: where separate debug files are.
        scratch: an empty folder, where members are put that are part of a file.
        code: the code of functions that differ is wanted, too.
    """

    def __init__(
        self,
        first: Bundle,
        second: Bundle,
        only: Selection | None,
        debug_folders: Sequence[Path],
        scratch: Path,
        code: bool,
    ) -> None:
        self.bundles = first, second
        self.only = only
        self.debug_folders = debug_folders
        self.scratch = scratch
        self.code = code

    def run(self) -> Iterator[MemberChange]:
        first, second = self.bundles
        pairs = pair_members(first.stored, second.stored, self._symbols)
        for old, new in pairs:
            if old is not None and new is not None:
                yield self._pair(old, new)
            elif stored := old or new:
                yield from self._alone(stored, Change.REMOVED if old else Change.ADDED)

    def _pair(self, old: Stored, new: Stored) -> MemberChange:
        equal = same_bytes(old, new)
        if equal and self.only is None:
            return MemberChange(Change.SAME, old.label, new.label)
        a, b = self._file(old, 0), self._file(new, 1)
        try:
            found = compare(a, b, self.only, self.debug_folders)
            code = disassemble(a, b, found, self.debug_folders) if self.code else None
        except (ElfError, UsageError) as error:
            if equal:
                return MemberChange(Change.SAME, old.label, new.label)
            problem = self._named(str(error), (old, new))
            return MemberChange(Change.UNKNOWN, old.label, new.label, None, problem)
        shown = tuple(self._named(note, (old, new)) for note in found.notes)
        told = [self._named(text, (old, new)) for text in (found.a, found.b)]
        found = replace(found, a=told[0], b=told[1], notes=shown)
        same = not found.kinds & ~Kind.UNCOMPARED
        change = Change.UNKNOWN if same and found.kinds else Change.SAME
        return MemberChange(
            change if same else Change.CHANGED, old.label, new.label, found, "", code
        )

    def _alone(self, stored: Stored, change: Change) -> Iterator[MemberChange]:
        before, after = (stored.label, "") if change is Change.REMOVED else ("", stored.label)
        if self.only is not None:
            names = self._symbols(stored)
            if names is not None and len(self.only.unmatched(names)) == len(self.only.patterns):
                return
        yield MemberChange(change, before, after)

    def _symbols(self, stored: Stored) -> frozenset[str] | None:
        """The names that a member defines; None where it cannot be read."""
        try:
            with Image(self._file(stored, 2)) as image:
                found = (s.name for s in image.symbols if s.section is not None and s.name)
                return frozenset(found)
        except ElfError:
            return None

    def _file(self, stored: Stored, side: int) -> Path:
        """A file with the bytes of a member; it holds until the next one of that side."""
        if not stored.offset:
            return stored.path
        copy = self.scratch / f"{side}.o"
        with reading(stored.path, stored.label), copy.open("wb") as target:
            for block in _blocks(stored):
                target.write(block)
        # Whether sources were changed since is told by the time.
        status = stored.path.stat()
        os.utime(copy, (status.st_atime, status.st_mtime))
        return copy

    def _named(self, text: str, stored: tuple[Stored, Stored]) -> str:
        """A text with the names of members where those of the copies are."""
        for side, one in enumerate(stored):
            text = text.replace(str(self.scratch / f"{side}.o"), f"{one.path}({one.label})")
        return text


def pair_members(first: Sequence[Stored], second: Sequence[Stored], symbols: Symbols) -> list[Pair]:
    """The members of two bundles that belong together, by name; those on one side alone.

    Args:
        first: of the one.
        second: of the other.
        symbols: gives the names that a member defines; None where it cannot be read.
    """
    groups: dict[str, tuple[list[Stored], list[Stored]]] = {}
    for side, members in enumerate((first, second)):
        for member in members:
            groups.setdefault(member.name, ([], []))[side].append(member)
    found: list[Pair] = []
    for name in sorted(groups):
        old, new = groups[name]
        found += [(old[0], new[0])] if len(old) == 1 == len(new) else _paired(old, new, symbols)
    return found


def _paired(old: list[Stored], new: list[Stored], symbols: Symbols) -> list[Pair]:
    """Members of one name: first those of the same bytes, then by what they define."""
    names = {stored: symbols(stored) or frozenset() for stored in (*old, *new)}
    if len(old) * len(new) > MOST_PAIRS:
        return list(zip_longest(old, new))
    ranked = sorted(
        (-same_bytes(x, y), -len(names[x] & names[y]), i, j)
        for i, x in enumerate(old)
        for j, y in enumerate(new)
    )
    taken: dict[int, int] = {}
    for _, _, i, j in ranked:
        if i not in taken and j not in taken.values():
            taken[i] = j
    found: list[Pair] = [(x, new[taken[i]] if i in taken else None) for i, x in enumerate(old)]
    return found + [(None, y) for j, y in enumerate(new) if j not in taken.values()]


def same_bytes(one: Stored, other: Stored) -> bool:
    """Whether two are equal byte by byte."""
    if one.size != other.size:
        return False
    return all(x == y for x, y in zip(_blocks(one), _blocks(other), strict=True))


def _blocks(stored: Stored) -> Iterator[bytes]:
    with reading(stored.path, stored.label), stored.path.open("rb") as file:
        file.seek(stored.offset)
        left = stored.size
        while left:
            block = file.read(min(left, _BLOCK))
            if not block:
                raise EOFError("the file became shorter")
            left -= len(block)
            yield block

"""The lines that a commit changed, and where they are in the libraries before and after it."""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.elf.debug import DebugInfo
from replay.elf.errors import ElfError
from replay.elf.image import EXECUTE, Image
from replay.elf.linerows import rows
from replay.git.paths import unquote
from replay.repo.errors import RepoError
from replay.repo.trees import run_git

MOST_AROUND: Final = 20_000
"""Places in a library that are watched beside those of the lines that changed."""

_HUNK: Final = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_BUILT_IN: Final = re.compile(r"^.*/tree-(?:[0-9a-f]{64}|[0-9a-f]{40})/")


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """A line that a commit added or changed, or (``removed``) that was there before it."""

    file: str
    number: int
    removed: bool = False

    def __str__(self) -> str:
        return f"{self.file}:{self.number}{' (removed)' if self.removed else ''}"


@dataclass(frozen=True, slots=True)
class ChangedLine:
    """A changed line with code.

    Attributes:
        addresses: where it begins, in the library that has it: more than once where it was
            inlined or unrolled.
        functions: what these addresses lie in.
    """

    line: Line
    addresses: tuple[int, ...]
    functions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChangedLines:
    """What a commit changed, line by line.

    Attributes:
        new: lines in the new library; ``old``: removed lines, in the old one.
        without: how many changed lines are in neither: comments, declarations, other files.
        around: the addresses where any line begins in the old library, and in the new one: of
            large ones, in the functions that changed alone.
        unknown: why the code of the lines cannot be told; empty if it can.
    """

    new: tuple[ChangedLine, ...] = ()
    old: tuple[ChangedLine, ...] = ()
    without: int = 0
    unknown: str = ""
    around: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())


def changed_lines(git_dir: Path, trees: tuple[str, str], old: Path, new: Path) -> ChangedLines:
    """The lines that differ between two trees, as they are in their libraries.

    Args:
        git_dir: a git directory with both trees.
        trees: their ids, the old one first.
        old: the library built from the old tree.
        new: that of the new one.

    Raises:
        RepoError: a tree is missing.

    """
    lines = diff_lines(git_dir, *trees)
    try:
        after, near = locate(new, frozenset(line for line in lines if not line.removed))
        before, once = locate(old, frozenset(line for line in lines if line.removed))
    except ElfError as error:
        return ChangedLines(unknown=f"{error.problem}; {error.cure}")
    without = len(lines) - len(after) - len(before)
    return ChangedLines(after, before, without, around=(once, near))


def diff_lines(git_dir: Path, old: str, new: str) -> frozenset[Line]:
    """The lines that are in one of two trees only, renamed files followed.

    Raises:
        RepoError: a tree is missing.

    """
    out = run_git(
        "diff", "--no-color", "--no-ext-diff", "--no-textconv", "-U0", "-M",
        "--src-prefix=a/", "--dst-prefix=b/", old, new, "--", git_dir=git_dir,
    )  # fmt: skip
    return frozenset(_lines(out.split(b"\n")))


def _lines(text: list[bytes]) -> Iterator[Line]:
    at, before, after = 0, "", ""
    while at < len(text):
        row = text[at]
        at += 1
        if row.startswith(b"--- "):
            before = _path(row[4:])
        elif row.startswith(b"+++ "):
            after = _path(row[4:])
        elif found := _HUNK.match(row):
            start, count, new_start, new_count = (int(n or 1) for n in found.groups())
            yield from (Line(before, start + n, removed=True) for n in range(count))
            yield from (Line(after, new_start + n) for n in range(new_count))
            # Past the lines themselves, which may look like anything.
            while count + new_count and at < len(text):
                count -= text[at].startswith(b"-")
                new_count -= text[at].startswith(b"+")
                at += 1


def _path(name: bytes) -> str:
    name = name.removesuffix(b"\t")
    if name.startswith(b'"'):
        try:
            name, _ = unquote(name)
        except ValueError as error:
            raise RepoError(f"git diff names a file in a way that is not known: {error}") from None
    return name[2:].decode("utf-8", "surrogateescape")


def locate(
    library: Path, wanted: frozenset[Line]
) -> tuple[tuple[ChangedLine, ...], tuple[int, ...]]:
    """Those of the lines that the library has code for, in order, and where any line begins.

    The addresses of a library with more than ``MOST_AROUND`` are those of the functions alone
    that the lines lie in.

    Raises:
        ElfError: the library has no debug information, or is damaged.

    """
    if not wanted:
        return (), ()
    named: dict[str, dict[int, Line]] = {}
    for line in wanted:
        named.setdefault(line.file, {})[line.number] = line
    found: dict[Line, set[int]] = {}
    around: dict[int, str] = {}
    with Image(library) as image:
        functions = _Functions(image)
        files: dict[str, Mapping[int, Line]] = {}
        for row in rows(DebugInfo(image)):
            if row.file not in files:
                files[row.file] = named.get(_in_tree(row.file, named), {})
            # What the linker left out has a row too, at an address that is none.
            inside = functions.at({row.address}) if row.statement else ()
            changed = files[row.file].get(row.line)
            if inside:
                around[row.address] = inside[0]
            if inside and changed is not None:
                found.setdefault(changed, set()).add(row.address)
    lines = tuple(
        ChangedLine(line, tuple(sorted(places)), functions.at(places))
        for line, places in sorted(found.items())
    )
    names = {name for line in lines for name in line.functions}
    few = len(around) <= MOST_AROUND
    return lines, tuple(sorted(at for at, name in around.items() if few or name in names))


def _in_tree(path: str, named: Mapping[str, object]) -> str:
    """What a tree calls the file that a compiler calls by an absolute or relative path."""
    path = posixpath.normpath(path)
    inside = _BUILT_IN.sub("", path)
    if inside in named or inside != path:
        return inside
    # Built elsewhere: the longest name in the tree that the path ends with.
    ends = [name for name in named if path.endswith(f"/{name}")]
    return max(ends, key=len, default="")


class _Functions:
    """Which functions there is code of, where."""

    def __init__(self, image: Image) -> None:
        self.code = [s for s in image.sections if s.flags & EXECUTE]
        found = [s for s in image.symbols if s.is_function and s.name]
        self.symbols = sorted(found, key=lambda s: (s.value, s.name))
        self.starts = [s.value for s in self.symbols]

    def at(self, addresses: Iterable[int]) -> tuple[str, ...]:
        """The functions that addresses lie in, by name; one that is not known has none."""
        names = set()
        for address in addresses:
            if not any(s.address <= address < s.address + s.size for s in self.code):
                continue
            number = bisect_right(self.starts, address) - 1
            names.add(self.symbols[number].name.split(".", 1)[0] if number >= 0 else "")
        return tuple(sorted(names))

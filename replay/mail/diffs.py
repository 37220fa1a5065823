"""Where the diff stands in a text, which files it changes, and what git would say of it.

The reader bears everything: hunks end by their counts, as for ``git apply``, and what stands
between the diffs of two files or after the last is no part of them. What git would refuse,
or apply elsewhere, is told as a problem. Bytes that are not UTF-8 are halves of pairs
(``surrogateescape``) in all texts but the names of files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from replay.git.paths import shown, unquote

_HUNK: Final = re.compile(
    r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@", re.ASCII
)
_HEADER: Final = re.compile(
    r"(old mode|new mode|new file mode|deleted file mode|similarity index|dissimilarity index|"
    r"rename from|rename to|copy from|copy to|index) (.*)"
)
_BLOCK: Final = re.compile(r"(?:literal|delta) [0-9]+", re.ASCII)
_TIME: Final = re.compile(r"\t.*| +[0-9]{4}-[0-9]{2}-[0-9]{2} .*", re.ASCII)
_SIGNATURES: Final = ("-- ", "--")
NOTHING: Final = "/dev/null"


class Problem(NamedTuple):
    """What git would refuse, or apply elsewhere: a line of the text, from 0, and why."""

    line: int
    text: str


@dataclass(slots=True)
class FileDiff:
    """What a diff does to one file.

    Attributes:
        old, new: the paths; empty for a file that is made or removed.
        added, removed: lines.
        old_mode, new_mode: as six digits; empty where the diff tells none.
        binary: the content is not shown as lines.
        copied: ``new`` is a copy of ``old``.
        hunks: how many.
        end: past how many lines of the old file the last hunk ends.
        shift: lines added until there, less those removed.

    """

    old: str = ""
    new: str = ""
    added: int = 0
    removed: int = 0
    old_mode: str = ""
    new_mode: str = ""
    binary: bool = False
    copied: bool = False
    hunks: int = 0
    end: int = 0
    shift: int = 0

    @property
    def path(self) -> str:
        """The path to call it by: the new one, unless the file is removed."""
        return self.new or self.old


class DiffText(NamedTuple):
    """The diff of a text.

    ``start`` is the index of its first line, or the number of lines where there is none;
    ``text`` holds the lines that belong to files, each ended by a newline; ``firsts`` are the
    indices of the first line of each file in it.
    """

    start: int
    text: str
    files: tuple[FileDiff, ...]
    problems: tuple[Problem, ...]
    firsts: tuple[int, ...] = ()


def read_diff(text: str) -> DiffText:
    """The diff in a text; nothing is refused."""
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return _Reader(lines).read()


@dataclass(slots=True)
class _Reader:
    lines: Sequence[str]
    at: int = 0
    files: list[FileDiff] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    broken: bool = False

    def read(self) -> DiffText:
        start = len(self.lines)
        kept: list[str] = []
        firsts: list[int] = []
        while self.at < len(self.lines):
            first = self.at
            if self.peek().startswith("diff --git "):
                self.git()
            elif self.is_pair():
                self.plain()
            else:
                if self.files and _HUNK.match(self.peek()):
                    self.tell("a hunk that belongs to no file")
                self.at += 1
                continue
            start = min(start, first)
            firsts.append(len(kept))
            kept += self.lines[first : self.at]
        text = "".join(f"{line}\n" for line in kept)
        return DiffText(start, text, tuple(self.files), tuple(self.problems), tuple(firsts))

    def peek(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.lines[at] if at < len(self.lines) else ""

    def tell(self, problem: str, at: int | None = None) -> None:
        self.problems.append(Problem(self.at if at is None else at, problem))

    def is_pair(self) -> bool:
        """Whether the two names of a file stand here, with a hunk or nothing after them."""
        return (
            self.peek().startswith("--- ")
            and self.peek(1).startswith("+++ ")
            and self.peek(2).startswith("@@ -")
        )

    def plain(self) -> None:
        """The diff of a file without ``diff --git``."""
        old, new = (_name(self.peek(ahead)[4:]) for ahead in (0, 1))
        file = FileDiff(*without_prefixes(old, new))
        self.files.append(file)
        self.at += 2
        self.hunks(file)

    def git(self) -> None:
        """The diff of a file that starts with ``diff --git``."""
        start = self.at
        file = FileDiff(*_git_names(self.peek()[len("diff --git ") :]))
        self.files.append(file)
        self.at += 1
        made = removed = False
        while match := _HEADER.fullmatch(self.peek()):
            made |= match[1] == "new file mode"
            removed |= match[1] == "deleted file mode"
            _take_header(file, match[1], match[2])
            self.at += 1
        if self.peek().startswith("Binary files "):
            file.binary = True
            self.tell("a binary file whose content the patch does not hold")
            self.at += 1
        elif self.peek() == "GIT binary patch":
            file.binary = True
            self.binary()
        elif self.peek().startswith("--- ") and self.peek(1).startswith("+++ "):
            old, new = (_name(self.peek(ahead)[4:]) for ahead in (0, 1))
            if not (file.old and file.new):
                file.old, file.new = without_prefixes(old, new)
            self.at += 2
            self.hunks(file)
        if not (file.old or file.new):
            self.tell("'diff --git' names no file", start)
        file.old, file.new = "" if made else file.old, "" if removed else file.new
        if (made and file.removed) or (removed and file.added):
            self.tell(f"{shown(file.path)} is made or removed, but has lines of both sides", start)

    def binary(self) -> None:
        """The blocks of a binary patch; an empty line ends each."""
        self.at += 1
        blocks = 0
        while blocks < 2 and _BLOCK.fullmatch(self.peek()):
            blocks += 1
            self.at += 1
            while re.fullmatch(r"[A-Za-z][!-~]{1,70}", self.peek()):
                self.at += 1
            if self.peek():
                self.tell(f"{shown(self.peek())} stands in a binary patch")
                return
            self.at += 1
        if not blocks:
            self.tell("a binary patch without content")

    def hunks(self, file: FileDiff) -> None:
        while self.peek().startswith("@@ -"):
            match = _HUNK.match(self.peek())
            if match is None:
                self.tell(f"{shown(self.peek())} is no hunk header '@@ -A,B +C,D @@'")
                self.at += 1
                self.strays(file)
                continue
            self.hunk(file, match)
        if not file.hunks:
            self.tell(f"{shown(file.path)} is named, but no hunk follows")

    def hunk(self, file: FileDiff, match: re.Match[str]) -> None:
        """One hunk: as many lines as its header counts."""
        file.hunks += 1
        old, new = (1 if match[n] is None else int(match[n]) for n in (2, 4))
        self.check_place(file, int(match[1]) - bool(old), int(match[3]) - bool(new), old, new)
        self.broken = False
        if self.hunk_lines(file, old, new):
            if self.peek().startswith("\\ "):
                self.at += 1
            self.check_end(file)

    def tell_hunk(self, file: FileDiff, problem: str, at: int | None = None) -> None:
        """A problem of a hunk: its first; what follows from it is none."""
        if not self.broken:
            self.tell(f"hunk {file.hunks} of {shown(file.path)}: {problem}", at)
        self.broken = True

    def hunk_lines(self, file: FileDiff, old: int, new: int) -> bool:
        """The lines of a hunk; whether all were there, and no more."""
        start = self.at
        self.at += 1
        while old or new:
            line = self.peek()
            sign = line[:1] or " "
            missing = f"{old} old and {new} new lines are missing"
            if self.at >= len(self.lines):
                self.tell_hunk(file, f"it is cut off: {missing}", start)
                return False
            if self.is_next():
                self.tell_hunk(file, f"{missing} before {shown(line)}")
                return False
            if sign not in " -+\\":
                self.tell_hunk(
                    file, f"{shown(line)} is no line of a hunk; a mailer may have wrapped the "
                    "one before",
                )  # fmt: skip
            elif (sign in " -" and not old) or (sign in " +" and not new):
                self.tell_hunk(file, "it has other lines than its header counts")
                self.strays(file)
                return False
            else:
                self.count(file, sign)
                old -= sign in " -"
                new -= sign in " +"
            self.at += 1
        return True

    def count(self, file: FileDiff, sign: str) -> None:
        file.added += sign == "+"
        file.removed += sign == "-"
        file.binary |= "\0" in self.peek()

    def is_next(self) -> bool:
        """Whether what stands here is surely no line of a hunk that is not at its end."""
        line = self.peek()
        return (
            line.startswith(("diff --git ", "@@ -"))
            or self.is_pair()
            or (self.broken and line in _SIGNATURES)
        )

    def strays(self, file: FileDiff) -> None:
        """Lines past the counts of a hunk that look like lines of it."""
        while self.peek()[:1] in ("+", "-", " ", "\\") and not self.is_pair():
            if self.peek() in _SIGNATURES:
                return
            if self.peek()[:1] in "+-":
                self.count(file, self.peek()[0])
            self.at += 1

    def check_end(self, file: FileDiff) -> None:
        """A line right after a hunk that looks like one more is lost: git leaves it out."""
        line = self.peek()
        if line[:1] in ("+", "-") and line.rstrip() != "--" and not self.is_pair():
            self.tell_hunk(file, f"{shown(line)} stands past its counts; git would leave it out")

    def check_place(self, file: FileDiff, old_at: int, new_at: int, old: int, new: int) -> None:
        if old_at < file.end and file.hunks > 1:
            self.tell(f"hunk {file.hunks} of {shown(file.path)} overlaps the one before")
        elif new_at != old_at + file.shift:
            wanted = old_at + file.shift + bool(new)
            self.tell(
                f"hunk {file.hunks} of {shown(file.path)} says +{new_at + bool(new)}, but with "
                f"those before it that is +{wanted}; git may apply it elsewhere"
            )
        file.end = old_at + old
        file.shift += new - old


# --- names ----------------------------------------------------------------------------


def _take_header(file: FileDiff, name: str, value: str) -> None:
    if name in ("rename from", "copy from"):
        file.old = _name(value)
    elif name in ("rename to", "copy to"):
        file.new = _name(value)
        file.copied = name == "copy to"
    elif name in ("old mode", "deleted file mode"):
        file.old_mode = value.strip()
    elif name in ("new mode", "new file mode"):
        file.new_mode = value.strip()


def _name(text: str) -> str:
    """A name as it stands in a line of a diff: in quotes, or up to a time."""
    if text.startswith('"'):
        try:
            data, _ = unquote(text.encode("utf-8", "surrogateescape"))
        except ValueError:
            return _printable(text)
        return data.decode("utf-8", "replace")
    return _printable(_TIME.sub("", text).rstrip("\r"))


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def without_prefixes(old: str, new: str) -> tuple[str, str]:
    """Two names of a diff as paths: ``a/`` and ``b/`` are no part of them.

    So are the first components where only those differ, as of ``pkg.orig/f`` and ``pkg/f``.
    Names that are equal are paths as they stand. Empty for the name of nothing.
    """
    if NOTHING in (old, new):
        known = new if old == NOTHING else old
        path = known[2:] if known.startswith(("a/", "b/")) else known
        return ("" if old == NOTHING else path), ("" if new == NOTHING else path)
    if old == new:
        return old, new
    if old.startswith("a/") and new.startswith("b/"):
        return old[2:], new[2:]
    rests = old.partition("/")[2], new.partition("/")[2]
    if rests[0] and rests[0] == rests[1]:
        return rests
    # "f.orig" and "f": the shorter name is the file's, as for git.
    shorter = min((old, new), key=len)
    return shorter, shorter


def _git_names(text: str) -> tuple[str, str]:
    """The two paths after ``diff --git``; empty where they cannot be told apart."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        if data.startswith(b'"'):
            first, rest = unquote(data)
            second = unquote(rest[1:])[0] if rest[1:2] == b'"' else rest[1:]
            pairs = [(first, second)]
        elif data.endswith(b'"') and b' "' in data:
            cut = data.index(b' "')
            pairs = [(data[:cut], unquote(data[cut + 1 :])[0])]
        else:
            # Both names are of one length, or a header gives those of a rename.
            half = len(data) // 2
            pairs = [(data[:half], data[half + 1 :])] if data[half : half + 1] == b" " else []
    except ValueError:
        return "", ""
    for a, b in pairs:
        names = a.decode("utf-8", "replace"), b.decode("utf-8", "replace")
        old, new = without_prefixes(*names)
        if old == new:
            return old, new
    return "", ""

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

from replay.git.paths import shown
from replay.mail.names import NOTHING, git_names, name_of, without_prefixes

_HUNK: Final = re.compile(
    r"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@", re.ASCII
)
_HEADER: Final = re.compile(
    r"(old mode|new mode|new file mode|deleted file mode|similarity index|dissimilarity index|"
    r"rename from|rename to|copy from|copy to|index) (.*)"
)
_BLOCK: Final = re.compile(r"(?:literal|delta) [0-9]+", re.ASCII)
_NO_NEWLINE: Final = re.compile(r"\\ .{9}")
_BINARY: Final = ("Binary files ", "GIT binary patch")
_SIGNATURES: Final = ("-- ", "--")


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
        context: lines that stay.

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
    context: int = 0

    @property
    def path(self) -> str:
        """The path to call it by: the new one, unless the file is removed."""
        return self.new or self.old

    @property
    def before(self) -> int:
        """Lines of the hunks that the old file has."""
        return self.removed + self.context

    @property
    def after(self) -> int:
        """Lines of the hunks that the new file has."""
        return self.added + self.context


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
class _Head:
    """The header of a file after ``diff --git``; names that come twice must agree.

    ``known`` is the path that stands there, if both names have one.
    """

    known: str
    file: FileDiff = field(default_factory=FileDiff)
    made: bool = False
    removed: bool = False

    @property
    def changes(self) -> bool:
        """Whether it is a change without any hunk."""
        file = self.file
        other = bool(file.old and file.new and file.old != file.new)
        modes = bool(file.old_mode and file.new_mode and file.old_mode != file.new_mode)
        return self.made or self.removed or other or modes

    def take(self, name: str, value: str) -> str:
        """Take a line; gives what is wrong with it, or nothing."""
        file = self.file
        if name in ("rename from", "copy from"):
            file.old = name_of(value)
        elif name in ("rename to", "copy to"):
            file.new = name_of(value)
            file.copied = name == "copy to"
        elif name.endswith("mode"):
            if not re.fullmatch(r"[0-7]{1,6}\s*", value):
                return f"{shown(value)} is no mode"
            self.made |= name == "new file mode"
            self.removed |= name == "deleted file mode"
            if name in ("old mode", "deleted file mode"):
                file.old_mode = value.strip()
            else:
                file.new_mode = value.strip()
        return ""

    def name(self, line: str) -> str:
        """Take a line ``--- a/f`` or ``+++ b/f``."""
        found = name_of(line[4:])
        is_old = line.startswith("-")
        if found == NOTHING:
            return "" if (self.made if is_old else self.removed) else self.nothing(is_old)
        if self.made if is_old else self.removed:
            return f"{shown(found)} stands where {NOTHING} belongs"
        before = self.file.old if is_old else self.file.new
        path = found[2:] if found.startswith(("a/", "b/")) else found
        if self.known and f"/{found}".endswith(f"/{self.known}"):
            path = self.known  # whatever the prefix
        if before and before not in (path, found):
            return f"{shown(found)} is another file than {shown(before)}"
        if is_old:
            self.file.old = before or path
        else:
            self.file.new = before or path
        return ""

    def nothing(self, is_old: bool) -> str:
        """The name of nothing in the diff of a file that no mode says is made or removed."""
        self.made |= is_old
        self.removed |= not is_old
        return ""


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
            if self.is_pair():
                self.plain()
            elif not (self.peek().startswith("diff --git ") and self.git()):
                self.at = first
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
        old, new = (name_of(self.peek(ahead)[4:]) for ahead in (0, 1))
        file = FileDiff(*without_prefixes(old, new))
        self.files.append(file)
        self.at += 2
        self.hunks(file)

    def git(self) -> bool:
        """The diff of a file that starts with ``diff --git``; False where nothing follows."""
        start = self.at
        names = git_names(self.peek()[len("diff --git ") :])
        head = _Head(names[0])
        self.at += 1
        while self.header(head):
            self.at += 1
        if self.at == start + 1 and not self.peek().startswith(_BINARY):
            if not any(names):
                self.tell("'diff --git' of two names, and no header of a rename", start)
            return False
        file = head.file
        if (file.old or file.new) and not ((file.old or head.made) and (file.new or head.removed)):
            self.tell("the diff names only one of two files", start)
        file.old = "" if head.made else file.old or names[0] or file.new
        file.new = "" if head.removed else file.new or names[1] or file.old
        if not (file.old or file.new):
            self.tell("the diff names no file", start)
        self.files.append(file)
        self.content(file, head.changes)
        if (head.made and file.before) or (head.removed and file.after):
            self.tell(f"{shown(file.path)} is made or removed, but has lines of both sides", start)
        return True

    def header(self, head: _Head) -> bool:
        """Take a line of the header of a file, if one stands here."""
        line = self.peek()
        if line.startswith(("--- ", "+++ ")):
            problem = head.name(line)
        else:
            match = _HEADER.fullmatch(line)
            if match is None:
                return False
            problem = head.take(match[1], match[2])
        if problem:
            self.tell(problem)
        return True

    def content(self, file: FileDiff, changes: bool) -> None:
        """What follows the header of a file: hunks, or a binary patch."""
        if self.peek().startswith("Binary files "):
            file.binary = True
            self.tell("a binary file whose content the patch does not hold")
            self.at += 1
        elif self.peek() == "GIT binary patch":
            file.binary = True
            self.binary()
        else:
            self.hunks(file)
            if not (file.hunks or changes):
                self.tell(f"{shown(file.path)} is named, but no hunk follows")

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

    def hunk(self, file: FileDiff, match: re.Match[str]) -> None:
        """One hunk: as many lines as its header counts."""
        file.hunks += 1
        old, new = (1 if match[n] is None else int(match[n]) for n in (2, 4))
        self.check_place(file, int(match[1]) - bool(old), int(match[3]) - bool(new), old, new)
        self.broken = False
        start, changed = self.at, file.added + file.removed
        if self.hunk_lines(file, old, new):
            if file.added + file.removed == changed:
                self.tell_hunk(file, "it changes nothing", start)
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
            if self.is_next(old == new == 1):
                self.tell_hunk(file, f"{missing} before {shown(line)}")
                return False
            if sign not in " -+\\" or (sign == "\\" and not _NO_NEWLINE.match(line)):
                self.tell_hunk(
                    file, f"{shown(line)} is no line of a hunk; a mailer may have wrapped the "
                    "one before",
                )  # fmt: skip
            elif (sign in " -" and not old) or (sign in " +" and not new):
                self.tell_hunk(file, "it has other lines than its header counts")
                self.strays(file)
                return False
            elif sign != "\\":
                self.count(file, sign)
                old -= sign in " -"
                new -= sign in " +"
            self.at += 1
        return True

    def count(self, file: FileDiff, sign: str) -> None:
        file.added += sign == "+"
        file.removed += sign == "-"
        file.context += sign == " "
        file.binary |= "\0" in self.peek()

    def is_next(self, two: bool) -> bool:
        """Whether what stands here is surely no line of a hunk that is not at its end.

        Where ``two`` says that a line of each side is missing, the names of a file may be
        these, with a hunk after them.
        """
        line = self.peek()
        return (
            line.startswith(("diff --git ", "@@ -"))
            or (not two and self.is_pair())
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
        if line[:1] in ("+", "-") and line.strip("- ") and not self.is_pair():
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

"""The diff of a patch as typed values.

The reader is strict, since what it does not understand another tool might apply: every
line of a diff is accounted for, counts must add up, and git's own text form is the only
one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn

from replay.git.paths import PatchError, mode_problem, path_problem, shown, unquote


class Hunk(NamedTuple):
    """A run of lines that changes. A line is its sign (space, ``-``, ``+``) and its text.

    The text ends with a newline unless the file ends without one there. ``line`` is the
    hunk's own place in the patch file.
    """

    old_start: int
    old_count: int
    new_start: int
    new_count: int
    lines: tuple[tuple[str, bytes], ...]
    line: int

    def side(self, sign: str) -> list[bytes]:
        """The lines before the change (``-``) or after it (``+``), context included."""
        return [text for kind, text in self.lines if kind in (" ", sign)]


@dataclass(frozen=True, slots=True)
class FileChange:
    """What a patch does to one file.

    ``old`` is None for a new file, ``new`` for one that is removed; they differ when the
    file is renamed, or copied (``copy``). A mode is None where the patch names none.
    """

    old: str | None
    new: str | None
    old_mode: int | None
    new_mode: int | None
    hunks: tuple[Hunk, ...]
    copy: bool
    line: int

    @property
    def path(self) -> str:
        """The path to call it by: the new one, unless the file is removed."""
        return self.new if self.new is not None else self.old or ""

    @property
    def added(self) -> int:
        """The number of added lines."""
        return sum(kind == "+" for hunk in self.hunks for kind, _ in hunk.lines)

    @property
    def removed(self) -> int:
        """The number of removed lines."""
        return sum(kind == "-" for hunk in self.hunks for kind, _ in hunk.lines)


class PatchPlace(NamedTuple):
    """Where in which file a reader stands, for its errors."""

    path: str
    step: int | None = None

    def fail(self, line: int | None, problem: str) -> NoReturn:
        """Raise a PatchError about a line."""
        raise PatchError(problem, self.path, line, self.step)


# --- reading ------------------------------------------------------------------------

DIFF_START: Final = b"diff --git "
_HUNK: Final = re.compile(
    rb"@@ -([0-9]{1,9})(?:,([0-9]{1,9}))? \+([0-9]{1,9})(?:,([0-9]{1,9}))? @@(?: .*)?"
)
_INDEX: Final = re.compile(rb"([0-9a-f]{4,64})\.\.([0-9a-f]{4,64})(?: ([0-9]+))?")
_FOREIGN: Final = (b"diff -", b"--- ", b"+++ ", b"@@ -", b"Index: ", b"GIT binary patch")
_HEADERS: Final = (
    b"old mode ", b"new mode ", b"new file mode ", b"deleted file mode ", b"similarity index ",
    b"dissimilarity index ", b"rename from ", b"rename to ", b"copy from ", b"copy to ", b"index ",
)  # fmt: skip


def looks_like_diff(line: bytes) -> bool:
    """Whether a line outside of a diff could make some tool take it for one."""
    return line.startswith(_FOREIGN)


def parse_diff(
    lines: Sequence[bytes], first: int, place: PatchPlace
) -> tuple[tuple[FileChange, ...], int]:
    """The changes from ``lines[first]`` on, and the index of the line after them.

    Raises:
        PatchError: the first line that is wrong, or that no patch may hold.
    """
    reader = _Reader(lines, first, place)
    changes: list[FileChange] = []
    while reader.at < len(lines) and lines[reader.at].startswith(DIFF_START):
        changes.append(reader.change())
    _check_once(changes, place)
    return tuple(changes), reader.at


def _check_once(changes: Sequence[FileChange], place: PatchPlace) -> None:
    seen: set[str] = set()
    for change in changes:
        touched = {change.new, None if change.copy else change.old} - {None}
        for path in touched:
            assert path is not None
            if path in seen:
                place.fail(change.line, f"{shown(path)} is changed twice; join the two diffs")
            seen.add(path)


@dataclass(slots=True)
class _Reader:
    lines: Sequence[bytes]
    at: int
    place: PatchPlace
    headers: dict[bytes, bytes] = field(default_factory=dict)

    def fail(self, problem: str, at: int | None = None) -> NoReturn:
        self.place.fail((self.at if at is None else at) + 1, problem)

    def peek(self) -> bytes:
        return self.lines[self.at] if self.at < len(self.lines) else b""

    def change(self) -> FileChange:
        start = self.at
        names = self._git_line(self.peek()[len(DIFF_START) :])
        self.at += 1
        self._read_headers()
        old, new = self._names(names, start)
        created, deleted = b"new file mode " in self.headers, b"deleted file mode " in self.headers
        old_mode, new_mode = self._modes(created, deleted)
        hunks: tuple[Hunk, ...] = ()
        if self.peek().startswith((b"--- ", b"+++ ", b"@@ ")):
            self._file_line(b"--- ", b"a/", None if created else old)
            self._file_line(b"+++ ", b"b/", None if deleted else new)
            hunks = self._hunks()
        elif not set(self.headers) - {b"index ", b"similarity index ", b"dissimilarity index "}:
            self.fail(f"the diff of {shown(new)} has no hunks and changes nothing; drop it", start)
        return FileChange(
            None if created else old, None if deleted else new, old_mode, new_mode, hunks,
            copy=b"copy from " in self.headers, line=start + 1,
        )  # fmt: skip

    # The names stand up to three times in a diff; all must say the same.

    def _git_line(self, text: bytes) -> list[tuple[str, str]]:
        """The pairs of names that ``diff --git A B`` can mean: spaces leave it open."""
        splits: list[tuple[bytes, bytes]] = []
        try:
            if text.startswith(b'"'):
                first, rest = unquote(text)
                if rest.startswith(b" "):
                    splits = [(first, unquote(rest[1:])[0] if rest[1:2] == b'"' else rest[1:])]
            elif text.endswith(b'"') and b' "' in text:
                cut = text.index(b' "')
                splits = [(text[:cut], unquote(text[cut + 1 :])[0])]
            else:
                cuts = [m.start() for m in re.finditer(rb" b/", text)]
                splits = [(text[:cut], text[cut + 1 :]) for cut in cuts]
        except ValueError as error:
            self.fail(f"{shown(text)} is no quoted name: {error}")
        pairs = [(a[2:], b[2:]) for a, b in splits if a[:2] == b"a/" and b[:2] == b"b/"]
        if not pairs:
            self.fail(
                f"{shown(text)} names no two files as a/PATH b/PATH; make the patch with git's "
                "default prefixes (git format-patch --default-prefix)"
            )
        # Names that are not UTF-8 become unprintable here, and are refused as such.
        return [(_text(a), _text(b)) for a, b in pairs]

    def _names(self, pairs: list[tuple[str, str]], start: int) -> tuple[str, str]:
        moved = None
        for verb in (b"rename", b"copy"):
            source, target = verb + b" from ", verb + b" to "
            if (source in self.headers) != (target in self.headers):
                self.fail(f"a {verb.decode()} names only one of its two files", start)
            if source in self.headers:
                if moved is not None:
                    self.fail("a file is both renamed and copied", start)
                moved = (self._header_path(source, start), self._header_path(target, start))
                if moved[0] == moved[1]:
                    self.fail(f"{shown(moved[0])} cannot become itself", start)
        fitting = [pair for pair in pairs if (pair == moved if moved else pair[0] == pair[1])]
        for path in {path for pair in fitting or pairs[:1] for path in pair}:
            problem = path_problem(path)
            if problem:
                self.fail(problem, start)
        if not fitting:
            wanted = "the two of its rename or copy" if moved else "twice the same"
            self.fail(f"the names after 'diff --git' must be {wanted}", start)
        return fitting[0]

    def _header_path(self, name: bytes, start: int) -> str:
        text = self.headers[name]
        try:
            path = _text(unquote(text)[0] if text.startswith(b'"') else text)
        except ValueError as error:
            self.fail(f"{shown(text)} is no quoted name: {error}", start)
        problem = path_problem(path)
        if problem:
            self.fail(problem, start)
        return path

    def _read_headers(self) -> None:
        self.headers = {}
        while self.at < len(self.lines):
            line = self.peek()
            if line.startswith((b"GIT binary patch", b"Binary files ")):
                self.fail("a binary patch cannot be reviewed, so it is refused; send text")
            name = next((known for known in _HEADERS if line.startswith(known)), None)
            if name is None:
                break
            if name in self.headers:
                self.fail(f"a second {shown(name.strip())} line in the diff of one file")
            value = line[len(name) :]
            self._check_header(name, value)
            self.headers[name] = value
            self.at += 1

    def _check_header(self, name: bytes, value: bytes) -> None:
        problem = ""
        if name.endswith(b"mode "):
            problem = mode_problem(value)
        elif name == b"index ":
            match = _INDEX.fullmatch(value)
            problem = (
                "an index line is 'index ID..ID', with a mode where none changes"
                if match is None
                else mode_problem(match[3]) if match[3] is not None else ""
            )  # fmt: skip
        elif name.endswith(b"similarity index ") and not re.fullmatch(rb"[0-9]{1,3}%", value):
            problem = f"{shown(value)} is no percentage"
        if problem:
            self.fail(problem)

    def _modes(self, created: bool, deleted: bool) -> tuple[int | None, int | None]:
        given = {key: int(self.headers[key], 8) for key in self.headers if key.endswith(b"mode ")}
        pair = b"old mode " in given, b"new mode " in given
        if created + deleted + any(pair) > 1 or pair[0] != pair[1]:
            self.fail("the mode lines of this diff contradict each other")
        if (created or deleted) and {b"rename from ", b"copy from "} & set(self.headers):
            self.fail("a new or removed file cannot be renamed or copied too")
        if created or deleted:
            return given.get(b"deleted file mode "), given.get(b"new file mode ")
        if any(pair):
            if given[b"old mode "] == given[b"new mode "]:
                self.fail("the old mode and the new one are the same")
            return given[b"old mode "], given[b"new mode "]
        index = _INDEX.fullmatch(self.headers.get(b"index ", b""))
        mode = int(index[3], 8) if index is not None and index[3] is not None else None
        return mode, mode

    def _file_line(self, sign: bytes, prefix: bytes, path: str | None) -> None:
        line = self.peek()
        want = "/dev/null" if path is None else prefix.decode() + path
        # Git puts a tab after a name with a space, to tell it from a time.
        text = line[len(sign) :].removesuffix(b"\t")
        try:
            found = unquote(text)[0] if text.startswith(b'"') else text
        except ValueError as error:
            self.fail(f"{shown(text)} is no quoted name: {error}")
        if not line.startswith(sign) or _text(found) != want:
            problem = path_problem(_text(found[2:])) if found[:2] in (b"a/", b"b/") else ""
            self.fail(problem or f"found {shown(line)} where '{sign.decode()}{want}' belongs")
        self.at += 1

    def _hunks(self) -> tuple[Hunk, ...]:
        hunks: list[Hunk] = []
        shift, end = 0, 0
        while self.peek().startswith(b"@@"):
            hunk = self._hunk()
            old_at = hunk.old_start - bool(hunk.old_count)
            new_at = hunk.new_start - bool(hunk.new_count)
            if old_at < end or (hunks and any(not t.endswith(b"\n") for _, t in hunks[-1].lines)):
                self.fail("hunks overlap or are out of order", hunk.line - 1)
            if new_at != old_at + shift:
                self.fail(
                    f"the hunk says +{hunk.new_start}, but with the hunks before it that is "
                    f"+{old_at + shift + bool(hunk.new_count)}; make the diff anew",
                    hunk.line - 1,
                )
            shift += hunk.new_count - hunk.old_count
            end = old_at + hunk.old_count
            hunks.append(hunk)
        if not hunks:
            self.fail("a diff without hunks; the patch is cut off or malformed")
        return tuple(hunks)

    def _hunk(self) -> Hunk:
        start = self.at
        match = _HUNK.fullmatch(self.peek())
        if match is None:
            self.fail(f"{shown(self.peek())} is no hunk header '@@ -A,B +C,D @@'")
        old_start, new_start = int(match[1]), int(match[3])
        old_count = 1 if match[2] is None else int(match[2])
        new_count = 1 if match[4] is None else int(match[4])
        if (old_count and not old_start) or (new_count and not new_start):
            self.fail("a hunk of lines cannot start at line 0; lines count from 1")
        self.at += 1
        lines = self._hunk_lines(old_count, new_count, start)
        if not any(kind in "+-" for kind, _ in lines):
            self.fail("a hunk that changes nothing; make the diff anew", start)
        return Hunk(old_start, old_count, new_start, new_count, tuple(lines), start + 1)

    def _hunk_lines(self, old: int, new: int, start: int) -> list[tuple[str, bytes]]:
        lines: list[tuple[str, bytes]] = []
        while old or new:
            line = self.peek()
            if self.at >= len(self.lines):
                self.fail(
                    f"the hunk ends early: {old} old and {new} new lines are missing; the patch "
                    "is cut off, or its counts are wrong", start,
                )  # fmt: skip
            # Some mailers strip the space of an empty line of context.
            kind = chr(line[0]) if line else " "
            if kind not in " +-":
                if lines and line.startswith(b"\\ "):
                    self._no_newline(lines)
                    continue
                self.fail(
                    f"{shown(line)} stands where {old} old and {new} new lines of the hunk are "
                    "still missing; its counts do not add up"
                )
            old -= kind in " -"
            new -= kind in " +"
            if old < 0 or new < 0:
                self.fail("the hunk has more lines than its header counts; make the diff anew")
            lines.append((kind, line[1:] + b"\n"))
            self.at += 1
        if lines and self.peek().startswith(b"\\ "):
            self._no_newline(lines)
        self._check_ends(lines, start)
        return lines

    def _no_newline(self, lines: list[tuple[str, bytes]]) -> None:
        kind, text = lines[-1]
        if not text.endswith(b"\n"):
            self.fail("two notes of a missing newline for one line")
        lines[-1] = (kind, text[:-1])
        self.at += 1

    def _check_ends(self, lines: list[tuple[str, bytes]], start: int) -> None:
        for sign in "-+":
            side = [text for kind, text in lines if kind in (" ", sign)]
            if any(not text.endswith(b"\n") for text in side[:-1]):
                self.fail("a line without a newline must be the last of its file", start)


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")

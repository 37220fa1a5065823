"""What a lesson is: the typed front matter, the sections, and how a file is cut into them.

A file is UTF-8: front matter in TOML between two lines ``+++``, then sections that begin
with ``## ``. All that is wrong is told as one SeriesError with file, line and cure.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, NoReturn, TypeVar

import msgspec

from replay.dirty.language.trace import Trace
from replay.errors import SeriesError
from replay.teach.lessons.markup import refused, slug

FENCE: Final = "+++"

HEADINGS: Final = (
    "Why",
    "What it needs and gives",
    "What changes",
    "The claim and its verdict",
    "The trace",
    "Question",
    "Answer",
)
"""The sections of a lesson, in this order."""

SOURCE_KINDS: Final = ("posted", "model", "patch", "series", "upstream", "measured", "recorded")
"""Where a fact comes from: the posted series, the models, our C patches, series.toml, a later
upstream commit, a command that shows it, or the recordings of the real code."""

SourceKind = Literal["posted", "model", "patch", "series", "upstream", "measured", "recorded"]
Front = TypeVar("Front")


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of front matter; a misspelt key is an error."""


class ShownDifference(_Table, frozen=True):
    """The two steps part first at ``operation``, and there in just these ``fields``."""

    fields: tuple[str, ...]
    operation: int


class Broken(_Table, frozen=True):
    """The later step breaks a property at ``operation``; the earlier one never."""

    name: str
    operation: int


class Mistake(_Table, frozen=True):
    """A plausible mistake in the step's own module, and where the trace shows it.

    Attributes:
        old: a text of the module.
        new: what the mistake puts in its place.
        what: the mistake in one sentence.
        operation: where the mistaken model first differs from the right one.
        fields: the fields in which it does.
        times: which occurrence of ``old`` is replaced, counted from 1.
        at: the step whose model is compared; None for the lesson's own. A mistake in a
            function that nobody calls yet shows only later.

    """

    old: str
    new: str
    what: str
    operation: int
    fields: tuple[str, ...]
    times: int = 1
    at: int | None = None


class LessonFront(_Table, frozen=True):
    """The front matter of a lesson."""

    number: int
    title: str
    trace: str
    steps: tuple[int, int]
    sources: tuple[str, ...]
    difference: ShownDifference | None = None
    broken: Broken | None = msgspec.field(default=None, name="property")
    mistake: Mistake | None = None


class ThemeFront(_Table, frozen=True):
    """The front matter of a theme's introduction."""

    theme: str
    title: str
    sources: tuple[str, ...] = ()


class PageFront(_Table, frozen=True):
    """The front matter of the glossary and of any other page."""

    title: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and the text under it; ``line`` is that of the text's first line."""

    heading: str
    text: str
    line: int

    @property
    def slug(self) -> str:
        """The heading as links name it."""
        return slug(self.heading)


@dataclass(frozen=True, slots=True)
class Source:
    """Where the facts of a text come from."""

    kind: SourceKind
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """What all files have: sections with sources."""

    path: Path
    title: str
    sources: tuple[Source, ...]
    sections: tuple[Section, ...]

    def section(self, heading: str) -> Section:
        """A section by its heading.

        Raises:
            KeyError: there is none.

        """
        for section in self.sections:
            if section.heading == heading:
                return section
        raise KeyError(heading)


@dataclass(frozen=True, slots=True)
class Lesson(Text):
    """One step, taught. ``steps`` are the two whose models the trace is played on.

    At least one of ``difference``, ``broken`` and ``mistake`` is there: what the trace
    shows.
    """

    number: int
    steps: tuple[int, int]
    trace: Trace
    trace_path: Path
    difference: ShownDifference | None
    broken: Broken | None
    mistake: Mistake | None

    @property
    def name(self) -> str:
        """The name of the file without its ending, as ``16-resize-only-when-grown``."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Theme(Text):
    """The introduction to a theme of the series, A to G."""

    letter: str


@dataclass(frozen=True, slots=True)
class Page(Text):
    """A page of its own; ``name`` is what links call it."""

    name: str


# --- cutting a file ---------------------------------------------------------------------


def fail(path: Path, line: int | None, problem: str) -> NoReturn:
    """Raise what is wrong with a file.

    Raises:
        SeriesError: always.

    """
    raise SeriesError(f"{path}:{line}: {problem}" if line else f"{path}: {problem}")


def read_text(path: Path) -> str:
    """A file's text.

    Raises:
        SeriesError: it cannot be read, or is not UTF-8.

    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        fail(path, None, f"not UTF-8 at byte {error.start}; save it as UTF-8")
    except OSError as error:
        fail(path, None, f"cannot be read: {error.strerror}")
    for number, line in enumerate(text.split("\n"), 1):
        for character in line:
            if not character.isprintable():
                fail(path, number, f"holds the character {character!r}; replace it by plain text")
    return text


def cut(path: Path, kind: type[Front]) -> tuple[Front, str, tuple[Section, ...]]:
    """A file's front matter, the text before its first section, and the sections.

    Raises:
        SeriesError: what is wrong, with the line and the cure.

    """
    lines = read_text(path).split("\n")
    if lines[0] != FENCE:
        fail(path, 1, f"the first line must be {FENCE!r}, then front matter in TOML")
    if FENCE not in lines[1:]:
        fail(path, len(lines), f"the front matter has no end; put a line {FENCE!r} after it")
    end = lines.index(FENCE, 1)
    front = _front(path, lines[1:end], kind)
    opening, sections = _sections(path, lines, end + 1)
    return front, opening, sections


def _front(path: Path, lines: list[str], kind: type[Front]) -> Front:
    try:
        return msgspec.toml.decode("\n".join(lines), type=kind)
    except msgspec.ValidationError as error:
        fail(path, _line_of(str(error), lines), f"{error}{_near_key(str(error), kind)}")
    except msgspec.DecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found[1]) + 1 if found else None
        fail(path, line, f"the front matter is no TOML: {error}")


def _line_of(message: str, lines: list[str]) -> int | None:
    """The line of the key that a message names, as good as a text can tell."""
    named = re.search(r"field `([^`]+)`", message) if "unknown" in message else None
    key = named[1] if named else None
    path = re.search(r"at `\$\.?([^`]*)`", message)
    if key is None and path:
        key = re.sub(r"\[.*?\]", "", path[1]).rpartition(".")[2]
    for number, line in enumerate(lines, 2):
        if key and re.match(rf"\s*\[?{re.escape(key)}\b", line):
            return number
    return 1


def _near_key(message: str, kind: type[Front]) -> str:
    found = re.search(r"unknown field `([^`]+)`", message)
    if not found:
        return ""
    known: set[str] = set()
    for table in (kind, ShownDifference, Broken, Mistake):
        known |= set(getattr(table, "__struct_fields__", ()))
    near = difflib.get_close_matches(found[1], known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known))}"


def _sections(path: Path, lines: list[str], start: int) -> tuple[str, tuple[Section, ...]]:
    sections: list[Section] = []
    heading, first = "", start
    opening = ""

    def close(end: int) -> None:
        nonlocal opening
        text, line = _stripped(lines[first:end], first + 1)
        for number, problem in refused(text):
            fail(path, line + number - 1, problem)
        if not heading:
            opening = text
            return
        if not text:
            fail(path, first, f"the section {heading!r} is empty; write it or take it out")
        sections.append(Section(heading, text, line))

    for number in range(start, len(lines)):
        line = lines[number]
        if line.startswith("## "):
            close(number)
            heading, first = line[3:].strip(), number + 1
            if any(section.heading == heading for section in sections):
                fail(path, number + 1, f"the section {heading!r} is there twice; keep one")
    close(len(lines))
    return opening, tuple(sections)


def _stripped(lines: list[str], first: int) -> tuple[str, int]:
    """Lines without the empty ones at both ends, and the number of the first one left."""
    while lines and not lines[0].strip():
        lines, first = lines[1:], first + 1
    while lines and not lines[-1].strip():
        lines = lines[:-1]
    return "\n".join(lines), first


def parse_sources(path: Path, sources: Iterable[str]) -> tuple[Source, ...]:
    """Sources from ``kind: text``.

    Raises:
        SeriesError: a source has no kind, an unknown one, or no text.

    """
    made = []
    for source in sources:
        kind, colon, text = source.partition(":")
        found = next((known for known in SOURCE_KINDS if known == kind), None)
        if not colon or found is None or not text.strip():
            fail(
                path,
                None,
                f"the source {source!r} must be 'KIND: TEXT', KIND one of "
                + ", ".join(SOURCE_KINDS),
            )
        made.append(Source(found, text.strip()))
    return tuple(made)

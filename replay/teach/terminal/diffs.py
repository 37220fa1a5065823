"""What a step changes, as a diff of the models and as the patch in C."""

from __future__ import annotations

import difflib
from itertools import islice
from pathlib import Path
from typing import Final

from refmodels import FOLD, delta
from replay.base.jsonlines import printable
from replay.errors import SeriesError
from replay.series import declared as series
from replay.teach.lessons.format import Lesson
from replay.teach.lessons.markup import plain
from replay.teach.terminal.text import EMPTY, Line, line, wrapped

TAB: Final = 8


def patch_path(number: int) -> Path:
    """The patch of a step.

    Raises:
        SeriesError: there is none.

    """
    folder = series.data_path() / "patches"
    found = sorted(folder.glob(f"{number:04d}-*.patch"))
    if not found:
        raise SeriesError(f"{folder}: no patch {number:04d}-*.patch")
    return found[0]


def patch_lines(number: int) -> list[Line]:
    """The patch in C, with its message; characters that a terminal obeys are escaped.

    Raises:
        SeriesError: there is none, or it cannot be read.

    """
    path = patch_path(number)
    try:
        text = path.read_bytes().decode("utf-8", "backslashreplace")
    except OSError as error:
        raise SeriesError(f"{path}: cannot be read: {error.strerror}") from None
    lines = [printable(part.expandtabs(TAB)) for part in text.rstrip("\n").split("\n")]
    first = next((i for i, part in enumerate(lines) if part.startswith("diff ")), len(lines))
    return [line(part) for part in lines[:first]] + [_diff_line(part) for part in lines[first:]]


def _diff_line(text: str) -> Line:
    if text.startswith(("diff ", "index ", "--- ", "+++ ")):
        return line(text, "strong")
    if text.startswith("@@"):
        return line(text, "dim")
    styles = {"+": "good", "-": "bad"}
    return line(text, styles.get(text[:1], ""))


def model_lines(lesson: Lesson, width: int) -> list[Line]:
    """The diff of the models from the step before to this one, and the lesson's mistake."""
    number = lesson.number
    before, after = FOLD.table(number - 1), FOLD.table(number)
    lines: list[Line] = []
    for entry in FOLD.load(number).deltas:
        old, new = before.get(entry.name), after.get(entry.name)
        home = (new or old or delta.Entry(entry.name, "constant", 0, entry.home, 0)).home
        lines += [line(f"{entry.action} {entry.name}  ({home})", "strong")]
        if entry.action in ("moves", "declares"):
            lines += [line(f"  to {entry.home}; its text stays the same"), EMPTY]
            continue
        lines += [*_changed(_source(old), _source(new)), EMPTY]
    if lesson.mistake:
        lines += [line("The mistake of this lesson", "strong")]
        lines += [*wrapped(plain(lesson.mistake.what), width), EMPTY]
        lines += _changed(
            lesson.mistake.old.strip("\n").split("\n"), lesson.mistake.new.strip("\n").split("\n")
        )
    return lines or [line("the model does not change")]


def _source(entry: delta.Entry | None) -> list[str]:
    if entry is None:
        return []
    if entry.kind == "function":
        return delta.source(entry.value).splitlines()
    if entry.kind == "constant":
        return [f"{entry.name} = {entry.value}"]
    return [f"ram_list.{entry.name}"]


def _changed(old: list[str], new: list[str]) -> list[Line]:
    """All lines of both, those that go before those that come."""
    made = []
    # The first lines of a unified diff name files and place the hunk; here is but one.
    for part in islice(difflib.unified_diff(old, new, n=len(old), lineterm=""), 3, None):
        styles = {"+": "good", "-": "bad"}
        text = f"{part[0]} {printable(part[1:])}".rstrip()
        made.append(line(text, styles.get(part[0], "")))
    return made

"""What a step changes, twice: in C as its patch says it, in Python as its model does."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Sequence
from dataclasses import dataclass

from refmodels import FOLD, delta
from replay.git.diff import FileChange
from replay.teach.page.highlight import DiffLine, Language, Line, diff_lines


@dataclass(frozen=True, slots=True)
class Change:
    """The change of one file or function: what it is called, what happens, and its lines."""

    name: str
    what: str
    lines: tuple[DiffLine, ...]


def c_changes(files: Sequence[FileChange]) -> list[Change]:
    """The changes of a patch, file by file."""
    changes = []
    for file in files:
        shown: list[DiffLine] = []
        for hunk in file.hunks:
            head = f"line {hunk.new_start}" if hunk.new_count else f"from line {hunk.old_start}"
            shown += diff_lines([("@", head)], "c")
            lines = [
                (sign, text.decode("utf-8", "replace").rstrip("\n")) for sign, text in hunk.lines
            ]
            shown += diff_lines(lines, _language(file.path))
        changes.append(Change(file.path, _what(file), tuple(shown)))
    return changes


def _language(path: str) -> Language:
    return "python" if path.endswith(".py") else "c"


def _what(file: FileChange) -> str:
    if file.old is None:
        return "new file"
    if file.new is None:
        return "removed"
    if file.old != file.new:
        return f"{'copied' if file.copy else 'renamed'} from {file.old}"
    return f"{file.added} lines added, {file.removed} removed"


def model_changes(number: int) -> list[Change]:
    """What a step's model changes, entry by entry, in the order of its module."""
    before, after = FOLD.table(number - 1), FOLD.table(number)
    return [_entry(change, before, after) for change in FOLD.load(number).deltas]


def _entry(change: delta.Delta, before: delta.Table, after: delta.Table) -> Change:
    old, new = before.get(change.name), after.get(change.name)
    if change.action in ("moves", "declares"):
        what = "moves to" if change.action == "moves" else "its prototype moves to"
        return Change(change.name, f"{what} {change.home}; its body stays", ())
    home = (new or old or delta.Entry("", "function", None, "", 0)).home
    lines = list(_unified(_source(old), _source(new)))
    what = {"adds": "new", "changes": "changed", "removes": "removed"}[change.action]
    return Change(
        change.name, f"{what}, {home}" if home else what, tuple(diff_lines(lines, "python"))
    )


def _source(entry: delta.Entry | None) -> list[str]:
    if entry is None:
        return []
    if entry.kind == "constant":
        return [f"{entry.name} = {entry.value}"]
    if entry.kind == "field":
        return [inspect.getsource(entry.value).strip()]
    return delta.source(entry.value).splitlines()


def _unified(old: list[str], new: list[str]) -> list[Line]:
    """All lines of both: a function is short, and easier to read whole."""
    found: list[Line] = []
    for line in difflib.ndiff(old, new):
        if line[0] != "?":
            found.append((line[0], line[2:]))
    return found

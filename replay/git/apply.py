"""The exact application of a patch to a tree in memory.

No fuzz, no offset, no other place than the patch names: a patch that was made for another
tree is refused, never bent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from replay.git.diff import FileChange, Hunk, PatchPlace
from replay.git.paths import PLAIN, shown


class File(NamedTuple):
    """A file of a tree."""

    data: bytes
    mode: int = PLAIN


Tree: TypeAlias = Mapping[str, File]
"""The files of a tree by path; directories exist by their files."""


def apply_changes(changes: Sequence[FileChange], tree: Tree, place: PatchPlace) -> dict[str, File]:
    """The tree after the changes; ``tree`` stays as it is.

    Raises:
        PatchError: a change does not fit the tree exactly; names its file, hunk and line.
    """
    after = dict(tree)
    for change in changes:
        if change.old is not None and not change.copy:
            after.pop(change.old, None)
    for change in changes:
        old = _old_file(change, tree, place)
        data = _patched(change, old.data if old else b"", place)
        if change.new is None:
            if data:
                place.fail(change.line, f"{shown(change.path)} is removed, but lines of it remain")
            continue
        if change.new in after:
            place.fail(
                change.line, f"{shown(change.new)} is to be made new, but the tree has it already"
            )
        mode = change.new_mode or (old.mode if old else PLAIN)
        after[change.new] = File(data, mode)
    _check_folders(changes, after, place)
    return after


def _old_file(change: FileChange, tree: Tree, place: PatchPlace) -> File | None:
    if change.old is None:
        return None
    old = tree.get(change.old)
    if old is None:
        place.fail(change.line, f"the tree before it has no file {shown(change.old)}")
    if change.old_mode is not None and change.old_mode != old.mode:
        place.fail(
            change.line,
            f"{shown(change.old)} has the mode {old.mode:o} in the tree before it, "
            f"not {change.old_mode:o}",
        )
    return old


def _check_folders(changes: Sequence[FileChange], after: Tree, place: PatchPlace) -> None:
    folders = {path[: m.start()] for path in after for m in re.finditer("/", path)}
    for change in changes:
        if change.new is None:
            continue
        parents = (change.new[: m.start()] for m in re.finditer("/", change.new))
        if change.new in folders or any(parent in after for parent in parents):
            place.fail(change.line, f"{shown(change.new)} would be both a file and a folder")


def split_lines(data: bytes) -> list[bytes]:
    """Lines with their newlines. Only a newline ends one; a carriage return is content."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def _patched(change: FileChange, data: bytes, place: PatchPlace) -> bytes:
    if not change.hunks:
        return data
    lines = split_lines(data)
    out: list[bytes] = []
    at = 0
    for number, hunk in enumerate(change.hunks, 1):
        start = hunk.old_start - bool(hunk.old_count)
        out += lines[at:start]
        at = start + hunk.old_count
        _check_fit(hunk, lines, f"hunk {number} of {shown(change.path)}", place)
        out += hunk.side("+")
    out += lines[at:]
    return b"".join(out)


def _check_fit(hunk: Hunk, lines: list[bytes], name: str, place: PatchPlace) -> None:
    start = hunk.old_start - bool(hunk.old_count)
    wanted = hunk.side("-")
    for number, text in enumerate(wanted, start):
        found = lines[number] if number < len(lines) else None
        if found != text:
            there = "the end of the file" if found is None else _line(found)
            place.fail(
                hunk.line,
                f"{name} does not apply: line {number + 1} should be {_line(text)}, but the "
                f"tree before has {there}",
            )
    end = start + hunk.old_count
    # As git has it: without context after it a hunk ends the file, and one at line 1 starts it.
    loose = hunk.lines[-1][0] != " " and end != len(lines)
    if loose or start > len(lines) or (hunk.old_start == 1 and not hunk.old_count):
        place.fail(
            hunk.line,
            f"{name} does not apply: it must end the file, which has {len(lines)} lines; "
            "a hunk elsewhere needs lines of context",
        )


def _line(text: bytes) -> str:
    """A line for a message; whether it has its newline can be all the difference."""
    return shown(text[:-1]) if text.endswith(b"\n") else f"{shown(text)} without a newline"

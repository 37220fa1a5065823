"""The table of changed files that a patch carries for its readers.

It looks as ``git diff --stat=76`` prints it, but is computed here: the same patch has the
same table with every version of git. Names are never shortened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from replay.git.diff import FileChange

WIDTH: Final = 76
LEAST_GRAPH: Final = 6


def stat_table(changes: Sequence[FileChange]) -> str:
    """A line a file, and a line of totals; each ends with a newline."""
    if not changes:
        return ""
    most = max(change.added + change.removed for change in changes)
    number_width = len(str(most))
    name_width = max(len(change.path) for change in changes)
    graph = _graph_width(most, name_width + number_width + LEAST_GRAPH, number_width)
    lines = []
    for change in changes:
        total = change.added + change.removed
        bar = _bar(change.added, change.removed, graph, most)
        line = f" {change.path:<{name_width}} | {total:>{number_width}} {bar}"
        lines.append(line.rstrip())
    added = sum(change.added for change in changes)
    removed = sum(change.removed for change in changes)
    lines.append(_totals(len(changes), added, removed))
    return "".join(f"{line}\n" for line in lines)


def _graph_width(most: int, taken: int, number_width: int) -> int:
    """The columns for the bars: what a name needs goes first, down to 3/8 of the width."""
    if taken + most <= WIDTH:
        return most
    share = max(WIDTH * 3 // 8 - number_width - LEAST_GRAPH, LEAST_GRAPH)
    return max(WIDTH - taken, min(most, share))


def _bar(added: int, removed: int, width: int, most: int) -> str:
    if most <= width:
        return "+" * added + "-" * removed
    total = _scaled(added + removed, width, most)
    if added and removed:
        total = max(total, 2)
    # The smaller side is scaled, so that it does not vanish; the other gets the rest.
    if added < removed:
        plus = _scaled(added, width, most)
        return "+" * plus + "-" * (total - plus)
    minus = _scaled(removed, width, most)
    return "+" * (total - minus) + "-" * minus


def _scaled(count: int, width: int, most: int) -> int:
    """A count on a scale; what is not nothing is at least one."""
    return 1 + count * (width - 1) // most if count else 0


def _totals(files: int, added: int, removed: int) -> str:
    text = f" {_count(files, 'file')} changed"
    if added or not removed:
        text += f", {_count(added, 'insertion')}(+)"
    if removed or not added:
        text += f", {_count(removed, 'deletion')}(-)"
    return text


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"

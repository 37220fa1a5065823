"""Two versions of a series: which patches changed, which are new, gone, or moved.

Patches are paired by equal diffs first, then by equal titles, then by how alike their
diffs are. What git invents anew each time - blob ids and line numbers - makes no
difference.
"""

from __future__ import annotations

import difflib
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from replay.mail.reading import MailPatch, MailSeries

ALIKE: Final = 0.5
"""How much of two diffs must be equal lines for them to be one patch."""
MOST_LINES: Final = 20_000
"""Lines of a patch past which how it changed is not shown, as that takes too long."""

_NOISE: Final = re.compile(r"^(?:index [0-9a-f]+\.\.|similarity index |dissimilarity index )")
_HUNK: Final = re.compile(r"^@@ -[0-9,]+ \+[0-9,]+ @@")


class Status(StrEnum):
    """What became of a patch."""

    SAME = "same"
    MESSAGE = "message changed"
    CHANGED = "changed"
    NEW = "new"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Pairing:
    """A patch of the old series and its successor.

    Attributes:
        old, new: None where there is none; ``old_place`` and ``new_place`` count from 1.
        status: what became of it.
        moved: it changed places with others that stayed.
        diff: how its text changed, a patch of the patch; lines without newlines.

    """

    old: MailPatch | None
    new: MailPatch | None
    old_place: int
    new_place: int
    status: Status
    moved: bool = False
    diff: tuple[str, ...] = ()


def compare_series(old: MailSeries, new: MailSeries) -> list[Pairing]:
    """The patches of both series, paired, in the order of the new one.

    A dropped patch stands where it stood in the old one.
    """
    pairs = _paired(old.patches, new.patches)
    moved = _moved(pairs)
    successors = dict(pairs)
    kept = {b: a for a, b in pairs}
    rows: list[Pairing] = []
    for place, patch in enumerate(new.patches):
        if place not in kept:
            rows.append(Pairing(None, patch, 0, place + 1, Status.NEW))
            continue
        before = old.patches[kept[place]]
        status, diff = _status(before, patch)
        rows.append(
            Pairing(before, patch, kept[place] + 1, place + 1, status, place in moved, diff)
        )
    for place, patch in enumerate(old.patches):
        if place not in successors:
            row = Pairing(patch, None, place + 1, 0, Status.DROPPED)
            at = next(
                (i for i, r in enumerate(rows) if r.old_place > place + 1 and not r.moved),
                len(rows),
            )
            rows.insert(at, row)
    return rows


def _status(old: MailPatch, new: MailPatch) -> tuple[Status, tuple[str, ...]]:
    before, after = text_of(old), text_of(new)
    if before == after:
        return Status.SAME, ()
    same_diff = plain_diff(old.diff) == plain_diff(new.diff)
    status = Status.MESSAGE if same_diff else Status.CHANGED
    if max(len(before), len(after)) > MOST_LINES:
        return status, ("(too long to compare line by line)",)
    lines = difflib.unified_diff(before, after, lineterm="", n=3)
    return status, tuple(line for line in lines if not line.startswith(("--- ", "+++ ")))[:2000]


def text_of(patch: MailPatch) -> list[str]:
    """A patch as lines to compare: title, author, message and the plain diff."""
    return [
        f"Subject: {patch.title}", f"Author: {patch.author}", "",
        *(line.rstrip() for line in patch.message.split("\n")), "", *plain_diff(patch.diff),
    ]  # fmt: skip


def plain_diff(diff: str) -> list[str]:
    """A diff without blob ids and line numbers."""
    lines = [_HUNK.sub("@@", line) for line in diff.rstrip("\n").split("\n")]
    return [line for line in lines if not _NOISE.match(line)]


# --- pairing --------------------------------------------------------------------------


def _paired(old: Sequence[MailPatch], new: Sequence[MailPatch]) -> list[tuple[int, int]]:
    """(place in old, place in new) of what is one patch, sorted by the latter."""
    free_old, free_new = list(range(len(old))), list(range(len(new)))
    pairs: list[tuple[int, int]] = []

    def take(key: Callable[[MailPatch], object]) -> None:
        known: dict[object, list[int]] = {}
        for a in free_old:
            known.setdefault(key(old[a]), []).append(a)
        for b in list(free_new):
            candidates = known.get(key(new[b]))
            if candidates:
                a = candidates.pop(0)
                pairs.append((a, b))
                free_old.remove(a)
                free_new.remove(b)

    take(lambda p: (_title(p.title), tuple(plain_diff(p.diff))))
    take(lambda p: tuple(plain_diff(p.diff)))
    take(lambda p: _title(p.title))
    bags = {id(p): _bag(p.diff) for p in (*old, *new)}
    scored = sorted(
        (
            (-_likeness(bags[id(old[a])], bags[id(new[b])]), a, b)
            for a in free_old for b in free_new
        ),
    )  # fmt: skip
    for score, a, b in scored:
        if -score >= ALIKE and a in free_old and b in free_new:
            pairs.append((a, b))
            free_old.remove(a)
            free_new.remove(b)
    return sorted(pairs, key=lambda pair: pair[1])


def _title(title: str) -> str:
    return " ".join(title.casefold().split())


def _bag(diff: str) -> Counter[str]:
    """The changed lines of a diff, how often each."""
    return Counter(line for line in plain_diff(diff) if line[:1] in "+-" and line.strip("+- \t"))


def _likeness(a: Counter[str], b: Counter[str]) -> float:
    """Lines in both, of all lines of the longer one."""
    longer = max(a.total(), b.total())
    return (a & b).total() / longer if longer else 0.0


def _moved(pairs: Sequence[tuple[int, int]]) -> set[int]:
    """The new places of patches that are out of the old order, as few as can be."""
    tails: list[int] = []
    ends: list[int] = []
    back: dict[int, int] = {}
    for index, (old, _) in enumerate(pairs):
        at = bisect_left(tails, old)
        if at == len(tails):
            tails.append(old)
            ends.append(index)
        else:
            tails[at], ends[at] = old, index
        back[index] = ends[at - 1] if at else -1
    kept = set()
    index = ends[-1] if ends else -1
    while index >= 0:
        kept.add(index)
        index = back[index]
    return {new for index, (_, new) in enumerate(pairs) if index not in kept}


def renamed(row: Pairing) -> bool:
    """Whether a patch has another title now."""
    return bool(row.old and row.new and _title(row.old.title) != _title(row.new.title))


def without_diffs(rows: Sequence[Pairing]) -> list[Pairing]:
    """The rows without how their texts changed."""
    return [replace(row, diff=()) for row in rows]

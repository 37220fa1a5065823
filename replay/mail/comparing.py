"""Two versions of a series: which patches changed, which are new, gone, or moved.

Patches are paired by equal diffs first, then by equal titles, then by how alike their
diffs are. Equal titles of several patches pair by likeness, not by order, and a title that
is only the name of a file pairs nothing. What git invents anew each time - blob ids and line
numbers - makes no difference.
"""

from __future__ import annotations

import difflib
import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import Final

from replay.mail.reading import MailPatch, MailSeries

ALIKE: Final = 0.5
"""How much of two diffs must be equal lines for them to be one patch."""
MOST_LINES: Final = 20_000
"""Lines of a patch past which how it changed is not shown, as that takes too long."""

MOST_EQUAL: Final = 10_000
"""Pairs of one title past which they pair by order."""
MOST_SHARING: Final = 100
"""Patches with a line past which it says nothing about their likeness."""

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


def compare_covers(old: MailSeries, new: MailSeries) -> tuple[Status, tuple[str, ...]] | None:
    """What became of the cover letter, and how its text changed; None where neither has one.

    The commit that a series names as its base is no words of it.
    """
    if old.cover is None or new.cover is None:
        if old.cover is new.cover:
            return None
        return (Status.NEW if old.cover is None else Status.DROPPED), ()
    before, after = (_cover_text(*cover) for cover in (old.cover, new.cover))
    if before == after:
        return Status.SAME, ()
    return Status.CHANGED, _changes(before, after)


def _cover_text(title: str, text: str) -> list[str]:
    lines = (line.rstrip() for line in text.split("\n") if not line.startswith("base-commit: "))
    return [f"Subject: {title}", "", *"\n".join(lines).strip().split("\n")]


def _changes(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
    """A patch of two texts, its lines without newlines."""
    if max(len(before), len(after)) > MOST_LINES:
        return ("(too long to compare line by line)",)
    lines = difflib.unified_diff(before, after, lineterm="", n=3)
    # The first two name the texts.
    return tuple(islice(lines, 2, 2002))


def _status(old: MailPatch, new: MailPatch) -> tuple[Status, tuple[str, ...]]:
    before, after = text_of(old), text_of(new)
    if before == after:
        return Status.SAME, ()
    same_diff = plain_diff(old.diff) == plain_diff(new.diff)
    status = Status.MESSAGE if same_diff else Status.CHANGED
    return status, _changes(before, after)


def text_of(patch: MailPatch) -> list[str]:
    """A patch as lines to compare: title, author, message and the plain diff."""
    return [
        f"Subject: {'' if patch.untitled else patch.title}", f"Author: {patch.author}", "",
        *(line.rstrip() for line in patch.message.split("\n")), "", *plain_diff(patch.diff),
    ]  # fmt: skip


def plain_diff(diff: str) -> list[str]:
    """A diff without blob ids and line numbers."""
    lines = [_HUNK.sub("@@", line) for line in diff.rstrip("\n").split("\n")]
    return [line for line in lines if not _NOISE.match(line)]


# --- pairing --------------------------------------------------------------------------


def _paired(old: Sequence[MailPatch], new: Sequence[MailPatch]) -> list[tuple[int, int]]:
    """(place in old, place in new) of what is one patch, sorted by the latter."""
    free = dict.fromkeys(range(len(old))), dict.fromkeys(range(len(new)))
    pairs: list[tuple[int, int]] = []
    bags = [_bag(p.diff) for p in old], [_bag(p.diff) for p in new]

    def pair(a: int, b: int) -> None:
        pairs.append((a, b))
        del free[0][a], free[1][b]

    def take(key: Callable[[MailPatch], Hashable]) -> None:
        known: dict[Hashable, tuple[list[int], list[int]]] = {}
        for side, patches in enumerate((old, new)):
            for at in free[side]:
                value = key(patches[at])
                if value is not None:
                    known.setdefault(value, ([], []))[side].append(at)
        for before, after in known.values():
            for a, b in _by_likeness(before, after, bags):
                pair(a, b)

    take(lambda p: (_title(p.title), tuple(plain_diff(p.diff))))
    take(lambda p: tuple(plain_diff(p.diff)))
    take(lambda p: None if p.untitled else _title(p.title))
    scored = sorted(
        (-_likeness(bags[0][a], bags[1][b]), a, b)
        for a, b in _candidates({a: bags[0][a] for a in free[0]}, {b: bags[1][b] for b in free[1]})
    )
    for score, a, b in scored:
        if -score >= ALIKE and a in free[0] and b in free[1]:
            pair(a, b)
    return sorted(pairs, key=lambda pair: pair[1])


def _by_likeness(
    before: Sequence[int], after: Sequence[int], bags: Sequence[Sequence[Counter[str]]]
) -> list[tuple[int, int]]:
    """Pairs of patches that have one key, as many as can be: the most alike first.

    Far too many of one key pair by order.
    """
    if len(before) * len(after) in (0, 1) or len(before) * len(after) > MOST_EQUAL:
        return list(zip(before, after, strict=False))
    scored = sorted((-_likeness(bags[0][a], bags[1][b]), a, b) for a in before for b in after)
    left, right = set(before), set(after)
    pairs = []
    for _, a, b in scored:
        if a in left and b in right:
            pairs.append((a, b))
            left.remove(a)
            right.remove(b)
    return pairs


def _candidates(
    old: Mapping[int, Counter[str]], new: Mapping[int, Counter[str]]
) -> set[tuple[int, int]]:
    """The pairs that can be alike enough; far fewer than all.

    Two diffs that share enough lines share one of the rarest of each: of n lines those but
    the last n * ALIKE. Lines of far too many patches tell nothing.
    """
    how_many = Counter(line for bag in (*old.values(), *new.values()) for line in bag)
    known: dict[str, list[int]] = {}
    for a, bag in old.items():
        for line in _rarest(bag, how_many):
            known.setdefault(line, []).append(a)
    return {
        (a, b) for b, bag in new.items() for line in _rarest(bag, how_many)
        if len(known.get(line, ())) <= MOST_SHARING for a in known.get(line, ())
    }  # fmt: skip


def _rarest(bag: Counter[str], how_many: Mapping[str, int]) -> list[str]:
    """Lines of which a diff that is alike enough has at least one."""
    spare = bag.total() - math.ceil(bag.total() * ALIKE)
    lines = []
    for line in sorted(bag, key=lambda line: (how_many[line], line)):
        lines.append(line)
        spare -= bag[line]
        if spare < 0:
            break
    return lines


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

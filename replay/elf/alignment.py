"""Aligns two lists of keys: what stays the same, in order, and what is on one side.

Equal ends first, then keys that each list has once (as patience diff does), then, between
those, the longest common parts. Long stretches without any such anchor are not aligned.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Sequence
from difflib import SequenceMatcher
from typing import Final, TypeAlias

LARGEST: Final = 4_000_000
"""Pairs that are looked at between two anchors."""

Pairs: TypeAlias = list[tuple[int, int]]


def aligned(a: Sequence[Hashable], b: Sequence[Hashable]) -> Pairs:
    """The positions in both lists that belong together, ascending in both."""
    found: Pairs = []
    pending = [(0, len(a), 0, len(b))]
    while pending:
        start, end, other, last = pending.pop()
        while start < end and other < last and a[start] == b[other]:
            found.append((start, other))
            start, other = start + 1, other + 1
        while start < end and other < last and a[end - 1] == b[last - 1]:
            end, last = end - 1, last - 1
            found.append((end, last))
        if start == end or other == last:
            continue
        anchors = _anchors(a, b, (start, end, other, last))
        if not anchors:
            found += _common(a[start:end], b[other:last], start, other)
            continue
        found += anchors
        for x, y in [*anchors, (end, last)]:
            pending.append((start, x, other, y))
            start, other = x + 1, y + 1
    return sorted(found)


def _anchors(
    a: Sequence[Hashable], b: Sequence[Hashable], part: tuple[int, int, int, int]
) -> Pairs:
    """The keys that each part has once, as far as their order is the same in both."""
    start, end, other, last = part
    mine, theirs = Counter(a[start:end]), Counter(b[other:last])
    places = {b[j]: j for j in range(other, last) if theirs[b[j]] == 1}
    pairs = [(i, places[a[i]]) for i in range(start, end) if mine[a[i]] == 1 and a[i] in places]
    # The longest ascending run, by piles of the least last position of each length.
    tops: list[int] = []
    piles: list[int] = []
    before: list[int] = []
    for number, (_, j) in enumerate(pairs):
        pile = bisect_left(tops, j)
        before.append(piles[pile - 1] if pile else -1)
        tops[pile : pile + 1] = [j]
        piles[pile : pile + 1] = [number]
    found: Pairs = []
    at = piles[-1] if piles else -1
    while at >= 0:
        found.append(pairs[at])
        at = before[at]
    return found[::-1]


def _common(a: Sequence[Hashable], b: Sequence[Hashable], start: int, other: int) -> Pairs:
    if len(a) * len(b) > LARGEST:
        return []
    blocks = SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()
    return [(start + x + n, other + y + n) for x, y, size in blocks for n in range(size)]

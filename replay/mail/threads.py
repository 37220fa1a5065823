"""The patches of a mailbox → its series, each with all of its versions.

Mails belong together by In-Reply-To and References; mails that were sent without a thread by
their subjects. Two versions are of one series where one answers the other, or they have a
title, a cover letter's title or a file in common.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from replay.mail.patch import MailPatch

MOST_KIN: Final = 20
"""Groups with a title or file in common that are looked at, the latest."""


def by_series(patches: Sequence[MailPatch]) -> list[list[MailPatch]]:
    """The patches of each series, in the order in which they came; so are the series."""
    joined = _Joined(len(patches))
    names: dict[Hashable, int] = {}
    threaded = _threads(patches, joined, names)
    _loose([at for at in range(len(patches)) if at not in threaded], patches, joined)
    groups: dict[int, list[int]] = {}
    for at in range(len(patches)):
        groups.setdefault(joined.root(at), []).append(at)
    _join_versions(list(groups.values()), patches, joined)
    series: dict[int, list[MailPatch]] = {}
    for at, patch in enumerate(patches):
        series.setdefault(joined.root(at), []).append(patch)
    return list(series.values())


class _Joined:
    """Which of some numbers belong together."""

    def __init__(self, count: int) -> None:
        self._above = list(range(count))

    def root(self, at: int) -> int:
        """The number that stands for all that belong to this one."""
        while self._above[at] != at:
            self._above[at] = self._above[self._above[at]]
            at = self._above[at]
        return at

    def join(self, a: int, b: int) -> None:
        """Let two belong together."""
        a, b = sorted((self.root(a), self.root(b)))
        self._above[b] = a


def _threads(patches: Sequence[MailPatch], joined: _Joined, names: dict[Hashable, int]) -> set[int]:
    """Join what answers one mail, which need not be there; gives the mails of threads."""
    known = {patch.id for patch in patches if patch.id}
    answered = {name for patch in patches for name in patch.refs}
    threaded = set()
    for at, patch in enumerate(patches):
        own = {patch.id} & answered
        # A long discussion above may have brought forth several series.
        above = [name for name in patch.refs if name in known] or list(patch.refs[-1:])
        for name in (*own, *above):
            joined.join(names.setdefault(name, at), at)
            threaded.add(at)
    return threaded


def _loose(loose: Sequence[int], patches: Sequence[MailPatch], joined: _Joined) -> None:
    """Join mails without a thread by their subjects.

    Those of one version are one series as long as no number comes again with another title
    and another total or file.
    """
    open_ones: dict[int, dict[int, int]] = {}
    first: dict[int, int] = {}
    for at in loose:
        patch = patches[at]
        numbers = open_ones.setdefault(patch.version, {})
        if patch.number is not None:
            there = numbers.get(patch.number)
            if there is not None and not _alike([patches[there]], [patch]):
                numbers.clear()
                first.pop(patch.version, None)
            numbers[patch.number] = at
        joined.join(first.setdefault(patch.version, at), at)


def _join_versions(
    groups: Sequence[Sequence[int]], patches: Sequence[MailPatch], joined: _Joined
) -> None:
    """Join versions of one series that no thread joins."""
    known: dict[Hashable, list[int]] = {}
    whole = {joined.root(group[0]): [patches[at] for at in group] for group in groups}
    for root in list(whole):
        for mark in dict.fromkeys(m for patch in whole[root] for m in _marks(patch)):
            for other in known.get(mark, [])[-MOST_KIN:]:
                a, b = joined.root(other), joined.root(root)
                if a == b or _versions(whole[a]) & _versions(whole[b]):
                    continue
                if _alike(whole[a], whole[b]):
                    _merge(whole, joined, a, b)
                    break
            known.setdefault(mark, []).append(root)
    for root, group in list(whole.items()):
        # A cover letter alone belongs to the only series that there is.
        others = [other for other in whole if other != root]
        if root in whole and len(others) == 1 and not any(patch.diff for patch in group):
            _merge(whole, joined, others[0], root)


def _merge(whole: dict[int, list[MailPatch]], joined: _Joined, a: int, b: int) -> None:
    """Make two groups one, whose number is the smaller."""
    joined.join(a, b)
    whole[min(a, b)] = [*whole[a], *whole[b]]
    del whole[max(a, b)]


def _versions(group: Sequence[MailPatch]) -> set[int]:
    return {patch.version for patch in group}


def _marks(patch: MailPatch) -> list[Hashable]:
    """What two versions of a patch, or of a cover letter, can have in common."""
    title: list[Hashable] = [] if patch.untitled else [("title", patch.title.casefold())]
    return [*title, *(("file", name) for name in patch.files)]


def _alike(old: Sequence[MailPatch], new: Sequence[MailPatch]) -> bool:
    """Whether two groups have a title in common, or half of the files of one."""
    titles = [{p.title.casefold() for p in group if not p.untitled} for group in (old, new)]
    files = [{name for p in group for name in p.files} for group in (old, new)]
    fewer = min(map(len, files))
    return bool(titles[0] & titles[1] or (fewer and len(files[0] & files[1]) * 2 >= fewer))

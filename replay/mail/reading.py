"""A mailbox, or a folder of patches, → the series in it.

Mails come in any order, with replies in between, as attachments, encoded one way or
another. What is no patch of the series is counted, what is missing is named; so is what git
would refuse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from replay.mail.boxes import MailError, letters
from replay.mail.patch import Left, MailPatch, patches_of
from replay.mail.threads import by_series

__all__ = ["Listed", "MailError", "MailPatch", "MailSeries", "list_series", "read_series"]


@dataclass(slots=True)
class MailSeries:
    """A series as it came.

    Attributes:
        path: the mailbox or folder.
        version: of ``[PATCH v2 …]``.
        cover: (title, text) of the cover letter; None without one.
        patches: in order.
        missing: the numbers of which there is no patch.
        base: the commit that the series names as its base; empty for none.
        replies: mails that were left out as replies, and ``others`` as anything else.
        notes: what a reader should know.
        place, places: which of the series in the mailbox it is, and of how many.
        versions: those that the mailbox holds of it, in order.

    """

    path: str
    version: int = 1
    cover: tuple[str, str] | None = None
    patches: list[MailPatch] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    base: str = ""
    replies: int = 0
    others: int = 0
    notes: list[str] = field(default_factory=list)
    place: int = 1
    places: int = 1
    versions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """The series of a mailbox: of each its versions, in order."""

    path: str
    series: tuple[tuple[MailSeries, ...], ...]


def list_series(path: Path) -> Listed:
    """All series in a mailbox, each with all of its versions.

    Raises:
        MailError: it cannot be read, or holds no patch.

    """
    groups, left = _read(path)
    return Listed(
        str(path),
        tuple(
            tuple(_chosen(path, groups, left, place, v) for v in _versions(group))
            for place, group in enumerate(groups, 1)
        ),
    )


def read_series(path: Path, version: int | None = None, place: int | None = None) -> MailSeries:
    """A series in a mailbox or a folder of patches.

    Args:
        path: a mailbox, one mail, or a folder (a Maildir too) of such files.
        version: the one to take; by default the latest.
        place: which series of several, from 1; by default that with the most patches, of
            equals the last.

    Raises:
        MailError: it cannot be read, or holds no patch of that version.

    """
    groups, left = _read(path)
    count = len(groups)
    if place is not None and not 0 < place <= count:
        raise MailError(f"{path}: no series {place}; there {_are(count, 'series', 'series')}")
    chosen = place or max(range(1, count + 1), key=lambda n: (_patch_count(groups[n - 1]), n))
    series = _chosen(path, groups, left, chosen, version)
    if count > 1 and place is None:
        series.notes.insert(
            0, f"this is series {chosen} of {count}; 'replay mail list' shows all, and --series "
            "picks one",
        )  # fmt: skip
    return series


def _are(count: int, one: str, many: str) -> str:
    return f"is 1 {one}" if count == 1 else f"are {count} {many}"


def _patch_count(group: list[MailPatch]) -> int:
    latest = _versions(group)[-1]
    return len({patch.title for patch in group if patch.diff and patch.version == latest})


def _versions(group: list[MailPatch]) -> list[int]:
    """The versions of which there is a patch; without any patch those of cover letters."""
    versions = sorted({patch.version for patch in group if patch.diff})
    return versions or sorted({patch.version for patch in group})


def _read(path: Path) -> tuple[list[list[MailPatch]], Left]:
    """The patches of a mailbox by series."""
    found: list[MailPatch] = []
    left = Left()
    mails = 0
    for letter in letters(path):
        mails += 1
        found += patches_of(letter, left)
    groups = [g for g in by_series(found) if any(p.diff or (p.number == 0 and p.total) for p in g)]
    if not groups:
        raise MailError(
            f"{path}: no patch in {mails} mail{'' if mails == 1 else 's'} ({left.replies} "
            "replies); a patch is a mail with a diff, as git format-patch makes it"
        )
    return groups, left


def _chosen(
    path: Path, groups: list[list[MailPatch]], left: Left, place: int, version: int | None
) -> MailSeries:
    """A version of a series of a mailbox."""
    group = groups[place - 1]
    versions = _versions(group)
    chosen = version or versions[-1]
    if chosen not in versions:
        known = ", ".join(f"v{v}" for v in versions)
        raise MailError(f"{path}: no patch of v{chosen}; there are {known}")
    series = MailSeries(
        str(path), chosen, replies=left.replies, others=left.others, place=place,
        places=len(groups), versions=tuple(versions),
    )  # fmt: skip
    if len(versions) > 1:
        others = ", ".join(f"v{v}" for v in versions if v != chosen)
        series.notes.append(f"v{chosen} is taken; there is {others} too")
    series.notes += [
        f"there is a cover letter of v{v}, but no patch of it"
        for v in sorted({p.version for p in group if p.number == 0 and p.total} - set(versions))
    ]
    _assemble(series, [patch for patch in group if patch.version == chosen])
    return series


def _assemble(series: MailSeries, found: list[MailPatch]) -> None:
    """Put the mails of one version in order, and name what is missing or there twice."""
    numbered: dict[int, MailPatch] = {}
    plain: list[MailPatch] = []
    totals: set[int] = set()
    for patch in found:
        if patch.number == 0 or (not patch.diff and patch.number is None):
            if series.cover is None or patch.number == 0:
                series.cover = patch.title, patch.message
            totals |= {patch.total} if patch.number == 0 and patch.total else set()
        elif not patch.diff:
            series.notes.append(f"patch {patch.number} comes without a diff ({patch.place})")
        elif patch.number is None:
            plain.append(patch)
        else:
            if patch.number in numbered:
                series.notes.append(f"patch {patch.number} is there twice; the later one is taken")
            numbered[patch.number] = patch
        series.base = series.base or patch.base
    totals |= {patch.total for patch in numbered.values() if patch.total is not None}
    if len(totals) > 1:
        shown = ", ".join(map(str, sorted(totals)))
        series.notes.append(f"the subjects disagree on how many patches there are: {shown}")
    series.notes += [
        f"a patch is numbered {patch.number}/{patch.total}, past its own total ({patch.place})"
        for patch in numbered.values()
        if patch.total is not None and patch.number is not None and patch.number > patch.total
    ]
    last = max([*numbered, *totals], default=0)
    series.missing = [number for number in range(1, last + 1) if number not in numbered]
    series.patches = [numbered[number] for number in sorted(numbered)] + plain

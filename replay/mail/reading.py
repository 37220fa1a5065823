"""A mailbox, or a folder of patches, → the series in it.

Mails come in any order, with replies in between, as attachments, encoded one way or
another. What is no patch of the series is counted, what is missing is named; so is what git
would refuse.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.mail.boxes import Letter, MailError, letters
from replay.mail.diffs import DiffText, FileDiff, read_diff
from replay.mail.headers import address, inbody, text_of, words
from replay.mail.parts import MOST_NESTED, Parts, read_parts

__all__ = ["MailError", "MailPatch", "MailSeries", "read_series"]

_REPLY: Final = re.compile(r"\s*(?:re|aw|sv|antw|fwd?)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)
_PREFIX: Final = re.compile(r"[\s:]*\[([^\[\]]{1,100})\][\s:]*")
_NUMBER: Final = re.compile(r"([0-9]{1,4})/([0-9]{1,4})", re.ASCII)
_VERSION: Final = re.compile(r"v([0-9]{1,3})", re.IGNORECASE | re.ASCII)
_KNOWN: Final = re.compile(r"PATCH|v[0-9]+|[0-9]+/[0-9]+", re.IGNORECASE | re.ASCII)
_BASE: Final = re.compile(r"^base-commit:[ \t]*([0-9a-f]{7,64})[ \t]*$", re.MULTILINE)
_SIGNATURE: Final = re.compile(r"^-- ?$", re.MULTILINE)
_BREAK: Final = re.compile(r"^(?:---[ \t]*$|diff -|Index: |--- \S)", re.MULTILINE)
"""What ends a message, as for git."""


@dataclass(frozen=True, slots=True)
class MailPatch:
    """A patch of a mail.

    Attributes:
        number: of ``[PATCH n/m]``; None where the subject has none.
        total: its m.
        version: of ``[PATCH v2 …]``, else 1.
        tags: the other words in brackets: RFC, RESEND, the name of a tree.
        title: the subject without brackets, that of the body if it has one; the name of the
            file where there is none.
        author: name and address, that of the body's From: if it has one.
        date: as in the mail, or its body.
        message: the commit message without the title.
        diff: the diff, lines ended by a newline only; bytes that are no UTF-8 are halves of
            pairs (surrogateescape).
        base: the ``base-commit:`` that the mail names; empty for none.
        place: the file, and the line at which the mail starts.
        changes: what the diff does to each file.
        problems: why git would refuse the diff or apply it elsewhere, each with its place.
        untitled: the title is the file's name.

    """

    number: int | None
    total: int | None
    version: int
    tags: tuple[str, ...]
    title: str
    author: str
    date: str
    message: str
    diff: str
    base: str
    place: str
    changes: tuple[FileDiff, ...] = ()
    problems: tuple[str, ...] = ()
    untitled: bool = False

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        return tuple(dict.fromkeys(change.path for change in self.changes if change.path))

    @property
    def binaries(self) -> tuple[str, ...]:
        """Those of which the content is no text."""
        return tuple(dict.fromkeys(change.path for change in self.changes if change.binary))

    @property
    def counts(self) -> tuple[int, int]:
        """Added and removed lines."""
        added = sum(change.added for change in self.changes)
        return added, sum(change.removed for change in self.changes)


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


def read_series(path: Path, version: int | None = None) -> MailSeries:
    """The series in a mailbox or a folder of patches.

    Args:
        path: a mailbox, one mail, or a folder (a Maildir too) of such files.
        version: the one to take; by default the latest.

    Raises:
        MailError: it cannot be read, or holds no patch of that version.

    """
    found: list[MailPatch] = []
    series = MailSeries(str(path))
    mails = 0
    for letter in letters(path):
        mails += 1
        found += _patches(letter, series)
    versions = sorted({patch.version for patch in found if patch.diff})
    covers = sorted({patch.version for patch in found if patch.number == 0 and patch.total})
    if not (versions or covers):
        raise MailError(
            f"{path}: no patch in {mails} mail{'' if mails == 1 else 's'} ({series.replies} "
            "replies); a patch is a mail with a diff, as git format-patch makes it"
        )
    chosen = version or (versions or covers)[-1]
    if chosen not in versions and (versions or chosen not in covers):
        known = ", ".join(f"v{v}" for v in versions or covers)
        raise MailError(f"{path}: no patch of v{chosen}; there are {known}")
    if len(versions) > 1:
        others = ", ".join(f"v{v}" for v in versions if v != chosen)
        series.notes.append(f"v{chosen} is taken; there is {others} too")
    series.notes += [
        f"there is a cover letter of v{v}, but no patch of it"
        for v in covers if v != chosen and v not in versions
    ]  # fmt: skip
    series.version = chosen
    _assemble(series, [patch for patch in found if patch.version == chosen])
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


# --- one mail -------------------------------------------------------------------------


def _patches(letter: Letter, series: MailSeries, depth: int = 0) -> list[MailPatch]:
    """What a mail holds; nothing for a reply and for what has to do with no patch."""
    parts = read_parts(letter.data)
    subject = words(parts.headers.get("subject", ""))
    if _REPLY.match(subject):
        series.replies += 1
        return []
    nested = [
        patch for data in parts.mails if depth < MOST_NESTED
        for patch in _patches(letter._replace(data=data), series, depth + 1)
    ]  # fmt: skip
    own = _patch(letter, parts, subject, depth)
    # A mail that brings whole patches is their cover, if it is anything.
    if own is not None and (own.diff or not nested or own.number is not None):
        return [own, *nested]
    series.others += own is None and not nested
    return nested


def _patch(letter: Letter, parts: Parts, subject: str, depth: int) -> MailPatch | None:
    """The patch of a mail itself."""
    fields, body = inbody(parts.text.text)
    in_brackets, title = _brackets(subject)
    number = next((m for w in in_brackets if (m := _NUMBER.fullmatch(w))), None)
    is_cover = number is not None and int(number[1]) == 0
    attached = read_diff(parts.attached.text)
    in_text = read_diff(parts.text.text)
    found, source = (attached, parts.attached) if attached.files else (in_text, parts.text)
    named = any(w.upper().startswith("PATCH") or w.upper() == "RFC" for w in in_brackets)
    if not (named or number or found.files):
        return None
    if is_cover:
        found = DiffText(0, "", (), ())
    if "subject" in fields:
        title = _brackets(words(fields["subject"]))[1] or title
    untitled = not title and letter.alone
    version = next((int(m[1]) for w in in_brackets if (m := _VERSION.fullmatch(w))), 1)
    base = _BASE.search(parts.text.text)
    line = source.line if not depth else 0
    problems = tuple(f"{_where(letter, line, p.line)}: {p.text}" for p in found.problems)
    return MailPatch(
        int(number[1]) if number else None, int(number[2]) if number else None, version,
        tuple(w for w in in_brackets if not _KNOWN.fullmatch(w)),
        letter.file.name if untitled else _clean(title),
        _clean(address(fields.get("from") or parts.headers.get("from", ""))),
        _clean(words(fields.get("date") or parts.headers.get("date", ""))),
        _clean(_message(body, whole=is_cover)), found.text, base[1] if base else "",
        letter.place(1),
        found.files, problems, untitled,
    )  # fmt: skip


def _where(letter: Letter, first: int, line: int) -> str:
    """The place of a line of a text: in the file, if the text stands there as it is."""
    if first:
        return letter.place(first + line)
    return f"{letter.place(1)}: line {line + 1} of its text"


def _clean(text: str) -> str:
    """A text without halves of pairs: as Latin-1, where it was no UTF-8."""
    if text.isascii():
        return text
    return text_of(text.encode("utf-8", "surrogateescape"))


def _brackets(subject: str) -> tuple[list[str], str]:
    """The words in brackets at the start of a subject, and the rest."""
    found: list[str] = []
    while match := _PREFIX.match(subject):
        # "PATCHv2" is written too.
        joined = re.sub(r"(?i)\bpatch(?=v[0-9])", "PATCH ", match[1])
        found += joined.replace(",", " ").replace(":", " ").split()
        subject = subject[match.end() :]
    return found, subject.strip()


def _message(body: str, whole: bool) -> str:
    """The message of a mail: all before what ends it for git; of a cover letter all."""
    ends = None if whole else _BREAK.search(body)
    if ends is not None:
        return body[: ends.start()].strip()
    signature = _SIGNATURE.search(body)
    return body[: signature.start() if signature else None].strip()

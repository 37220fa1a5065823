"""One mail → the patches in it, with what git reads of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from replay.mail.boxes import Letter
from replay.mail.diffs import DiffText, FileDiff, read_diff
from replay.mail.headers import address, inbody, text_of, words
from replay.mail.parts import MOST_NESTED, Parts, read_parts

MOST_REFERENCES: Final = 20_000
"""Characters of a References header that are read."""

_REPLY: Final = re.compile(r"\s*(?:re|aw|sv|antw|fwd?)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)
_PREFIX: Final = re.compile(r"[\s:]*\[([^\[\]]{1,100})\][\s:]*")
_NUMBER: Final = re.compile(r"([0-9]{1,4})/([0-9]{1,4})", re.ASCII)
_VERSION: Final = re.compile(r"v([0-9]{1,3})", re.IGNORECASE | re.ASCII)
_KNOWN: Final = re.compile(r"PATCH|v[0-9]+|[0-9]+/[0-9]+", re.IGNORECASE | re.ASCII)
_BASE: Final = re.compile(r"^base-commit:[ \t]*([0-9a-f]{7,64})[ \t]*$", re.MULTILINE)
_SIGNATURE: Final = re.compile(r"^-- ?$", re.MULTILINE)
_BREAK: Final = re.compile(r"^(?:---[ \t]*$|diff -|Index: |--- \S)", re.MULTILINE)
"""What ends a message, as for git."""
_ID: Final = re.compile(r"<([^<>\s]{1,500})>")


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
        id: the Message-ID without its angles; empty for none.
        refs: those that In-Reply-To and References name, the nearest last.

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
    id: str = ""
    refs: tuple[str, ...] = ()

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
class Left:
    """How many mails were left out: replies, and those that have to do with no patch."""

    replies: int = 0
    others: int = 0


def patches_of(letter: Letter, left: Left, depth: int = 0) -> list[MailPatch]:
    """What a mail holds; nothing for a reply and for what has to do with no patch."""
    parts = read_parts(letter.data)
    subject = words(parts.headers.get("subject", ""))
    if _REPLY.match(subject):
        left.replies += 1
        return []
    nested = [
        patch for data in parts.mails if depth < MOST_NESTED
        for patch in patches_of(letter._replace(data=data), left, depth + 1)
    ]  # fmt: skip
    own = _patch(letter, parts, subject, depth)
    # A mail that brings whole patches is their cover, if it is anything.
    if own is not None and (own.diff or not nested or own.number is not None):
        return [own, *nested]
    left.others += own is None and not nested
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
        found.files, problems, untitled, *_thread(parts.headers),
    )  # fmt: skip


def _thread(headers: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """The mail's own id, and those of the mails that it follows."""
    own = _ID.search(headers.get("message-id", ""))
    texts = headers.get("references", "")[:MOST_REFERENCES], headers.get("in-reply-to", "")
    refs = dict.fromkeys(name for text in texts for name in _ID.findall(text))
    return own[1] if own else "", tuple(refs)


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

"""A mailbox, or a folder of patches, → the series in it.

Mails come in any order, with replies in between, as attachments, encoded one way or
another. What is no patch of the series is counted, what is missing is named.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.message import EmailMessage
from pathlib import Path
from typing import Final

from replay.errors import ReplayError
from replay.git.mail import split_mbox

MOST_BYTES: Final = 256 << 20
MOST_MAILS: Final = 20_000
SUFFIXES: Final = (".patch", ".diff", ".eml", ".mbox", ".mbx", ".txt")
_PATCH_TYPES: Final = ("text/x-patch", "text/x-diff", "application/x-patch")

_REPLY: Final = re.compile(r"\s*(?:re|aw|sv|antw|fwd?)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)
_PREFIX: Final = re.compile(r"\s*\[([^\[\]]{1,100})\]")
_NUMBER: Final = re.compile(r"([0-9]{1,4})/([0-9]{1,4})", re.ASCII)
_VERSION: Final = re.compile(r"v([0-9]{1,3})", re.IGNORECASE | re.ASCII)
_BASE: Final = re.compile(r"^base-commit:[ \t]*([0-9a-f]{7,64})[ \t]*$", re.MULTILINE)
_DIFF: Final = re.compile(r"^(?:diff --git |--- (?:a/|/dev/null|\S+)[^\n]*\n\+\+\+ )", re.MULTILINE)
_SIGNATURE: Final = re.compile(r"^-- ?$", re.MULTILINE)
_FILE: Final = re.compile(r"^(?:\+\+\+ b/|--- a/|rename to |copy to )([^\t\n]+)", re.MULTILINE)


class MailError(ReplayError):
    """A mailbox or folder that cannot be read, or holds no patch; with the cure."""


@dataclass(frozen=True, slots=True)
class MailPatch:
    """A patch of a mail.

    Attributes:
        number: of ``[PATCH n/m]``; None where the subject has none.
        total: its m.
        version: of ``[PATCH v2 …]``, else 1.
        tags: the other words in brackets: RFC, RESEND, the name of a tree.
        title: the subject without brackets.
        author: name and address, that of the body's From: if it has one.
        date: as in the mail.
        message: the commit message without the title.
        diff: the diff, lines ended by a newline only.
        base: the ``base-commit:`` that the mail names; empty for none.
        place: the file, and the line at which the mail starts.

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

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        return tuple(dict.fromkeys(_FILE.findall(self.diff)))

    @property
    def counts(self) -> tuple[int, int]:
        """Added and removed lines."""
        added = removed = 0
        inside = False
        for line in self.diff.split("\n"):
            if line.startswith("@@ "):
                inside = True
            elif line.startswith("diff --git "):
                inside = False
            elif inside:
                added += line.startswith("+")
                removed += line.startswith("-")
        return added, removed


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
    for place, data in _mails(path):
        mails += 1
        if mails > MOST_MAILS:
            raise MailError(f"{path}: more than {MOST_MAILS} mails; give the series alone")
        patch = _patch(data, place, series)
        if patch is not None:
            found.append(patch)
    versions = sorted({patch.version for patch in found if patch.diff})
    if not versions:
        raise MailError(
            f"{path}: no patch in {mails} mail{'' if mails == 1 else 's'} ({series.replies} "
            "replies); a patch is a mail with a diff, as git format-patch makes it"
        )
    chosen = version or versions[-1]
    if chosen not in versions:
        known = ", ".join(f"v{v}" for v in versions)
        raise MailError(f"{path}: no patch of v{chosen}; there are {known}")
    if len(versions) > 1:
        others = ", ".join(f"v{v}" for v in versions if v != chosen)
        series.notes.append(f"v{chosen} is taken; there is {others} too")
    series.version = chosen
    _assemble(series, [patch for patch in found if patch.version == chosen])
    return series


def _assemble(series: MailSeries, found: list[MailPatch]) -> None:
    """Put the mails of one version in order, and name what is missing or there twice."""
    numbered: dict[int, MailPatch] = {}
    plain: list[MailPatch] = []
    for patch in found:
        if patch.number == 0 or (not patch.diff and patch.number is None):
            if series.cover is None or patch.number == 0:
                series.cover = patch.title, patch.message
            series.base = series.base or patch.base
        elif not patch.diff:
            series.notes.append(f"patch {patch.number} comes without a diff ({patch.place})")
        elif patch.number is None:
            plain.append(patch)
        else:
            if patch.number in numbered:
                series.notes.append(f"patch {patch.number} is there twice; the later one is taken")
            numbered[patch.number] = patch
        series.base = series.base or patch.base
    totals = sorted({patch.total for patch in numbered.values() if patch.total})
    if len(totals) > 1:
        shown = ", ".join(map(str, totals))
        series.notes.append(f"the subjects disagree on how many patches there are: {shown}")
    last = max([*numbered, *totals], default=0)
    series.missing = [number for number in range(1, last + 1) if number not in numbered]
    series.patches = [numbered[number] for number in sorted(numbered)] + plain


# --- files and mails ------------------------------------------------------------------


def _mails(path: Path) -> Iterator[tuple[str, bytes]]:
    """Each mail with its place."""
    if path.is_dir():
        # A Maildir keeps its mails one folder down.
        folders = [path, *(path / name for name in ("new", "cur") if (path / name).is_dir())]
        files = sorted(
            file for folder in folders for file in folder.iterdir()
            if file.is_file() and (file.suffix.lower() in SUFFIXES or folder != path)
        )  # fmt: skip
        if not files:
            kinds = ", ".join(SUFFIXES)
            raise MailError(f"{path}: no file with a patch in it; they end with {kinds}")
    else:
        files = [path]
    total = 0
    for file in files:
        try:
            total += file.stat().st_size
            if total > MOST_BYTES:
                raise MailError(f"{path}: more than {MOST_BYTES >> 20} MiB; give the series alone")
            data = file.read_bytes()
        except OSError as error:
            raise MailError(
                f"{file}: cannot be read: {error.strerror}; give a mailbox or a folder of patches"
            ) from None
        if not data.strip():
            raise MailError(f"{file}: the file is empty; save the mails again")
        for text, before in split_mbox(data.replace(b"\r\n", b"\n") if _is_dos(data) else data):
            if text.strip():
                yield (f"{file}:{before + 1}" if before or not path.is_dir() else str(file)), text


def _is_dos(data: bytes) -> bool:
    """Whether all lines end with a carriage return: then the file was made so on its way."""
    lines = data.split(b"\n")[:-1]
    return bool(lines) and all(line.endswith(b"\r") for line in lines)


def _patch(data: bytes, place: str, series: MailSeries) -> MailPatch | None:
    """What a mail holds; None for a reply and for what has to do with no patch."""
    first, _, rest = data.partition(b"\n")
    mail = email.message_from_bytes(
        rest if first.startswith(b"From ") else data, policy=email.policy.compat32
    )
    subject = _header(str(mail.get("Subject", "")))
    if _REPLY.match(subject):
        series.replies += 1
        return None
    words, title = _brackets(subject)
    text, attached = _texts(mail)
    diff_at = _DIFF.search(attached or text)
    is_patch = any(w.upper() in ("PATCH", "RFC") or w.upper().startswith("PATCH") for w in words)
    number = next((m for w in words if (m := _NUMBER.fullmatch(w))), None)
    if not (is_patch or number) and diff_at is None:
        series.others += 1
        return None
    message, diff = _split(text, attached)
    author, message = _author(_header(str(mail.get("From", ""))), message)
    version = next((int(m[1]) for w in words if (m := _VERSION.fullmatch(w))), 1)
    known = re.compile(r"PATCH|v[0-9]+|[0-9]+/[0-9]+", re.IGNORECASE)
    base = _BASE.search(text)
    return MailPatch(
        int(number[1]) if number else None, int(number[2]) if number else None, version,
        tuple(w for w in words if not known.fullmatch(w)), title, author,
        _header(str(mail.get("Date", ""))), message, diff, base[1] if base else "", place,
    )  # fmt: skip


def _header(text: str) -> str:
    """A header unfolded and decoded (RFC 2047), as far as it can be."""
    unfolded = re.sub(r"\r?\n[ \t]*", " ", text)
    try:
        decoded = str(make_header(decode_header(unfolded)))
    except (ValueError, LookupError):
        # An unknown charset or broken base64: better the raw words than none.
        decoded = unfolded
    return " ".join(decoded.split())


def _brackets(subject: str) -> tuple[list[str], str]:
    """The words in brackets at the start of a subject, and the rest."""
    words: list[str] = []
    while match := _PREFIX.match(subject):
        # "PATCHv2" is written too.
        joined = re.sub(r"(?i)\bpatch(?=v[0-9])", "PATCH ", match[1])
        words += joined.replace(",", " ").split()
        subject = subject[match.end() :]
    return words, subject.strip()


def _texts(mail: email.message.Message) -> tuple[str, str]:
    """The text of a mail, and the patches attached to it."""
    text, attached = "", ""
    for part in mail.walk():
        if part.is_multipart() or isinstance(part, EmailMessage):
            continue
        kind = part.get_content_type()
        name = _header(str(part.get_filename() or ""))
        is_patch = kind in _PATCH_TYPES or name.lower().endswith((".patch", ".diff"))
        if is_patch:
            attached += _decoded(part)
        elif kind == "text/plain":
            text += _decoded(part)
    return text, attached


def _decoded(part: email.message.Message) -> str:
    """The content of a part as text; a charset that is unknown or wrong is borne."""
    payload = part.get_payload(decode=True)
    data = payload if isinstance(payload, bytes) else b""
    charset = part.get_content_charset() or "utf-8"
    if _is_dos(data):
        data = data.replace(b"\r\n", b"\n")
    try:
        text = data.decode(charset)
    except (UnicodeDecodeError, LookupError):
        text = data.decode("utf-8", "replace")
    return text if text.endswith("\n") or not text else text + "\n"


def _split(text: str, attached: str) -> tuple[str, str]:
    """(message, diff): the message ends at ``---``, the diff before the signature."""
    source = attached if _DIFF.search(attached) else text
    found = _DIFF.search(source)
    message = text if source is attached and attached else text[: found.start() if found else None]
    if found is None:
        signature = _SIGNATURE.search(message)
        return message[: signature.start() if signature else None].strip(), ""
    diff = source[found.start() :]
    ends = [m.start() for m in re.finditer(r"^-- \n", diff, re.MULTILINE)]
    if ends and not re.search(r"^(?:@@|diff --git) ", diff[ends[-1] :], re.MULTILINE):
        diff = diff[: ends[-1]]
    message = re.split(r"^---[ \t]*$", message, maxsplit=1, flags=re.MULTILINE)[0]
    return message.strip(), diff.rstrip("\n") + "\n"


def _author(sender: str, message: str) -> tuple[str, str]:
    """The author, by a From: at the start of the body if there is one; the message without."""
    match = re.match(r"From:[ \t]*([^\n]+)\n+", message)
    if match is None:
        return sender, message
    return _header(match[1]), message[match.end() :].strip()

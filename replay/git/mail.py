"""The mail form of a patch: its headers and message, read strictly and written canonically.

Written patches are those of ``git format-patch`` as far as git reads them, but depend on
no version of it: no hash of a commit, no signature, fixed widths.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import quopri
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from replay.git.diff import DIFF_START, PatchPlace, looks_like_diff
from replay.git.mbox import SEPARATOR, split_mbox
from replay.git.paths import shown

__all__ = [
    "FIRST_LINE", "FOLD", "NAME_LENGTH", "Mail", "date_text", "file_name", "is_line",
    "message_problem", "parse_mail", "slug", "split_mbox", "tidy", "write_mail",
]  # fmt: skip

FIRST_LINE: Final = b"From " + b"0" * 40 + b" Mon Sep 17 00:00:00 2001"
FOLD: Final = 78
NAME_LENGTH: Final = 64

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_DATE: Final = re.compile(
    r"(?:[A-Z][a-z]{2}, )?([0-9]{1,2}) ([A-Z][a-z]{2}) ([0-9]{4}) "
    r"([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
_HEADER: Final = re.compile(r"([!-9;-~]+):[ \t]*(.*)", re.DOTALL)
_ADDRESS: Final = re.compile(r"(.*?)[ \t]*<([^<>\s]+)>")
_ENCODED: Final = re.compile(r"=\?([\w-]{1,40})\?([QqBb])\?([^?\s]*)\?=", re.ASCII)
_BETWEEN: Final = re.compile(r"(?<=\?=)\s+(?==\?)")
_ONE_BYTE: Final = re.compile(
    r"iso-8859-(?:[1-9]|1[013-6])|latin-?1|windows-125[0-8]|koi8-[ru]", re.IGNORECASE
)
"""Charsets that hold ASCII, a byte a character."""
_PREFIX: Final = re.compile(r"\[PATCH[^\]]*?(?:\b([0-9]{1,4})/([0-9]{1,4}))?\]\s*", re.ASCII)


class Mail(NamedTuple):
    """What stands before the diff.

    ``number`` and ``total`` are those of ``[PATCH n/m]``, or None; ``message`` is without
    the title; ``diff`` is the index of the first line of the diff in ``lines``, which is
    ``len(lines)`` where there is none; ``first`` is what to add to an index for a line of
    the file.
    """

    title: str
    message: str
    author: str
    email: str
    date: datetime.datetime
    number: int | None
    total: int | None
    lines: Sequence[bytes]
    diff: int


# --- reading ------------------------------------------------------------------------


def parse_mail(data: bytes, place: PatchPlace) -> Mail:
    """The headers and the message of one patch.

    Carriage returns at the ends of lines are taken off if all lines have them: then the
    file was made on its way; otherwise they are content.

    Raises:
        PatchError: the first line that is wrong, and what would be right.
    """
    if not data.strip():
        place.fail(None, "the file is empty; a patch has headers, a message and a diff")
    if b"\0" in data:
        place.fail(data[: data.index(b"\0")].count(b"\n") + 1, "a NUL byte; patches are text")
    if not data.endswith(b"\n"):
        place.fail(None, "the last line has no newline: the patch is cut off; make it anew")
    lines = data[:-1].split(b"\n")
    if all(line.endswith(b"\r") for line in lines):
        lines = [line[:-1] for line in lines]
    return _Mail(lines, place).read()


@dataclass(slots=True)
class _Mail:
    lines: list[bytes]
    place: PatchPlace
    # That of the message; a diff is bytes, as for git.
    charset: str = "UTF-8"

    def read(self) -> Mail:
        headers, at = self._headers()
        lines, at = self._decoded(headers, at)
        self.lines = lines
        message, notes = self._message(at)
        diff = self._diff_start(notes)
        title, number, total = self._title(headers)
        author, email = self._author(headers)
        return Mail(title, message, author, email, self._date(headers), number, total, lines, diff)

    def _headers(self) -> tuple[dict[str, tuple[str, int]], int]:
        """The headers by name in lower case, unfolded, each with its line; and the next index."""
        headers: dict[str, tuple[str, int]] = {}
        at = 1 if self.lines[0].startswith(b"From ") else 0
        last = ""
        while at < len(self.lines) and self.lines[at]:
            try:
                text = self.lines[at].decode()
            except UnicodeDecodeError:
                self.place.fail(at + 1, "a header that is not UTF-8; encode it as RFC 2047 says")
            match = _HEADER.fullmatch(text)
            if text[0] in " \t" and last:
                value, line = headers[last]
                headers[last] = (value + " " + text.strip(), line)
            elif match is None:
                self.place.fail(at + 1, f"{shown(text)} is no header 'Name: value' of a patch")
            else:
                last = match[1].lower()
                if last in headers and last in ("from", "date", "subject"):
                    self.place.fail(at + 1, f"a second header '{match[1]}'; keep one")
                headers[last] = (match[2].strip(), at + 1)
            at += 1
        return headers, at + 1

    def _header(self, headers: dict[str, tuple[str, int]], name: str) -> tuple[str, int]:
        value, line = headers.get(name.lower(), ("", 1))
        if not value:
            self.place.fail(line, f"no header '{name}:'; a patch file is made by git format-patch")
        return value, line

    def _decoded(self, headers: dict[str, tuple[str, int]], at: int) -> tuple[list[bytes], int]:
        """The lines with the body as it was before its transfer, and where the body starts."""
        kind, line = headers.get("content-type", ("text/plain", 1))
        charset = re.search(r"charset=\"?([^\s\";]+)", kind, re.IGNORECASE)
        if not kind.lower().startswith("text/plain"):
            self.place.fail(line, "a patch is one part of plain text; save it without the rest")
        if charset and charset[1].lower() not in ("utf-8", "us-ascii"):
            if not _ONE_BYTE.fullmatch(charset[1]):
                self.place.fail(line, f"the charset {shown(charset[1])}; save the patch as UTF-8")
            self.charset = charset[1]
        coding, line = headers.get("content-transfer-encoding", ("8bit", 1))
        if coding.lower() in ("7bit", "8bit", "binary"):
            return self.lines, at
        body = b"\n".join(self.lines[at:]) + b"\n"
        try:
            if coding.lower() == "quoted-printable":
                body = quopri.decodestring(body)
            elif coding.lower() == "base64":
                body = base64.b64decode(re.sub(rb"\s", b"", body), validate=True)
            else:
                self.place.fail(line, f"the transfer encoding {shown(coding)}; save it as 8bit")
        except binascii.Error:
            self.place.fail(line, f"the body is no {coding.lower()}; save the patch as 8bit")
        if b"\0" in body or not body.endswith(b"\n"):
            self.place.fail(line, "the decoded body is no text that ends with a newline")
        return self.lines[:at] + body.replace(b"\r\n", b"\n")[:-1].split(b"\n"), at

    def _message(self, at: int) -> tuple[str, int]:
        """The message, and the index of the line that ends it."""
        kept: list[str] = []
        first = at
        while at < len(self.lines):
            line = self.lines[at]
            if line.rstrip() == b"---" or line.startswith(DIFF_START):
                break
            if looks_like_diff(line):
                self.place.fail(
                    at + 1, f"{shown(line)} would end the message for git; indent it, or put "
                    "'---' before the diff",
                )  # fmt: skip
            try:
                kept.append(line.decode(self.charset).rstrip(" \t\n\v\f\r"))
            except UnicodeDecodeError:
                self.place.fail(
                    at + 1, f"a message that is not {self.charset}; save the patch as UTF-8"
                )  # fmt: skip
            at += 1
        problem = message_problem("\n".join(kept))
        if problem:
            self.place.fail(first + 1, problem)
        return tidy(kept), at

    def _diff_start(self, at: int) -> int:
        while at < len(self.lines) and not self.lines[at].startswith(DIFF_START):
            if looks_like_diff(self.lines[at]):
                self.place.fail(
                    at + 1, "a diff that does not start with 'diff --git'; make the patch with "
                    "git format-patch",
                )  # fmt: skip
            at += 1
        return at

    def _title(self, headers: dict[str, tuple[str, int]]) -> tuple[str, int | None, int | None]:
        text, line = self._header(headers, "Subject")
        title = " ".join(self._words(text, line).split())
        match = _PREFIX.match(title)
        number = total = None
        if match is not None:
            title = title[match.end() :]
            number, total = (int(n) if n is not None else None for n in match.groups())
        if not title:
            self.place.fail(line, "the subject holds no title")
        self._check_text(title, "the title", line)
        return title, number, total

    def _author(self, headers: dict[str, tuple[str, int]]) -> tuple[str, str]:
        text, line = self._header(headers, "From")
        match = _ADDRESS.fullmatch(text)
        if match is None:
            self.place.fail(line, f"{shown(text)} is no author 'Name <address>'")
        name = match[1]
        if name.startswith('"') and name.endswith('"') and len(name) > 1:
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
        name = " ".join(self._words(name, line).split())
        if not name or set(name) & set("<>"):
            self.place.fail(line, "the author has no name, or one that git cannot hold")
        self._check_text(name, "the author's name", line)
        self._check_text(match[2], "the author's address", line)
        return name, match[2]

    def _date(self, headers: dict[str, tuple[str, int]]) -> datetime.datetime:
        text, line = self._header(headers, "Date")
        match = _DATE.fullmatch(" ".join(text.split()))
        try:
            if match is None or match[2] not in _MONTHS:
                raise ValueError
            offset = datetime.timedelta(hours=int(match[8]), minutes=int(match[9]))
            zone = datetime.timezone(-offset if match[7] == "-" else offset)
            date = datetime.datetime(
                int(match[3]), _MONTHS.index(match[2]) + 1, int(match[1]),
                int(match[4]), int(match[5]), int(match[6]), tzinfo=zone,
            )  # fmt: skip
            # Git counts seconds from 1970, and older versions of it in 31 bits.
            if not 0 < date.timestamp() < 1 << 32:
                raise ValueError
        except (ValueError, OverflowError):
            self.place.fail(
                line, f"{shown(text)} is no date of a patch, as 'Wed, 6 Nov 2013 12:00:00 +0000'"
            )
        return date

    def _words(self, text: str, line: int) -> str:
        """A header with its encoded words (RFC 2047) decoded."""

        def decode(match: re.Match[str]) -> str:
            if match[2] in "qQ":
                data = quopri.decodestring(match[3].encode(), header=True)
            else:
                data = base64.b64decode(match[3].encode(), validate=True)
            return data.decode(match[1])

        try:
            return _ENCODED.sub(decode, _BETWEEN.sub("", text))
        except (ValueError, LookupError):
            self.place.fail(line, f"{shown(text)} holds a word that cannot be decoded")

    def _check_text(self, text: str, what: str, line: int) -> None:
        if not is_line(text):
            self.place.fail(line, f"{what} holds a control character: {shown(text)}; remove it")


def is_line(text: str) -> bool:
    """Whether a text is free of control characters, line breaks and halves of pairs."""
    return not re.search("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]", text)


def tidy(lines: Sequence[str]) -> str:
    """A message as git keeps it: no blank lines at the ends, nowhere two in a row."""
    text = "\n".join(line.rstrip(" \t\n\v\f\r") for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n")


def message_problem(message: str) -> str:
    """Why a message (without its title) would not survive as mail; empty if it would."""
    for line in message.split("\n"):
        if line.rstrip() == "---" or looks_like_diff(line.encode("utf-8", "replace")):
            return f"a line {shown(line)} in the message would end it; indent it"
        if SEPARATOR.match(line.encode("utf-8", "replace")):
            return f"a line {shown(line)} in the message would start another mail; indent it"
    first = message.lstrip("\n").split("\n", 1)[0]
    if re.match(r"(?:From|Date|Subject):|>From |\[PATCH", first, re.IGNORECASE):
        return f"the message starts with {shown(first)}, which git takes for a header; reword"
    return "a NUL in the message; remove it" if "\0" in message else ""


# --- writing ------------------------------------------------------------------------


def slug(title: str) -> str:
    """A title as part of a file name: what is no letter, digit, dot or _ becomes one dash."""
    text = re.sub(r"[^A-Za-z0-9._]+", "-", title)
    return re.sub(r"\.{2,}", ".", text).strip("-").rstrip(".-") or "patch"


def file_name(number: int, title: str) -> str:
    """The name of a patch file, as ``git format-patch`` makes it."""
    start = f"{number:04}-{slug(title)}"
    # A cut may leave a dash at the end; git leaves it too.
    return start[: NAME_LENGTH - len(".patch") - 1] + ".patch"


def date_text(date: datetime.datetime) -> str:
    """A date as it stands in a mail; it does not depend on the locale."""
    clock = date.strftime("%H:%M:%S %z")
    return f"{_DAYS[date.weekday()]}, {date.day} {_MONTHS[date.month - 1]} {date.year:04} {clock}"


def write_mail(
    subject: tuple[int, int, str], message: str, author: tuple[str, str],
    date: datetime.datetime, stat: str, diff: bytes,
) -> bytes:  # fmt: skip
    """A patch file: the same values give the same bytes, and reading gives the values back."""
    number, total, title = subject
    width = len(str(total))
    name, email = author
    lines = [
        FIRST_LINE.decode(),
        *_folded("From:", _phrase(name), f"<{email}>"),
        f"Date: {date_text(date)}",
        *_folded(f"Subject: [PATCH {number:0{width}}/{total}]", title),
    ]
    if not message.isascii():
        lines += [
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=UTF-8",
            "Content-Transfer-Encoding: 8bit",
        ]
    lines += ["", *([message] if message else []), "---"]
    return ("\n".join(lines) + f"\n{stat}\n").encode() + diff


def _phrase(name: str) -> str:
    """A name as mail writes it: in quotes where it holds a character of mail's grammar."""
    if name.isascii() and "=?" not in name and re.search(r'[()<>\[\]:;@\\,."]', name):
        return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return name


def _folded(start: str, text: str, end: str = "") -> list[str]:
    """A header, folded between words; a text that is not ASCII as encoded words."""
    words = text.split(" ") if text.isascii() and "=?" not in text else _encoded_words(text)
    lines = [start]
    for word in [*words, *([end] if end else [])]:
        if len(lines[-1]) + 1 + len(word) > FOLD and (len(lines) > 1 or lines[-1] != start):
            lines.append("")
        lines[-1] += " " + word
    return lines


def _encoded_words(text: str) -> list[str]:
    words = [""]
    for character in text:
        plain = character.isascii() and character.isalnum()
        coded = character if plain else "".join(f"={byte:02X}" for byte in character.encode())
        # An encoded word may not be longer than 75 characters, nor split a character.
        if len(words[-1]) + len(coded) > 75 - len("=?UTF-8?q??="):
            words.append("")
        words[-1] += coded
    return [f"=?UTF-8?q?{word}?=" for word in words]

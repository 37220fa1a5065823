"""The parts of a mail: its text, what is attached, and mails within it.

Only what MIME says about a part is used, and nothing of it can be wrong enough to fail: an
unknown transfer encoding or charset leaves the part as it came, and nesting is followed to
a bound.
"""

from __future__ import annotations

import binascii
import quopri
import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from replay.mail.diffs import DiffText, read_diff
from replay.mail.headers import decode, parameters, split_headers, text_of, words

MOST_NESTED: Final = 8
MOST_PARTS: Final = 1000
_PATCH_TYPES: Final = ("text/x-patch", "text/x-diff", "application/x-patch", "text/x-dpatch")
_TEXTS: Final = ("text/plain", "application/octet-stream")


class Text(NamedTuple):
    """A text of a mail; ``line`` is that of the mail at which it stands as it is, or 0."""

    text: str = ""
    line: int = 0


@dataclass(slots=True)
class Parts:
    """What a mail holds.

    Attributes:
        headers: by their names in lower case.
        text: the parts that are read, joined.
        attached: patches that are attached, joined.
        mails: mails within it, as bytes.

    """

    headers: dict[str, str]
    text: Text = field(default_factory=Text)
    attached: Text = field(default_factory=Text)
    mails: list[bytes] = field(default_factory=list)
    count: int = 0


def read_parts(data: bytes) -> Parts:
    """The parts of one mail."""
    data = without_returns(data)
    headers, body, before = split_headers(data)
    parts = Parts(headers)
    _take(parts, headers, body, before + 1, 0)
    return parts


def _take(parts: Parts, headers: dict[str, str], body: bytes, line: int, depth: int) -> None:
    """Put a part where it belongs."""
    parts.count += 1
    if parts.count > MOST_PARTS:
        return
    value = headers.get("content-type", "")
    kind = re.split(r"[;\s]", value.strip(), maxsplit=1)[0].lower() or "text/plain"
    given = parameters(value)
    boundary = given.get("boundary", "")
    if kind.startswith("multipart/") and boundary and depth < MOST_NESTED:
        for piece, offset in _pieces(body, boundary.encode("utf-8", "replace")):
            inner, rest, before = split_part(piece)
            _take(parts, inner, rest, line and line + offset + before, depth + 1)
        return
    coding = headers.get("content-transfer-encoding", "").strip().lower()
    decoded = _transferred(body, coding)
    line = line if decoded is body else 0
    disposition = parameters("x;" + headers.get("content-disposition", ""))
    name = words(disposition.get("filename", "") or given.get("name", "")).lower()
    if kind == "message/rfc822" and depth < MOST_NESTED:
        parts.mails.append(decoded)
    elif kind in _PATCH_TYPES or name.endswith((".patch", ".diff", ".eml")):
        _attach(parts, decoded, given, line)
    elif kind in _TEXTS or "/" not in kind:
        octets = kind == "application/octet-stream"
        if octets and (depth or b"\0" in decoded):
            if read_diff(text_of(decoded)).files:
                _attach(parts, decoded, given, line)
            return
        parts.text = _joined(parts.text, Text(_text(decoded, given), line))


def _attach(parts: Parts, data: bytes, given: dict[str, str], line: int) -> None:
    """A patch that is attached: a diff, or what format-patch wrote, which is a mail itself."""
    headers, _, _ = split_headers(without_returns(data))
    if "subject" in headers and "from" in headers:
        parts.mails.append(data)
    else:
        parts.attached = _joined(parts.attached, Text(_text(data, given), line))


def _joined(first: Text, second: Text) -> Text:
    if not first.text:
        return second
    # Only the place of one text is known.
    return Text(first.text + second.text, 0)


def split_part(data: bytes) -> tuple[dict[str, str], bytes, int]:
    """The headers and the content of a part; it may have no header at all."""
    if data.startswith(b"\n"):
        return {}, data[1:], 1
    headers, body, before = split_headers(b"MIME-Version: 1.0\n" + data)
    return headers, body, before - 1


def _pieces(body: bytes, boundary: bytes) -> list[tuple[bytes, int]]:
    """What stands between the lines of a boundary, each with the lines before it."""
    marks = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t\r]*(?:\n|\Z)", re.MULTILINE)
    found: list[tuple[bytes, int]] = []
    start, lines, counted = -1, 0, 0
    for mark in marks.finditer(body):
        if start >= 0:
            # The newline before a boundary is its own.
            found.append((body[start : mark.start()], lines))
        lines += body.count(b"\n", counted, mark.end())
        start = counted = mark.end()
        if mark[1]:
            return found
    if start >= 0:
        found.append((body[start:], lines))
    return found


def _transferred(body: bytes, coding: str) -> bytes:
    """The content before its transfer; the same object where nothing had to be done."""
    if coding == "quoted-printable":
        return without_returns(quopri.decodestring(body))
    if coding == "base64":
        clean = re.sub(rb"[^A-Za-z0-9+/]", b"", body)
        try:
            data = binascii.a2b_base64(clean[: len(clean) - (len(clean) % 4 == 1)] + b"==")
        except binascii.Error:
            return body
        return without_returns(data)
    return body


def without_returns(data: bytes) -> bytes:
    """A text without the carriage returns that all of its lines end with.

    Then it was made so on its way; where only some lines have them they are content.
    """
    if not data.endswith(b"\n"):
        whole = data.rfind(b"\n") + 1
        return without_returns(data[:whole]) + data[whole:].removesuffix(b"\r") if whole else data
    count = data.count(b"\n")
    return data.replace(b"\r\n", b"\n") if count and data.count(b"\r\n") == count else data


def _text(data: bytes, given: dict[str, str]) -> str:
    """The content of a part as text, ended by a newline.

    A charset that is unknown or wrong is borne: bytes that are no UTF-8 become halves of pairs.
    """
    charset = given.get("charset", "")
    try:
        text = decode(data, charset) if charset else data.decode("utf-8", "surrogateescape")
    except (ValueError, LookupError):
        text = data.decode("utf-8", "surrogateescape")
    text = text if text.endswith("\n") or not text else text + "\n"
    if given.get("format", "").lower() != "flowed":
        return text
    whole = unflowed(text, given.get("delsp", "").lower() == "yes")
    return whole if _healthier(read_diff(whole), read_diff(text)) else text


def _healthier(a: DiffText, b: DiffText) -> bool:
    """Whether one reading is at least as good; a diff that no mailer has flowed stays."""
    return len(a.files) >= len(b.files) and len(a.problems) <= len(b.problems)


def unflowed(text: str, delsp: bool = False) -> str:
    """A text of format=flowed (RFC 3676) with its lines as they were written."""
    out: list[str] = []
    flows = False
    for line in text.removesuffix("\n").split("\n"):
        content = line.removeprefix(" ")
        out[-1:] = [out[-1] + content] if flows else [*out[-1:], content]
        flows = line.endswith(" ") and line != "-- "
        if flows and delsp:
            out[-1] = out[-1][:-1]
    return "\n".join(out) + "\n"

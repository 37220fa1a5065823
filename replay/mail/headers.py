"""The headers of a mail, and those that git reads at the head of its body.

Everything is borne: a word that cannot be decoded stays as it came.
"""

from __future__ import annotations

import binascii
import codecs
import quopri
import re
from typing import Final

_FIELD: Final = re.compile(rb"([!-9;-~]+):[ \t]*(.*)", re.DOTALL)
_ENCODED: Final = re.compile(r"=\?([^?\s]{1,60})\?([QqBb])\?([^?\s]*)\?=")
_BETWEEN: Final = re.compile(r"(?<=\?=)\s+(?==\?)")
_CHARSET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,39}", re.ASCII)
_ADDRESS: Final = re.compile(r"\s*(.*?)\s*<\s*([^<>]*?)\s*>.*", re.DOTALL)
_ARCHIVED: Final = re.compile(r"(\S+) at (\S+) \((.*)\)")
_PARAMETER: Final = re.compile(
    r';\s*([^\s=;"]+?)(\*[0-9]{1,2})?(\*)?\s*=\s*("(?:[^"\\]|\\.)*"|[^\s;]*)'
)
_INBODY: Final = re.compile(r"(From|Subject|Date):[ \t]*(.*)", re.IGNORECASE)
KNOWN: Final = frozenset((
    "from", "subject", "date", "message-id", "content-type", "mime-version", "to", "received",
))  # fmt: skip
"""The names of which one makes a run of headers those of a mail."""


def split_headers(data: bytes) -> tuple[dict[str, str], bytes, int]:
    """The headers by their names in lower case, unfolded; the body; and the lines before it.

    Of headers that come twice the first counts. Lines that are those of no mail, as the prose
    before a diff, are all body.
    """
    fields: list[tuple[str, list[bytes]]] = []
    at = lines = 0
    if data.startswith((b"From ", b">From ")):
        at, lines = _next(data, 0), 1
    while at < len(data):
        end = _next(data, at)
        line = data[at:end].rstrip(b"\r\n")
        match = _FIELD.fullmatch(line)
        if line[:1] in (b" ", b"\t") and line.strip() and fields:
            fields[-1][1].append(line.strip())
        elif match is not None:
            fields.append((match[1].decode("ascii").lower(), [match[2].strip()]))
        elif line.strip() or fields:
            if not line.strip():
                at, lines = end, lines + 1
            break
        at, lines = end, lines + 1
    headers: dict[str, str] = {}
    for name, parts in fields:
        headers.setdefault(name, text_of(b" ".join(parts)))
    if not headers.keys() & KNOWN:
        return {}, data, 0
    return headers, data[at:], lines


def _next(data: bytes, at: int) -> int:
    """The start of the next line."""
    end = data.find(b"\n", at)
    return len(data) if end < 0 else end + 1


def text_of(data: bytes, charset: str = "") -> str:
    """Bytes as text: in their charset if that is known and fits, else as UTF-8 or Latin-1."""
    for name in (charset, "utf-8"):
        if name:
            try:
                return decode(data, name)
            except (ValueError, LookupError):
                continue
    return data.decode("latin-1")


def decode(data: bytes, charset: str) -> str:
    """Bytes as text in a charset.

    Raises:
        ValueError, LookupError: there is no such charset, or they are none of it.
    """
    if not _CHARSET.fullmatch(charset):
        raise LookupError(charset)
    info = codecs.lookup(charset)
    # These read what is no text of a mail, or are made to fail.
    if info.name in ("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"):
        raise LookupError(charset)
    text = data.decode(charset)
    if re.search("[\ud800-\udfff]", text):
        raise ValueError("halves of pairs")
    return text


def words(text: str) -> str:
    """A header with its encoded words (RFC 2047) decoded, in one line.

    Neighbours of one charset are joined before they are decoded, as some mailers cut a
    character in two. Words that cannot be decoded stay as they came.
    """
    out: list[str] = []
    pending: list[re.Match[str]] = []
    text = _BETWEEN.sub("", text)
    at = 0
    for match in _ENCODED.finditer(text):
        if match.start() != at or (pending and pending[-1][1].lower() != match[1].lower()):
            out.append(_joined(pending))
            pending = []
        out.append(text[at : match.start()])
        pending.append(match)
        at = match.end()
    out += [_joined(pending), text[at:]]
    return " ".join("".join(out).split())


def _joined(matches: list[re.Match[str]]) -> str:
    raw = "".join(match[0] for match in matches)
    if not matches:
        return ""
    try:
        data = b"".join(_word(match) for match in matches)
        # RFC 2231 lets a language follow the charset.
        return decode(data, matches[0][1].partition("*")[0])
    except (ValueError, LookupError):
        return raw if len(matches) == 1 else " ".join(_joined([match]) for match in matches)


def _word(match: re.Match[str]) -> bytes:
    data = match[3].encode("ascii")
    if match[2] in "qQ":
        return quopri.decodestring(data, header=True)
    return binascii.a2b_base64(data, strict_mode=bool(data))


def parameters(value: str) -> dict[str, str]:
    """The parameters of a header as Content-Type, by their names in lower case.

    The pieces of one (RFC 2231) are joined; ``charset''`` before a value is taken off.
    """
    found: dict[str, str] = {}
    for match in _PARAMETER.finditer(value):
        name, text = match[1].lower(), match[4]
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        if match[3] and not found.get(name):
            text = text.rpartition("'")[2]
        found[name] = found.get(name, "") + text if match[2] else text
    return found


def address(text: str) -> str:
    """An author as ``Name <address>``: quotes and comments of mail's grammar are no part of it."""
    archived = _ARCHIVED.fullmatch(text.strip())
    if archived is not None:
        return f"{words(archived[3])} <{archived[1]}@{archived[2]}>"
    match = _ADDRESS.fullmatch(text)
    if match is None:
        bare = re.fullmatch(r"\s*(\S+@\S+)\s+\((.*)\)\s*", text)
        return f"{words(bare[2])} <{bare[1]}>" if bare else words(text)
    name = match[1]
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    name = words(name)
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = name[1:-1].strip()
    return f"{name} <{match[2]}>" if name else f"<{match[2]}>"


def inbody(text: str) -> tuple[dict[str, str], str]:
    """The From, Subject and Date at the head of a body, unfolded, and the rest of it.

    As for git they go before those of the mail; a line that is none of them ends them.
    """
    found: dict[str, str] = {}
    lines = text.split("\n")
    at = 0
    while at < len(lines) and not lines[at].strip():
        at += 1
    first, last = at, ""
    while at < len(lines):
        line = lines[at].removeprefix(">") if lines[at].startswith(">From:") else lines[at]
        match = _INBODY.fullmatch(line.rstrip())
        if match is not None and match[1].lower() not in found:
            last = match[1].lower()
            found[last] = match[2].strip()
        elif last and line[:1] in (" ", "\t") and line.strip():
            found[last] += " " + line.strip()
        else:
            break
        at += 1
    return found, "\n".join(lines[at if at > first else 0 :])

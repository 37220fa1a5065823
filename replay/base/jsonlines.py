"""Files of one JSON object a line: read line by line, with every fault placed.

Whatever the bytes are, a reader yields values or raises :class:`TraceError`; no other
exception leaves this module. A file may be compressed with gzip.
"""

from __future__ import annotations

import difflib
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, NoReturn, cast

from replay.errors import TraceError

GZIP_MAGIC: Final = b"\x1f\x8b"
SHOWN_CHARACTERS: Final = 40
_HEX: Final = re.compile(r"0|[1-9a-f][0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the input something stands: for the one message of an error."""

    path: Path | str | None
    line: int
    operation: int | None = None

    def fail(self, problem: str) -> NoReturn:
        """Raise what is wrong here.

        Raises:
            TraceError: always.
        """
        raise TraceError(problem, self.path, self.line, self.operation)

    def at(self, operation: int) -> Place:
        """The same line, one operation of it."""
        return Place(self.path, self.line, operation)


@dataclass(frozen=True, slots=True)
class Line:
    """One line as it lies in the file, without its newline.

    ``position`` is how far the file on disk had been read, in bytes; for a progress bar.
    """

    number: int
    raw: bytes
    ended: bool
    position: int


def read_lines(path: Path | str) -> Iterator[Line]:
    """The lines of a plain or gzip-compressed file, one in memory at a time.

    Raises:
        TraceError: the file is missing, unreadable, a directory, empty, or its
            compressed data end early or are damaged.
    """
    number = 0
    try:
        with Path(path).open("rb") as file:
            stream = _decompressed(file, Path(path))
            for number, raw in enumerate(stream, 1):
                ended = raw.endswith(b"\n")
                yield Line(number, raw[:-1] if ended else raw, ended, _position(file))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        early = isinstance(error, EOFError)
        problem = "the compressed data end early" if early else "the compressed data are damaged"
        raise TraceError(
            f"{problem}: the file was cut off or changed on its way; copy it again",
            path,
            number + 1,
        ) from None
    except (OSError, ValueError) as error:
        raise TraceError(_unreadable(error), path) from None
    if not number:
        raise TraceError("the file is empty; it was perhaps never written in full", path)


def _decompressed(file: IO[bytes], path: Path) -> IO[bytes]:
    magic = file.peek(2)[:2]  # type: ignore[attr-defined]
    if magic == GZIP_MAGIC or (path.suffix == ".gz" and magic):
        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    return file


def _position(file: IO[bytes]) -> int:
    # A pipe has no position.
    return file.tell() if file.seekable() else 0


def _unreadable(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; check the name"
    if isinstance(error, IsADirectoryError):
        return "this is a directory; name a file in it"
    if isinstance(error, PermissionError):
        return "the file may not be read; check its permissions"
    if isinstance(error, OSError):
        return f"the file cannot be read: {error.strerror or error}"
    return f"this is no file name: {error}"


def lines_of(text: str, name: Path | str | None) -> Iterator[Line]:
    """The lines of a text as if it were a file; only a newline ends a line.

    Raises:
        TraceError: the text is empty or holds a lone surrogate.
    """
    if not text:
        raise TraceError("the text is empty", name)
    parts = text.split("\n")
    last = parts.pop()
    for number, part in enumerate(parts, 1):
        yield Line(number, _encoded(part, Place(name, number)), True, 0)
    if last:
        number = len(parts) + 1
        yield Line(number, _encoded(last, Place(name, number)), False, 0)


def _encoded(text: str, place: Place) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        place.fail("the line holds half of a surrogate pair, which is no character")


class _DuplicateKeyError(ValueError):
    """Raised inside the JSON decoder, which knows no places."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return made


_decoder = json.JSONDecoder(object_pairs_hook=_pairs)


def decode(line: Line, place: Place) -> dict[str, Any]:
    """The JSON object that a line holds.

    Raises:
        TraceError: the line is not UTF-8, not JSON, not an object, nested too deep, has
            a key twice, a number too long to be meant, or is the cut-off end of a file.
    """
    try:
        text = line.raw.decode("utf-8")
        value = _decoder.decode(text)
    except UnicodeDecodeError as error:
        if not line.ended and error.reason == "unexpected end of data":
            place.fail(_CUT_OFF)
        place.fail(
            f"byte {error.start + 1} of the line is not UTF-8; "
            "the file is damaged, or it is not a text file"
        )
    except json.JSONDecodeError as error:
        place.fail(_not_json(line, error))
    except _DuplicateKeyError as error:
        place.fail(f"the key {shown(error.args[0])} is there twice; keep one")
    except RecursionError:
        place.fail("brackets are nested too deep; this is no trace")
    except ValueError:
        # The decoder's refusal to read an integer of thousands of digits.
        place.fail("a number has thousands of digits; numbers are from 0 to 2^62 - 1")
    if not isinstance(value, dict):
        place.fail(f"the line is {kind(value)}; each line must be a JSON object {{…}}")
    return value


_CUT_OFF: Final = "the file ends inside this line: it was cut off; write or copy it again"


def _not_json(line: Line, error: json.JSONDecodeError) -> str:
    if not line.raw.strip():
        return "the line is empty; remove it"
    if line.raw.startswith(b"\xef\xbb\xbf"):
        return "the line starts with a byte order mark; save the file as UTF-8 without one"
    if not line.ended:
        return _CUT_OFF
    return f"not JSON: {error.msg} at column {error.colno}"


# --- values and names -------------------------------------------------------------


def kind(value: Any) -> str:
    """What a JSON value is, in words, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return "a number"
    if isinstance(value, float):
        return "a number with a fraction or exponent"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def shown(value: Any) -> str:
    """A JSON value as an error may print it: short, on one line, with no control characters."""
    if isinstance(value, str):
        text = value if len(value) <= SHOWN_CHARACTERS else value[:SHOWN_CHARACTERS] + "…"
        return "'" + printable(text) + "'"
    if isinstance(value, int) and not isinstance(value, bool):
        text = str(value)
        if len(text) > SHOWN_CHARACTERS:
            return f"a number of {len(text.lstrip('-'))} digits"
        return text
    return kind(value)


def printable(text: str) -> str:
    """A text with everything that is not plainly printable written as an escape."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?`` for the nearest known word, or the list of all of them."""
    names = list(known)
    # Comparing is quadratic: what is far too long is near to nothing.
    found = difflib.get_close_matches(word.lower(), names, 1) if len(word) <= 80 else []
    if found:
        return f"; did you mean '{found[0]}'?"
    return "; known are " + ", ".join(names) if names else "; there should be none"


def check_keys(
    value: dict[str, Any], required: tuple[str, ...], optional: tuple[str, ...], what: str,
    place: Place,
) -> None:  # fmt: skip
    """Check that an object has its keys and no others.

    Raises:
        TraceError: a key is unknown, perhaps misspelt, or missing.
    """
    known = (*required, *optional)
    for key in value:
        if key not in known:
            free = [name for name in known if name not in value]
            place.fail(f"{what} has no '{printable(key[:SHOWN_CHARACTERS])}'{nearest(key, free)}")
    missing = [name for name in required if name not in value]
    if missing:
        place.fail(f"{what} lacks {', '.join(missing)}; it must have {', '.join(required)}")


def hex_value(value: Any, what: str, place: Place) -> int:
    """A page set or log word: lowercase hexadecimal, no prefix, no padding.

    Raises:
        TraceError: it is not that.
    """
    if not isinstance(value, str):
        place.fail(f"{what} is {kind(value)}; it must be a string of hexadecimal digits")
    if not _HEX.fullmatch(value):
        place.fail(
            f"{what} is {shown(value)}; it must be lowercase hexadecimal digits, "
            "no prefix, no padding"
        )
    return int(value, 16)

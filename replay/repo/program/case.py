r"""What one run of a program is given, as a value and as a file of the format ``replay-run/1``.

    {"format": "replay-run/1", "name": "commit-3-difference"}
    {"args": ["-n", "2"], "stdin": "a\nb\n", "files": {"in.txt": "x\n"}}

Bytes that are no UTF-8 stand as ``{"hex": "ff00"}``.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from replay.base.jsonlines import Place, check_keys, decode, kind, read_lines, shown

FORMAT: Final = "replay-run/1"
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})*")


@dataclass(frozen=True, slots=True)
class Case:
    """What one run is given.

    Attributes:
        args: the arguments, without the program's name.
        stdin: what it can read from standard input.
        files: what its folder holds at the start, by relative path, in their order.

    """

    args: tuple[str, ...] = ()
    stdin: bytes = b""
    files: tuple[tuple[str, bytes], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain values; what is empty is left out."""
        values: dict[str, Any] = {"args": list(self.args)} if self.args else {}
        if self.stdin:
            values["stdin"] = plain(self.stdin)
        if self.files:
            values["files"] = {name: plain(data) for name, data in self.files}
        return values

    def lines(self) -> list[str]:
        """As a reader sees it: the arguments, and each text with its lines."""
        words = shlex.join(self.args) if self.args else "(none)"
        found = [f"arguments: {words}"]
        for name, data in (("standard input", self.stdin), *self.files):
            if data or name != "standard input":
                found.append(f"{name}: {quoted(data)}")
        return found


def quoted(data: bytes, most: int = 300) -> str:
    """Bytes as people may read them, on one line: of many, the first."""
    text = repr(data[:most].decode("utf-8", "backslashreplace"))
    return text + (f" … ({len(data)} bytes)" if len(data) > most else "")


def plain(data: bytes) -> str | dict[str, str]:
    """Bytes as JSON has them."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"hex": data.hex()}


def to_text(case: Case, name: str) -> str:
    """The file of a case."""
    head = json.dumps({"format": FORMAT, "name": name})
    return f"{head}\n{json.dumps(case.to_json(), ensure_ascii=False)}\n"


def read_case(path: Path) -> Case:
    """The case in a file.

    Raises:
        TraceError: it is none; the message names the line and the cure.

    """
    lines = list(read_lines(path))
    place = Place(path, 1)
    head = decode(lines[0], place)
    if head.get("format") != FORMAT:
        place.fail(f"the format is {shown(head.get('format'))}; a saved run has {FORMAT!r}")
    place = Place(path, 2)
    if len(lines) != 2:
        place.fail(f"the file has {len(lines)} lines; it has two: the format, and the run")
    values = decode(lines[1], place)
    check_keys(values, (), ("args", "stdin", "files"), "the run", place)
    args = values.get("args", [])
    if not isinstance(args, list) or not all(is_argument(word) for word in args):
        place.fail("args is a list of texts without NUL")
    files = values.get("files", {})
    if not isinstance(files, dict):
        place.fail(f"files is {kind(files)}; it is an object: names and contents")
    for name in files:
        if problem := bad_name(name):
            place.fail(f"files: {shown(name)} {problem}")
    return Case(
        tuple(args),
        _bytes(values.get("stdin", ""), "stdin", place),
        tuple((name, _bytes(data, name, place)) for name, data in files.items()),
    )


def is_argument(word: Any) -> bool:
    """Whether a value can be given as an argument."""
    if not isinstance(word, str) or "\0" in word:
        return False
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def bad_name(name: str) -> str:
    """Why a file cannot be put into the folder of a run under this name; empty if it can."""
    path = PurePosixPath(name)
    if not is_argument(name) or path.is_absolute() or ".." in path.parts or not path.name:
        return "is no relative path inside the folder of the run"
    return ""


def _bytes(value: Any, what: str, place: Place) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:
            place.fail(f"{what} holds half of a surrogate pair, which is no character")
    digits = value.get("hex") if isinstance(value, dict) and len(value) == 1 else None
    if isinstance(digits, str) and _HEX.fullmatch(digits):
        return bytes.fromhex(digits)
    return place.fail(f'{what} is a text, or {{"hex": "…"}} with pairs of lowercase digits')

"""What is seen of a run that ended: its outputs, and the files that are not as they were.

Names of the folders are masked, and so are places in the program's own source, which a
failed assertion or a traceback tells: they are no behaviour.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import Final

from replay.repo.program.case import Case
from replay.repo.program.packing import Target

OUT: Final = "standard output"
ERR: Final = "error output"
MOST_FILES: Final = 200
"""Files of a folder whose content is looked at; of more, it is seen that there are more."""
SHOWN: Final = 1 << 16
"""Bytes of a file or stream that are kept to be shown; the rest is seen by its digest."""
_TRACEBACK: Final = re.compile(
    rb"^(Traceback \(most recent call last\):\n)(?:[ \t].*\n)+", re.MULTILINE
)
_ASSERTION: Final = re.compile(rb"[\w./+-]+\.\w+:\d+: [^\n]*?(?=Assertion `)")


def seen_of(base: Path, work: Path, case: Case, target: Target) -> tuple[tuple[str, bytes], ...]:
    """The outputs that are not empty, and the files, in the order of their names.

    Args:
        base: the folder of the run, which holds its outputs.
        work: the one in it in which the program ran.
        case: what it was given.
        target: what ran.

    Raises:
        OSError: something cannot be read.

    """
    masks = ((os.fsencode(work), b"<folder>"), (os.fsencode(base), b"<place>"),
             (os.fsencode(target.top), b"<program>"))  # fmt: skip
    found: dict[str, bytes] = {}
    for name, stream in ((OUT, "out"), (ERR, "err")):
        data = _masked((base / stream).read_bytes(), masks)
        data = _sourceless(data) if name == ERR else data
        if data:
            found[name] = _bounded(data)
    return (*found.items(), *_files(work, case, masks))


def _files(
    work: Path, case: Case, masks: tuple[tuple[bytes, bytes], ...]
) -> list[tuple[str, bytes]]:
    """What is in the folder that was not so at the start; each file with ``file`` before it."""
    given = dict(case.files)
    left = set(given)
    found: dict[str, bytes] = {}
    for path in _walk(work):
        name = str(path.relative_to(work))
        left.discard(name)
        data = _content(path)
        if len(found) >= MOST_FILES:
            found["more files"] = b"there are more"
            break
        if given.get(name) != data:
            found[f"file {name.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')}"] = (
                _bounded(_masked(data, masks))
            )
    found |= {f"file {name}": b"(removed)" for name in left}
    return sorted(found.items())


def _walk(work: Path) -> list[Path]:
    """Files, links, and folders that hold nothing."""
    found = []
    for folder, folders, files in os.walk(work):
        below = Path(folder)
        found += [below / name for name in files]
        found += [below / name for name in folders if (below / name).is_symlink()]
        if not files and not folders and below != work:
            found.append(below)
    return sorted(found)


def _content(path: Path) -> bytes:
    """What a file holds, or what it is."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return b"(a link to " + os.fsencode(path.readlink()) + b")"
        if stat.S_ISREG(mode):
            data = path.read_bytes()
            return data + b"\n(executable)" if mode & stat.S_IXUSR else data
    except OSError as error:
        return f"({error.strerror})".encode()
    return b"(an empty folder)" if stat.S_ISDIR(mode) else b"(no regular file)"


def _masked(data: bytes, masks: tuple[tuple[bytes, bytes], ...]) -> bytes:
    for path, name in masks:
        data = data.replace(path, name)
    return data


def _sourceless(data: bytes) -> bytes:
    """Error output without the places in the source that tracebacks and assertions name."""
    return _ASSERTION.sub(b"", _TRACEBACK.sub(rb"\1  ...\n", data))


def _bounded(data: bytes) -> bytes:
    """All of short data; of long the start, and a digest of all."""
    if len(data) <= SHOWN:
        return data
    digest = hashlib.sha256(data).hexdigest()[:32]
    return data[:SHOWN] + f"\n[{len(data)} bytes, {digest}]".encode()

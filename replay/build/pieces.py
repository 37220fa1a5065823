"""The object of each source of a tree, kept by all that it depends on.

From one step to the next, and from a step to the same with a fault in it, few sources change:
the others are compiled once. What a source depends on is read from its text: it and every
file of the tree that an ``#include`` may mean, in whatever folder; all files where the text
does not tell. That is more than the compiler reads, never less.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from replay.build.cache import Entry, key

OBJECT: Final = "piece.o"
FORMAT: Final = "replay-piece/1"

_INCLUDE: Final = re.compile(rb"^[ \t]*(?:#|%:|\?\?=)[ \t]*include(?:_next)?\b[ \t]*(.*)$", re.M)
_NAMED: Final = re.compile(rb"[<\"]([^>\"]+)[>\"]")
_UNTOLD: Final = re.compile(rb"incbin|\bembed\b|has_include|include_alias")
"""What reads a file, or asks for one, without an include that names it."""
_SPLIT: Final = re.compile(rb"\\[ \t]*\r?\n|\?\?/[ \t]*\r?\n")
"""The end of a line that goes on in the next."""


def needed(files: Mapping[str, bytes], source: str) -> dict[str, bytes]:
    """All files of a tree that compiling a source may read; those that are not C left out."""
    by_name: dict[str, list[str]] = {}
    for name in files:
        by_name.setdefault(PurePosixPath(name).name, []).append(name)
    found: dict[str, bytes] = {}
    todo = [source]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found[name] = files[name]
        included = _included(files[name])
        if included is None:
            return dict(files)
        for one in included:
            todo += by_name.get(one, ())
    return found


def _included(text: bytes) -> set[str] | None:
    """The last part of the name of each file that a text includes; None if it does not tell."""
    whole = _SPLIT.sub(b"", text)
    # A comment may stand before the name, or anywhere in the line.
    if _UNTOLD.search(whole) or re.search(rb"/\*[^\n]*\*/[ \t]*(?:#|%:)", whole):
        return None
    names = set()
    for match in _INCLUDE.finditer(whole):
        named = _NAMED.match(match[1])
        if named is None:
            return None
        names.add(PurePosixPath(os.fsdecode(named[1])).name)
    return names


def piece(
    folder: Path, how: Iterable[bytes], files: Mapping[str, bytes], source: str
) -> Entry:  # fmt: skip
    """The entry of a source's object; ``how``: all else that it depends on."""
    parts = [FORMAT.encode(), *how, os.fsencode(source)]
    read = needed(files, source)
    for name in sorted(read):
        parts += [os.fsencode(name), read[name]]
    return Entry(folder / key(parts), OBJECT, FORMAT)


def batches(sources: Sequence[str]) -> list[list[str]]:
    """Sources in as few calls of the compiler as their objects' names allow."""
    made: list[dict[str, str]] = []
    for source in sources:
        name = object_of(source)
        batch = next((one for one in made if name not in one), None)
        if batch is None:
            batch = {}
            made.append(batch)
        batch[name] = source
    return [list(one.values()) for one in made]


def object_of(source: str) -> str:
    """Where the compiler leaves the object of a source, if it is not told."""
    return PurePosixPath(source).stem + ".o"

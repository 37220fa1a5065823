"""The names and headers of a diff, in the forms of git and of other tools."""

from __future__ import annotations

import re
from typing import Final

from replay.git.paths import unquote

_TIME: Final = re.compile(r"\t.*| +[0-9]{4}-[0-9]{2}-[0-9]{2} .*", re.ASCII)
NOTHING: Final = "/dev/null"


def name_of(text: str) -> str:
    """A name as it stands in a line of a diff: in quotes, or up to a time."""
    if text.startswith('"'):
        try:
            data, _ = unquote(text.encode("utf-8", "surrogateescape"))
        except ValueError:
            return _printable(text)
        return data.decode("utf-8", "replace")
    return _printable(_TIME.sub("", text).rstrip("\r"))


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def without_prefixes(old: str, new: str) -> tuple[str, str]:
    """Two names of a diff as paths: ``a/`` and ``b/`` are no part of them.

    So are the first components where only those differ, as of ``pkg.orig/f`` and ``pkg/f``.
    Names that are equal are paths as they stand. Empty for the name of nothing.
    """
    if NOTHING in (old, new):
        known = new if old == NOTHING else old
        path = known[2:] if known.startswith(("a/", "b/")) else known
        return ("" if old == NOTHING else path), ("" if new == NOTHING else path)
    if old == new:
        return old, new
    if old.startswith("a/") and new.startswith("b/"):
        return old[2:], new[2:]
    rests = old.partition("/")[2], new.partition("/")[2]
    if rests[0] and rests[0] == rests[1]:
        return rests
    # "f.orig" and "f": the shorter name is the file's, as for git.
    shorter = min((old, new), key=len)
    return shorter, shorter


def git_names(text: str) -> tuple[str, str]:
    """The two paths after ``diff --git``; empty where they cannot be told apart."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        if data.startswith(b'"'):
            first, rest = unquote(data)
            second = unquote(rest[1:])[0] if rest[1:2] == b'"' else rest[1:]
            pairs = [(first, second)]
        elif data.endswith(b'"') and b' "' in data:
            cut = data.index(b' "')
            pairs = [(data[:cut], unquote(data[cut + 1 :])[0])]
        else:
            # Both names are of one length, or a header gives those of a rename.
            half = len(data) // 2
            pairs = [(data[:half], data[half + 1 :])] if data[half : half + 1] == b" " else []
    except ValueError:
        return "", ""
    for a, b in pairs:
        names = a.decode("utf-8", "replace"), b.decode("utf-8", "replace")
        old, new = without_prefixes(*names)
        if old == new:
            return old, new
    return "", ""

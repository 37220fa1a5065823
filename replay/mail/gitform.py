"""A diff of any tool in the form of git, to be applied."""

from __future__ import annotations

from itertools import pairwise

from replay.git.paths import quote
from replay.mail.diffs import FileDiff, read_diff
from replay.mail.names import NOTHING


def git_form(diff: str) -> str:
    """A diff with ``diff --git`` and the prefixes a/ and b/ before each file.

    What git wrote with its default prefixes stays as it is.
    """
    found = read_diff(diff)
    lines = found.text.split("\n")[:-1]
    bounds = pairwise([*found.firsts, len(lines)])
    out: list[str] = []
    for file, (first, end) in zip(found.files, bounds, strict=True):
        out += _file(file, lines[first:end])
    return "".join(f"{line}\n" for line in out)


def _file(file: FileDiff, lines: list[str]) -> list[str]:
    made_by_git = lines[0].startswith("diff --git ")
    if made_by_git and lines[0].startswith(("diff --git a/", 'diff --git "a/')):
        return lines
    names = _spelt(f"a/{file.old or file.new}"), _spelt(f"b/{file.new or file.old}")
    head = [f"diff --git {names[0]} {names[1]}"]
    rest = lines[1:] if made_by_git else lines
    if not made_by_git:
        head += [] if file.old else ["new file mode 100644"]
        head += [] if file.new else ["deleted file mode 100644"]
    at = next((i for i, line in enumerate(rest) if line.startswith("--- ")), len(rest))
    named = [
        f"--- {names[0] if file.old else NOTHING}", f"+++ {names[1] if file.new else NOTHING}"
    ]  # fmt: skip
    return [*head, *rest[:at], *(named if at < len(rest) else []), *rest[at + 2 :]]


def _spelt(name: str) -> str:
    """A name as git writes it."""
    plain = name.isascii() and name.isprintable() and not set(name) & set(' "\\')
    return name if plain else quote(name).decode("ascii")

"""Commits in memory, the ids that git gives them, and the stream that makes git store them.

The ids are computed here, so that a tree can be named without a repository, and so that
what git stored can be checked against what was meant.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.git.apply import File, Tree
from replay.git.paths import quote

COMMITTER: Final = ("replay series", "series@replay.invalid")
BRANCH: Final = "main"


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit before git has it. ``text`` is the whole message and ends with a newline."""

    text: str
    author: str
    email: str
    date: datetime.datetime
    tree: Tree

    @property
    def title(self) -> str:
        """The first line of the message."""
        return self.text.partition("\n")[0]


def tag(step: int) -> str:
    """The tag of a step."""
    return f"step-{step:02}"


def object_id(kind: str, data: bytes) -> str:
    """The SHA-1 id of an object of git."""
    head = f"{kind} {len(data)}\0".encode()
    return hashlib.sha1(head + data, usedforsecurity=False).hexdigest()


def tree_id(tree: Tree) -> str:
    """The id of the tree that holds exactly these files."""
    nested: dict[str, Any] = {}
    for path, file in tree.items():
        *folders, name = path.split("/")
        at = nested
        for folder in folders:
            at = at.setdefault(folder, {})
        at[name] = file
    return _folder_id(nested)


def _folder_id(folder: dict[str, Any]) -> str:
    entries: list[tuple[bytes, bytes]] = []
    for name, item in folder.items():
        raw = name.encode()
        if isinstance(item, File):
            mode, key, digest = f"{item.mode:o}", raw, object_id("blob", item.data)
        else:
            # Git sorts a folder as if its name ended with a slash.
            mode, key, digest = "40000", raw + b"/", _folder_id(item)
        entries.append((key, mode.encode() + b" " + raw + b"\0" + bytes.fromhex(digest)))
    return object_id("tree", b"".join(data for _, data in sorted(entries)))


def commit_ids(commits: Sequence[Commit], trees: Sequence[str]) -> tuple[str, ...]:
    """The ids of a line of commits, the first of which has no parent."""
    ids: list[str] = []
    for commit, tree in zip(commits, trees, strict=True):
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in ids[-1:])]
        lines += [f"author {_author(commit)}", f"committer {_committer(commit)}"]
        data = "\n".join(lines) + "\n\n" + commit.text
        ids.append(object_id("commit", data.encode()))
    return tuple(ids)


def _time(commit: Commit) -> str:
    return f"{int(commit.date.timestamp())} {commit.date:%z}"


def _author(commit: Commit) -> str:
    return f"{commit.author} <{commit.email}> {_time(commit)}"


def _committer(commit: Commit) -> str:
    return f"{COMMITTER[0]} <{COMMITTER[1]}> {_time(commit)}"


def import_stream(commits: Sequence[Commit]) -> bytes:
    """What ``git fast-import`` reads to store the commits, one branch, and a tag each."""
    return b"".join(_stream(commits))


def _stream(commits: Sequence[Commit]) -> Iterator[bytes]:
    yield b"feature done\n"
    before: Tree = {}
    for mark, commit in enumerate(commits, 1):
        text = commit.text.encode()
        yield (
            f"commit refs/heads/{BRANCH}\nmark :{mark}\nauthor {_author(commit)}\n"
            f"committer {_committer(commit)}\ndata {len(text)}\n"
        ).encode()
        yield text + b"\n"
        if mark > 1:
            yield f"from :{mark - 1}\n".encode()
        for path in before.keys() - commit.tree.keys():
            yield b"D " + quote(path) + b"\n"
        for path, file in commit.tree.items():
            if before.get(path) != file:
                yield f"M {file.mode:o} inline ".encode() + quote(path) + b"\n"
                yield f"data {len(file.data)}\n".encode() + file.data + b"\n"
        yield f"reset refs/tags/{tag(mark - 1)}\nfrom :{mark}\n\n".encode()
        before = commit.tree
    yield b"done\n"

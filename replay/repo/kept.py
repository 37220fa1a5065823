"""Traces kept for the next run: those that showed a difference, or reached something first.

They lie beside the cache, as trace files that ``--trace`` takes as well, by what they were
found on: the repository, the library in its tree, and the operations with their parameters.
They are few: of more than ``MOST`` or ``MOST_BYTES`` those go that were not found again for
longest, and examples go last. What is damaged, or does not fit the interface any more, is
left out, and left where it is.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from replay.base.atomic import replace_file
from replay.build.cache import cache_folder, key
from replay.errors import TraceError
from replay.repo.binding import Interface
from replay.repo.calls import CallTrace, read_calls, to_text
from replay.repo.git import find
from replay.repo.pairing import Names
from replay.repo.trees import run_git

FORMAT: Final = "replay-kept/1"
FOLDER: Final = "kept"
SUFFIX: Final = ".jsonl"
MOST: Final = 200
"""Traces kept of a library."""
MOST_BYTES: Final = 4 << 20
"""Bytes of all of them."""
LARGEST: Final = 1 << 18
"""Bytes of one."""


class Why(StrEnum):
    """Why a trace is kept; the first word of its file's name."""

    EXAMPLE = "example"
    """Two commits differ on it."""
    REACHED = "reached"
    """It came first by a changed line, or by code that none before it came by."""


def repository_id(repo: Path, store: Path, commit: str) -> str:
    """What a repository is known by, however often it is cloned: the first of its commits.

    A shallow clone does not hold it, and is known by its place.

    Args:
        repo: a folder in it.
        store: where its commits can be read, see ``replay.repo.git``.
        commit: one of them, from which the first parents are followed.

    Raises:
        RepoError: it is none, or the commit is not in it.

    """
    if (store / "shallow").is_file():
        return f"folder {find(repo).common}"
    words = ("--first-parent", "--max-parents=0", commit, "--")
    return f"root {run_git('rev-list', *words, git_dir=store).decode().strip()}"


def operations_digest(interface: Interface) -> str:
    """Equal for two interfaces of which a trace of the one may fit the other."""
    ops = [
        [op.name, op.kind_made, op.destroys, [[p.name, p.role, p.kind] for p in op.given]]
        for op in interface.ops.values()
    ]
    return hashlib.sha256(json.dumps(sorted(ops)).encode()).hexdigest()


def trace_id(trace: CallTrace, interface: Interface) -> str:
    """What a trace is known by: a digest of its calls as a file has them."""
    return hashlib.sha256(to_text(trace, interface, "").encode()).hexdigest()


@dataclass(slots=True)
class Kept:
    """The traces kept of a library. Processes may share them.

    Attributes:
        folder: where they are; None for nowhere.
        interface: whose operations they call.
        fresh: none is taken, but new ones are kept.
        problem: why none can be kept; empty while they can.

    """

    folder: Path | None
    interface: Interface
    fresh: bool = False
    problem: str = ""
    _found: dict[str, CallTrace] | None = field(default=None, repr=False)

    @classmethod
    def open(cls, repository: str, library: str, interface: Interface, fresh: bool = False) -> Self:
        """Those of a library.

        Args:
            repository: see :func:`repository_id`.
            library: its path in the tree.
            interface: whose operations are called.
            fresh: take none.

        """
        parts = (FORMAT, repository, library, operations_digest(interface))
        name = key(os.fsencode(part) for part in parts)
        return cls(cache_folder() / FOLDER / name, interface, fresh)

    def traces(self, names: Names | None = None) -> tuple[CallTrace, ...]:
        """Those at hand when they were first asked for, of these operations; the examples first.

        The order is a function of the traces.
        """
        return tuple(self._of(names).values())

    def ids(self, names: Names | None = None) -> frozenset[str]:
        """The ids of the same."""
        return frozenset(self._of(names))

    def _of(self, names: Names | None) -> dict[str, CallTrace]:
        if self._found is None:
            self._found = {} if self.fresh else self._read()
        return {
            name: trace for name, trace in self._found.items()
            if names is None or names.issuperset(call.op for call in trace)
        }  # fmt: skip

    def _read(self) -> dict[str, CallTrace]:
        found: dict[str, CallTrace] = {}
        for path in self._paths():
            with contextlib.suppress(TraceError):
                trace = read_calls(path, self.interface)
                found.setdefault(trace_id(trace, self.interface), trace)
        return found

    def add(self, traces: Iterable[CallTrace], why: Why) -> frozenset[str]:
        """Keep traces for the next run; gives their ids, whether or not there was room.

        What :meth:`traces` gives stays as it was.
        """
        texts = {
            trace_id(trace, self.interface): to_text(trace, self.interface, f"kept, {why}")
            for trace in traces
        }
        if texts and self.folder is not None and not self.problem:
            try:
                with self._locked(self.folder):
                    for name, text in texts.items():
                        self._put(self.folder, name, text.encode(), why)
                    self._trim()
            except OSError as error:
                self.problem = (
                    f"{self.folder}: traces are not kept: {error.strerror}; "
                    "name another folder in REPLAY_CACHE"
                )
        return frozenset(texts)

    @contextlib.contextmanager
    def _locked(self, folder: Path) -> Iterator[None]:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _put(self, folder: Path, name: str, data: bytes, why: Why) -> None:
        example, reached = (folder / f"{one}-{name}{SUFFIX}" for one in Why)
        if len(data) > LARGEST or (why is Why.REACHED and _touched(example)):
            return
        replace_file(example if why is Why.EXAMPLE else reached, data)
        if why is Why.EXAMPLE:
            reached.unlink(missing_ok=True)

    def _trim(self) -> None:
        """Remove what is too much: what was found longest ago, and examples last."""
        rows = []
        for path in self._paths():
            status = path.stat()
            rows.append((_why(path) is Why.EXAMPLE, status.st_mtime_ns, path, status.st_size))
        count, size = len(rows), sum(row[-1] for row in rows)
        for _, _, path, own in sorted(rows):
            if count <= MOST and size <= MOST_BYTES:
                return
            path.unlink(missing_ok=True)
            count, size = count - 1, size - own

    def _paths(self) -> list[Path]:
        """The files, the examples first; none where there is no folder."""
        if self.folder is None:
            return []
        try:
            every = sorted(self.folder.iterdir())
        except OSError:
            return []
        heads = tuple(f"{why}-" for why in Why)
        return [
            path for path in every
            if path.suffix == SUFFIX and path.name.startswith(heads) and path.is_file()
        ]  # fmt: skip


def _why(path: Path) -> Why:
    return Why(path.name.partition("-")[0])


def _touched(path: Path) -> bool:
    """Whether a file is there, whose time is now."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True

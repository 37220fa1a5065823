"""A commit's tree → its library, by the user's own command; kept in a cache.

The command is executed by the shell, in a work tree of its own, and is the only thing
that is. It has a time limit, and its process group ends with it. What it prints is kept,
from its start and its end. A build that fails is a value: a verdict on the commit.

The cache is keyed by the tree, the command, the library's path, and the variables that
compilers and make obey. A build that failed is not kept: what it lacked may be there the
next time.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol, TypeAlias

from replay.base.pool import TURN
from replay.build.cache import Entry, cache_folder, key
from replay.build.command import Commands, Ended
from replay.build.output import Kept
from replay.repo.errors import RepoError

FORMAT: Final = "replay-repo-build/1"
HEAD: Final = 8 << 10
TAIL: Final = 24 << 10
"""Bytes of a build's output that are kept, of its start and of its end."""
OBEYED: Final = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "PATH")


@dataclass(frozen=True, slots=True)
class Built:
    """A library: where it is, its checksum, and whether it was in the cache."""

    library: Path
    checksum: str
    cached: bool
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """Why there is no library, and what the command printed (bounded, as it came)."""

    reason: str
    output: str
    seconds: float
    notes: tuple[str, ...] = ()


Outcome: TypeAlias = Built | NotBuilt


def check_library(text: str) -> str:
    """The library's path inside the tree.

    Raises:
        RepoError: it is none.

    """
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in text:
        raise RepoError(
            f"--library {text!r}: name the file that the build makes, relative to the top of the "
            "tree, as in build/libring.so"
        )
    return str(path)


class Source(Protocol):
    """Where trees come from: a repository, or memory.

    Attributes:
        place: a temporary folder of the caller's.

    """

    place: Path

    def export(self, tree: str, folder: Path) -> tuple[str, ...]:
        """Write the tree of this id to a folder that does not exist; gives notes."""
        ...


class Builder:
    """Builds trees.

    Args:
        source: where the trees come from.
        command: the user's, for the shell.
        library: the file that it makes, relative to the top of the tree.
        limit: seconds that a build may take.
        rebuild: make libraries anew that are in the cache.

    """

    def __init__(
        self, source: Source, command: str, library: str, limit: float,
        rebuild: bool = False,
    ) -> None:  # fmt: skip
        self.source = source
        self.command = command
        self.library = check_library(library)
        self.limit = limit
        self.rebuild = rebuild
        self.cache = cache_folder() / "repo"
        self.commands = Commands()

    def build_all(
        self, trees: Iterable[str], jobs: int, progress: Callable[[], None] | None = None
    ) -> dict[str, Outcome]:
        """Build each tree once, ``jobs`` at a time.

        When this is left early, by Ctrl-C say, no process of a build is left running.
        """
        outcomes: dict[str, Outcome] = {}
        executor = ThreadPoolExecutor(jobs)
        try:
            futures = {executor.submit(self.build, tree): tree for tree in dict.fromkeys(trees)}
            waiting = set(futures)
            while waiting:
                # In turns, as replay.base.pool.result_of says.
                done, waiting = wait(waiting, TURN, FIRST_COMPLETED)
                for future in done:
                    outcomes[futures[future]] = future.result()
                    if progress:
                        progress()
        finally:
            self.commands.stop()
            executor.shutdown(wait=True, cancel_futures=True)
            self.commands.resume()
        return outcomes

    def build(self, tree: str) -> Outcome:
        """Build one tree, or find it in the cache.

        Raises:
            BuildError: the cache cannot be written.
            RepoError: an object of the tree is missing.

        """
        entry = Entry(self.cache / self._key(tree), "library.so", FORMAT)
        began = time.monotonic()
        found = None if self.rebuild else entry.note()
        if found is not None and isinstance(found.get("notes"), list):
            return Built(entry.path, found["sha256"], True, 0.0, tuple(found["notes"]))
        folder = self.source.place / f"tree-{tree}"
        try:
            notes = self.source.export(tree, folder)
            ended = self._execute(folder)
            seconds = time.monotonic() - began
            reason = self._reason(ended, folder / self.library)
            if reason:
                return NotBuilt(reason, ended.output.replace(str(folder), "."), seconds, notes)
            with entry.locked():
                checksum = entry.enter(folder / self.library, notes=notes)
            return Built(entry.path, checksum, False, seconds, notes)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _reason(self, ended: Ended, made: Path) -> str:
        """Why there is no library; empty if there is one."""
        if not ended.in_time:
            return f"it did not end within {self.limit:g} s"
        if ended.status < 0:
            return f"the command was ended by {signal.Signals(-ended.status).name}"
        if ended.status:
            return f"the command ended with status {ended.status}"
        if not made.is_file():
            return f"the command succeeded, but made no {self.library}"
        return ""

    def _key(self, tree: str) -> str:
        values = [os.environ.get(name, "\0") for name in OBEYED]
        parts = (FORMAT, tree, self.command, self.library, *values)
        return key(part.encode("utf-8", "surrogateescape") for part in parts)

    def _execute(self, folder: Path) -> Ended:
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        # A build that asks git must not find a repository around the temporary folder.
        env["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
        shell = ["/bin/sh", "-c", self.command]
        return self.commands.run(shell, folder, env, self.limit, Kept(HEAD, TAIL))

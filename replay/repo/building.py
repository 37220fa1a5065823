"""A commit's tree → its library, by the user's own command; kept in a cache.

The command is executed by the shell, in a work tree of its own, and is the only thing
that is. It has a time limit, and its process group ends with it. What it prints is kept,
from its start and its end. A build that fails is a value: a verdict on the commit.

The cache is keyed by the tree, the command, the library's path, the wrapper, the files that
the command names outside of the tree, and the variables that compilers and make obey. A
build that failed is not kept: what it lacked may be there the next time. A run that was
interrupted goes on where it was, since what it built is in the cache.

Neighbours are built in one folder, one after the other (see ``replay.repo.worktree``), so a
commit costs what it changes. That folder is emptied of what the build left, or, if asked
for, kept; then the last of each stretch of commits is built clean too, and nothing of the
stretch is believed unless the two are the same code.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import os
import queue
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol, TypeAlias

from replay.base.pool import TURN
from replay.build.cache import Entry, cache_folder, key
from replay.build.command import Commands, Ended
from replay.build.output import Kept
from replay.elf.errors import ElfError
from replay.elf.image import Image
from replay.repo.errors import RepoError
from replay.repo.outside import outside
from replay.repo.wrapping import Wrapper

FORMAT: Final = "replay-repo-build/2"
STRETCH: Final = 50
"""Neighbours that are built in one folder before another worker may get those after them."""
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


class Folder(Protocol):
    """A folder that holds one tree after the other.

    Attributes:
        path: where it is.

    """

    path: Path

    def move(self, tree: str, keep: bool = False) -> tuple[str, ...]:
        """Make it hold the tree of this id, and nothing else unless ``keep``; gives notes."""
        ...


class Source(Protocol):
    """Where trees come from: a repository, or memory.

    Attributes:
        place: a temporary folder of the caller's.

    """

    place: Path

    def worktree(self, folder: Path) -> Folder:
        """A folder that does not exist yet."""
        ...


class Builder:
    """Builds trees.

    Args:
        source: where the trees come from.
        command: the user's, for the shell.
        library: the file that it makes, relative to the top of the tree.
        limit: seconds that a build may take.
        rebuild: make libraries anew that are in the cache.
        wrapper: files that are built into each library.
        incremental: keep what a build left for the next one in its folder.
        home: what ``../`` in the command is beside.

    Attributes:
        notes: what a reader should know of all builds.

    Raises:
        RepoError: the library's path is none inside the tree, or a wrapper cannot be read.

    """

    def __init__(
        self, source: Source, command: str, library: str, limit: float,
        rebuild: bool = False, *, wrapper: Sequence[Path] = (), incremental: bool = False,
        home: Path | None = None,
    ) -> None:  # fmt: skip
        self.source = source
        self.command = command
        self.library = check_library(library)
        self.limit = limit
        self.rebuild = rebuild
        self.wrapper = Wrapper.read(wrapper, command)
        self.incremental = incremental
        self._outside, self.notes = outside(command, home)
        self.cache = cache_folder() / "repo"
        self.commands = Commands()
        self._folders: list[Folder] = []
        self._numbers = itertools.count(1)
        self._checked = False

    def by(self, command: str, rebuild: bool) -> Builder:
        """One that builds the same trees by another command, clean, in the same folders."""
        other = copy.copy(self)
        other.command, other.rebuild, other.incremental = command, rebuild, False
        return other

    def build_all(
        self, trees: Iterable[str], jobs: int, progress: Callable[[], None] | None = None
    ) -> dict[str, Outcome]:
        """Build each tree once, ``jobs`` at a time; best given in the order of history.

        When this is left early, by Ctrl-C say, no process of a build is left running.

        Raises:
            BuildError: the cache cannot be written.
            RepoError: an object of a tree is missing, or building it in the folder of the
                one before gives other code than building it clean.

        """
        tell = progress or (lambda: None)
        once = list(dict.fromkeys(trees))
        outcomes: dict[str, Outcome] = {}
        for tree in once:
            found = None if self.rebuild else self._cached(tree)
            if found is not None:
                outcomes[tree] = found
                tell()
        outcomes |= self._build_all([tree for tree in once if tree not in outcomes], jobs, tell)
        return {tree: outcomes[tree] for tree in once}

    def _build_all(
        self, trees: Sequence[str], jobs: int, tell: Callable[[], None]
    ) -> dict[str, Outcome]:
        """Build trees that are not in the cache; ``tell`` is called in this thread."""
        outcomes: dict[str, Outcome] = {}
        done: queue.SimpleQueue[str] = queue.SimpleQueue()
        executor = ThreadPoolExecutor(jobs)
        try:
            futures = [
                executor.submit(self._stretch, few, done.put)
                for few in stretches(trees, jobs, self.incremental)
            ]
            for future in futures:
                # In turns, as replay.base.pool.result_of says.
                while not future.done() or not done.empty():
                    with contextlib.suppress(queue.Empty):
                        done.get(timeout=TURN)
                        tell()
                outcomes |= future.result()
        finally:
            self.commands.stop()
            executor.shutdown(wait=True, cancel_futures=True)
            self.commands.resume()
        return outcomes

    def _cached(self, tree: str) -> Built | None:
        entry = self._entry(tree)
        found = entry.note()
        if found is None or not isinstance(found.get("notes"), list):
            return None
        return Built(entry.path, found["sha256"], True, 0.0, tuple(found["notes"]))

    def _stretch(self, trees: Sequence[str], tell: Callable[[str], None]) -> dict[str, Outcome]:
        """Build neighbours in one folder, each when the one before is done with."""
        outcomes: dict[str, Outcome] = {}
        kept: dict[str, _Made] = {}
        with self._folder() as folder:
            for tree in trees:
                if self.commands.stopped:
                    break
                made = self._build(folder, tree, self.incremental)
                if isinstance(made, NotBuilt) and self.incremental:
                    # What was left may be in the way: that says nothing of the commit.
                    made = self._build(folder, tree, False)
                if isinstance(made, NotBuilt):
                    outcomes[tree] = made
                elif self.incremental:
                    kept[tree] = made.moved(self.source.place / f"made-{tree}")
                else:
                    outcomes[tree] = self._enter(tree, made)
                tell(tree)
            if kept and not self.commands.stopped:
                self._check(folder, kept)
            for tree, made in kept.items():
                outcomes[tree] = self._enter(tree, made)
                made.library.unlink()
        return outcomes

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Folder]:
        """A folder that no other thread has, with what it was left with.

        Its name is as long for all, and stays the same for all commits that are built in
        it: so debug information differs by what it is about. It reads as that of a tree.
        """
        try:
            folder = self._folders.pop()
        except IndexError:
            number = next(self._numbers)
            folder = self.source.worktree(self.source.place / f"tree-{number:040x}")
        try:
            yield folder
        finally:
            self._folders.append(folder)

    def _build(self, folder: Folder, tree: str, keep: bool) -> _Made | NotBuilt:
        notes = folder.move(tree, keep)
        ended = self._execute(folder.path)
        made = folder.path / self.library
        reason = self._reason(ended, made) or self.wrapper.missing(folder.path)
        if reason:
            output = ended.output.replace(str(folder.path), ".")
            return NotBuilt(reason, output, ended.seconds, notes)
        return _Made(made, ended.seconds, notes)

    def _enter(self, tree: str, made: _Made) -> Built:
        entry = self._entry(tree)
        with entry.locked():
            checksum = entry.enter(made.library, notes=made.notes)
        return Built(entry.path, checksum, False, made.seconds, made.notes)

    def _check(self, folder: Folder, kept: dict[str, _Made]) -> None:
        """See that a sample of a stretch is the same code when it is built clean.

        Of one tree alone, as a search asks for them, only the first is looked at. The last
        one of the stretch comes last: it is what the next stretch starts from.
        """
        if len(kept) == 1 and self._checked:
            return
        trees = list(kept)
        for tree in dict.fromkeys((trees[len(trees) // 2], trees[-1])):
            clean = self._build(folder, tree, False)
            if isinstance(clean, NotBuilt):
                problem = f"does not build clean ({clean.reason})"
            elif not _same_code(clean.library, kept[tree].library):
                problem = "gives other code when it is built clean"
            else:
                continue
            raise RepoError(
                f"--incremental: the tree {tree} was built in the folder of the one before it, "
                f"and {problem}: the build does not notice every change, or never gives the "
                "same twice; leave out --incremental"
            )
        self._checked = True

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

    def _entry(self, tree: str) -> Entry:
        values = [os.environ.get(name, "\0") for name in OBEYED]
        how = "incremental" if self.incremental else "clean"
        texts = (FORMAT, tree, self.command, self.library, how, *values)
        parts = [text.encode("utf-8", "surrogateescape") for text in texts]
        parts += [b"%d" % len(self._outside), *self._outside, *self.wrapper.key()]
        return Entry(self.cache / key(parts), "library.so", FORMAT)

    def _execute(self, folder: Path) -> Ended:
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        # A build that asks git must not find a repository around the temporary folder.
        env["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
        env |= self.wrapper.place(folder, self.library, env.get("PATH", os.defpath))
        shell = ["/bin/sh", "-c", self.command]
        return self.commands.run(shell, folder, env, self.limit, Kept(HEAD, TAIL))


@dataclass(frozen=True, slots=True)
class _Made:
    """A library where it was built, or where it was put to wait."""

    library: Path
    seconds: float
    notes: tuple[str, ...]

    def moved(self, place: Path) -> _Made:
        """A copy in another place: the next build writes over this one."""
        shutil.copyfile(self.library, place)
        return _Made(place, self.seconds, self.notes)


def stretches(trees: Sequence[str], jobs: int, incremental: bool) -> list[Sequence[str]]:
    """Trees in runs of neighbours, enough of them for each worker to have some."""
    shares = jobs if incremental or jobs == 1 else 4 * jobs
    size = max(1, min(STRETCH, -(-len(trees) // shares)))
    return [trees[at : at + size] for at in range(0, len(trees), size)]


def _same_code(one: Path, other: Path) -> bool:
    """Whether two libraries that were built in the same folder put the same into memory."""
    if one.read_bytes() == other.read_bytes():
        return True
    try:
        with Image(one) as first, Image(other) as second:
            return first.fingerprint == second.fingerprint
    except ElfError:
        return False

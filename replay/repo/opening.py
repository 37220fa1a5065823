"""What is to be verified, and the range of commits, opened: before anything is built."""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from replay.repo.binding import Binding, Interface
from replay.repo.binding import Mapping as Rule
from replay.repo.building import Builder
from replay.repo.calls import CallTrace
from replay.repo.campaign import Sampling
from replay.repo.errors import RepoError
from replay.repo.git import Commit, Range, Repository
from replay.repo.watching import Sources

BUILD_LIMIT: Final = 300.0
CALL_LIMIT: Final = 1.0
FIRST: Final = 200
"""Traces of the first round."""
TIMED: Final = (
    "--for: how many traces were run depends on the machine, and another run may find something "
    "else; --traces N runs exactly the same again"
)
DRAFTED: Final = "no --binding: one was drafted from the library; see replay init"


@dataclass(frozen=True, slots=True)
class Request:
    """What to verify.

    Attributes:
        repo: a folder in the repository.
        commits: the range, ``A..B``.
        build: the command that builds the library, for the shell.
        library: what it makes, relative to the top of the tree.
        binding: the file; None to draft one from the first library.
        traces: how many random traces, of ``ops`` calls, drawn from ``seed``; None for
            ``FIRST``, and further rounds where these reach something new.
        seconds: run traces for so long, where ``traces`` are not given; None for no limit.
        jobs: builds and workers at a time.
        build_limit: seconds that a build may take.
        call_limit: seconds of processor time that a trace may take.
        budget: candidates tried to shorten an example.
        trace: run this trace file alone.
        model: a Python file and a class in it, to compare each commit with. It is executed.
        rebuild: make libraries anew that are in the cache.
        wrapper: files that are built into the library of each commit.
        incremental: keep what the build of one commit left for the next.
        fresh: make no use of verdicts and traces of earlier runs.
        expect: a file of declared differences; its rules are executed.
        prove: prove what traces find the same, as far as that goes.

    """

    repo: Path
    commits: str
    build: str
    library: str
    binding: Path | None = None
    traces: int | None = None
    seconds: float | None = None
    ops: int = 40
    seed: int = 1
    jobs: int = 1
    build_limit: float = BUILD_LIMIT
    call_limit: float = CALL_LIMIT
    budget: int = 1500
    trace: Path | None = None
    model: tuple[Path, str] | None = None
    rebuild: bool = False
    wrapper: tuple[Path, ...] = ()
    incremental: bool = False
    fresh: bool = False
    expect: Path | None = None
    prove: bool = False

    def sampling(self, interface: Interface, given: CallTrace | None) -> Sampling:
        """Random traces, or one that is given."""
        return Sampling(
            interface, self.seed, self.traces or FIRST, self.ops, given,
            deeper=self.traces is None, seconds=self.seconds,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class History:
    """A range of commits, opened.

    Attributes:
        commits: in order, the start of the range first.
        remarks: notes on each.
        applies: the commits at which each map of the binding holds, by the map's key.
        builder: of their trees.
        notes: on the whole.
        store: where their trees can be read.

    """

    commits: tuple[Commit, ...]
    remarks: tuple[tuple[str, ...], ...]
    applies: Mapping[str, frozenset[str]]
    builder: Builder
    notes: tuple[str, ...]
    store: Path

    def holds(self, rule: Rule, place: int) -> bool:
        """Whether a map holds at the commit of this place."""
        return self.commits[place].id in self.applies.get(rule.key, frozenset())

    def at(self, place: int) -> Callable[[Rule], bool]:
        """Which maps hold at the commit of this place."""
        return lambda rule: self.holds(rule, place)

    def sources(self, places: Iterable[int]) -> Sources:
        """The trees of the commits of these places."""
        return Sources(self.store, [self.commits[place].tree for place in places])

    def noting(self, note: str) -> History:
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))


def opened(request: Request, binding: Binding | None, place: Path) -> History:
    """The range of a request, with a temporary folder to build in.

    Raises:
        RepoError: no such repository, range or library path.

    """
    repository = Repository(request.repo, place)
    commits = repository.range(request.commits)
    applies = _rules(binding, repository) if binding else {}
    builder = Builder(
        repository, request.build, request.library, request.build_limit, request.rebuild,
        wrapper=request.wrapper, incremental=request.incremental, home=request.repo,
    )  # fmt: skip
    every = (commits.base, *commits.commits)
    remarks = ((), *(remarks_on(commits, *both) for both in pairwise(every)))
    notes = (*commits.notes, *builder.notes)
    return History(every, remarks, applies, builder, notes, repository.store)


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, a second Ctrl-C or SIGTERM notwithstanding."""
    place = Path(tempfile.mkdtemp(prefix="replay-verify-"))
    try:
        yield place
    finally:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            shutil.rmtree(place, ignore_errors=True)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _rules(binding: Binding, repository: Repository) -> dict[str, frozenset[str]]:
    """The commits at which each map holds, by the map's key."""
    applies = {}
    for rule in binding.maps:
        try:
            applies[rule.key] = repository.ids_in(rule.commits)
        except RepoError as error:
            place = f"{binding.path}:{rule.line}" if rule.line else str(binding.path)
            raise RepoError(f"{place}: {rule.key}.commits: {error}") from None
    return applies


def remarks_on(commits: Range, before: Commit, commit: Commit) -> tuple[str, ...]:
    """What a reader should know of a commit by its place in history."""
    notes = []
    if commit.id in commits.merged:
        count = commits.merged[commit.id]
        parents = commit.parents
        notes.append(
            f"a merge, which brings in {count} commit{'' if count == 1 else 's'}: judged as "
            f"one change against its first parent (look inside with "
            f"--range {parents[0][:12]}..{parents[-1][:12]})"
        )
    if commit.tree == before.tree:
        notes.append("an empty commit: the tree of the one before")
    return tuple(notes)

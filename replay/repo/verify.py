"""``replay verify``: every commit of a range built, called, and compared with the one before.

The result is a function of the repository, the request and the machine's compiler; the
number of jobs makes no difference. Nothing is written but the cache of builds and a
temporary folder, which is gone afterwards.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from replay.repo.binding import Binding
from replay.repo.binding import Mapping as Rule
from replay.repo.bindingfile import read_binding
from replay.repo.building import Builder
from replay.repo.calls import read_calls
from replay.repo.checking import Checker
from replay.repo.errors import RepoError
from replay.repo.git import Range, Repository
from replay.repo.resolving import resolve
from replay.repo.results import Report, Row
from replay.repo.subjects import Progress, bind_rows, build_rows, drafted, inspect_rows

BUILD_LIMIT: Final = 300.0
CALL_LIMIT: Final = 1.0
OUTPUT_SHOWN: Final = 12


@dataclass(frozen=True, slots=True)
class Request:
    """What to verify.

    Attributes:
        repo: a folder in the repository.
        commits: the range, ``A..B``.
        build: the command that builds the library, for the shell.
        library: what it makes, relative to the top of the tree.
        binding: the file; None to draft one from the first library.
        traces: how many random traces, of ``ops`` calls, drawn from ``seed``.
        jobs: builds and workers at a time.
        build_limit: seconds that a build may take.
        call_limit: seconds of processor time that a trace may take.
        budget: candidates tried to shorten an example.
        trace: run this trace file alone.
        model: a Python file and a class in it, to compare each commit with. It is executed.
        rebuild: make libraries anew that are in the cache.

    """

    repo: Path
    commits: str
    build: str
    library: str
    binding: Path | None = None
    traces: int = 200
    ops: int = 40
    seed: int = 1
    jobs: int = 1
    build_limit: float = BUILD_LIMIT
    call_limit: float = CALL_LIMIT
    budget: int = 1500
    trace: Path | None = None
    model: tuple[Path, str] | None = None
    rebuild: bool = False


def verify(request: Request, progress: Progress = lambda done, total, text: None) -> Report:
    """Verify a range of commits.

    Raises:
        RepoError: no such repository, range or library path.
        BindingError: the binding is wrong, or does not fit the library.
        TraceError: the trace file does not fit the binding.
        WorkerError: a worker could not be started, or was killed.

    """
    binding = read_binding(request.binding) if request.binding else None
    with workspace() as place:
        rows, applies, builder, notes = opened(request, binding, place)
        outcomes = build_rows(builder, rows, request.jobs, progress)
        shapes = inspect_rows(rows, outcomes)
        report = Report(rows, None, request.seed, request.traces, request.ops, {}, notes)
        if not any(shapes):
            report.notes.append("no commit could be built and read: nothing was compared")
            return report
        if binding is None:
            binding = drafted(shapes)
            report.notes.append("no --binding: one was drafted from the library; see replay init")
        known = binding

        def holds(rule: Rule, index: int) -> bool:
            return rows[index].commit.id in applies.get(rule.key, frozenset())

        report.plan = resolve(known, shapes, holds)
        subjects = bind_rows(report.plan, rows, shapes, outcomes, holds)
        trace = read_calls(request.trace, report.plan) if request.trace else None
        with Checker(request.jobs, report.plan, request.call_limit) as checker:
            checker.judge(
                report, subjects, traces=request.traces, ops=request.ops, budget=request.budget,
                trace=trace, model=request.model, progress=progress,
            )  # fmt: skip
        return report


def opened(
    request: Request, binding: Binding | None, place: Path
) -> tuple[list[Row], dict[str, frozenset[str]], Builder, list[str]]:
    """The rows of a range, where each map of the binding holds, what builds, and notes.

    Raises:
        RepoError: no such repository, range or library path.

    """
    repository = Repository(request.repo, place)
    commits = repository.range(request.commits)
    applies = _rules(binding, repository) if binding else {}
    builder = Builder(
        repository, request.build, request.library, request.build_limit, request.rebuild
    )
    return _rows(commits), applies, builder, list(commits.notes)


@contextlib.contextmanager
def workspace() -> Iterator[Path]:
    """A temporary folder that is gone afterwards, a second Ctrl-C notwithstanding."""
    place = Path(tempfile.mkdtemp(prefix="replay-verify-"))
    try:
        yield place
    finally:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
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


def _rows(commits: Range) -> list[Row]:
    rows = [Row(commits.base), *(Row(commit) for commit in commits.commits)]
    for before, row in pairwise(rows):
        if row.commit.id in commits.merged:
            count = commits.merged[row.commit.id]
            parents = row.commit.parents
            row.notes.append(
                f"a merge, which brings in {count} commit{'' if count == 1 else 's'}: judged as "
                f"one change against its first parent (look inside with "
                f"--range {parents[0][:12]}..{parents[-1][:12]})"
            )
        if row.commit.tree == before.commit.tree:
            row.notes.append("an empty commit: the tree of the one before")
    return rows

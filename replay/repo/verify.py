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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from replay.elf.errors import ElfError
from replay.repo.binding import Binding, Plan
from replay.repo.binding import Mapping as Rule
from replay.repo.bindingfile import parse_binding, read_binding
from replay.repo.bound import Unbound, bind
from replay.repo.building import Builder, Built, Outcome
from replay.repo.calls import read_calls
from replay.repo.checking import Checker, Subject
from replay.repo.drafting import draft
from replay.repo.errors import RepoError
from replay.repo.git import Range, Repository
from replay.repo.resolving import resolve
from replay.repo.results import Report, Row, Verdict
from replay.repo.runner import sanitizer
from replay.repo.shapes import LibraryShape, read_shape

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


Progress = Callable[[float, float, str], None]
"""Called with how much is done, of how much, and what that is."""


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
        repository = Repository(request.repo, place)
        commits = repository.range(request.commits)
        applies = _rules(binding, repository) if binding else {}
        rows = _rows(commits)
        outcomes = _build(request, repository, rows, progress)
        shapes = _inspect(rows, outcomes)
        report = Report(rows, None, request.seed, request.traces, request.ops, {}, [])
        report.notes += commits.notes
        if not any(shapes):
            report.notes.append("no commit could be built and read: nothing was compared")
            return report
        if binding is None:
            binding = _drafted(shapes)
            report.notes.append("no --binding: one was drafted from the library; see replay init")
        known = binding

        def holds(rule: Rule, index: int) -> bool:
            return rows[index].commit.id in applies.get(rule.key, frozenset())

        report.plan = resolve(known, shapes, holds)
        subjects = _bind(report.plan, rows, shapes, outcomes, holds)
        trace = read_calls(request.trace, report.plan) if request.trace else None
        with Checker(request.jobs, report.plan, request.call_limit) as checker:
            checker.judge(
                report, subjects, traces=request.traces, ops=request.ops, budget=request.budget,
                trace=trace, model=request.model, progress=progress,
            )  # fmt: skip
        return report


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


def _build(
    request: Request, repository: Repository, rows: list[Row], progress: Progress
) -> dict[str, Outcome]:
    builder = Builder(
        repository, request.build, request.library, request.build_limit, request.rebuild
    )
    trees = dict.fromkeys(row.commit.tree for row in rows)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        progress(done, len(trees), f"{done} of {len(trees)} trees built")

    progress(0, len(trees), "building")
    return builder.build_all(trees, request.jobs, one_more)


def _inspect(rows: list[Row], outcomes: dict[str, Outcome]) -> list[LibraryShape | None]:
    """The shape of each row's library; rows without one get their verdict here."""
    known: dict[str, LibraryShape | str] = {}
    shapes: list[LibraryShape | None] = []
    for row in rows:
        outcome = outcomes[row.commit.tree]
        row.notes += outcome.notes
        shape: LibraryShape | None = None
        if isinstance(outcome, Built):
            row.cached = outcome.cached
            if outcome.checksum not in known:
                known[outcome.checksum] = _shape(outcome.library)
            found = known[outcome.checksum]
            if isinstance(found, str):
                row.verdict, row.reason = Verdict.NOT_JUDGED, found
            else:
                shape = found
                if shape.problem:
                    row.notes.append(f"its calls are unchecked: {shape.problem}")
        else:
            row.verdict, row.reason, row.output = Verdict.NOT_BUILT, outcome.reason, outcome.output
        shapes.append(shape)
    return shapes


def _shape(library: Path) -> LibraryShape | str:
    try:
        return read_shape(library)
    except ElfError as error:
        return f"the library: {error.problem}; {error.cure}"


def _drafted(shapes: list[LibraryShape | None]) -> Binding:
    shape = next(shape for shape in shapes if shape is not None)
    if not shape.functions:
        raise RepoError(
            f"no prototypes to draft a binding from ({shape.problem or 'nothing is exported'}); "
            "write one and give it with --binding"
        )
    return parse_binding(draft(shape, "the library"), "the drafted binding")


def _bind(
    plan: Plan, rows: list[Row], shapes: list[LibraryShape | None], outcomes: dict[str, Outcome],
    holds: Callable[[Rule, int], bool],
) -> list[Subject | None]:  # fmt: skip
    """What to run for each row; a row whose library cannot be called gets its verdict."""
    subjects: list[Subject | None] = []
    for index, (row, shape) in enumerate(zip(rows, shapes, strict=True)):
        outcome = outcomes[row.commit.tree]
        subject = None
        if shape is not None and isinstance(outcome, Built):
            rules: dict[str, list[Rule]] = {}
            for rule in plan.binding.maps:
                if holds(rule, index):
                    rules.setdefault(rule.op, []).append(rule)
            try:
                bound = bind(plan, shape, rules)
                preload = sanitizer(shape.needed)
                subject = Subject(bound, outcome.library, outcome.checksum, preload)
                if bound.missing:
                    row.notes.append(f"without {', '.join(bound.missing)}, not there yet or gone")
            except Unbound as error:
                row.verdict, row.reason = Verdict.NOT_JUDGED, str(error)
        subjects.append(subject)
    return subjects

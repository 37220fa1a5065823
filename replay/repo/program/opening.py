"""A range of commits opened for a verification of their programs: built, unpacked, ready to run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from replay.base.pool import Threads
from replay.repo.building import Built, Outcome
from replay.repo.errors import RepoError
from replay.repo.expectfile import read_expect
from replay.repo.expecting import Expecting
from replay.repo.git import Repository
from replay.repo.opening import BUILD_LIMIT, TIMED, History, remarks_on
from replay.repo.program.campaign import ProgramCampaign
from replay.repo.program.case import Case, read_case
from replay.repo.program.expecting import check
from replay.repo.program.inputs import Inputs, default_inputs, read_inputs
from replay.repo.program.packing import Program, ProgramBuilder, Target, unpack
from replay.repo.program.remembered import Memory
from replay.repo.program.running import Runner
from replay.repo.program.tallies import Pair, Sampling
from replay.repo.rules import Rules
from replay.repo.targets import Obstacle, Progress
from replay.search.verdict import Verdict

RUN_LIMIT: Final = 5.0
"""Seconds of processor time that a run may take, unless told otherwise."""
FIRST: Final = 200
"""Runs of the first round, unless told otherwise."""
DEFAULTED: Final = (
    "no --inputs: the program is run without arguments, on small texts; replay init --program "
    "drafts a file that says more"
)


@dataclass(frozen=True, slots=True)
class ProgramRequest:
    """What to verify; what has the name of a field of ``replay.repo.verify.Request`` is that.

    Attributes:
        program: the file in the tree, perhaps with an interpreter in front.
        inputs: the inputs file; None for small texts and the files of ``corpus``.
        trace: run this saved case alone.

    """

    repo: Path
    commits: str
    build: str
    program: str
    inputs: Path | None = None
    corpus: Path | None = None
    traces: int | None = None
    seconds: float | None = None
    seed: int = 1
    jobs: int = 1
    build_limit: float = BUILD_LIMIT
    call_limit: float = RUN_LIMIT
    budget: int = 1500
    trace: Path | None = None
    rebuild: bool = False
    incremental: bool = False
    expect: Path | None = None
    fresh: bool = False

    def read(self) -> Inputs:
        """The inputs.

        Raises:
            BindingError: the file is wrong.
            RepoError: the corpus cannot be read.

        """
        if self.inputs is not None and self.corpus is not None:
            raise RepoError(
                "--inputs says it all: name the corpus there, as stdin = { corpus = … }"
            )
        return read_inputs(self.inputs) if self.inputs else default_inputs(self.corpus)


@dataclass(frozen=True, slots=True)
class Ready:
    """What became of a tree: its program, or why there is none that can be run."""

    target: Target | None = None
    obstacle: Obstacle | None = None
    notes: tuple[str, ...] = ()
    cached: bool = False


@dataclass(slots=True)
class Work:
    """What a verification works with; commits are named by their places in the history.

    ``expecting`` is what is declared of them, ``memory`` what earlier runs found.
    """

    request: ProgramRequest
    program: Program
    sampling: Sampling
    history: History
    place: Path
    runner: Runner
    threads: Threads
    expecting: Expecting
    memory: Memory
    targets: dict[str, Target | str] = field(default_factory=dict)

    def ready(self, places: Sequence[int], progress: Progress) -> list[Ready]:
        """The programs of commits, built and unpacked, each once."""
        trees = [self.history.commits[place].tree for place in places]
        once, done = dict.fromkeys(trees), 0

        def one_more() -> None:
            nonlocal done
            done += 1
            progress(done, len(once), f"{done} of {len(once)} trees built")

        outcomes = self.history.builder.build_all(once, self.request.jobs, one_more)
        return [self._ready(outcomes[tree]) for tree in trees]

    def _ready(self, outcome: Outcome) -> Ready:
        if not isinstance(outcome, Built):
            obstacle = Obstacle(Verdict.NOT_BUILT, outcome.reason, outcome.output)
            return Ready(obstacle=obstacle)
        key = outcome.checksum
        if key not in self.targets:
            folder = self.place / "programs" / f"{len(self.targets):06d}"
            self.targets[key] = unpack(outcome.library, key, self.program, folder)
        target = self.targets[key]
        if isinstance(target, str):
            return Ready(None, Obstacle(Verdict.NOT_JUDGED, target), outcome.notes)
        return Ready(target, None, outcome.notes, outcome.cached)

    def campaign(self, pairs: Sequence[Pair], given: Case | None = None) -> ProgramCampaign:
        """Cases on pairs, or one that is given."""
        sampling = replace(self.sampling, given=given) if given else self.sampling
        return ProgramCampaign(self.runner, self.threads, sampling, pairs)


@contextlib.contextmanager
def opened(request: ProgramRequest, place: Path) -> Iterator[Work]:
    """The range of a request, with all that it takes to run programs below a folder.

    Raises:
        RepoError: no such repository, range, program or corpus.
        BindingError: the inputs file is wrong.
        ExpectError: what is declared is wrong, or fits no commit, or a rule cannot be loaded.
        TraceError: the saved case is none.

    """
    program = Program.parse(request.program)
    inputs = request.read()
    given = read_case(request.trace) if request.trace else None
    entries = read_expect(request.expect) if request.expect is not None else ()
    check(entries)
    with Rules(entries) as rules:
        history = _history(request, program, place)
        expecting = Expecting.of(entries, history.commits, history.store, rules, given is None)
        for note in expecting.notes:
            history = history.noting(note)
        sampling = Sampling(
            inputs, request.seed, request.traces or FIRST, given, deeper=request.traces is None
        )
        with (
            Threads(request.jobs) as threads,
            Runner(place / "runs", inputs, request.call_limit) as runner,
        ):
            memory = _memory(request, program, inputs)
            yield Work(
                request, program, sampling, history, place, runner, threads, expecting, memory
            )


def _memory(request: ProgramRequest, program: Program, inputs: Inputs) -> Memory:
    """What earlier runs found; nothing for a single case, or where a clock decides."""
    if request.trace is not None or request.seconds is not None:
        return Memory()
    effort = (request.traces, request.seed, request.budget, request.call_limit)
    return Memory.of(program, inputs, effort, request.fresh)


def _history(request: ProgramRequest, program: Program, place: Path) -> History:
    """The commits, and what builds their programs."""
    repository = Repository(request.repo, place)
    commits = repository.range(request.commits)
    builder = ProgramBuilder(
        repository, request.build, program.path, request.build_limit, request.rebuild,
        incremental=request.incremental, home=request.repo,
    )  # fmt: skip
    every = (commits.base, *commits.commits)
    said = ((), *(remarks_on(commits, *both) for both in pairwise(every)))
    notes = [*commits.notes, *builder.notes]
    if request.inputs is None and request.corpus is None and request.trace is None:
        notes.append(DEFAULTED)
    if request.seconds is not None and request.trace is None:
        notes.append(TIMED)
    return History(every, said, {}, builder, tuple(notes), repository.store)

"""``replay verify --program``: the program of every commit, compared with the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

from replay.base.pool import Threads
from replay.repo.building import Built, Outcome
from replay.repo.errors import RepoError
from replay.repo.git import Commit, Repository
from replay.repo.program.campaign import (
    Example,
    Pair,
    PairTally,
    ProgramCampaign,
    Sampling,
    Sighting,
)
from replay.repo.program.case import Case, quoted, read_case
from replay.repo.program.comparing import END, Noise
from replay.repo.program.evidence import Evidence, decide
from replay.repo.program.inputs import Inputs, default_inputs, read_inputs
from replay.repo.program.language import CaseLanguage
from replay.repo.program.packing import Program, ProgramBuilder, Target, unpack
from replay.repo.program.running import Runner
from replay.repo.targets import Obstacle, Progress
from replay.repo.verify import BUILD_LIMIT, TIMED, History, remarks_on, workspace
from replay.search.campaign import examples
from replay.search.verdict import Verdict

RUN_LIMIT: Final = 5.0
"""Seconds of processor time that a run may take, unless told otherwise."""
FIRST: Final = 200
"""Runs, unless told otherwise."""
SHRUNK: Final = 8
"""Pairs whose example is shortened; of more, the rest show theirs as found."""
TRIED: Final = 6
"""Cases that are asked for an example, where those before gave none."""
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
class Row:
    """What was found about a commit.

    Attributes:
        output: what a build that failed printed.
        against: the commit that it was compared with.
        differing: on how many runs it differs.
        name: of the file of its example.

    """

    commit: Commit
    verdict: Verdict = Verdict.NOT_JUDGED
    reason: str = ""
    output: str = ""
    against: Commit | None = None
    differing: int = 0
    notes: tuple[str, ...] = ()
    evidence: Evidence | None = None
    example: Example | None = None
    name: str = ""
    cached: bool = False


@dataclass(frozen=True, slots=True)
class ProgramReport:
    """The whole result: the base, and a row a commit."""

    rows: tuple[Row, ...]
    program: str
    seed: int
    runs: int
    notes: tuple[str, ...] = ()

    @property
    def guilty(self) -> Row | None:
        """The first commit that changes what the program does."""
        return next((row for row in self.rows if row.verdict.is_guilty), None)

    @property
    def passed(self) -> bool:
        """Whether every commit is as claimed."""
        return all(row.verdict.passes for row in self.rows)

    @property
    def differs(self) -> bool:
        """Whether some commit does not do what the one before does."""
        return self.guilty is not None


@dataclass(frozen=True, slots=True)
class Ready:
    """What became of a tree: its program, or why there is none that can be run."""

    target: Target | None = None
    obstacle: Obstacle | None = None
    notes: tuple[str, ...] = ()
    cached: bool = False


@dataclass(slots=True)
class Work:
    """What a verification works with; commits are named by their places in the history."""

    request: ProgramRequest
    program: Program
    sampling: Sampling
    history: History
    place: Path
    runner: Runner
    threads: Threads
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


def verify(
    request: ProgramRequest, progress: Progress = lambda done, total, text: None
) -> ProgramReport:
    """Verify a range of commits.

    Raises:
        RepoError: no such repository, range, program or corpus.
        BindingError: the inputs file is wrong.
        TraceError: the saved case is none.
        WorkerError: a program cannot be run here at all.

    """
    with workspace() as place, Opened(request, place) as work:
        places = range(len(work.history.commits))
        return judge(work, places, work.ready(places, progress), progress)


class Opened:
    """The range of a request, with all that it takes to run programs; leave it to end them."""

    def __init__(self, request: ProgramRequest, place: Path) -> None:
        program = Program.parse(request.program)
        inputs = request.read()
        given = read_case(request.trace) if request.trace else None
        repository = Repository(request.repo, place)
        commits = repository.range(request.commits)
        builder = ProgramBuilder(
            repository, request.build, program.path, request.build_limit, request.rebuild,
            incremental=request.incremental, home=request.repo,
        )  # fmt: skip
        every = (commits.base, *commits.commits)
        said = ((), *(remarks_on(commits, *both) for both in pairwise(every)))
        notes = [*commits.notes, *builder.notes]
        if request.inputs is None and request.corpus is None and given is None:
            notes.append(DEFAULTED)
        if request.seconds is not None and given is None:
            notes.append(TIMED)
        history = History(every, said, {}, builder, tuple(notes), repository.store)
        sampling = Sampling(inputs, request.seed, request.traces or FIRST, given)
        runner = Runner(place / "runs", inputs, request.call_limit)
        self.work = Work(request, program, sampling, history, place, runner, Threads(request.jobs))

    def __enter__(self) -> Work:
        self.work.threads.__enter__()
        return self.work

    def __exit__(self, *error: object) -> None:
        self.work.runner.__exit__(None, None, None)
        self.work.threads.__exit__(None, None, None)


# --- the verdicts -----------------------------------------------------------------------


def judge(
    work: Work, places: Sequence[int], ready: Sequence[Ready], progress: Progress,
    given: Case | None = None,
) -> ProgramReport:  # fmt: skip
    """Compare each of some commits with the last one before it that has a program."""
    rows: list[Row] = []
    against: dict[int, int] = {}
    last: int | None = None
    for at, (place, one) in enumerate(zip(places, ready, strict=True)):
        rows.append(_row(work, at, place, one, last))
        if one.target is not None:
            if last is not None:
                against[at] = last
                rows[at] = _beside(rows[at], work, places, at, last)
            last = at
    pairs: dict[int, Pair] = {}
    for at, before in against.items():
        old, new = ready[before].target, ready[at].target
        assert old is not None and new is not None
        if old.key == new.key:
            rows[at] = replace(rows[at], verdict=Verdict.SAME, evidence=Evidence(identical=True))
        else:
            pairs[at] = Pair(old, new)
    campaign = work.campaign(list(pairs.values()), given)
    tally = campaign.run(progress, work.request.seconds)
    progress(0, 0, "shortening examples")
    found = _examples(work, campaign, tally.pairs)
    for number, (at, pair) in enumerate(zip(pairs, tally.pairs, strict=True)):
        alone = campaign.sampling.given is not None
        rows[at] = _judged(rows[at], at, pair, found.get(number), alone)
    return ProgramReport(
        tuple(rows), work.request.program, work.request.seed, campaign.sampling.count,
        work.history.notes,
    )  # fmt: skip


def _row(work: Work, at: int, place: int, one: Ready, last: int | None) -> Row:
    """What is known of a commit before anything is run."""
    notes = (*work.history.remarks[place], *one.notes)
    row = Row(work.history.commits[place], notes=notes, cached=one.cached)
    if one.obstacle is not None:
        stop = one.obstacle
        return replace(row, verdict=stop.verdict, reason=stop.reason, output=stop.output)
    if last is None and at:
        return replace(row, reason="no commit before it could be built and run")
    return row if at else replace(row, verdict=Verdict.BASE)


def _beside(row: Row, work: Work, places: Sequence[int], at: int, last: int) -> Row:
    """The same, with the commit that it is compared with."""
    commits = [work.history.commits[place] for place in places]
    row = replace(row, against=commits[last])
    if at == last + 1:
        return row
    between = ", ".join(commit.short for commit in commits[last + 1 : at])
    note = f"compared with {commits[last].short}; what is found may have come with {between}"
    return replace(row, notes=(*row.notes, note))


def _examples(
    work: Work, campaign: ProgramCampaign, tallies: Sequence[PairTally]
) -> Mapping[int, Example | str]:
    """An example of each pair that differs; those of the first few are shortened."""
    language = CaseLanguage(campaign.sampling.inputs)
    seen = []
    for number, pair in enumerate(tallies):
        ranked = sorted(pair.differing, key=lambda n: language.size(campaign.sampling.case(n)))
        if ranked:
            seen.append(Sighting(number, tuple(ranked[:TRIED])))
    shown: dict[int, Example | str] = {}
    whole = 0 if work.sampling.given is not None else work.request.budget
    for few, budget in ((seen[:SHRUNK], whole), (seen[SHRUNK:], 0)):
        found = examples(campaign, few, budget, work.threads)
        shown |= zip((one.pair for one in few), found, strict=True)
    return shown


def _judged(row: Row, at: int, tally: PairTally, found: Example | str | None, given: bool) -> Row:
    """The verdict on a commit, by what was seen."""
    verdict, reason = decide(tally.evidence, given)
    row = replace(
        row, verdict=verdict, reason=reason, differing=len(tally.differing),
        evidence=tally.evidence, notes=(*row.notes, *_noise(tally.noise)),
    )  # fmt: skip
    if isinstance(found, str):
        return replace(row, verdict=Verdict.NOT_JUDGED, reason=f"it is not deterministic: {found}")
    if found is None:
        return row
    verdict = found.divergence.verdict
    name = f"commit-{at}-{verdict.value.rpartition(' ')[2]}"
    return replace(row, verdict=verdict, reason="", example=found, name=name)


def _noise(found: Noise) -> list[str]:
    """What was left out of a comparison, and a guess why."""
    return [
        f"not the same twice, and left out of the comparison: "
        f"{'how it ends' if name == END else name}{f', {kind}' if kind else ''} "
        f"({quoted(one, 40)}, then {quoted(other, 40)})"
        for (name, kind), (one, other) in sorted(found.items())
    ]

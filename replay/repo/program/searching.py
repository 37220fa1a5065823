"""``replay verify --program … --bisect``: the commits that changed what a program does.

The ends of the range are compared first. The cases that tell them apart are followed by a
binary search, as in ``replay.repo.searching``: a stretch whose ends do the same on all of
them is taken to do the same within, any other is halved. Only what is asked is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from replay.repo.following import METHOD
from replay.repo.git import Commit
from replay.repo.opening import workspace
from replay.repo.program.campaign import tick
from replay.repo.program.case import Case
from replay.repo.program.comparing import Divergence, Runs
from replay.repo.program.evidence import value_text
from replay.repo.program.examples import FILLS
from replay.repo.program.expecting import declared, differing
from replay.repo.program.judging import judge, reported
from replay.repo.program.language import CaseLanguage
from replay.repo.program.opening import ProgramRequest, Ready, Work, opened
from replay.repo.program.packing import Target
from replay.repo.program.results import ProgramReport, Row
from replay.repo.program.running import HANG
from replay.repo.program.tallies import Pair, Sampling
from replay.repo.targets import Progress
from replay.search.bisect import Answer, Bisection, Probe
from replay.search.verdict import Verdict

FOLLOWED: Final = 3
"""Cases of each kind of difference that are followed."""

Kind: TypeAlias = tuple[str, Verdict]
Seen: TypeAlias = dict[Case, Runs]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed after the commit of one place, and up to that of another."""

    after: int
    place: int
    kinds: tuple[Kind, ...]

    @property
    def words(self) -> list[str]:
        """In what the two differ."""
        return [
            what if verdict is Verdict.UNDECLARED else f"a {verdict.value}"
            for what, verdict in self.kinds
        ]


@dataclass(frozen=True, slots=True)
class ProgramSearch:
    """The outcome of a search, or of a verification, which has no ``found``.

    Attributes:
        report: on each commit that changed something and the one before it; on the ends of
            the range where these do not differ or could not be compared.
        commits: of the range, its start first; a probe's step counts in them.
        found: the probes and what came of them; None when nothing was searched.
        changes: what was found, in order.

    """

    report: ProgramReport
    commits: Sequence[Commit] = ()
    found: Bisection | None = None
    changes: tuple[Change, ...] = ()


def search(
    request: ProgramRequest, progress: Progress = lambda done, total, text: None
) -> ProgramSearch:
    """Search a range of commits; errors as of :func:`replay.repo.program.verify.verify`."""
    with workspace() as place, opened(request, place) as work:
        commits = work.history.commits
        ends = (0, len(commits) - 1)
        ready = work.ready(ends, progress)
        if any(one.target is None for one in ready):
            note = "both ends of the range have to be built and run: nothing was searched"
            work.history = work.history.noting(note)
        first = judge(work, ends, ready, progress)
        if not first.differs:
            return ProgramSearch(first, commits)
        return _Searching(work, progress, dict(zip(ends, ready, strict=True))).search(first)


@dataclass(slots=True)
class _Searching:
    """A search under way; commits are named by their places in the history."""

    work: Work
    progress: Progress
    built: dict[int, Ready]
    cases: list[Case] = field(default_factory=list)
    seen: dict[int, Seen | None] = field(default_factory=dict)
    probes: list[Probe] = field(default_factory=list)

    def search(self, first: ProgramReport) -> ProgramSearch:
        """Each commit at which something changed that is followed."""
        commits, last = self.work.history.commits, len(self.work.history.commits) - 1
        self.cases = self._chosen(first.rows[-1], last)
        self.ask(0)
        self.ask(last)
        changes: list[tuple[Change, Case]] = []
        spans = [(0, last)]
        while spans:
            low, high = spans.pop()
            found = self.between(low, high)
            if not found:
                continue
            middle = self.middle(low, high)
            if middle is None:
                kinds = dict.fromkeys(kind for one in found.values() for kind in sorted(one.kinds))
                changes.append((Change(low, high, tuple(kinds)), next(iter(found))))
            else:
                spans += [(middle, high), (low, middle)]
        if not changes:
            # It comes and goes: the ends do the same this time.
            return ProgramSearch(first, commits)
        return self.told(changes)

    def told(self, changes: Sequence[tuple[Change, Case]]) -> ProgramSearch:
        """The outcome, each change shown on a case that was made short for it."""
        commits = self.work.history.commits
        plain = tuple(change for change, _ in changes)
        found = Bisection(
            METHOD,
            guilty=tuple(one.place for one in plain if one.place == one.after + 1),
            suspects=tuple(
                place for one in plain if one.place > one.after + 1
                for place in range(one.after + 1, one.place + 1)
            ),
            probes=self.probes,
        )  # fmt: skip
        rows: list[Row] = []
        for change, case in changes:
            places = range(change.after, change.place + 1)
            ready = [self.ready(place) for place in places]
            one = judge(self.work, places, ready, self.progress, case)
            told = bool(rows) and rows[-1].commit.id == one.rows[0].commit.id
            rows += one.rows[told:]
            name = commits[change.place].short
            if change.place > change.after + 1:
                name = f"one of {commits[change.after + 1].short} to {name}"
            words = "; ".join(change.words)
            self.work.history = self.work.history.noting(f"{name} changed {words}")
        named = tuple(
            replace(row, name=f"commit-{at}-{row.name.rpartition('-')[2]}") if row.name else row
            for at, row in enumerate(rows)
        )
        return ProgramSearch(reported(self.work, named, 1), commits, found, plain)

    def _chosen(self, row: Row, last: int) -> list[Case]:
        """The cases that tell the ends apart: some of each kind, the simplest ones."""
        old, new = self.built[0].target, self.built[last].target
        assert old is not None and new is not None
        if self.work.sampling.given is not None:
            return [self.work.sampling.given]
        sampling: Sampling = self.work.sampling
        pair = Pair(old, new, declared(self.work.expecting, 0, last))
        tally = self.work.campaign([pair]).run(self.progress, None).pairs[0]
        size = CaseLanguage(sampling.inputs).size
        ranked = sorted(tally.differing, key=lambda number: size(sampling.case(number)))
        counts: dict[Kind, int] = {}
        chosen = [row.example.case] if row.example is not None else []
        for number in ranked:
            kinds = tally.differing[number].kinds
            if any(counts.get(kind, 0) < FOLLOWED for kind in kinds):
                chosen.append(sampling.case(number))
                counts |= {kind: counts.get(kind, 0) + 1 for kind in kinds}
        return list(dict.fromkeys(chosen))

    def ready(self, place: int) -> Ready:
        """A commit's program, built when it is first asked for."""
        if place not in self.built:
            (self.built[place],) = self.work.ready([place], self.progress)
        return self.built[place]

    def ask(self, place: int) -> None:
        """Run what is followed at a commit, and say whether it shows what the start shows."""
        ready = self.ready(place)
        short = self.work.history.commits[place].short
        if ready.target is None:
            assert ready.obstacle is not None
            reason = ready.obstacle.reason or ready.obstacle.verdict.value
            self.seen[place] = None
            probe = Probe(place, Answer.SKIP, reason)
        else:
            self.seen[place] = self._look(ready.target)
            found = self.between(0, place)
            probe = Probe(place, Answer.BAD if found else Answer.GOOD, _note(found))
        self.probes.append(probe)
        self.progress(0, 0, f"{short} is {probe.answer.value}")

    def _look(self, target: Target) -> Seen:
        """Several runs of each case."""
        run = self.work.runner.run
        seen = {case: [run(target, case)] for case in self.cases}
        if any(runs[0].end != HANG for runs in seen.values()):
            tick()
        for case, runs in seen.items():
            if runs[0].end != HANG:
                runs += [run(target, case, fill) for fill in FILLS]
        return {**seen}

    def between(self, low: int, high: int) -> dict[Case, Divergence]:
        """The cases that tell two commits apart, and in what that is not declared."""
        before, after = self.seen[low], self.seen[high]
        assert before is not None and after is not None
        expected = declared(self.work.expecting, low, high)
        found = {
            case: differing(expected, case, before[case], after[case])[0] for case in self.cases
        }
        return {case: one for case, one in found.items() if one is not None}

    def middle(self, low: int, high: int) -> int | None:
        """A commit between two that can be run, as near the middle as there is one."""
        between = range(low + 1, high)
        for place in sorted(between, key=lambda place: (abs(2 * place - low - high), place)):
            if place not in self.seen:
                self.ask(place)
            if self.seen[place] is not None:
                return place
        return None


def _note(found: dict[Case, Divergence]) -> str:
    """One difference from the start, in a few words."""
    if not found:
        return ""
    what, old, new = next(iter(found.values())).fields[0]
    return f"{what}: start {value_text(old)}, here {value_text(new)}"

"""The campaign on programs: cases, run on both of each pair, and compared.

Each program runs each case once, however many pairs it is in. What differs is run again on
both sides, in other folders, with other addresses, environments and contents of fresh
memory, and in another second; so are the first few cases, whether they differ or not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from replay.base.pool import Pool, Threads
from replay.repo.driver.limits import MOST_HANGS
from replay.repo.expected import Declared, merged, tallied
from replay.repo.program.case import Case
from replay.repo.program.comparing import Divergence, Noise, Runs, compare, noise
from replay.repo.program.evidence import Evidence
from replay.repo.program.expecting import ProgramExpected, differing, word
from replay.repo.program.inputs import Inputs
from replay.repo.program.language import CaseLanguage
from replay.repo.program.packing import Target
from replay.repo.program.running import HANG, Outcome, Runner
from replay.repo.targets import Progress
from replay.search.campaign import gather, shortest
from replay.search.verdict import Verdict

SHARE: Final = 50
"""Cases whose runs are in memory at once."""
SAMPLE: Final = 3
"""Cases of all that are repeated though nothing differs."""
FULL: Final = 8
"""Cases of a share that differ which are repeated with all of"""
FILLS: Final = (1, 2, 3)
"""these; the others with the first. Where an end comes and goes, with these too:"""
MORE: Final = (4, 5, 6, 7, 8, 9)
QUESTIONS: Final = 400
"""Candidates tried to shorten an example at most; each is two runs. Of hangs as many as"""
SLOW: Final = 60


@dataclass(frozen=True, slots=True)
class Pair:
    """Two programs to compare, and what is declared of them."""

    before: Target
    after: Target
    expected: ProgramExpected | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which cases are run: one that is given, or those drawn from the inputs."""

    inputs: Inputs
    seed: int
    runs: int
    given: Case | None = None

    @property
    def count(self) -> int:
        """How many."""
        return self.runs if self.given is None else 1

    def case(self, number: int) -> Case:
        """The case of a number."""
        return self.given or CaseLanguage(self.inputs).draw(self.seed, number)


@dataclass(slots=True)
class PairTally:
    """What cases showed of a pair: in what they differ, by number, and what varies.

    ``declared``: what they show of each declared difference, by the number of its entry.
    """

    differing: dict[int, Divergence] = field(default_factory=dict)
    noise: Noise = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    declared: dict[int, Declared] = field(default_factory=dict)

    def merge(self, other: PairTally) -> None:
        """Add what the cases of the next share showed."""
        self.differing |= other.differing
        self.noise = other.noise | self.noise
        self.evidence.merge(other.evidence)
        self.declared = merged(self.declared, other.declared)

    @property
    def kinds(self) -> frozenset[str]:
        """In what they differ, as a file of declared differences names it."""
        return frozenset(
            word(*field) for found in self.differing.values() for field in found.fields
        )


@dataclass(slots=True)
class Tally:
    """The same of all pairs."""

    pairs: list[PairTally]

    def merge(self, other: Tally) -> None:
        """Add the share that comes next."""
        for one, more in zip(self.pairs, other.pairs, strict=True):
            one.merge(more)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Cases on which a pair differs, by number, the simplest first."""

    pair: int
    cases: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A case on which two programs differ, as short as it was found."""

    case: Case
    divergence: Divergence
    complete: bool = True


Asked = tuple[Target, Sequence[tuple[Case, int]]]
"""A program, and the cases it is to run, each with a fill."""


@dataclass(slots=True)
class ProgramCampaign:
    """Cases on pairs of programs; see ``replay.search.campaign.Campaign``.

    ``done`` are pairs that are not looked at any more.
    """

    runner: Runner
    threads: Threads
    sampling: Sampling
    pairs: Sequence[Pair]
    share: int = SHARE
    done: set[int] = field(default_factory=set)

    def run(self, progress: Progress, seconds: float | None) -> Tally:
        """What all cases show; with ``seconds`` further ones, as long as these last."""
        total, done = self.sampling.count, 0
        began = time.monotonic()

        def told(count: int) -> None:
            nonlocal done
            done += count
            progress(done, max(total, done), f"{done} of {max(total, done)} runs")

        tally = gather(self, total if self.pairs else 0, Pool(1, "running programs"), told)
        while seconds is not None and time.monotonic() - began < seconds:
            self.done = {at for at, pair in enumerate(tally.pairs) if pair.differing}
            if len(self.done) == len(self.pairs) or self.sampling.given is not None:
                break
            tally.merge(self.look(range(done, done + self.share)))
            told(self.share)
        return tally

    def nothing(self) -> Tally:
        """The tally of no cases."""
        return Tally([PairTally() for _ in self.pairs])

    def look(self, numbers: range) -> Tally:
        """Run the cases of these numbers on all that take part, and compare."""
        cases = {number: self.sampling.case(number) for number in numbers}
        pairs = {at: pair for at, pair in enumerate(self.pairs) if at not in self.done}
        ran: dict[tuple[str, Case, int], Outcome | None] = {}
        self._run(ran, {at: [(case, 0) for case in cases.values()] for at in pairs})
        tally = self.nothing()
        due: dict[int, list[tuple[Case, int]]] = {}
        for at, pair in pairs.items():
            due[at] = self._due(pair, cases, ran, tally.pairs[at].evidence)
        if any(due.values()):
            tick()
            self._run(ran, due)
        for at, pair in pairs.items():
            again = dict.fromkeys(case for case, _ in due[at])
            for number, case in cases.items():
                if case in again:
                    self._compared(tally.pairs[at], pair, number, case, ran)
        return tally

    def _due(
        self, pair: Pair, cases: Mapping[int, Case],
        ran: Mapping[tuple[str, Case, int], Outcome | None], evidence: Evidence,
    ) -> list[tuple[Case, int]]:  # fmt: skip
        """The cases that are to be run again, each with which fills."""
        due: dict[tuple[Case, int], None] = {}
        count = 0
        for number, case in cases.items():
            old, new = (ran[side.key, case, 0] for side in (pair.before, pair.after))
            evidence.add(old, new)
            if old is None or new is None:
                continue
            differs = compare([old], [new]) is not None
            count += differs
            if number >= SAMPLE and not differs:
                continue
            once = HANG in (old.end, new.end) or count > FULL
            due |= dict.fromkeys((case, fill) for fill in (FILLS[:1] if once else FILLS))
        return list(due)

    def _compared(
        self, tally: PairTally, pair: Pair, number: int, case: Case,
        ran: Mapping[tuple[str, Case, int], Outcome | None],
    ) -> None:  # fmt: skip
        """Compare all the runs of a case."""
        sides: list[list[Outcome]] = []
        for side in (pair.before, pair.after):
            found = (ran.get((side.key, case, fill)) for fill in (0, *FILLS))
            sides.append([one for one in found if one is not None])
            tally.noise = noise(sides[-1]) | tally.noise
        tally.evidence.repeat(sides[1])
        divergence, shown = differing(pair.expected, case, *sides)
        tally.declared = merged(tally.declared, tallied(shown))
        if divergence is not None:
            tally.differing[number] = divergence

    def _run(
        self, ran: dict[tuple[str, Case, int], Outcome | None],
        due: Mapping[int, Sequence[tuple[Case, int]]],
    ) -> None:  # fmt: skip
        """Run what is due on both sides of each pair, a program at a time."""
        asked: dict[str, tuple[Target, dict[tuple[Case, int], None]]] = {}
        for at, every in due.items():
            for side in (self.pairs[at].before, self.pairs[at].after):
                asked.setdefault(side.key, (side, {}))[1].update(dict.fromkeys(every))
        tasks = [(key, (target, list(every))) for key, (target, every) in asked.items()]
        for key, outcomes in self.threads.map(self._run_one, tasks):
            for (case, fill), outcome in zip(asked[key][1], outcomes, strict=True):
                ran[key, case, fill] = outcome

    def _run_one(self, task: Asked) -> list[Outcome | None]:
        """The runs of a program; None for those after too many hangs."""
        target, every = task
        limits = self.runner.limit(target)
        hung = limits.hangs
        return [
            None if limits.hangs - hung >= MOST_HANGS else self.runner.run(target, case, fill)
            for case, fill in every
        ]

    # --- examples ---------------------------------------------------------------------

    def example(self, finding: Sighting, budget: int) -> Example | str:
        """A case on which a pair differs, shortened; or why there is none after all."""
        pair = self.pairs[finding.pair]
        question = _Question(self.runner, pair)
        for number in finding.cases:
            case = self.sampling.case(number)
            first = question.full(case)
            if first is None:
                continue
            question.wanted = first.kinds
            if not budget:
                return Example(case, first, complete=False)
            slow = first.verdict is Verdict.HANG
            language = CaseLanguage(self.sampling.inputs).shortening(case, self.sampling.seed)
            found = shortest(
                case, language, question.shows,
                min(budget, SLOW if slow else QUESTIONS), question.holds,
            )  # fmt: skip
            if found is not None:
                return Example(found.trace, found.witness, found.complete)
        return "what differed did not differ when it was run again"


@dataclass(slots=True)
class _Question:
    """Whether a pair differs on a case, in what it is wanted to differ."""

    runner: Runner
    pair: Pair
    wanted: frozenset[tuple[str, Verdict]] = frozenset()

    def runs(self, case: Case, fills: Sequence[int]) -> tuple[list[Outcome], list[Outcome]]:
        """Runs of both sides in turns: a clock that goes on meanwhile is seen on both."""
        old, new = [], []
        for fill in fills:
            old.append(self.runner.run(self.pair.before, case, fill))
            new.append(self.runner.run(self.pair.after, case, fill))
        return old, new

    def full(self, case: Case) -> Divergence | None:
        """By several runs of each side; by more where an end comes and goes."""
        old, new = self.runs(case, (0,))
        if HANG in (old[0].end, new[0].end):
            return self.compared(case, old, new)
        for fills in (FILLS, MORE):
            more = self.runs(case, fills)
            old, new = [*old, *more[0]], [*new, *more[1]]
            if len({run.end for run in old}) == len({run.end for run in new}) == 1:
                break
        return self.compared(case, old, new)

    def compared(self, case: Case, old: Runs, new: Runs) -> Divergence | None:
        """In what runs of both sides differ that is not declared."""
        return differing(self.pair.expected, case, old, new)[0]

    def shows(self, case: Case) -> Divergence | None:
        """The same, where it is in what is wanted."""
        found = self.full(case)
        return found if found is not None and found.kinds & self.wanted else None

    def holds(self, case: Case) -> bool:
        """A sooner answer: a case that shows nothing in its first runs is not repeated."""
        old, new = self.runs(case, (0,))
        found = self.compared(case, old, new)
        if found is None or not found.kinds & self.wanted:
            return False
        if HANG in (old[0].end, new[0].end):
            return True
        more = self.runs(case, FILLS[:2])
        found = self.compared(case, [*old, *more[0]], [*new, *more[1]])
        return found is not None and bool(found.kinds & self.wanted)


def tick() -> None:
    """Let another second begin: a clock often has no finer grain."""
    time.sleep(1.01 - time.time() % 1)

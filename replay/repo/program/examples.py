"""A case on which two programs differ: asked again, and made short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from replay.repo.program.case import Case
from replay.repo.program.comparing import END, Divergence, Runs
from replay.repo.program.expecting import differing
from replay.repo.program.language import CaseLanguage
from replay.repo.program.running import HANG, Outcome, Runner
from replay.repo.program.tallies import Example, Pair, Sampling, Sighting
from replay.search.shrink import shrink
from replay.search.verdict import Verdict

FILLS: Final = (1, 2, 3)
"""With which a case is run again; where an end comes and goes, with these too:"""
MORE: Final = (4, 5, 6, 7, 8, 9)
QUESTIONS: Final = 400
"""Candidates tried to shorten an example at most; each is two runs. Those that hang cost"""
SLOW: Final = 40
"""more: so many."""


def example(
    runner: Runner, sampling: Sampling, pair: Pair, finding: Sighting, budget: int,
    tried: Callable[[], None] = lambda: None,
) -> Example | str:  # fmt: skip
    """A case on which a pair differs, shortened; or why there is none after all.

    ``tried`` is called for each candidate for a shorter one.
    """
    for number in finding.cases:
        case = sampling.case(number)
        question = _Question(runner, pair, tried)
        first = question.full(case, sure=not budget)
        if first is None:
            continue
        if not budget:
            return Example(case, first, complete=False)
        question.want(first)
        language = CaseLanguage(sampling.inputs).shortening(case, sampling.seed)
        shrunk = shrink(case, language, question.holds, min(budget, QUESTIONS))
        for short, complete in (
            (shrunk.trace, shrunk.complete and not question.over),
            (case, False),
        ):
            found = question.full(short, sure=True)
            if found is not None and found.kinds & question.wanted:
                return Example(short, found, complete)
    return "what differed did not differ when it was run again"


@dataclass(slots=True)
class _Question:
    """Whether a pair differs on a case, in what it is wanted to differ.

    Attributes:
        hanging: the side that is wanted to hang: 0 for the earlier, 1 for the later.
        hangs: how often it did so.

    """

    runner: Runner
    pair: Pair
    tried: Callable[[], None]
    wanted: frozenset[tuple[str, Verdict]] = frozenset()
    hanging: int | None = None
    hangs: int = 0

    def want(self, found: Divergence) -> None:
        """Ask for what was found."""
        self.wanted = found.kinds
        hang = HANG.encode()
        for what, *sides in found.fields:
            if what == END and hang in sides:
                self.hanging = sides.index(hang)

    @property
    def over(self) -> bool:
        """Whether there were so many hangs that no more are tried."""
        return self.hangs >= SLOW

    def runs(
        self, case: Case, fills: Sequence[int], *, sure: bool = False
    ) -> tuple[list[Outcome], list[Outcome]]:
        """Runs of both sides in turns: a clock that goes on meanwhile is seen on both."""
        old, new = [], []
        for fill in fills:
            old.append(self.runner.run(self.pair.before, case, fill, sure=sure))
            new.append(self.runner.run(self.pair.after, case, fill, sure=sure))
        return old, new

    def compared(self, case: Case, old: Runs, new: Runs) -> Divergence | None:
        """In what runs of both sides differ that is not declared."""
        return differing(self.pair.expected, case, old, new)[0]

    def full(self, case: Case, *, sure: bool) -> Divergence | None:
        """By several runs of each side; by more where an end comes and goes.

        A hang is run no further; where it has to be ``sure``, once more with a longer limit.
        """
        old, new = self.runs(case, (0,), sure=sure)
        if HANG in (old[0].end, new[0].end):
            return self.compared(case, old, new)
        for fills in (FILLS, MORE):
            more = self.runs(case, fills)
            old, new = [*old, *more[0]], [*new, *more[1]]
            if len({run.end for run in old}) == len({run.end for run in new}) == 1:
                break
        return self.compared(case, old, new)

    def holds(self, case: Case) -> bool:
        """A sooner answer: a case that shows nothing in its first runs is not repeated."""
        self.tried()
        if self.hanging is not None:
            return self._hangs(case, self.hanging)
        old, new = self.runs(case, (0,))
        found = self.compared(case, old, new)
        if found is None or not found.kinds & self.wanted:
            return False
        more = self.runs(case, FILLS[:2])
        found = self.compared(case, [*old, *more[0]], [*new, *more[1]])
        return found is not None and bool(found.kinds & self.wanted)

    def _hangs(self, case: Case, place: int) -> bool:
        """Whether one side hangs where the other ends: that one is asked first."""
        sides = self.pair.before, self.pair.after
        if self.over:
            return False
        other = self.runner.run(sides[1 - place], case)
        if other.end == HANG or other.crashed:
            return False
        hangs = self.runner.run(sides[place], case).end == HANG
        self.hangs += hangs
        return hangs

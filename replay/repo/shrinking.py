"""Whether a smaller trace still shows what a pair differs in: asked until none smaller does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final, TypeAlias

from replay.repo.calls import CallTrace
from replay.repo.checking import asked
from replay.repo.driver.limits import LEAST, TIMES
from replay.repo.driver.run import DriverRunner
from replay.repo.language import CallLanguage
from replay.repo.masks import Mask
from replay.repo.pairing import Pair
from replay.repo.results import Counterexample, Divergence, compare
from replay.repo.runner import ModelError, Run, Runner
from replay.search.campaign import shortest
from replay.search.verdict import Verdict

SHRUNK_LIMIT: Final = 0.25
"""Seconds of processor time after which a candidate counts as hanging that is to hang."""

NOT_AGAIN: Final = "a trace that differed does not when it is run again"

Parted: TypeAlias = tuple[Run, Run, Divergence]
"""The runs of a trace on two targets, and where they part."""


@dataclass(slots=True)
class Shrinking:
    """Whether a pair differs on a trace as it did on the first one that was asked about.

    Attributes:
        pair: asked about.
        targets: workers with its two.
        unlike: workers with two that must not differ; none for no such pair.
        mask: what is left out of the comparison, and ``without``: of those two.
        drivers: with the pair, to know sooner on what they do not differ; none to do without.
        verdict: of the first trace.
        limit: seconds of processor time after which a smaller trace counts as hanging.

    """

    pair: Pair
    targets: tuple[Runner, Runner]
    unlike: tuple[Runner, ...]
    mask: Mask
    without: Mask
    drivers: tuple[DriverRunner, ...] = ()
    verdict: Verdict | None = None
    limit: float = SHRUNK_LIMIT

    def shortest(
        self, trace: CallTrace, language: CallLanguage, budget: int
    ) -> Counterexample | str:
        """The smallest trace found that shows it; with no budget the trace as it is."""
        if not budget:
            first = self.shows(trace)
            found = None if first is None else (trace, first, len(trace) == 1)
        else:
            shown = shortest(trace, language, self.shows, budget, self.holds)
            found = None if shown is None else (shown.trace, shown.witness, shown.complete)
        if found is None:
            return NOT_AGAIN
        return Counterexample("", found[0], *found[1], found[2])

    def shows(self, trace: CallTrace) -> Parted | None:
        """The runs of a trace, where they differ."""
        start = time.monotonic()
        sides = zip(self.targets, (self.pair.before, self.pair.after), strict=True)
        before, after = (asked(runner, side, trace) for runner, side in sides)
        found = self.pair.differs(*self.mask.applied(trace, before, after))
        if found is None or (self.verdict is not None and found.verdict is not self.verdict):
            return None
        if self.verdict is None and found.verdict is not Verdict.HANG:
            self.limit = max(LEAST, TIMES * (time.monotonic() - start))
        self.verdict = found.verdict
        return before, after, found

    def holds(self, trace: CallTrace) -> bool:
        """Whether a smaller trace shows it too, and the other pair does not differ on it.

        It is given less time: a trace shown only under this limit is asked once more.
        """
        told = self._told(trace)
        if told is not None:
            return told
        limit = min(self.limit, self.targets[0].cpu)
        try:
            before, after = (runner.run(trace, limit) for runner in self.targets)
        except ModelError:
            return False
        found = self.pair.differs(*self.mask.applied(trace, before, after))
        if found is None or found.verdict is not self.verdict:
            return False
        if not self.unlike:
            return True
        old, new = (other.run(trace, limit) for other in self.unlike)
        return compare(*self.without.applied(trace, old, new)) is None

    def _told(self, trace: CallTrace) -> bool | None:
        """What the drivers know sooner: that both show the same, or that one alone hangs.

        None where they cannot tell whether it shows what the first trace did.
        """
        told = []
        for driver in self.drivers:
            driver.limits.hangs = 0  # here each hang is one that was looked for
            told += driver.digests([trace])
        if not told or None in told:
            return None
        if len({one.value for one in told if one}) == 1:
            return False
        hanging = [one.end == "hang" for one in told if one]
        sure = self.verdict is Verdict.HANG and not self.unlike and hanging == [False, True]
        return True if sure else None

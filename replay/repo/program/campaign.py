"""The campaign on programs: cases, run on both of each pair, and compared.

Each program runs each case once, however many pairs it is in. What differs is run again on
both sides, in other folders, with other addresses, environments and contents of fresh
memory, and in another second; so are the first few cases of each share, whether they differ
or not. Of hangs a few are run again.

Where no number of runs is given, rounds follow as long as they show output of a new kind:
each has as many cases as all before it. A pair that differs is done.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from replay.base.pool import Threads
from replay.repo.expected import merged, tallied
from replay.repo.program.case import Case
from replay.repo.program.comparing import compare, noise
from replay.repo.program.examples import FILLS, example
from replay.repo.program.expecting import differing
from replay.repo.program.packing import Target
from replay.repo.program.running import HANG, Outcome, Runner
from replay.repo.program.tallies import Example, Pair, PairTally, Sampling, Sighting, Tally
from replay.repo.targets import Progress

SHARE: Final = 50
"""Cases whose runs are in memory at once."""
CHUNK: Final = 8
"""Runs of one program that a thread takes at a time."""
SAMPLE: Final = 3
"""Cases of each share that are repeated though nothing differs."""
FULL: Final = 8
"""Cases of a share that differ which are repeated with all fills; the others with one."""
SURE: Final = 2
"""Cases of a share at which one side hangs that are run again, until it is sure that one does."""
HUNG: Final = 5
"""Cases at which one side hangs after which a pair is not looked at any more; the same of"""
BOTH: Final = 30
"""cases at which both do, and of"""
STUCK: Final = 10
"""cases that did not end on both sides, for further rounds."""
MOST: Final = 4
"""Times the first round that a pair gets at most, where neither runs nor time are given."""

Asked = tuple[Target, Sequence[tuple[Case, int]], bool]
"""A program, cases that it is to run, each with a fill; and whether what hangs is run again."""
Ran = dict[tuple[str, Case, int], Outcome | None]
"""What runs showed, by program, case and fill; None for those not made."""


@dataclass(slots=True)
class _Meter:
    """Tells how far the cases of a campaign are, run by run. Threads may share it."""

    progress: Progress = lambda done, total, text: None
    total: int = 0
    done: int = 0
    share: int = 0
    asked: int = 0
    ran: int = 0
    hung: int = 0
    candidates: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, share: int, asked: int) -> None:
        """So many runs follow, which are those of a share of cases, or repeat some of them."""
        self.share, self.asked, self.ran = share, asked, 0

    def step(self, outcome: Outcome | None) -> None:
        """A run was made."""
        with self._lock:
            self.ran += 1
            self.hung += outcome is not None and outcome.end == HANG
            far = self.done + self.share * self.ran / self.asked
            hung = f", {self.hung} hung" if self.hung else ""
            total = max(self.total, self.done + self.share)
            self.progress(far, total, f"{int(far)} of {total} cases{hung}")

    def tried(self) -> None:
        """A candidate for a shorter example was tried."""
        with self._lock:
            self.candidates += 1
            self.progress(0, 0, f"shortening examples: {self.candidates} tried")


@dataclass(slots=True)
class ProgramCampaign:
    """Cases on pairs of programs; see ``replay.search.campaign.Campaign``.

    Attributes:
        done: pairs that are not looked at any more.
        hung: cases at which one side of a pair hung alone, and ``sure``: those of them at
            which it did so again, with a longer limit; ``stuck``: those at which both did.
        noisy: whether anything was not the same twice.

    """

    runner: Runner
    threads: Threads
    sampling: Sampling
    pairs: Sequence[Pair]
    share: int = SHARE
    done: set[int] = field(default_factory=set)
    meter: _Meter = field(default_factory=_Meter)
    hung: Counter[int] = field(default_factory=Counter)
    sure: Counter[int] = field(default_factory=Counter)
    stuck: Counter[int] = field(default_factory=Counter)
    noisy: bool = False

    def run(self, progress: Progress, seconds: float | None) -> Tally:
        """What all cases show; with ``seconds`` further ones, as long as these last."""
        began, first = time.monotonic(), self.sampling.count
        tally = self.nothing()
        self.meter.progress, self.meter.total = progress, first
        self._round(tally, range(first if self.pairs else 0))
        if self.sampling.given is not None or not (seconds is not None or self.sampling.deeper):
            return tally
        done, waiting = first, self._waiting(tally)
        if seconds is not None:
            while waiting and time.monotonic() - began < seconds:
                self._round(tally, range(done, done + self.share), waiting)
                done, waiting = done + self.share, self._waiting(tally)
            return tally
        known = dict.fromkeys(waiting, 0)
        while waiting and done < MOST * first:
            known = {at: len(tally.pairs[at].evidence.kinds) for at in waiting}
            self.meter.total = 2 * done
            self._round(tally, range(done, 2 * done), waiting)
            done *= 2
            waiting = {
                at for at in waiting & self._waiting(tally)
                if len(tally.pairs[at].evidence.kinds) > known[at]
            }  # fmt: skip
        return tally

    def _waiting(self, tally: Tally) -> set[int]:
        """The pairs that may show more: those which do not differ, and seldom crash or hang."""
        return {
            at for at, pair in enumerate(tally.pairs)
            if not pair.differing and pair.evidence.runs - pair.evidence.ended < STUCK
        }  # fmt: skip

    def _round(self, tally: Tally, numbers: range, pairs: set[int] | None = None) -> None:
        """Run cases on some of the pairs, or all, and add what they show."""
        self.done = set() if pairs is None else set(range(len(self.pairs))) - pairs
        for first in range(numbers.start, numbers.stop, self.share):
            tally.merge(self.look(range(first, min(first + self.share, numbers.stop))))
            self.done |= {at for at, count in self.hung.items() if count >= HUNG and self.sure[at]}
            self.done |= {at for at, count in self.stuck.items() if count >= BOTH}

    def nothing(self) -> Tally:
        """The tally of no cases."""
        return Tally([PairTally() for _ in self.pairs])

    def look(self, numbers: range) -> Tally:
        """Run the cases of these numbers on all that take part, and compare."""
        cases = {number: self.sampling.case(number) for number in numbers}
        pairs = {at: pair for at, pair in enumerate(self.pairs) if at not in self.done}
        ran: Ran = {}
        self.meter.done = numbers.start
        self._run(ran, {at: [(case, 0) for case in cases.values()] for at in pairs}, len(numbers))
        tally = self.nothing()
        due: dict[int, list[tuple[Case, int]]] = {}
        differs = False
        for at, pair in pairs.items():
            for case in cases.values():
                sides = (ran[side.key, case, 0] for side in (pair.before, pair.after))
                tally.pairs[at].evidence.add(case, *sides)
            due[at], found = self._due(at, cases, ran)
            differs = differs or found
        if any(due.values()):
            if differs or not numbers.start or self.noisy:
                tick()
            self.meter.done = numbers.stop
            self._run(ran, due)
        for at, pair in pairs.items():
            again = dict.fromkeys(case for case, _ in due[at])
            self.sure[at] += any(_hung_alone(ran, pair, case) for case in again)
            for number, case in cases.items():
                if case in again or (self.sure[at] and _hung_alone(ran, pair, case)):
                    self._compared(tally.pairs[at], pair, number, case, ran)
            self.noisy = self.noisy or bool(tally.pairs[at].noise)
        return tally

    def _due(
        self, at: int, cases: Mapping[int, Case], ran: Ran
    ) -> tuple[list[tuple[Case, int]], bool]:
        """The cases that are to be run again, each with which fills; and whether any differs."""
        due: dict[tuple[Case, int], None] = {}
        count, unsure, pair = 0, 0, self.pairs[at]
        for number, case in cases.items():
            old, new = (ran[side.key, case, 0] for side in (pair.before, pair.after))
            if old is None or new is None:
                continue
            differs = compare([old], [new]) is not None
            count += differs
            hung = HANG in (old.end, new.end)
            if hung:
                self.hung[at] += differs
                self.stuck[at] += not differs
                self.sure[at] += differs and (old.sure or new.sure)
                if differs and not self.sure[at] and unsure < SURE:
                    unsure += 1
                    due[case, 0] = None
                continue
            if number % self.share >= SAMPLE and not differs:
                continue
            once = count > FULL or not (differs or number < SAMPLE)
            due |= dict.fromkeys((case, fill) for fill in (FILLS[:1] if once else FILLS))
        return list(due), count > 0

    def _compared(self, tally: PairTally, pair: Pair, number: int, case: Case, ran: Ran) -> None:
        """Compare all the runs of a case."""
        sides: list[list[Outcome]] = []
        for side in (pair.before, pair.after):
            found = (ran.get((side.key, case, fill)) for fill in (0, *FILLS))
            sides.append([one for one in found if one is not None])
            tally.noise = noise(sides[-1]) | tally.noise
        if len(sides[1]) > 1:
            tally.evidence.repeat(sides[1])
        divergence, shown = differing(pair.expected, case, *sides)
        tally.declared = merged(tally.declared, tallied(shown))
        if divergence is not None:
            tally.differing[number] = divergence

    def _run(self, ran: Ran, due: Mapping[int, Sequence[tuple[Case, int]]], share: int = 0) -> None:
        """Run what is due on both sides of each pair, some runs of a program at a time."""
        asked: dict[str, tuple[Target, dict[tuple[Case, int], None]]] = {}
        for at, every in due.items():
            for side in (self.pairs[at].before, self.pairs[at].after):
                asked.setdefault(side.key, (side, {}))[1].update(dict.fromkeys(every))
        tasks: list[tuple[str, Asked]] = []
        for key, (target, wanted) in asked.items():
            runs = list(wanted)
            cuts = range(0, len(runs), CHUNK)
            tasks += [(key, (target, runs[first : first + CHUNK], not share)) for first in cuts]
        self.meter.begin(share, sum(len(wanted) for _, wanted in asked.values()))
        results = self.threads.map(self._run_some, [(task, task[1]) for task in tasks])
        for (key, (_, some, _)), outcomes in results:
            for (case, fill), outcome in zip(some, outcomes, strict=True):
                ran[key, case, fill] = outcome

    def _run_some(self, task: Asked) -> list[Outcome | None]:
        """Some runs of a program; None for those after too many hangs."""
        target, every, sure = task
        limits = self.runner.limit(target)
        found: list[Outcome | None] = []
        for case, fill in every:
            over = limits.over
            found.append(None if over else self.runner.run(target, case, fill, sure=sure))
            self.meter.step(found[-1])
        return found

    def example(self, finding: Sighting, budget: int) -> Example | str:
        """A case on which a pair differs, shortened; or why there is none after all."""
        pair = self.pairs[finding.pair]
        return example(self.runner, self.sampling, pair, finding, budget, self.meter.tried)


def tick() -> None:
    """Let another second begin: a clock often has no finer grain."""
    time.sleep(1.01 - time.time() % 1)


def _hung_alone(ran: Ran, pair: Pair, case: Case) -> bool:
    """Whether one side of a pair alone hangs on a case."""
    sides = [ran.get((side.key, case, 0)) for side in (pair.before, pair.after)]
    return None not in sides and sum(run.end == HANG for run in sides if run is not None) == 1

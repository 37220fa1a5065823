"""A crash that comes and goes: how often a trace crashes on each side, and an example of it.

Each run is in a process of its own, in which the library lies at other addresses. What
never crashed before and sometimes does now is a finding; what crashes on both sides at
times is none of what came between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.checking import Checker, asked
from replay.repo.driver.pieces import Refused
from replay.repo.language import CallLanguage
from replay.repo.pairing import Pair
from replay.repo.results import Counterexample, Divergence
from replay.repo.runner import Run
from replay.repo.targets import Target
from replay.search.shrink import shrink
from replay.search.verdict import Verdict

RUNS: Final = 8
"""Processes in which a trace is run on each side."""
MORE: Final = 3
"""Times so many again where a crash that was seen does not come back."""
BUDGET: Final = 150
"""Shorter traces that are tried at most; each runs until it crashes, or in all processes."""


Crashes: TypeAlias = Callable[[CallTrace], bool]
"""Whether a trace crashes in one process."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """The runs of a trace on two sides, each in a process of its own."""

    trace: CallTrace
    before: tuple[Run, ...]
    after: tuple[Run, ...]

    @property
    def crashes(self) -> tuple[int, int]:
        """How many of them crashed on each side."""
        old, new = (
            sum(run.end == "crash" for run in runs) for runs in (self.before, self.after)
        )  # fmt: skip
        return old, new

    @property
    def one_sided(self) -> bool:
        """Whether one side crashes at times, or always, and the other never does."""
        old, new = self.crashes
        return bool(old) != bool(new)

    @property
    def come_and_go(self) -> bool:
        """Whether a side crashes at times only."""
        return self.crashes[0] not in (0, len(self.before)) or (
            self.crashes[1] not in (0, len(self.after))
        )

    @property
    def text(self) -> str:
        """How often each side crashed."""
        (old, new), runs = self.crashes, (len(self.before), len(self.after))
        return f"one trace crashes in {old} of {runs[0]} runs before, in {new} of {runs[1]} after"

    def example(self, complete: bool) -> Counterexample:
        """The counterexample that these runs are, if one side alone crashes."""
        old, new = self.crashes
        runs, count = (self.after, new) if new else (self.before, old)
        crashed = next(run for run in runs if run.end == "crash")
        said = f"{crashed.detail} ({count} of {len(runs)} runs crash)"
        fine = f"no crash in {len(self.before)} runs"
        fields = (("crash", fine, said) if new else ("crash", said, fine),)
        divergence = Divergence(
            Verdict.CRASH if new else Verdict.UNDECLARED, len(crashed.records), fields
        )
        pair = (self.before[0], crashed) if new else (crashed, self.after[0])
        return Counterexample("", self.trace, *pair, divergence, complete)


def repeat(checker: Checker, pair: Pair, trace: CallTrace, times: int = RUNS) -> Repeats:
    """Run a trace on both sides, each time in another process; one that hangs runs once."""

    def runs(target: Target) -> tuple[Run, ...]:
        found: list[Run] = []
        for number in range(1 if target.model else times):
            with checker.opened(target) as runner:
                run = asked(runner, target, trace)
            declared = pair.expected is not None and pair.expected.forgives(trace, run)
            found.append(Run(run.records) if declared else run)
            if number:
                continue
            if found[0].end == "hang" or (
                found[0].end == "ok" and _ends_well(checker, target, trace, times)
            ):
                return tuple(found * times)
        return tuple(found)

    return Repeats(trace, runs(pair.before), runs(pair.after))


def _ends_well(checker: Checker, target: Target, trace: CallTrace, times: int) -> bool:
    """Whether the driver sees a trace come to its end in so many processes."""
    told = checker.digests(target, [trace] * times, spread=times)
    return all(digest is not None and digest.end == "ok" for digest in told)


def shortened(
    checker: Checker, pair: Pair, found: Repeats, language: CallLanguage, budget: int
) -> Counterexample:
    """The example of a crash that comes and goes on one side, with a shorter trace if it can."""
    if not budget:
        return found.example(complete=len(found.trace) == 1)
    shrunk, complete = shorter(checker, pair, found, language, budget)
    again = repeat(checker, pair, shrunk)
    if not any(again.crashes):
        again = repeat(checker, pair, shrunk, MORE * RUNS)
    same = again.one_sided and bool(again.crashes[1]) == bool(found.crashes[1])
    return replace((again if same else found).example(complete=False), complete=complete)


def shorter(
    checker: Checker, pair: Pair, found: Repeats, language: CallLanguage, budget: int
) -> tuple[CallTrace, bool]:
    """A shorter trace that crashes on the side that does, in some process; whether none is left.

    A process in which it does not crash says nothing of a shorter trace, so there are some.
    """
    side = pair.after if found.crashes[1] else pair.before
    with contextlib.ExitStack() as stack:
        crash, budget = _askers(checker, side, stack, budget)
        processes: list[Crashes] = []

        def holds(candidate: CallTrace) -> bool:
            return any(one(candidate) for one in processes)

        for _ in range(RUNS * (1 + MORE)):
            if len(processes) >= RUNS and holds(found.trace):
                break
            processes.append(crash())
        shrunk = shrink(found.trace, language, holds, budget)
    return shrunk.trace, shrunk.complete


def _askers(
    checker: Checker, side: Target, stack: contextlib.ExitStack, budget: int
) -> tuple[Callable[[], Crashes], int]:
    """What opens one more process to ask whether a trace crashes there, and the budget for it."""

    def driver() -> Crashes:
        one = stack.enter_context(checker.driven(side))
        return lambda trace: any(d is not None and d.end == "crash" for d in one.digests([trace]))

    def worker() -> Crashes:
        one = stack.enter_context(checker.opened(side))
        return lambda trace: asked(one, side, trace).end == "crash"

    try:
        driver()
    except (Refused, Unbound):
        return worker, min(budget, BUDGET)
    return driver, budget

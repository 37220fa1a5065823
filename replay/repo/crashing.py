"""A crash that comes and goes: how often a trace crashes on each side, and an example of it.

Each run is in a process of its own, in which the library lies at other addresses. What
never crashed before and sometimes does now is a finding; what crashes on both sides at
times is none of what came between.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import Final

from replay.repo.calls import CallTrace
from replay.repo.checking import Checker, asked
from replay.repo.language import CallLanguage
from replay.repo.pairing import Pair
from replay.repo.results import Counterexample, Divergence
from replay.repo.runner import Run, Runner
from replay.repo.targets import Target
from replay.search.shrink import shrink
from replay.search.verdict import Verdict

RUNS: Final = 8
"""Processes in which a trace is run on each side."""
MORE: Final = 3
"""Times so many again where a crash that was seen does not come back."""
BUDGET: Final = 150
"""Shorter traces that are tried at most; each runs until it crashes, or in all processes."""


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
    """Run a trace on both sides, each time in another process."""

    def runs(target: Target) -> tuple[Run, ...]:
        found = []
        for _ in range(1 if target.model else times):
            with checker.opened(target) as runner:
                found.append(asked(runner, target, trace))
        return tuple(found)

    return Repeats(trace, runs(pair.before), runs(pair.after))


def shortened(
    checker: Checker, pair: Pair, found: Repeats, language: CallLanguage, budget: int
) -> Counterexample:
    """The example of a crash that comes and goes on one side, with a shorter trace if it can."""
    side = pair.after if found.crashes[1] else pair.before
    if not budget:
        return found.example(complete=len(found.trace) == 1)
    with contextlib.ExitStack() as stack:
        runners: list[Runner] = []

        def holds(candidate: CallTrace) -> bool:
            return any(asked(one, side, candidate).end == "crash" for one in runners)

        # A process in which it does not crash says nothing of a shorter trace.
        for _ in range(RUNS * (1 + MORE)):
            if len(runners) >= RUNS and holds(found.trace):
                break
            runners.append(stack.enter_context(checker.opened(side)))
        shrunk = shrink(found.trace, language, holds, min(budget, BUDGET))
    again = repeat(checker, pair, shrunk.trace)
    if not any(again.crashes):
        again = repeat(checker, pair, shrunk.trace, MORE * RUNS)
    same = again.one_sided and bool(again.crashes[1]) == bool(found.crashes[1])
    return replace((again if same else found).example(complete=False), complete=shrunk.complete)

"""A campaign at work: ranges are handed out, merged in their order, and written.

Merging in order is what makes the result one of the traces alone: not of the number of
processes, nor of who was quick, nor of how often the campaign was stopped and resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from replay.dirty.campaign.corpus import Corpus
from replay.dirty.campaign.drawing import EPOCH
from replay.dirty.campaign.state import State
from replay.dirty.campaign.verdicts import failing
from replay.dirty.campaign.work import CORPUS, SHARE, Asked, Batch, Task, fits, run_task
from replay.dirty.campaign.workers import Workers
from replay.dirty.language.paths import Path as TracePath
from replay.dirty.language.trace import Trace
from replay.dirty.machine.reach import Reach, reach

COMMIT_EVERY: Final = 1.0
"""Seconds between two transactions, at least; and what a kill costs, at most."""

LOOK_EVERY: Final = 4.0
"""Seconds between two counts of the paths that are told of: a count costs a tenth of one."""

STEERED_TO: Final = 40
"""Paths that the generator is steered to at once."""

SELDOM: Final = 2
"""How often a path is taken at most, at some step, that the generator is steered to it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a campaign ends: at so many traces, after so many seconds, at a difference."""

    traces: int | None = None
    seconds: float | None = None
    until_difference: bool = False


@dataclass(frozen=True, slots=True)
class News:
    """How far a campaign is: what is told while it runs."""

    traces: int
    ops: int
    seconds: float
    reached: int
    paths: int
    differences: int
    lost: int


class Drive:
    """One run of a campaign on its state."""

    def __init__(
        self, state: State, asked: Asked, workers: Workers, limits: Limits,
        told: Callable[[News], None] = lambda news: None,
    ) -> None:  # fmt: skip
        """``asked`` is what the state asks, with the libraries of this machine."""
        self.state, self.sums = state, state.sums
        self.asked, self.workers, self.limits, self.told = asked, workers, limits, told
        self.next = self.sums.end
        self.waiting: dict[int, Batch] = {}
        self.began = self.committed = time.monotonic()
        self.reach: Reach | None = None
        self.differences, self.look = 0, 0.0
        self.ops = 0

    def run(self) -> None:
        """Work until a limit is reached. What was merged is in the state, whatever ends this.

        Raises:
            StateError: the state cannot be written.
            WorkerError: too many workers died at one range.
            KeyboardInterrupt: Ctrl-C, or SIGTERM.

        """
        try:
            self.differences = failing(self.sums)
            while not self.done():
                self.fill()
                if not self.workers.outstanding:
                    break
                for batch in self.workers.take(0.2):
                    self.waiting[batch.numbers.start] = batch
                self.merge()
                self.tell()
        finally:
            self.state.commit()

    def done(self) -> bool:
        """Whether what was found ends the campaign."""
        return self.limits.until_difference and bool(self.differences)

    def more(self) -> bool:
        """Whether another range may be handed out now."""
        limits = self.limits
        if limits.traces is not None and self.next >= limits.traces:
            return False
        if limits.seconds is not None and time.monotonic() - self.began >= limits.seconds:
            return False
        # What an epoch is steered to is known once the one before the last is merged.
        return self.next // EPOCH < len(self.sums.wanted)

    def fill(self) -> None:
        """Hand out ranges to whoever is free."""
        while self.workers.free > 0 and self.more():
            end = (self.next // SHARE + 1) * SHARE
            if self.limits.traces is not None:
                end = min(end, self.limits.traces)
            numbers = range(self.next, end)
            self.workers.submit(Task(self.asked, numbers, self.sums.wanted, self.sums.made))
            self.next = end

    def merge(self) -> None:
        """Merge what comes next, as far as it is there; commit now and then."""
        sums = self.sums
        while sums.end in self.waiting:
            batch = self.waiting.pop(sums.end)
            sums.merge(batch)
            self.ops += batch.ops
            if sums.end % EPOCH == 0 and len(sums.wanted) == sums.end // EPOCH + 1:
                self.reach = reach(sums.coverage)
                sums.wanted = (*sums.wanted, _wanted(self.reach))
            self.differences = failing(sums)
            if self.done():
                break
        if time.monotonic() - self.committed >= COMMIT_EVERY:
            self.state.commit()
            self.committed = time.monotonic()

    def tell(self) -> None:
        """Say how far it is."""
        sums = self.sums
        if sums.coverage.traces and time.monotonic() >= self.look:
            self.reach = reach(sums.coverage)
            self.look = time.monotonic() + LOOK_EVERY
        paths = len(self.reach.possible) if self.reach else 0
        reached = paths - len(self.reach.missed()) if self.reach else 0
        seconds = time.monotonic() - self.began
        lost, differences = self.workers.lost, self.differences
        self.told(News(sums.end, self.ops, seconds, reached, paths, differences, lost))


def _wanted(found: Reach) -> tuple[TracePath, ...]:
    """The paths that were taken least, if they were taken seldom."""
    rows = [row for row in found.possible if (row.least or 0) <= SELDOM]
    rows.sort(key=lambda row: (row.least, str(row.path)))
    return tuple(row.path for row in rows[:STEERED_TO])


def run_corpus(
    state: State, asked: Asked, corpus: Corpus, told: Callable[[int, int], None]
) -> tuple[Trace, ...]:
    """Run the traces of the corpus, once a campaign; gives those that are run in it.

    Raises:
        StateError: the state cannot be written.
        TraceError: a file of the corpus is no trace.

    """
    sums = state.sums
    if sums.corpus is not None:
        return sums.corpus
    read = (trace.renamed(trace.name or path.stem) for path, trace in corpus.read())
    fit = [(fits(asked, trace), trace) for trace in read]
    traces = tuple(trace for _, trace in sorted(fit, key=lambda pair: not pair[0]))
    for at in range(0, len(traces), SHARE):
        numbers = range(at, min(at + SHARE, len(traces)))
        task = Task(asked, numbers, (), sums.made, traces, sum(well for well, _ in fit))
        sums.merge(run_task(task), CORPUS)
        told(numbers.stop, len(traces))
    sums.corpus = traces
    state.commit()
    return traces

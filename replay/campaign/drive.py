"""A campaign at work: ranges are handed out, merged in their order, and written.

Merging in order is what makes the result one of the traces alone: not of the number of
processes, nor of who was quick, nor of how often the campaign was stopped and resumed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from replay.campaign.state import State
from replay.campaign.sums import Sums, Task, Work
from replay.campaign.workers import Workers

COMMIT_EVERY: Final = 1.0
"""Seconds between two transactions, at least; and what a kill costs, at most."""

LOOK_EVERY: Final = 4.0
"""Seconds between two looks at what was reached: one costs a tenth of a second."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When a campaign ends: at so many traces, after so many seconds, at a difference."""

    traces: int | None = None
    seconds: float | None = None
    until_difference: bool = False

    @classmethod
    def of(cls, traces: int | None, seconds: float | None, until_difference: bool) -> Limits:
        """Those asked for; with neither traces nor a time it ends at a difference."""
        return cls(traces, seconds, until_difference or (traces is None and seconds is None))


@dataclass(frozen=True, slots=True)
class News:
    """How far a campaign is: what is told while it runs."""

    traces: int
    ops: int
    seconds: float
    reached: str
    differences: int
    lost: int


class Drive:
    """One run of a campaign on its state."""

    def __init__(
        self, state: State[Any], work: Work, workers: Workers, limits: Limits,
        told: Callable[[News], None] = lambda news: None,
    ) -> None:  # fmt: skip
        """``work`` is that of the state, with what this machine has made for it."""
        self.state, self.workers, self.limits, self.told = state, workers, limits, told
        self.sums: Sums = state.sums
        workers.begin(work)
        self.next = self.sums.end
        self.waiting: dict[int, Any] = {}
        self.began = self.committed = time.monotonic()
        self.reached, self.look = "", 0.0
        self.differences = 0
        self.ops = 0

    def run(self) -> None:
        """Work until a limit is reached. What was merged is in the state, whatever ends this.

        Raises:
            StateError: the state cannot be written.
            WorkerError: too many workers died at one range.
            KeyboardInterrupt: Ctrl-C, or SIGTERM.

        """
        try:
            self.differences = self.sums.differences()
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
        return limits.seconds is None or time.monotonic() - self.began < limits.seconds

    def fill(self) -> None:
        """Hand out ranges to whoever is free."""
        while self.workers.free > 0 and self.more():
            lead = self.sums.lead(self.next)
            if lead is None:
                return
            end = self.sums.cut(self.next)
            if self.limits.traces is not None:
                end = min(end, self.limits.traces)
            self.workers.submit(Task(range(self.next, end), lead))
            self.next = end

    def merge(self) -> None:
        """Merge what comes next, as far as it is there; commit now and then."""
        while self.sums.end in self.waiting:
            batch = self.waiting.pop(self.sums.end)
            self.sums.merge(batch)
            self.ops += batch.ops
            self.differences = self.sums.differences()
            if self.done():
                break
        if time.monotonic() - self.committed >= COMMIT_EVERY:
            self.state.commit()
            self.committed = time.monotonic()

    def tell(self) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if now >= self.look:
            self.reached, self.look = self.sums.reached(), now + LOOK_EVERY
        self.told(
            News(
                self.sums.end, self.ops, now - self.began, self.reached, self.differences,
                self.workers.lost,
            )
        )  # fmt: skip

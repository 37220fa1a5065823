"""How long a run of one program may take before it is called a hang.

What its runs took that came to an end tells what is usual. The first hangs are run again with
a longer limit; once these hung again, the limit of all others is short: a hang then costs
little more than a run. Times are seconds: of processor time, and for a run that waits for
something, of real time.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final

from replay.repo.driver.limits import GROWN, Limits

LEAST: Final = 0.25
"""Processor time that a run may take at least, as long as it is not known how it hangs, and"""
SHORT: Final = 0.05
"""when it is; the clock of processes ticks a hundred times a second."""
PATIENCE: Final = 0.5
"""Real time in which a run only waits before it is found to wait for ever; and at least"""
BRIEF: Final = 0.1
"""when it is known how it hangs."""
SLOWER: Final = 2
"""How much longer a run may take than the slowest that ended, where it is known how it hangs."""
LONGER: Final = 8
"""The same of a run that hung."""
MOST_ASKED: Final = 8
"""Cases on which a hang is run again at most, of a program whose hangs come back."""
MOST_HANGS: Final = 100
"""Hangs of a program after which it is not run further."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one run may take: processor time, and real time in which it only waits."""

    processor: float
    waiting: float


@dataclass(slots=True)
class RunLimits:
    """The limits of a program at this moment. Threads may share them.

    Attributes:
        most: processor time that a run may take at most.
        hangs: runs that hung for good.
        confirmed: those that hung again with the longer limit.
        slowest: processor time of the slowest run that ended.
        late: by how much real time exceeded processor time in any run that ended, and
            ``waited``: in those that were seen to wait.

    """

    most: float
    hangs: int = 0
    confirmed: int = 0
    slowest: float = 0.0
    late: float = 0.0
    waited: float = 0.0
    _usual: Limits = field(init=False)
    _asked: set[Hashable] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._usual = Limits(self.most)

    @property
    def over(self) -> bool:
        """Whether there were so many hangs that it is not to be run any more."""
        return self.hangs >= MOST_HANGS

    @property
    def now(self) -> Limit:
        """That of this moment."""
        processor = min(max(self._usual.seconds, LEAST), self.most)
        patience = PATIENCE
        if self.confirmed:
            processor = min(processor, max(SHORT, SLOWER * self.slowest))
            patience = min(PATIENCE, max(BRIEF, GROWN * self.late))
        return Limit(processor, max(patience, GROWN * self.waited))

    @property
    def long(self) -> Limit:
        """That of a hang that is run again; it may take its time if nothing is known."""
        processor = max(GROWN * LEAST, LONGER * self.slowest) if self._usual.known else self.most
        return Limit(min(self.most, processor), GROWN * max(PATIENCE, self.waited))

    def again(self, case: Hashable) -> bool:
        """Whether a hang on a case is to be run again: the first few are."""
        with self._lock:
            if self.confirmed or case in self._asked or len(self._asked) >= MOST_ASKED:
                return False
            self._asked.add(case)
            return True

    def ended(self, processor: float, real: float, waiting: bool) -> None:
        """A run came to its end, and took so long; ``waiting``: as it was seen to do."""
        late = max(real - processor, 0.0)
        with self._lock:
            self._usual.ended(processor)
            self.slowest, self.late = max(self.slowest, processor), max(self.late, late)
            self.waited = max(self.waited, late) if waiting else self.waited

    def hung(self, confirmed: bool) -> None:
        """A run hung; ``confirmed``: with the longer limit too."""
        with self._lock:
            self.hangs += 1
            self.confirmed += confirmed

    def doubted(self) -> None:
        """A hang ended with the longer limit, after others had been confirmed."""
        with self._lock:
            self.confirmed = 0

"""How long a trace may take before it is called a hang, and how many hangs are enough.

A hang costs little: the limit follows what the traces took that ended. What hangs is run
again with a longer limit, but no operation more than a few times. Imports nothing of the
room, so that all who run traces can go by the same numbers.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Hashable
from typing import Final

MOST_HANGS: Final = 10
"""Hangs of a library after which it is not asked further."""
LEAST: Final = 0.02
"""Seconds that a trace may take at least before it may be called a hang."""
TIMES: Final = 20
"""The same in times of what the traces took that ended, the faster ones of them."""
GROWN: Final = 4
"""How much longer a trace may take that is run again before it is called a hang."""
ASKED: Final = 2
"""Hangs of an operation that are run again; after these it is known to hang."""
KEPT: Final = 64
"""Traces whose times are kept to know what is usual."""
BUSY: Final = 4
"""Seconds that the longest limit lasts in real time, for each of processor time."""


class Usual:
    """What is usual for one library, whichever process runs it.

    Attributes:
        times: seconds of real time that traces took, in ascending order.
        hung: how often each operation hung, and was run again.

    """

    def __init__(self) -> None:
        self.times: list[float] = []
        self.hung: Counter[Hashable] = Counter()


class Limits:
    """The limit of this moment, for the traces of one library in one process.

    Args:
        most: seconds of processor time that a trace may take at most.
        usual: what other processes learned of the library, and learn from this one.

    Attributes:
        hangs: traces that hung for good.

    """

    def __init__(self, most: float, usual: Usual | None = None) -> None:
        self.most = most
        self.hangs = 0
        usual = usual or Usual()
        self._times, self._hung = usual.times, usual.hung

    @property
    def over(self) -> bool:
        """Whether there were so many hangs that no trace is to run any more."""
        return self.hangs >= MOST_HANGS

    @property
    def known(self) -> bool:
        """Whether a trace has told what is usual."""
        return bool(self._times)

    @property
    def seconds(self) -> float:
        """Of processor time; by the faster of the traces, as the others met a busy machine."""
        usual = self._times[len(self._times) // 4] if self._times else 0.0
        return min(self.most, max(LEAST, min(TIMES * usual, self.most / GROWN)))

    def ended(self, seconds: float) -> None:
        """A trace came to its end, in so many seconds of real time."""
        if len(self._times) < KEPT:
            bisect.insort(self._times, seconds)

    def came_back(self, operation: Hashable) -> None:
        """A trace that hung there came to its end when it was run again."""
        self._hung[operation] -= 1

    def longer(self, operation: Hashable) -> float | None:
        """The limit of a second run of a trace that hung there; None where one is enough.

        The first of all may take its time, where no trace has told yet what is usual.
        """
        limit = self.seconds
        if limit >= self.most or self._hung[operation] >= ASKED:
            return None
        first = not self._times and not self._hung
        self._hung[operation] += 1
        return self.most if first else min(self.most, GROWN * limit)

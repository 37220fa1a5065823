"""One layer of a search from the one before: by threads, and within a bound of memory."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Final, TypeAlias

from replay.base.pool import result_of
from replay.dirty.explore.halting import MEMORY, STOPPED, Ended, Stop

MOST: Final = 4096
"""Effects that a shape may have."""
CHUNK: Final = 1 << 14
"""States that a thread is given at once."""
ROOM: Final = 4 * CHUNK + MOST
"""States that a thread finds before it puts them away."""
LAYER: Final = 16
"""Bytes that a state of a layer takes while the layer is made: itself, and a place beside it
while parts are put together, and then to sort."""

States: TypeAlias = "array[int]"
Expand: TypeAlias = Callable[[States, int, int, States], tuple[int, int]]


class Expansion:
    """What follows on the states of a layer, found by threads that take turns.

    Args:
        expand: as ``Engine.expand``.
        layer: the states.
        memory: bytes that the next layer may take while it is made.
        stop: asked before each turn.

    """

    def __init__(self, expand: Expand, layer: States, memory: int, stop: Stop) -> None:
        self.expand, self.layer, self.stop = expand, layer, stop
        self.most = memory // LAYER
        self.found = 0
        self.ended = ""
        self._starts = iter(range(0, len(layer), CHUNK))
        self._lock = Lock()

    def parts(self, jobs: int) -> list[States]:
        """The states that were found, in no order.

        Raises:
            Ended: as ``Engine.next_layer``.

        """
        if jobs == 1 or len(self.layer) <= CHUNK:
            parts = self._run()
        else:
            with ThreadPoolExecutor(jobs) as threads:
                try:
                    futures = [threads.submit(self._run) for _ in range(jobs)]
                    parts = [part for future in futures for part in result_of(future)]
                except BaseException:
                    self.ended = self.ended or STOPPED
                    raise
        if self.ended:
            raise Ended(self.ended)
        return parts

    def _run(self) -> list[States]:
        """What one thread finds, in arrays that are as long as they have to be."""
        out = array("Q", (0,)) * ROOM
        parts = []
        while (begin := self._turn()) is not None:
            end = min(begin + CHUNK, len(self.layer))
            while begin < end and not self.ended:
                used, done = self.expand(self.layer, begin, end, out)
                begin += done
                if used and self._counted(used):
                    parts.append(out[:used])
        return parts

    def _turn(self) -> int | None:
        with self._lock:
            begin = next(self._starts, None)
            if begin is not None and not self.ended:
                self.ended = self.stop()
            return None if self.ended else begin

    def _counted(self, used: int) -> bool:
        """Whether there is memory for so many states more; all that were found count."""
        with self._lock:
            self.found += used
            if self.found > self.most:
                self.ended = self.ended or MEMORY
            return not self.ended

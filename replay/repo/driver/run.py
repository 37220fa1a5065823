"""Our side of the driver: it is asked for digests, a batch of traces at a time."""

from __future__ import annotations

import os
import struct
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from signal import SIGTRAP
from subprocess import Popen
from typing import Any, Final, NamedTuple

from replay.base.closing import Closing
from replay.repo.calls import CallTrace
from replay.repo.driver.compiling import compiled
from replay.repo.driver.limits import BUSY, MOST_HANGS, Limits, Usual
from replay.repo.driver.pieces import Refused
from replay.repo.driver.process import LATE, Process
from replay.repo.runner import FILLS, OPTIONS, PADDING, WALL, disturbed
from replay.repo.targets import Target

MEMORY: Final = 8 << 30
SHARED: Final = 8 << 20
"""Bytes of memory that a batch and its answers may take."""
MOST: Final = 1024
"""Traces a batch."""
ENDS: Final = ("ok", "crash", "crash", "hang")
"""As runs call them, in the order of the driver's enum."""
DOUBTED: Final = 4
"""There: a breakpoint may have ended it."""
TRAPS: Final = "the library holds SIGTRAP back, raises it or handles it itself"

_BOARD: Final = struct.Struct("=IIIIQQQdddQ")
_ANSWER: Final = struct.Struct("=QIIIBBH")
_U32: Final = struct.Struct("=I")


class Digest(NamedTuple):
    """What a trace showed, in a word.

    Attributes:
        value: of all its records and of how it ended: where two are equal, so are they.
        made: calls that were made, and ``returned``: that came back.
        end: "ok", "crash" or "hang".
        at: the call that it had reached; as many as the trace has where that is what comes
            after the last.
        counts: for each operation the calls made, then for each those that came back, then
            the calls of observers; each an unsigned integer of 4 bytes.
        reached: the places that no earlier trace of this runner came by, by number.

    """

    value: int
    made: int
    returned: int
    end: str
    at: int
    counts: bytes = b""
    reached: tuple[int, ...] = ()

    @property
    def made_by(self) -> tuple[int, ...]:
        """How often each operation was called, in the order of the head's ``ops``."""
        numbers = _words(self.counts)
        return numbers[: len(numbers) // 2]

    @property
    def back_by(self) -> tuple[int, ...]:
        """The same of the calls that came back."""
        numbers = _words(self.counts)
        return numbers[len(numbers) // 2 : -1]


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"={len(data) // 4}I", data)


@dataclass(slots=True)
class Tally:
    """Calls by operation, and what they cost.

    Attributes:
        made: how often each was called, and ``returned``: came back.
        looks: calls of observers.
        forks: children that ran traces.
        seconds: of processor time of the driver and its children.

    """

    made: Counter[str] = field(default_factory=Counter)
    returned: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    forks: int = 0
    seconds: float = 0.0

    def add(self, names: Sequence[str], found: Sequence[Digest | None]) -> None:
        """Count the calls of these traces."""
        row = struct.Struct(f"={2 * len(names) + 1}I")
        counts = b"".join(one.counts for one in found if one is not None)
        sums = iter([sum(column) for column in zip(*row.iter_unpack(counts), strict=True)])
        for kept in (self.made, self.returned):
            kept.update(dict(zip(names, islice(sums, len(names)), strict=False)))
        self.looks += next(sums, 0)


class DriverRunner(Closing):
    """A driver with a library; use it in a ``with`` statement, which leaves nothing behind.

    Each belongs to one thread, but for :meth:`stop`.

    Args:
        head: what the worker is told first, see ``replay.repo.runner.library_head``.
        preload: a runtime to load first.
        cpu: seconds of processor time that a trace may use at most. It is called a hang
            earlier where the others take far less.
        reset: whether traces run one after the other in a process, with the functions of
            the head's ``reset`` called between them, and only then in a fork of their own.
            Not so where places are watched.
        fill: which of ``replay.repo.runner.FILLS`` unwritten memory holds; stack and
            buffers start elsewhere too.
        reach: the places to watch, see ``replay.repo.reach.reach_request``; None for none.
        usual: what is known of how long the library takes; None for nothing.

    Attributes:
        reach_unknown: why it cannot be told what is reached; empty if it can.

    Raises:
        Refused: the driver cannot do it, the worker may.
        Unbound: the library cannot be loaded.

    """

    def __init__(
        self, head: Mapping[str, Any], preload: str = "", cpu: float = 1.0, *,
        reset: bool = False, fill: int = 0, reach: Mapping[str, Any] | None = None,
        usual: Usual | None = None,
    ) -> None:  # fmt: skip
        self.places: Sequence[int] = (reach or {}).get("reach", ())
        self.helper = str((reach or {}).get("helper", ""))
        self.reach_unknown = ""
        self.reset = reset and "reset" in head and not self.places
        self.cpu, self.limits, self.tally = cpu, Limits(cpu, usual), Tally()
        self.names = [data["name"] for data in head["ops"]]
        self.counts = 4 * (2 * len(self.names) + 1)
        """Bytes of the counts of a trace."""
        self._told: set[int] = set()
        program, self.encoder = compiled(head)
        seen = {**os.environ, **OPTIONS} | ({"LD_PRELOAD": preload} if preload else {})
        behind = (0 if preload else MEMORY, FILLS[fill], PADDING * fill, len(self.places))
        self._link = Process(
            program, [str(head["library"])], [*map(str, behind), self.helper],
            seen | disturbed(fill), SHARED + 16 * len(self.places),
        )  # fmt: skip
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def process(self) -> Popen[bytes] | None:
        """The driver, which leads a process group; None where none runs."""
        return self._link.popen

    def close(self) -> None:
        """End the driver and all it started; may be called again."""
        self._link.close()

    def stop(self) -> None:
        """End it from another thread: what it has not answered yet it answers with None."""
        self._link.stop()

    def digests(self, traces: Sequence[CallTrace]) -> list[Digest | None]:
        """A digest a trace; None where only the worker can tell.

        That is so of a trace with a value that the driver does not pass, of one that took
        the driver's process along, of one that a breakpoint may have ended, and of all that
        come after ``MOST_HANGS`` that hung: these do not run.

        Raises:
            Refused: the driver cannot be started again.
            Unbound: as it was made.

        """
        found: list[Digest | None] = [None] * len(traces)
        for places, data in self._batches(traces):
            answers = self._batch(data)
            self.tally.add(self.names, answers)
            for place, digest in zip(places, answers, strict=True):
                found[place] = digest
        return found

    def _batches(self, traces: Sequence[CallTrace]) -> Iterator[tuple[list[int], list[bytes]]]:
        room = SHARED - _BOARD.size
        places: list[int] = []
        data: list[bytes] = []
        left = room
        for place, trace in enumerate(traces):
            if self._over:
                return
            try:
                one = self.encoder.trace(trace)
            except Refused:
                continue
            needs = len(one) + 4 + _ANSWER.size + self.counts
            if needs > room:
                continue
            if needs > left or len(places) == MOST:
                yield places, data
                places, data, left = [], [], room
            places.append(place)
            data.append(one)
            left -= needs
        if places:
            yield places, data

    @property
    def _over(self) -> bool:
        return self.limits.over or self._link.stopped

    def _batch(self, traces: Sequence[bytes]) -> list[Digest | None]:
        """The answers to a batch, however often the driver has to be started for it.

        What hangs is run again, but not before another trace has told what is usual.
        """
        found: list[Digest | None] = []
        hung: list[int] = []
        while len(found) < len(traces) and not self._over:
            answers = self._run(traces[len(found) :], self.limits.seconds)
            found += answers
            if answers[-1] is not None and answers[-1].end == "hang":
                hung.append(len(found) - 1)
            if self.limits.known or len(hung) == MOST_HANGS or len(found) == len(traces):
                for place in hung:
                    stopped = self._link.stopped
                    found[place] = None if stopped else self._again(traces[place], found[place])
                hung = []
        return found + [None] * (len(traces) - len(found))

    def _again(self, trace: bytes, hung: Digest | None) -> Digest | None:
        """A trace that hung, once more if it might have come to its end."""
        assert hung is not None
        pairs = zip(hung.made_by, hung.back_by, strict=True)
        at = next((n for n, (made, back) in enumerate(pairs) if made > back), -1)
        longer = self.limits.longer(at)
        if longer is None:
            self.limits.hangs += 1
            return hung
        (digest,) = self._run([trace], longer)
        if digest is None:
            self._told.difference_update(hung.reached)  # a driver that is started anew tells
            return None
        if digest.end == "hang":
            self.limits.hangs += 1
        else:
            self.limits.came_back(at)
        return digest._replace(reached=(*hung.reached, *digest.reached))

    def _run(self, traces: Sequence[bytes], limit: float) -> list[Digest | None]:
        """What the driver answers until one hangs, or takes it along: then the last is None."""
        if self._link.popen is None:
            self._start()
        whole = self._ask(traces, limit)
        found = self._answers(len(traces))
        if not whole or not found:
            self._link.end()
            found.append(None)
        return found[: len(traces)]

    def _start(self) -> None:
        if not self.reach_unknown:
            offsets = struct.pack(f"={len(self.places)}Q", *self.places)
            self._link.memory[_BOARD.size : _BOARD.size + len(offsets)] = offsets
        self.reach_unknown = self._link.start() or self.reach_unknown

    def _ask(self, traces: Sequence[bytes], limit: float) -> bool:
        """Whether the driver came to the end of these, or to one that hangs."""
        memory, count = self._link.memory, len(traces)
        counts = _BOARD.size + count * _ANSWER.size
        places = counts + count * self.counts
        begin = places + 8 * len(self.places)
        data = b"".join(part for one in traces for part in (_U32.pack(len(one)), one))
        memory[begin : begin + len(data)] = data
        wall = min(limit * WALL, self.cpu * BUSY)
        parts = (counts, places, begin, limit, wall, 0.0, 0)
        memory[: _BOARD.size] = _BOARD.pack(count, int(self.reset), 0, 0, *parts)
        self._link.ask()
        return self._wait(4 * wall + LATE)

    def _wait(self, patience: float) -> bool:
        """Whether an answer comes.

        Where nothing has moved for that many seconds, the driver was stopped: it is not
        asked any more.
        """
        seen, since = -1, time.monotonic()
        while (answered := self._link.answered(min(patience, 1.0))) is False:
            done = _BOARD.unpack_from(self._link.memory)[2]
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > patience:
                self.limits.hangs = MOST_HANGS
                break
        return bool(answered)

    def _answers(self, count: int) -> list[Digest | None]:
        memory = self._link.memory
        board = _BOARD.unpack_from(memory)
        done = min(board[2], count)
        self.tally.seconds += board[9]
        self.tally.forks += board[10]
        reached = self._reached(board[5], board[3], done)
        counts = memory[board[4] : board[4] + done * self.counts]
        answers = memory[_BOARD.size : _BOARD.size + done * _ANSWER.size]
        found: list[Digest | None] = []
        for place, one in enumerate(_ANSWER.iter_unpack(answers)):
            value, made, returned, at, end, number, took = one
            if end == DOUBTED:
                if number == SIGTRAP:
                    self.reach_unknown = TRAPS
                found.append(None)
                continue
            if end < ENDS.index("hang"):
                self.limits.ended(took / 1e4)
            own = counts[place * self.counts : (place + 1) * self.counts]
            met = tuple(reached.get(place, ()))
            found.append(Digest(value, made, returned, ENDS[end], at, own, met))
        return found

    def _reached(self, begin: int, count: int, done: int) -> dict[int, list[int]]:
        """The new places by the trace that met them."""
        reached: dict[int, list[int]] = {}
        if not count or count > len(self.places):
            return reached
        memory = self._link.memory
        found = _words(memory[begin : begin + 4 * count])
        begin += 4 * len(self.places)
        for place, trace in zip(found, _words(memory[begin : begin + 4 * count]), strict=True):
            if trace < done and place not in self._told:
                self._told.add(place)
                reached.setdefault(trace, []).append(place)
        return reached


def opened(
    target: Target, cpu: float, *, reset: bool = False, fill: int = 0, usual: Usual | None = None
) -> DriverRunner:
    """A driver with a target, which watches the places that the target's ``reach`` has.

    Raises:
        Refused: the driver cannot do it: of a model, say.
        Unbound: the library cannot be loaded.

    """
    if target.model:
        raise Refused("a reference model is no library")
    head = {**target.bound.to_json(), "library": str(target.library)}
    return DriverRunner(
        head, target.preload, cpu, reset=reset, fill=fill, reach=target.reach, usual=usual
    )

"""In the process apart: holds the libraries, and runs each request in a child of its own.

It never calls a step's code itself. A child that dies takes nothing along: what it had
written stands in memory that both share, so that the operation at which it died is known
to this process, which goes on with a new child behind it.

Served by ``replay.apart.boot``; asked by ``replay.dirty.native.session``. Imports the
standard library, ``replay.apart`` and ``library`` alone.
"""

from __future__ import annotations

import ctypes
import mmap
import os

from replay.apart import child
from replay.dirty.native.library import Library, LoadError

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, TypeAlias

    Request: TypeAlias = dict[str, Any]
    Answer: TypeAlias = tuple[dict[str, Any], bytes]

REPORT: Final = 4000
"""Bytes of a dead child's last words that are kept."""

MOST_CRASHES: Final = 5
MOST_HANGS: Final = 2
"""Of one step in one request: after so many the rest of its traces are not run."""

ROOM: Final = 1 << 20
MOST_ROOM: Final = 1 << 30
"""Bytes for the records of one trace: to begin with, and at most."""

ENTRY: Final = 32
ROW: Final = 32
"""Bytes of an entry in the table of traces, and of an operation."""

REFUSED: Final = b"refused"
FULL: Final = b"full"
"""What a child says where it stops: an operation outside the domain, no room for the next
record."""


class Shared:
    """Memory that a child and this process both see, zero to begin with."""

    def __init__(self, size: int) -> None:
        self.map = mmap.mmap(-1, max(size, 8))
        self.at = ctypes.addressof(ctypes.c_char.from_buffer(self.map))


class Batch:
    """Traces as they came: a table, rows of operations, log words."""

    def __init__(self, request: dict[str, Any], payload: bytes) -> None:
        self.traces: int = request["traces"]
        # ctypes takes addresses; the buffer is kept by this object.
        self.buffer = ctypes.create_string_buffer(payload, len(payload) + 8)
        self.table = ctypes.addressof(self.buffer)
        self.rows = self.table + ENTRY * self.traces
        self.words = self.rows + ROW * request["rows"]

    def entry(self, trace: int) -> tuple[int, int, int, int]:
        """(first row, operations, hpratio, tcg) of a trace."""
        first, count, hpratio, tcg = (ctypes.c_int64 * 4).from_address(self.table + ENTRY * trace)
        return first, count, hpratio, tcg


class Server:
    """Answers requests until there are no more."""

    def __init__(self) -> None:
        self.libraries: dict[int, Library] = {}
        self.batch = Batch({"traces": 0, "rows": 0}, b"")

    # --- loading ---

    def do_open(self, request: Request, payload: bytes) -> Answer:
        """Load libraries: each in a child first, since loading may run code of its own."""
        unsound, broken = {}, {}
        for name, path in request["paths"].items():
            end, _ = _apart(_given(_load, path), request["limit"])
            if not end.done:
                broken[name] = end.told()
                continue
            try:
                self.libraries[int(name)] = Library(path)
            except LoadError as error:
                unsound[name] = str(error)
        return {"unsound": unsound, "broken": broken}, b""

    def do_batch(self, request: Request, payload: bytes) -> Answer:
        """Take the traces that later requests are about."""
        self.batch = Batch(request, payload)
        return {}, b""

    # --- digests ---

    def do_digests(self, request: Request, payload: bytes) -> Answer:
        """A digest of each trace of the batch at each step; 0 where there is none."""
        steps, traces = request["steps"], self.batch.traces
        total = len(steps) * traces
        shared = Shared(8 * total)
        digests = memoryview(shared.map).cast("Q")
        deaths: list[dict[str, Any]] = []
        at = died = 0
        while at < total:
            work = _given(self.run_digests, at, shared, request)
            end, said = _apart(work, request["limit"], len(steps))
            here = at // traces
            at = next((i for i in range(at, total) if not digests[i]), total)
            if at == total or (end.done and not said):
                break  # done, or died on the way out
            place, trace = divmod(at, traces)
            told = {"refused": True} if said == REFUSED else end.told()
            deaths.append({"step": steps[place], "trace": trace, **told})
            died = died + 1 if place == here else 1
            most = MOST_HANGS if end.kind == child.HANG else MOST_CRASHES
            at = (place + 1) * traces if died >= most else at + 1
            died = 0 if at % traces == 0 else died
        return {"deaths": deaths}, bytes(shared.map[: 8 * total])

    def run_digests(self, at: int, shared: Shared, request: Request, pipe: int) -> None:
        """In a child: the digests from number ``at`` on."""
        batch = self.batch
        place, trace = divmod(at, batch.traces)
        for step in request["steps"][place:]:
            library = self.libraries[step]
            library.digest_every(request["every"])
            _arm(request["limit"])
            count = batch.traces - trace
            table = batch.table + ENTRY * trace
            out = shared.at + 8 * at
            if library.run_traces(table, count, batch.rows, batch.words, out) < 0:
                os.write(pipe, REFUSED)
                return
            at, trace = at + count, 0

    # --- records ---

    def do_record(self, request: Request, payload: bytes) -> Answer:
        """All that is observed of traces of the batch, for each (step, trace) asked for."""
        which: list[tuple[int, int]] = request["which"]
        ends: list[dict[str, Any]] = []
        parts: list[bytes] = []
        room = ROOM
        while len(ends) < len(which):
            rest = which[len(ends) :]
            shared = Shared(8 * len(rest) + room)
            limit = request["limit"]
            work = _given(self.run_records, rest, shared, room, limit)
            end, said = _apart(work, limit, len(rest))
            at = len(rest)
            for last in memoryview(shared.map).cast("Q")[: len(rest)]:
                if not last:
                    break
                parts.append(bytes(shared.map[8 * at : 8 * last]))
                ends.append({"size": 8 * (last - at)})
                at = last
            if len(ends) == len(which):
                break  # done, or died on the way out
            if said == FULL and room < MOST_ROOM:
                # With room for what is done already, the rest may fit as it is.
                room = room * 8 if at == len(rest) else room
                continue
            count, data = _whole(shared, at)
            if said in (REFUSED, FULL):
                why: dict[str, Any] = {said.decode(): count}
            else:
                why = {"death": (child.End(child.LOST) if end.done else end).told()}
            ends.append({"size": len(data), **why})
            parts.append(data)
        return {"ends": ends}, b"".join(parts)

    def run_records(
        self, which: list[tuple[int, int]], shared: Shared, room: int, limit: float, pipe: int
    ) -> None:
        """In a child: run traces and write their records, one behind the other."""
        batch = self.batch
        numbers = memoryview(shared.map).cast("Q")
        at = len(which)
        most = at + room // 8
        for number, (step, trace) in enumerate(which):
            library = self.libraries[step]
            first, count, hpratio, tcg = batch.entry(trace)
            library.reset(hpratio, bool(tcg))
            rows = batch.rows + ROW * first
            _arm(limit)
            done = library.record(rows, count, batch.words, shared.at + 8 * at, most - at)
            if done < 0:
                os.write(pipe, REFUSED)
                return
            dead = False
            for _ in range(done):
                dead, at = bool(numbers[at + 2]), at + numbers[at]
            if done < count and not dead:
                os.write(pipe, FULL)
                return
            numbers[number] = at


def _whole(shared: Shared, at: int) -> tuple[int, bytes]:
    """How many whole records there are from number ``at`` on, and they."""
    numbers = memoryview(shared.map).cast("Q")
    first, count = at, 0
    while at < len(numbers) and numbers[at] and at + numbers[at] <= len(numbers):
        at, count = at + numbers[at], count + 1
    return count, bytes(shared.map[8 * first : 8 * at])


def _load(path: str, pipe: int) -> None:
    try:  # noqa: SIM105 - contextlib takes long to load
        Library(path)
    except LoadError:
        pass  # what is wrong with it, the process that loads it to stay will tell


def _given(work: Callable[..., None], *arguments: Any) -> Callable[[int], None]:
    """Work with all that it is to have but its pipe."""
    return lambda pipe: work(*arguments, pipe)


def _apart(work: Callable[[int], None], limit: float, parts: int = 1) -> tuple[child.End, bytes]:
    """Do something in a child, in so many parts that arm the limit anew."""
    return child.run(work, limit, parts * _wall(limit), alarm=True, most_said=REPORT)


def _arm(limit: float) -> None:
    """Let a child die when it has computed for ``limit`` seconds, or slept far longer."""
    child.arm(limit, _wall(limit))


def _wall(limit: float) -> float:
    return 20 * limit + 20


def main(channel: child.Channel) -> None:
    """Serve until the other side closes."""
    server = Server()
    for request, payload in channel.requests():
        channel.answer(*getattr(server, f"do_{request['do']}")(request, payload))

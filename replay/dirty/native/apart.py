"""The process apart: holds the libraries, and runs each request in a child of its own.

It never calls a step's code itself. A child that dies takes nothing along: what it had
written stands in memory that both share, so that the operation at which it died is known
to this process, which goes on with a new child behind it. A child has a limit of
processor time, which a busy machine does not shorten, and a far longer one of real time.

A message is a line of JSON with the number of bytes that follow it, then those bytes.
Started by ``replay.dirty.native.session``; imports the standard library and ``library`` alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO, Final, NoReturn, TypeAlias

from replay.dirty.native.library import Library, LoadError

TOO_LONG: Final = (signal.SIGPROF, signal.SIGALRM)
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

DONE: Final = 80
REFUSED: Final = 81
FULL: Final = 82
"""How a child exits: all done (a step's code may well call exit(0)), an operation outside
the domain, no room for the next record."""

Request: TypeAlias = dict[str, Any]
Answer: TypeAlias = tuple[dict[str, Any], bytes]


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


class Apart:
    """Answers requests until there are no more."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self.requests = requests
        self.answers = answers
        self.libraries: dict[int, Library] = {}
        self.batch = Batch({"traces": 0, "rows": 0}, b"")
        self.last_words = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as this
        os.dup2(self.last_words.fileno(), 1)
        os.dup2(self.last_words.fileno(), 2)

    def serve(self) -> None:
        """Answer every request."""
        while line := self.requests.readline():
            request = json.loads(line)
            payload = self.requests.read(request["bytes"])
            answer, data = getattr(self, f"do_{request['do']}")(request, payload)
            self.answers.write(json.dumps(answer | {"bytes": len(data)}).encode() + b"\n")
            self.answers.write(data)
            self.answers.flush()

    # --- loading ---

    def do_open(self, request: Request, payload: bytes) -> Answer:
        """Load libraries: each in a child first, since loading may run code of its own."""
        unsound, broken = {}, {}
        for name, path in request["paths"].items():
            death = self.apart(partial(_load, path), request["limit"])
            if death:
                broken[name] = death
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
            death = self.apart(partial(self.run_digests, at, shared, request), request["limit"])
            here = at // traces
            at = next((i for i in range(at, total) if not digests[i]), total)
            if death is None or at == total:
                break  # done, or died on the way out
            place, trace = divmod(at, traces)
            deaths.append({"step": steps[place], "trace": trace, **death})
            died = died + 1 if place == here else 1
            most = MOST_HANGS if death["cause"] == "hang" else MOST_CRASHES
            at = (place + 1) * traces if died >= most else at + 1
            died = 0 if at % traces == 0 else died
        return {"deaths": deaths}, bytes(shared.map[: 8 * total])

    def run_digests(self, at: int, shared: Shared, request: Request) -> None:
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
                os._exit(REFUSED)
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
            death = self.apart(
                partial(self.run_records, rest, shared, room, request["limit"]), request["limit"]
            )
            at = len(rest)
            for end in memoryview(shared.map).cast("Q")[: len(rest)]:
                if not end:
                    break
                parts.append(bytes(shared.map[8 * at : 8 * end]))
                ends.append({"size": 8 * (end - at)})
                at = end
            if len(ends) == len(which):
                break  # done, or died on the way out
            death = death or {"cause": "crash", "how": "it ends early", "report": ""}
            if death.get("code") == FULL and room < MOST_ROOM:
                # With room for what is done already, the rest may fit as it is.
                room = room * 8 if at == len(rest) else room
                continue
            count, data = _whole(shared, at)
            known = {REFUSED: "refused", FULL: "full"}.get(death.get("code", 0))
            ends.append({"size": len(data)} | ({known: count} if known else {"death": death}))
            parts.append(data)
        return {"ends": ends}, b"".join(parts)

    def run_records(
        self, which: list[tuple[int, int]], shared: Shared, room: int, limit: float
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
                os._exit(REFUSED)
            dead = False
            for _ in range(done):
                dead, at = bool(numbers[at + 2]), at + numbers[at]
            if done < count and not dead:
                os._exit(FULL)
            numbers[number] = at

    # --- children ---

    def apart(self, work: Callable[[], None], limit: float) -> dict[str, Any] | None:
        """Do something in a child; how it died, None if it did not."""
        self.last_words.seek(0)
        self.last_words.truncate()
        child = os.fork()
        if child == 0:
            _arm(limit)
            try:
                work()
                os._exit(DONE)
            except BaseException as error:
                os.write(2, f"{type(error).__name__}: {error}".encode())
            finally:
                os._exit(70)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == DONE:
            return None
        self.last_words.seek(0)
        report = self.last_words.read(REPORT).decode(errors="replace")
        if code >= 0:
            how = f"it exits with status {code}"
            return {"cause": "crash", "code": code, "how": how, "report": report}
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        cause = "hang" if -code in TOO_LONG else "crash"
        return {"cause": cause, "how": name, "report": report}


def _whole(shared: Shared, at: int) -> tuple[int, bytes]:
    """How many whole records there are from number ``at`` on, and they."""
    numbers = memoryview(shared.map).cast("Q")
    first, count = at, 0
    while at < len(numbers) and numbers[at] and at + numbers[at] <= len(numbers):
        at, count = at + numbers[at], count + 1
    return count, bytes(shared.map[8 * first : 8 * at])


def _load(path: str) -> None:
    with contextlib.suppress(LoadError):
        Library(path)


def _arm(limit: float) -> None:
    """Let this process die when it has computed for ``limit`` seconds, or slept far longer."""
    signal.setitimer(signal.ITIMER_PROF, limit)
    signal.setitimer(signal.ITIMER_REAL, 20 * limit + 20)


def main() -> NoReturn:
    """Serve on standard input and output until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stderr = os.fdopen(os.dup(2), "w")
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    Apart(requests, answers).serve()
    sys.exit(0)

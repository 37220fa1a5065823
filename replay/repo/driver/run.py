"""Our side of the driver: it is compiled, started, and asked for digests.

The driver lies in the cache of what was built, by all that it is made of: libraries that are
bound alike share one. Its process is ended with all that it started.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import signal
import struct
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from replay.build.cache import Entry, cache_folder, key
from replay.build.command import Commands
from replay.build.compiler import environment, find_compiler
from replay.build.errors import BuildError
from replay.build.output import Kept
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.driver.encode import Encoder
from replay.repo.driver.generate import generate
from replay.repo.driver.pieces import Refused
from replay.repo.pairing import Pair
from replay.repo.runner import OPTIONS, SLACK, WALL
from replay.repo.targets import Target

FORMAT: Final = "replay-driver/1"
SOURCES: Final = ("driver.c", "system.h", "trace.h", "seen.h")
FLAGS: Final = (
    "-std=gnu11", "-O2", "-w", "-fno-strict-aliasing",
    "-fno-tree-loop-distribute-patterns", "-Wl,-z,now",
)  # fmt: skip
LIMIT: Final = 120.0
"""Seconds that the compiler may take."""
MEMORY: Final = 8 << 30
SHARED: Final = 8 << 20
"""Bytes of memory that a batch and its answers may take."""
MOST: Final = 4096
"""Traces a batch."""
ENDS: Final = ("ok", "crash", "crash", "hang")
"""As runs call them, in the order of the driver's enum; "lost" is not known to it."""

_BOARD: Final = struct.Struct("=IIIIQdddQ")
_ANSWER: Final = struct.Struct("=QIIIBBH")


class Digest(NamedTuple):
    """What a trace showed, in a word.

    Attributes:
        value: of all its records and of how it ended: where two are equal, so are they.
        made: calls that were made, and ``returned``: that came back.
        end: "ok", "crash" or "hang".
        at: the call that it had reached; as many as the trace has where that is what comes
            after the last.

    """

    value: int
    made: int
    returned: int
    end: str
    at: int


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


def compiled(head: Mapping[str, Any]) -> tuple[Path, Encoder]:
    """The driver of an interface, made or found in the cache; and how it takes its traces.

    Raises:
        Refused: it cannot be made; why.

    """
    plan = generate(head)
    texts = {name: _source(name) for name in SOURCES}
    texts |= {"plan.h": plan.plan, "calls.h": plan.calls}
    try:
        compiler = find_compiler()
        parts = [FORMAT, compiler.path, compiler.identity, *FLAGS]
        parts += [word for name in sorted(texts) for word in (name, texts[name])]
        folder = cache_folder() / "driver" / key(os.fsencode(part) for part in parts)
        entry = Entry(folder, "driver", FORMAT)
        with entry.locked():
            if entry.note() is None:
                with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as place:
                    entry.enter(_compile(compiler.path, texts, Path(place)))
                entry.path.chmod(0o700)
    except BuildError as error:
        raise Refused(str(error)) from None
    return entry.path, Encoder(plan.layouts)


def _source(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _compile(compiler: str, texts: Mapping[str, str], place: Path) -> Path:
    for name, text in texts.items():
        (place / name).write_text(text, encoding="utf-8")
    words = [compiler, *FLAGS, "-o", "driver", "driver.c", "-ldl"]
    ended = Commands().run(words, place, environment(), LIMIT, Kept(1 << 12))
    if ended.status:
        raise Refused(f"the driver does not compile: {ended.output.strip()[:400]}")
    return place / "driver"


class DriverRunner:
    """A driver with a library; use it in a ``with`` statement, which leaves nothing behind.

    Args:
        head: what the worker is told first, see ``replay.repo.runner.library_head``.
        preload: a runtime to load first.
        cpu: seconds of processor time that a trace may use.
        reset: whether traces run one after the other in a process, with the functions of
            the head's ``reset`` called between them, and only then in a fork of their own.

    Raises:
        Refused: the driver cannot do it, the worker may.
        Unbound: the library cannot be loaded.

    """

    def __init__(
        self, head: Mapping[str, Any], preload: str = "", cpu: float = 1.0, *, reset: bool = False
    ) -> None:
        self.cpu, self.preload = cpu, preload
        self.reset = reset and "reset" in head
        self.tally = Tally()
        self.names = [data["name"] for data in head["ops"]]
        self.counts = 8 * (2 * len(self.names) + 1)
        """Bytes of the counters of a batch."""
        self.library = str(head["library"])
        self.program, self.encoder = compiled(head)
        self.file = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as this
        self.file.truncate(SHARED)
        self.shared = mmap.mmap(self.file.fileno(), SHARED)
        self.process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End the driver and all it started; may be called again."""
        self._stop()
        self.shared.close()
        self.file.close()

    def digests(self, traces: Sequence[CallTrace]) -> list[Digest | None]:
        """A digest a trace; None where only the worker can tell.

        That is so of a trace with a value that the driver does not pass, and of one that
        took the driver's process along.

        Raises:
            Refused: the driver cannot be started again.
            Unbound: as it was made.

        """
        found: list[Digest | None] = [None] * len(traces)
        for places, data in self._batches(traces):
            for place, digest in zip(places, self._batch(data), strict=True):
                found[place] = digest
        return found

    def _batches(self, traces: Sequence[CallTrace]) -> Iterator[tuple[list[int], list[bytes]]]:
        room = SHARED - _BOARD.size - self.counts
        places: list[int] = []
        data: list[bytes] = []
        left = room
        for place, trace in enumerate(traces):
            try:
                one = self.encoder.trace(trace)
            except Refused:
                continue
            needs = len(one) + 4 + _ANSWER.size
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

    def _batch(self, traces: Sequence[bytes]) -> list[Digest | None]:
        """The answers to a batch, however often the driver has to be started for it."""
        found: list[Digest | None] = []
        while len(found) < len(traces):
            rest = traces[len(found) :]
            if self.process is None:
                self._start()
            whole = self._ask(rest)
            answers, done = self._answers(rest)
            found += answers[:done]
            if not whole:
                self._stop()
                found.append(None)
        return found

    def _ask(self, traces: Sequence[bytes]) -> bool:
        """Whether the driver came to the end of these."""
        begin = _BOARD.size + len(traces) * _ANSWER.size + self.counts
        data = b"".join(part for one in traces for part in (_U32.pack(len(one)), one))
        self.shared[_BOARD.size : begin] = bytes(begin - _BOARD.size)
        self.shared[begin : begin + len(data)] = data
        head = (len(traces), int(self.reset), 0, len(self.names), begin)
        self.shared[: _BOARD.size] = _BOARD.pack(*head, self.cpu, self.cpu * WALL, 0.0, 0)
        with contextlib.suppress(BrokenPipeError):
            os.write(self.writing, b"\n")
        return self._wait()

    def _wait(self) -> bool:
        """Whether an answer comes; not where nothing has moved for too long."""
        patience = self.cpu * WALL * (64 if self.reset else 2) + SLACK
        seen, since = -1, time.monotonic()
        while not select.select([self.reading], [], [], 1.0)[0]:
            done = _BOARD.unpack_from(self.shared)[2]
            if done != seen:
                seen, since = done, time.monotonic()
            elif time.monotonic() - since > patience:
                return False
        return bool(os.read(self.reading, 1))

    def _answers(self, traces: Sequence[bytes]) -> tuple[list[Digest | None], int]:
        board = _BOARD.unpack_from(self.shared)
        done = min(board[2], len(traces))
        self.tally.seconds += board[7]
        self.tally.forks += board[8]
        at = _BOARD.size
        found: list[Digest | None] = []
        for value, made, returned, reached, end, _, _ in _ANSWER.iter_unpack(
            self.shared[at : at + done * _ANSWER.size]
        ):
            found.append(Digest(value, made, returned, ENDS[end], reached))
        at += len(traces) * _ANSWER.size
        counts = struct.unpack_from(f"={2 * len(self.names) + 1}Q", self.shared, at)
        for place, name in enumerate(self.names):
            self.tally.made[name] += counts[place]
            self.tally.returned[name] += counts[len(self.names) + place]
        self.tally.looks += counts[-1]
        return found, done

    def _start(self) -> None:
        self.reading, theirs_out = os.pipe()
        theirs_in, self.writing = os.pipe()
        number = self.file.fileno()
        words = [
            str(self.program), self.library, str(theirs_in), str(theirs_out), str(number),
            str(0 if self.preload else MEMORY),
        ]  # fmt: skip
        seen = {**os.environ, **OPTIONS} | ({"LD_PRELOAD": self.preload} if self.preload else {})
        try:
            self.process = subprocess.Popen(
                words, pass_fds=(theirs_in, theirs_out, number), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=seen,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise Refused(f"the driver cannot be started: {error}") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        said = self._first_line()
        if said is None:
            raise Unbound("loading the library ended the process, or did not end")
        if said.startswith("the "):
            raise Refused(said)
        if said:
            raise Unbound(said)

    def _first_line(self) -> str | None:
        data = b""
        deadline = time.monotonic() + SLACK
        while not data.endswith(b"\n"):
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self.reading], [], [], left)[0]:
                return None
            part = os.read(self.reading, 4096)
            if not part:
                return None
            data += part
        return data.decode("utf-8", "replace").strip()

    def _stop(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        os.close(self.reading)
        os.close(self.writing)


_U32: Final = struct.Struct("=I")


# --- what a campaign asks ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looked:
    """What the driver saw of a pair.

    Attributes:
        needed: which traces the worker has to run, for their records.
        before: the digests of the one, and ``after``: of the other; empty where refused.
        tallies: the calls of the one and of the other, by operation.
        refused: why the driver saw nothing: then all traces are needed.

    """

    needed: tuple[int, ...]
    before: tuple[Digest | None, ...] = ()
    after: tuple[Digest | None, ...] = ()
    tallies: tuple[Tally, ...] = ()
    refused: str = ""


def opened(target: Target, cpu: float, *, reset: bool = False) -> DriverRunner:
    """A driver with a target.

    Raises:
        Refused: the driver cannot do it: of a model, say.
        Unbound: the library cannot be loaded.

    """
    if target.model:
        raise Refused("a reference model is no library")
    head = {**target.bound.to_json(), "library": str(target.library)}
    return DriverRunner(head, target.preload, cpu, reset=reset)


def prefilter(pair: Pair, traces: Sequence[CallTrace], cpu: float = 1.0) -> Looked:
    """Which traces may show a difference of a pair: all others have the same records."""
    seen: list[tuple[Digest | None, ...]] = []
    tallies: list[Tally] = []
    try:
        for target in (pair.before, pair.after):
            with opened(target, cpu, reset=True) as runner:
                seen.append(tuple(runner.digests(traces)))
                tallies.append(runner.tally)
    except (Refused, Unbound) as error:
        return Looked(tuple(range(len(traces))), refused=str(error))
    before, after = seen
    needed = [
        place for place, (a, b) in enumerate(zip(before, after, strict=True))
        if a is None or b is None or a.value != b.value
    ]  # fmt: skip
    return Looked(tuple(needed), before, after, tuple(tallies))

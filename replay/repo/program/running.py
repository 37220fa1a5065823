"""One run of a program, sealed: in a fresh folder, within limits, with all of it that is seen.

A program finds in its folder the files of the case and nothing else, reads standard input
from a file, and sees a small environment of its own. It has a session of its own, and
whatever it started in it is ended with it. Seen are the two outputs, the exit status or
signal, and what is in its folder afterwards that was not so before.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

from replay.apart.death import signal_name
from replay.errors import WorkerError
from replay.repo.program.case import Case
from replay.repo.program.inputs import Inputs
from replay.repo.program.limits import LEAST, Limit, RunLimits
from replay.repo.program.packing import Target
from replay.repo.program.seeing import seen_of
from replay.repo.runner import OPTIONS, disturbed, spread_addresses

HANG: Final = "hang"
_LIMITED: Final = 'ulimit -c 0; ulimit -f "$1"; [ "$2" = 0 ] || ulimit -d "$2"; shift 2; exec "$@"'
WALL: Final = 30
"""How much longer than its processor time a run may last on a machine that is busy."""
TURN: Final = 0.02
"""Seconds between two looks at a run that does not end: is it waiting, and for how long?"""
POLL: Final = 0.002
"""Seconds between two looks at its end, where the kernel does not tell of that."""
_CLOCK: Final = os.sysconf("SC_CLK_TCK")


class Why(NamedTuple):
    """What a run had of its own: for a guess why something is not the same twice."""

    pid: int = 0
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is seen of a run.

    Attributes:
        end: "status N", the name of a signal, or "hang".
        seen: the outputs that are not empty, and the files, in the order of their names.
        why: what was its own.
        sure: whether it hung with the longer limit, too.

    """

    end: str
    seen: tuple[tuple[str, bytes], ...] = ()
    why: Why = field(default=Why(), compare=False)
    sure: bool = field(default=False, compare=False)

    @property
    def fields(self) -> dict[str, bytes]:
        """What is seen by what it is."""
        return dict(self.seen)

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it."""
        return not self.end.startswith("status") and self.end != HANG

    @property
    def failed(self) -> bool:
        """Whether it did not come to a good end."""
        return self.end != "status 0"


class Runner:
    """Runs cases in folders below one of its own; leave it to end what runs."""

    def __init__(self, place: Path, inputs: Inputs, most: float) -> None:
        self.place = place.resolve()
        self.inputs = inputs
        self.most = most
        self._count = 0
        self._lock = threading.Lock()
        self._running: set[int] = set()
        self._stopped = False
        self.limits: dict[str, RunLimits] = {}
        spread_addresses()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with self._lock:
            self._stopped = True
            for group in self._running:
                _kill(group)

    def limit(self, target: Target) -> RunLimits:
        """The limits of a program, which follow what its runs take."""
        with self._lock:
            return self.limits.setdefault(target.key, RunLimits(self.most))

    def run(self, target: Target, case: Case, fill: int = 0, *, sure: bool = False) -> Outcome:
        """Run a case; the first few that hang again with a longer limit.

        Args:
            target: the program.
            case: what it is given.
            fill: which of other folders, addresses, environments and contents of fresh
                memory it meets; with 0 those of all first runs.
            sure: run again whatever hangs.

        Raises:
            WorkerError: the runner was left.

        """
        limits = self.limit(target)
        outcome = self._once(target, case, fill, limits.now)
        known = limits.confirmed
        again = outcome.end == HANG and (limits.again(case) or sure)
        if again:
            outcome = self._once(target, case, fill, limits.long)
        if outcome.end == HANG:
            limits.hung(again)
            return replace(outcome, sure=again)
        if again and known:
            limits.doubted()
        return outcome

    def _once(self, target: Target, case: Case, fill: int, limit: Limit) -> Outcome:
        with self._lock:
            self._count += 1
            name = f"{'again' * fill or 'run'}-{self._count:06d}"
        base = self.place / name
        work = base / "work"
        try:
            _lay_out(base, work, case)
            status, why = self._execute(target, case, base, fill, limit)
            if status is None:
                return Outcome(HANG, (), why)
            seen = seen_of(base, work, case, target)
        except OSError as error:
            raise WorkerError(f"{base}: a program cannot be run there ({error.strerror})") from None
        finally:
            _remove(base)
        end = f"status {status}" if status >= 0 else signal_name(-status)
        return Outcome(end, seen, why)

    def _execute(
        self, target: Target, case: Case, base: Path, fill: int, limit: Limit
    ) -> tuple[int | None, Why]:
        """The exit status, negative for a signal; None where it does not end."""
        size = max(self.inputs.output << 11, 1)
        memory = 0 if target.sanitized else self.inputs.memory << 10
        words = ["/bin/sh", "-c", _LIMITED, "sh", str(size), str(memory)]
        with (
            (base / "stdin").open("rb") as stdin,
            (base / "out").open("wb") as out,
            (base / "err").open("wb") as err,
        ):
            process = self._start([*words, *target.words, *case.args], base, fill, target, stdin,
                                  out, err)  # fmt: skip
        why = Why(process.pid, time.time())
        try:
            spent = _ended(process, limit)
        finally:
            _kill(process.pid)
            process.wait()
            with self._lock:
                self._running.discard(process.pid)
        if spent is None:
            return None, why
        self.limit(target).ended(*spent[1:])
        return spent[0], why

    def _start(
        self,
        words: list[str],
        base: Path,
        fill: int,
        target: Target,
        stdin: IO[bytes],
        out: IO[bytes],
        err: IO[bytes],
    ) -> subprocess.Popen[bytes]:
        environment = _environment(base, fill, target, self.inputs.env)
        with self._lock:
            if self._stopped:
                raise WorkerError("stopped")
            process = subprocess.Popen(
                words, cwd=base / "work", env=environment, start_new_session=True,
                stdin=stdin, stdout=out, stderr=err,
            )  # fmt: skip
            self._running.add(process.pid)
        return process


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


class Spent(NamedTuple):
    """How a run ended: its status, its seconds, and whether it was seen to wait."""

    status: int
    processor: float
    real: float
    waiting: bool


def _ended(process: subprocess.Popen[bytes], limit: Limit) -> Spent | None:
    """What a run took; None for one that used its processor time up, or waits for ever.

    What waits for a processor, or for a disk, is not taken for one that waits for ever.
    """
    began = time.monotonic()
    idle: float | None = None
    wait = min(limit.processor, limit.waiting)
    with _Ending(process.pid) as ending:
        while not ending.came(wait):
            used, busy = _state(process.pid)
            now = time.monotonic()
            idle = None if busy else idle or now
            if used >= limit.processor or now - began >= WALL * max(limit.processor, LEAST):
                return None
            if idle is not None and now - idle >= limit.waiting:
                return None
            wait = max(min(limit.processor - used, limit.waiting) if idle is None else 0, TURN)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    took = usage.ru_utime + usage.ru_stime
    return Spent(process.returncode, took, time.monotonic() - began, idle is not None)


class _Ending:
    """Waits for the end of a child, which it does not reap; leave it to close its file."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._poll = select.poll()
        self._file = -1
        with contextlib.suppress(OSError):
            self._file = os.pidfd_open(pid)
            self._poll.register(self._file, select.POLLIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._file >= 0:
            os.close(self._file)

    def came(self, seconds: float) -> bool:
        """Whether the child ended, or does within so many seconds."""
        if self._file >= 0:
            return bool(self._poll.poll(seconds * 1000))
        end = time.monotonic() + seconds
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        while os.waitid(os.P_PID, self._pid, how) is None:
            if time.monotonic() >= end:
                return False
            time.sleep(POLL)
        return True


def _state(session: int) -> tuple[float, bool]:
    """Seconds of processor time that a session used, and whether any of it wants more."""
    used, busy = 0, False
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            # Its own time, and for the first of them that of those which ended before.
            first = int(path.parent.name) == session
            used += sum(map(int, fields[11 : 15 if first else 13]))
            busy = busy or fields[0] in (b"R", b"D")
    return used / _CLOCK, busy


def _environment(base: Path, fill: int, target: Target, own: Mapping[str, str]) -> dict[str, str]:
    """All the variables that a program sees."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(base / "work"), "TMPDIR": str(base / "tmp"),
        "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "dumb",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": str(fill),
        **OPTIONS, **disturbed(fill),
    }  # fmt: skip
    if target.libraries:
        environment["LD_LIBRARY_PATH"] = ":".join(target.libraries)
    return environment | dict(own)


def _lay_out(base: Path, work: Path, case: Case) -> None:
    work.mkdir(parents=True)
    (base / "tmp").mkdir()
    (base / "stdin").write_bytes(case.stdin)
    for name, data in case.files:
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _remove(base: Path) -> None:
    """Remove a folder, also where the program left parts of it that nobody may enter."""
    shutil.rmtree(base, ignore_errors=True)
    if not base.exists():
        return
    for folder, folders, _ in os.walk(base):
        for name in folders:
            with contextlib.suppress(OSError):
                if not (Path(folder) / name).is_symlink():
                    (Path(folder) / name).chmod(0o700)
    shutil.rmtree(base, ignore_errors=True)

"""One run of a program, sealed: in a fresh folder, within limits, with all of it that is seen.

A program finds in its folder the files of the case and nothing else, reads standard input
from a file, and sees a small environment of its own. It has a session of its own, and
whatever it started in it is ended with it. Seen are the two outputs, the exit status or
signal, and what is in its folder afterwards that was not so before.

Names of the folders are masked, and so are places in the program's own source, which a
failed assertion or a traceback tells: they are no behaviour.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

from replay.apart.death import signal_name
from replay.errors import WorkerError
from replay.repo.driver.limits import Limits
from replay.repo.program.case import Case
from replay.repo.program.inputs import Inputs
from replay.repo.program.packing import Target
from replay.repo.runner import OPTIONS, disturbed, spread_addresses

OUT: Final = "standard output"
ERR: Final = "error output"
HANG: Final = "hang"
MOST_FILES: Final = 200
"""Files of a folder whose content is looked at; of more, it is seen that there are more."""
SHOWN: Final = 1 << 16
"""Bytes of a file or stream that are kept to be shown; the rest is seen by its digest."""
_LIMITED: Final = 'ulimit -c 0; ulimit -f "$1"; [ "$2" = 0 ] || ulimit -d "$2"; shift 2; exec "$@"'
_TRACEBACK: Final = re.compile(
    rb"^(Traceback \(most recent call last\):\n)(?:[ \t].*\n)+", re.MULTILINE
)
_ASSERTION: Final = re.compile(rb"[\w./+-]+\.\w+:\d+: [^\n]*?(?=Assertion `)")
LEAST: Final = 0.25
"""Seconds of processor time that a run may take at least: an interpreter has to start."""
WALL: Final = 30
"""How much longer than its processor time a run may last on a machine that is busy."""
PATIENCE: Final = 1.0
"""Seconds, or its limit if that is longer, after which a run may be found to wait for ever:"""
LOOKS: Final = 4
"""where none of its processes wants a processor at so many looks in a row, of which one comes"""
TURN: Final = 0.02
"""seconds after the other."""
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

    """

    end: str
    seen: tuple[tuple[str, bytes], ...] = ()
    why: Why = field(default=Why(), compare=False)

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
        self.limits: dict[str, Limits] = {}
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

    def limit(self, target: Target) -> Limits:
        """The limits of a program, which follow what its runs take."""
        with self._lock:
            return self.limits.setdefault(target.key, Limits(self.most))

    def run(self, target: Target, case: Case, fill: int = 0) -> Outcome:
        """Run a case; what hangs again with a longer limit.

        ``fill`` is which of other folders, addresses, environments and contents of fresh
        memory it meets; with 0 those of all first runs.

        Raises:
            WorkerError: the runner was left.

        """
        limits = self.limit(target)
        limit = min(max(limits.seconds, LEAST), self.most)
        began = time.monotonic()
        outcome = self._once(target, case, fill, limit)
        longer = limits.longer("") if outcome.end == HANG else None
        if longer is not None and longer > limit:
            began = time.monotonic()
            outcome = self._once(target, case, fill, longer)
        if outcome.end == HANG:
            limits.hangs += 1
        else:
            limits.ended(time.monotonic() - began)
        return outcome

    def _once(self, target: Target, case: Case, fill: int, limit: float) -> Outcome:
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
            seen = _seen(base, work, case, target)
        except OSError as error:
            raise WorkerError(f"{base}: a program cannot be run there ({error.strerror})") from None
        finally:
            _remove(base)
        end = f"status {status}" if status >= 0 else signal_name(-status)
        return Outcome(end, seen, why)

    def _execute(
        self, target: Target, case: Case, base: Path, fill: int, limit: float
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
            return _ended(process, limit), why
        finally:
            _kill(process.pid)
            process.wait()
            with self._lock:
                self._running.discard(process.pid)

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


def _ended(process: subprocess.Popen[bytes], limit: float) -> int | None:
    """The exit status; None for one that used its processor time up, or waits for ever.

    What waits for a processor, or for a disk, is not taken for one that waits for ever.
    """
    began = time.monotonic()
    wait, idle = limit, 0
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(wait)
        used, busy = _state(process.pid)
        late = time.monotonic() - began
        idle = 0 if busy or late < max(limit, PATIENCE) else idle + 1
        if used >= limit or late >= WALL * limit or idle >= LOOKS:
            return None
        wait = TURN if idle else max(min(limit, PATIENCE) - used, TURN)


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


# --- what is seen ---------------------------------------------------------------------


def _seen(base: Path, work: Path, case: Case, target: Target) -> tuple[tuple[str, bytes], ...]:
    masks = ((os.fsencode(work), b"<folder>"), (os.fsencode(base), b"<place>"),
             (os.fsencode(target.top), b"<program>"))  # fmt: skip
    found: dict[str, bytes] = {}
    for name, stream in ((OUT, "out"), (ERR, "err")):
        data = _masked((base / stream).read_bytes(), masks)
        data = _sourceless(data) if name == ERR else data
        if data:
            found[name] = _bounded(data)
    return (*found.items(), *_files(work, case, masks))


def _files(
    work: Path, case: Case, masks: tuple[tuple[bytes, bytes], ...]
) -> list[tuple[str, bytes]]:
    """What is in the folder that was not so at the start; each file with ``file`` before it."""
    given = dict(case.files)
    left = set(given)
    found: dict[str, bytes] = {}
    for path in _walk(work):
        name = str(path.relative_to(work))
        left.discard(name)
        data = _content(path)
        if len(found) >= MOST_FILES:
            found["more files"] = b"there are more"
            break
        if given.get(name) != data:
            found[f"file {name.encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')}"] = (
                _bounded(_masked(data, masks))
            )
    found |= {f"file {name}": b"(removed)" for name in left}
    return sorted(found.items())


def _walk(work: Path) -> list[Path]:
    """Files, links, and folders that hold nothing."""
    found = []
    for folder, folders, files in os.walk(work):
        below = Path(folder)
        found += [below / name for name in files]
        found += [below / name for name in folders if (below / name).is_symlink()]
        if not files and not folders and below != work:
            found.append(below)
    return sorted(found)


def _content(path: Path) -> bytes:
    """What a file holds, or what it is."""
    try:
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            return b"(a link to " + os.fsencode(path.readlink()) + b")"
        if stat.S_ISREG(mode):
            data = path.read_bytes()
            return data + b"\n(executable)" if mode & stat.S_IXUSR else data
    except OSError as error:
        return f"({error.strerror})".encode()
    return b"(an empty folder)" if stat.S_ISDIR(mode) else b"(no regular file)"


def _masked(data: bytes, masks: tuple[tuple[bytes, bytes], ...]) -> bytes:
    for path, name in masks:
        data = data.replace(path, name)
    return data


def _sourceless(data: bytes) -> bytes:
    """Error output without the places in the source that tracebacks and assertions name."""
    return _ASSERTION.sub(b"", _TRACEBACK.sub(rb"\1  ...\n", data))


def _bounded(data: bytes) -> bytes:
    """All of short data; of long the start, and a digest of all."""
    if len(data) <= SHOWN:
        return data
    digest = hashlib.sha256(data).hexdigest()[:32]
    return data[:SHOWN] + f"\n[{len(data)} bytes, {digest}]".encode()

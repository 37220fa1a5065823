"""Inside the process apart: work is done in a child of its own, and its end is told.

A child that dies takes nothing along. What it wrote to its pipe is kept, and so are its
last words: descriptors 1 and 2 are one file that the process which started us holds too.
A child has a limit of processor time, which a busy machine does not shorten, and a far
longer one of real time, which the process apart enforces itself, whatever the child does.

Imports the standard library alone: ``boot`` loads it where there is nothing else.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import time

from replay.apart.light import dumps, loads, signal

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, NoReturn

FILE_LIMIT = 16 << 20
"""Bytes that a file may have which a child writes, its last words among them."""
MOST_DATA = 1 << 30
"""Bytes that a child may write to its pipe."""
FAILED = 70
"""The status of a child whose work raised: EX_SOFTWARE."""
PATIENCE = 20
"""Milliseconds that the threads which a child's work leaves running get to end."""

DONE, EXIT, SIGNAL, HANG, LOST = "done", "exit", "signal", "hang", "lost"

_MARK = b"\0done\0"
_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER


class End:
    """How a child ended.

    Attributes:
        kind: ``done``: the work returned, and said so. ``exit``: the process exited first,
            ``number`` is its status. ``signal``: ``number`` ended it. ``hang``: so did a
            limit of time, by the signal ``number``. ``lost``: done, says who asked, but
            what it was to leave is not there.
        number: see there; 0 where nothing is.
        said: the start of what it wrote to descriptors 1 and 2.

    """

    def __init__(self, kind: str, number: int = 0, said: str = "") -> None:
        self.kind, self.number, self.said = kind, number, said

    @property
    def done(self) -> bool:
        """Whether the work was done to its end."""
        return self.kind == DONE

    def told(self) -> dict[str, Any]:
        """The form in which it travels; see ``replay.apart.death``."""
        return {"kind": self.kind, "number": self.number, "said": self.said}


class Channel:
    """The two pipes to the process that asks.

    A message is a line of JSON, an object with the number of ``bytes`` that follow the
    line, then those bytes.
    """

    def __init__(self, reading: int, writing: int) -> None:
        self.reading = os.fdopen(reading, "rb")
        self.writing = os.fdopen(writing, "wb")

    def requests(self) -> Iterator[tuple[dict[str, Any], bytes]]:
        """Each request with its bytes, until the other side closes."""
        while line := self.reading.readline():
            head = loads(line.decode())
            yield head, self.reading.read(head["bytes"])

    def answer(self, head: dict[str, Any], data: bytes = b"") -> None:
        """Answer a request."""
        self.writing.write(dumps({**head, "bytes": len(data)}).encode() + b"\n")
        self.writing.write(data)
        self.writing.flush()


def confine(memory: int) -> None:
    """Limit what this process and its children use: memory in bytes, 0 for as much as it likes.

    Whatever its children leave running becomes its own, see :func:`run`.
    """
    if _prctl is not None:
        _prctl(_SUBREAPER, 1, 0, 0, 0)
    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, FILE_LIMIT)]
    if memory:
        limits.append((resource.RLIMIT_AS, memory))
    for what, most in limits:
        hard = resource.getrlimit(what)[1]
        least = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:  # noqa: SIM105 - contextlib takes long to load
            resource.setrlimit(what, (least, least if what == resource.RLIMIT_CORE else hard))
        except (ValueError, OSError):
            pass  # the limit that there is stays


def arm(cpu: float, wall: float = 0.0) -> None:
    """Let this process die when it has computed for ``cpu`` seconds from now on.

    With ``wall``, also when so many seconds have gone by: a limit that the child's own
    code can take away, since it may set an alarm itself.
    """
    signal.setitimer(signal.ITIMER_PROF, cpu)
    if wall:
        signal.setitimer(signal.ITIMER_REAL, wall)


def run(
    work: Callable[[int], None], cpu: float, wall: float, *,
    alarm: bool = False, most_said: int = 4096, most_data: int = MOST_DATA,
) -> tuple[End, bytes]:  # fmt: skip
    """Do something in a child: how it ended, and what it wrote to its pipe.

    Args:
        work: called in the child with the descriptor of its pipe.
        cpu: seconds of processor time, until the work calls :func:`arm` anew.
        wall: seconds in all.
        alarm: ``wall`` is an alarm of the child's as well, which the work may set anew by
            :func:`arm`. Without it, the signal SIGALRM is the doing of what is run.
        most_said: bytes of its last words to keep.
        most_data: bytes it may write to its pipe; more end it as too large a file would.

    """
    os.ftruncate(2, 0)
    os.lseek(2, 0, os.SEEK_SET)
    reading, writing = os.pipe()
    parent, child = os.getpid(), os.fork()
    if not child:
        os.close(reading)
        _work(work, writing, parent, cpu, wall if alarm else 0.0)
    os.close(writing)
    deadline = time.monotonic() + wall
    data, why, status = _collect(reading, child, deadline, most_data)
    if status is None and not why:
        status = _reap(child, deadline)
    if status is None or why:
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        end = End(SIGNAL, signal.SIGXFSZ) if why == "flood" else End(HANG, signal.SIGKILL)
    else:
        end = _decoded(os.waitstatus_to_exitcode(status), data.endswith(_MARK), alarm)
    os.close(reading)  # not before: a write would end the child in another way
    _leave_nobody()
    said = os.pread(2, most_said, 0).decode("utf-8", "replace")
    end.said = said
    return end, data.removesuffix(_MARK) if end.done else data


def _decoded(code: int, marked: bool, alarm: bool) -> End:
    """What the code of a child that ended by itself means."""
    if code >= 0:
        # Code that is run may well exit with status 0: only the mark tells that it is done.
        return End(DONE) if marked and not code else End(EXIT, code)
    late = -code == signal.SIGPROF or (alarm and -code == signal.SIGALRM)
    return End(HANG if late else SIGNAL, -code)


def _work(
    work: Callable[[int], None], writing: int, parent: int, cpu: float, wall: float
) -> NoReturn:
    code = FAILED
    try:
        _die_with(parent)
        arm(cpu, wall)
        work(writing)
        _let_threads_end()
        os.write(writing, _MARK)
        code = 0
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}".encode())
    finally:
        os._exit(code)


def _let_threads_end() -> None:
    """What the work leaves running gets a moment, so that it shows how it ends."""
    for _ in range(PATIENCE):
        try:
            links = os.stat("/proc/self/task").st_nlink  # noqa: PTH116 - no pathlib in here
            if links <= 3:  # its own two, and this thread
                return
        except OSError:
            return
        time.sleep(1e-3)


try:
    _prctl: Any = ctypes.CDLL(None).prctl
except (OSError, AttributeError):  # not Linux
    _prctl = None


def _die_with(parent: int) -> None:
    """No child is left behind by a process apart that is killed."""
    if _prctl is not None:
        _prctl(_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(FAILED)


def _collect(reading: int, child: int, deadline: float, most: int) -> tuple[bytes, str, int | None]:
    """What a child writes until it closes its pipe or ends, whoever else holds the pipe.

    Also why that was not waited for, and its status if it was seen to end.
    """
    parts: list[bytes] = []
    size, pause, status = 0, 1e-3, None
    while True:
        left = deadline - time.monotonic()
        wait = 0.0 if status is not None else min(pause, left)
        if left <= 0 and status is None:
            return b"".join(parts), "late", None
        if not select.select([reading], [], [], wait)[0]:
            if status is not None:
                return b"".join(parts), "", status
            ended, code = os.waitpid(child, os.WNOHANG)
            status = code if ended else None
            pause = min(2 * pause, 0.05)
            continue
        part = os.read(reading, 1 << 16)
        if not part:
            return b"".join(parts), "", status
        parts.append(part)
        size += len(part)
        if size > most:
            return b"".join(parts)[:most], "flood", status


def _leave_nobody() -> None:
    """End what a child has left running: as it is gone, its children are ours."""
    try:
        while True:
            if not os.waitpid(-1, os.WNOHANG)[0]:
                for left in _children():
                    _end(left)
                os.waitpid(-1, 0)
    except ChildProcessError:
        return  # there is none any more


def _end(process: int) -> None:
    try:  # noqa: SIM105 - contextlib takes long to load
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended by itself


def _children() -> list[int]:
    """The processes of which this is the parent."""
    found, own = [], str(os.getpid()).encode()
    for name in os.listdir("/proc"):  # noqa: PTH208 - no pathlib in here: it starts sooner
        if name.isdigit() and _state(name).rpartition(b")")[2].split()[1:2] == [own]:
            found.append(int(name))
    return found


def _state(process: str) -> bytes:
    """What the system says of a process; nothing of one that is no more."""
    try:
        file = os.open(f"/proc/{process}/stat", os.O_RDONLY)
        try:
            return os.read(file, 512)
        finally:
            os.close(file)
    except OSError:
        return b""


def _reap(child: int, deadline: float) -> int | None:
    """The status of a child that has closed its pipe; None where it lives at the deadline.

    Most close it by ending, which is a matter of microseconds.
    """
    pause = 2e-5
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(pause, left))
        pause = min(2 * pause, 0.05)

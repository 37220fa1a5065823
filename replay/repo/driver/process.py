"""The driver's process: it is started, told that a batch lies in the shared memory, ended.

Any thread may have some, and end that of another. No process that is started meanwhile has
the descriptors of another one.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from replay.repo.bound import Unbound
from replay.repo.driver.pieces import Refused
from replay.repo.runner import SLACK

LATE: Final = 10.0
"""Seconds by which the driver may be late with an answer before it is given up."""
TRIES: Final = 100
"""Starts of a program that another process seems to write to still."""


class Process:
    """A process that can be started again, and the memory that it shares with us.

    Args:
        program: the driver.
        before: its arguments in front of the descriptors, and ``behind``: after them.
        environment: all variables that it sees.
        size: bytes of the memory.

    Attributes:
        popen: the process, which leads a group; None where none runs.
        stopped: whether it is not to be started again.

    """

    def __init__(
        self, program: Path, before: Sequence[str], behind: Sequence[str],
        environment: Mapping[str, str], size: int,
    ) -> None:  # fmt: skip
        self.program, self.before, self.behind = program, before, behind
        self.environment = environment
        self.popen: subprocess.Popen[bytes] | None = None
        self.stopped = False
        self._lock = threading.Lock()
        self._file = os.memfd_create("driver")
        os.ftruncate(self._file, size)
        self.memory = mmap.mmap(self._file, size)

    def start(self) -> str:
        """Start it; what it says of what it cannot do, without that it can do nothing.

        Raises:
            Refused: it cannot be started, or cannot work with this library.
            Unbound: the library cannot be loaded.

        """
        self._reading, theirs_out = os.pipe()
        theirs_in, self._writing = os.pipe()
        passed = (theirs_in, theirs_out, self._file)
        words = [str(self.program), *self.before, *map(str, passed), *self.behind]
        try:
            started = self._started(words, passed)
        except OSError as error:
            os.close(self._reading)
            os.close(self._writing)
            raise Refused(f"the driver cannot be started: {error}") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        with self._lock:
            self.popen = started
            if self.stopped:
                _kill(started)
        said = self._first_line()
        if said is None:
            raise Unbound("loading the library ended the process, or did not end")
        if said.startswith("the "):
            raise Refused(said)
        if said and not said.startswith("?"):
            raise Unbound(said)
        return said[1:]

    def _started(self, words: Sequence[str], passed: Sequence[int]) -> subprocess.Popen[bytes]:
        for tried in range(TRIES):
            try:
                return subprocess.Popen(
                    words, pass_fds=passed, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL, env=self.environment, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                # A process that another thread is just starting holds the compiled file open.
                if error.errno != errno.ETXTBSY or tried == TRIES - 1:
                    raise
                time.sleep(0.01)
        raise AssertionError  # not come by

    def _first_line(self) -> str | None:
        data = b""
        deadline = time.monotonic() + SLACK
        while not data.endswith(b"\n"):
            left = max(deadline - time.monotonic(), 0)
            if not select.select([self._reading], [], [], left)[0]:
                return None
            part = os.read(self._reading, 4096)
            if not part:
                return None
            data += part
        return data.decode("utf-8", "replace").strip()

    def ask(self) -> None:
        """Tell it that there is a batch; one that is gone shows in :meth:`answered`."""
        with contextlib.suppress(BrokenPipeError):
            os.write(self._writing, b"\n")

    def answered(self, seconds: float) -> bool | None:
        """Whether an answer comes within that time; None where the process ended instead."""
        if not select.select([self._reading], [], [], seconds)[0]:
            return False
        return True if os.read(self._reading, 1) else None

    def stop(self) -> None:
        """End it for good, from any thread."""
        with self._lock:
            self.stopped = True
            if self.popen is not None:
                _kill(self.popen)

    def end(self) -> None:
        """End it and all it started."""
        with self._lock:
            ending, self.popen = self.popen, None
        if ending is None:
            return
        _kill(ending)
        ending.wait()
        os.close(self._reading)
        os.close(self._writing)

    def close(self) -> None:
        """The same, and give the memory back; may be called again."""
        self.end()
        if not self.memory.closed:
            self.memory.close()
            os.close(self._file)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """A group whose process has not been waited for: its number is nobody else's yet."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)

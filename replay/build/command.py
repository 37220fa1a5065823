"""A command run sealed: it ends in time, takes its children along, and is read within bounds."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from replay.build.output import Kept


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        status: its exit status, negative for the signal that ended it; -1 where it was late.
        output: what it printed, as much as was to be kept, as it came.
        in_time: whether it ended within its limit.
        seconds: what it took.

    """

    status: int
    output: str
    in_time: bool
    seconds: float


class Commands:
    """Commands of any number of threads, which can all be ended at once."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def stop(self) -> None:
        """End all that run, and let none start."""
        with self._lock:
            self._stopped = True
            for group in self._running:
                _kill(group)

    @property
    def stopped(self) -> bool:
        """Whether none may start."""
        return self._stopped

    def resume(self) -> None:
        """Let commands start again."""
        self._stopped = False

    def run(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str], limit: float,
        keep: Kept, memory: int | None = None,
    ) -> Ended:  # fmt: skip
        """Run a command to its end.

        It has a session of its own, nothing to read, and only this environment; whatever it
        started is killed when it ends, and it when it is late.

        Args:
            words: the program and its arguments.
            folder: where it runs.
            environment: all the variables that it sees.
            limit: seconds.
            keep: takes what it prints.
            memory: bytes of address space for each of its processes.

        """
        began = time.monotonic()
        process = self._start(words, folder, environment)
        if process is None:
            return Ended(-signal.SIGKILL, "", True, 0.0)
        if memory is not None and hasattr(resource, "prlimit"):
            with contextlib.suppress(OSError, ValueError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, (memory, memory))
        stream = process.stdout
        assert stream is not None
        reader = threading.Thread(target=keep.drain, args=(stream,), daemon=True)
        reader.start()
        in_time = True
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            in_time, status = False, -1
        finally:
            self._end(process, reader, stream)
        return Ended(status, keep.text(), in_time, time.monotonic() - began)

    def _start(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(
                words, cwd=folder, env=environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self._running.add(process.pid)
        return process

    def _end(
        self, process: subprocess.Popen[bytes], reader: threading.Thread, stream: IO[bytes]
    ) -> None:
        # Whatever the command started must not outlive it.
        _kill(process.pid)
        process.wait()
        with self._lock:
            self._running.discard(process.pid)
        reader.join(5)
        stream.close()


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)

"""Our side of a process apart: it is started sealed, asked, and ended with all it started."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from replay.apart.death import Death
from replay.errors import WorkerError

ROOT: Final = Path(__file__).resolve().parents[2]
"""The folder that holds the package: a checkout, or where it is installed."""

BOOT: Final = Path(__file__).with_name("boot.py")
OURS: Final = ("replay.apart.light", "replay.apart.child")
MEMORY_LIMIT: Final = 8 << 30
MOST_SAID: Final = 1 << 16
GRACE: Final = 5.0
"""Seconds that a process gets to end once it has closed its pipe."""


class Gone(Exception):
    """The process did not answer; ``death`` tells how it ended, "hang" for too late."""

    def __init__(self, death: Death) -> None:
        super().__init__(death.words())
        self.death = death


class Apart:
    """A process apart with a server in it; use it in a ``with`` statement, or close it.

    It leads a session of its own, so that Ctrl-C at the terminal is ours to act on, and
    has nothing to read and nowhere to print: what it and its children say is kept.

    Args:
        server: the module to load, which has a ``main`` that serves a channel.
        environment: all the variables that it sees.
        needs: modules of the package that the server imports, beside ``apart.child``.
        sanitized: no limit of memory: a sanitizer reserves more than any would allow.
        site: whether it may import installed packages.

    Raises:
        WorkerError: it cannot be started.

    """

    def __init__(
        self, server: str, environment: Mapping[str, str], needs: Sequence[str] = (), *,
        sanitized: bool = False, site: bool = False,
    ) -> None:  # fmt: skip
        self.said = tempfile.TemporaryFile()  # noqa: SIM115  lives as long as this
        self._buffer = bytearray()
        self._lock = threading.Lock()
        self._reading, theirs_out = os.pipe()
        theirs_in, self._writing = os.pipe()
        memory = 0 if sanitized else MEMORY_LIMIT
        words = [
            sys.executable, "-I", *([] if site else ["-S"]), str(BOOT), str(ROOT),
            str(theirs_in), str(theirs_out), str(memory), *OURS, *needs, server,
        ]  # fmt: skip
        try:
            self.process = subprocess.Popen(
                words, pass_fds=(theirs_in, theirs_out), stdin=subprocess.DEVNULL,
                stdout=self.said, stderr=self.said, env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._close_files()
            raise WorkerError(f"a worker cannot be started: {error}") from None
        finally:
            os.close(theirs_in)
            os.close(theirs_out)
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self.process.poll() is None

    def close(self) -> None:
        """End the process and all it started; may be called again."""
        atexit.unregister(self.close)
        self._kill()
        self._close_files()

    def ask(
        self, head: Mapping[str, Any], payload: bytes = b"", patience: float | None = None
    ) -> tuple[dict[str, Any], bytes]:
        """One request and its answer; see ``replay.apart.child.Channel``.

        Args:
            head: what is asked.
            payload: bytes that go with it.
            patience: seconds to wait for more of the answer; None for ever.

        Raises:
            Gone: the process ended, was too late and is ended, or answered nonsense.

        """
        line = json.dumps({**head, "bytes": len(payload)}).encode() + b"\n"
        with self._lock:
            try:
                self._send(line + payload)
                answer = self._line(patience)
                return answer, self._take(answer["bytes"], patience)
            except (OSError, ValueError, KeyError, TypeError):
                raise Gone(self._end(late=True)) from None
            except BaseException:
                # The answer that is still to come must not be taken for another one's.
                self._kill()
                raise

    def _send(self, data: bytes) -> None:
        view = memoryview(data)
        with contextlib.suppress(BrokenPipeError):  # what it means is seen when reading
            while view:
                view = view[os.write(self._writing, view) :]

    def _line(self, patience: float | None) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            self._more(patience)
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return dict(json.loads(line))

    def _take(self, size: int, patience: float | None) -> bytes:
        while len(self._buffer) < size:
            self._more(patience)
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _more(self, patience: float | None) -> None:
        if patience is not None and not select.select([self._reading], [], [], patience)[0]:
            raise Gone(self._end(late=True))
        chunk = os.read(self._reading, 1 << 20)
        if not chunk:
            raise Gone(self._end(late=False))
        self._buffer += chunk

    def _end(self, late: bool) -> Death:
        """See to it that the process ends; how it did."""
        if not late:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)
        code = self.process.poll()
        self._kill()
        said = os.pread(self.said.fileno(), MOST_SAID, 0).decode("utf-8", "replace")
        if code is None:
            return Death("hang", signal.SIGKILL.name, said)
        return Death.of_process(code, said)

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _close_files(self) -> None:
        for descriptor in (self._reading, self._writing):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self._reading = self._writing = -1
        self.said.close()

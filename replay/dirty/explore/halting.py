"""When a search ends early, and what it says then.

Searches run in threads and in other processes; all of them ask the same :class:`Halt`. The
first Ctrl-C only makes it say so: each search keeps what it has, and its result is shown. A
second one ends the program as it ends any other.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, TypeAlias

Stop: TypeAlias = Callable[[], str]
"""Why a search is to end now; empty while it is not."""

TIME: Final = "the time was up"
STOPPED: Final = "it was stopped"
MEMORY: Final = "the memory was used up: give --memory more, or a smaller scope"


def never() -> str:
    """There is no reason to end."""
    return ""


class Ended(Exception):
    """A search is given up; the text says why."""


@dataclass(frozen=True, slots=True)
class Halt:
    """Whether to end, as any process of a run can ask.

    Attributes:
        flag: a file that is there once somebody said stop.
        until: when the time is up, as ``time.monotonic`` has it; None for never.

    """

    flag: str
    until: float | None = None

    def __call__(self) -> str:
        """Why to end now; empty where there is no reason."""
        if Path(self.flag).exists():
            return STOPPED
        return TIME if self.until is not None and time.monotonic() >= self.until else ""

    def now(self) -> None:
        """Say stop."""
        with contextlib.suppress(OSError):
            Path(self.flag).touch()

    @property
    def stopped(self) -> bool:
        """Whether somebody said stop."""
        return Path(self.flag).exists()


@contextlib.contextmanager
def ending(stop: Stop) -> Iterator[None]:
    """Say stop where an exception leaves the block: workers that are waited for then end."""
    try:
        yield
    except BaseException:
        if isinstance(stop, Halt):
            stop.now()
        raise


@contextlib.contextmanager
def halting(seconds: float | None) -> Iterator[Halt]:
    """A halt that the first Ctrl-C raises, and a time that begins now."""
    folder = tempfile.mkdtemp(prefix="replay-halt-")
    until = None if seconds is None else time.monotonic() + seconds
    halt = Halt(str(Path(folder) / "stop"), until)
    here = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT) if here else None

    def stop(number: int, frame: FrameType | None) -> None:
        halt.now()
        signal.signal(signal.SIGINT, before)

    # Who has no handler of Python's, as one that ignores Ctrl-C, keeps its way.
    heeded = here and callable(before)
    if heeded:
        signal.signal(signal.SIGINT, stop)
    try:
        yield halt
    finally:
        if heeded:
            signal.signal(signal.SIGINT, before)
        shutil.rmtree(folder, ignore_errors=True)

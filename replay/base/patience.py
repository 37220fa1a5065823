"""A limit of time for code that may never come back: a model that a user has changed."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Final

from replay.errors import SeriesError

PATIENCE: Final = 20.0
"""Seconds that a short trace may take on changed models: hundreds of times what it does take."""


AGAIN: Final = 1.0
"""Seconds after which code that has not ended by then is told so once more."""


class Hanging(BaseException):
    """The code did not come back.

    No Exception: those are what a model may fail with, and a run goes on to record them.
    """


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise Hanging in whatever takes longer.

    Without effect where there is no such alarm (off the main thread, not on POSIX), and
    inside of another limit, which is the shorter one: there is one alarm a process.
    """
    possible = hasattr(signal, "setitimer") and (
        threading.current_thread() is threading.main_thread()
    )
    if not possible or signal.getitimer(signal.ITIMER_REAL)[0]:
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise Hanging

    before = signal.signal(signal.SIGALRM, ring)
    # Again and again: where the exception is swallowed, as in a callback, another follows.
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def memory_at_most(size: int) -> Iterator[None]:
    """Have this process fail with MemoryError where it wants more bytes of address space.

    Without effect where there is no such limit, or a lower one.
    """
    try:
        import resource
    except ImportError:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limits = [limit for limit in (size, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def patient(
    copies: Sequence[tuple[int, str]], seconds: float, length: int, name: str
) -> Iterator[None]:
    """End what changed copies of models, (step, path), make endless on a trace.

    A longer trace has more time.

    The models as they are need no watching: without copies there is no limit.

    Raises:
        SeriesError: no answer in time.

    """
    if not copies:
        yield
        return
    seconds *= 1 + length / 1000
    try:
        with at_most(seconds):
            yield
    except Hanging:
        names = ", ".join(f"{path} (step {step})" for step, path in copies)
        raise SeriesError(
            f"{names}: the model does not come back within {seconds:.0f} seconds on the trace "
            f"{name}, so it is not judged; is there an endless loop in it?"
        ) from None

"""Somebody's code is executed: what it raises becomes one message that says what was asked.

The file of a subject, a law, a property or a method of a machine may raise whatever it
likes, ``SystemExit`` included, which would end the program as if all were well.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from refmodels.delta import LinkError
from replay.base.patience import Hanging
from replay.errors import ReplayError, SeriesError

PASSING: Final = (KeyboardInterrupt, Hanging, ReplayError)
"""What is no fault of the code that was asked."""


@contextmanager
def asked(what: str) -> Iterator[None]:
    """Ask somebody's code.

    Raises:
        SeriesError: it raised something; ``what`` was asked, and where the fault is.

    """
    try:
        yield
    except PASSING:
        raise
    except BaseException as error:
        raise SeriesError(fault(what, error)) from error


@contextmanager
def linking() -> Iterator[None]:
    """Ask the models of a series, which say where they do not fit.

    Raises:
        SeriesError: they do not fit, or cannot be read; it names the file or the step.

    """
    try:
        yield
    except LinkError as error:
        raise SeriesError(str(error)) from None


def fault(what: str, error: BaseException) -> str:
    """What was asked, what it raised, and the last place that the error came by."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{frame.filename}:{frame.lineno}"
    text = " ".join(str(error).split())
    return f"{what} raised {f'{type(error).__name__}: {text}'.rstrip(': ')} ({place})"

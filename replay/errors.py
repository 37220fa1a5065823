"""One root for what can go wrong outside the code; one child a cause.

A message names the place, the likely cause and the cure. Verdicts are not errors: a
difference that is found is a value, not an exception.
"""

from __future__ import annotations

from pathlib import Path


class ReplayError(Exception):
    """The root of all errors that a user can mend; the command line prints just its text."""


class TraceError(ReplayError):
    """A trace or vector file that cannot be read, or a trace outside the domain.

    Args:
        problem: what is wrong, and what would be right.
        path: the file, if the trace came from one.
        line: the line in it, counted from 1.
        operation: the index of the operation, counted from 0.

    """

    def __init__(
        self,
        problem: str,
        path: Path | str | None = None,
        line: int | None = None,
        operation: int | None = None,
    ) -> None:
        self.problem = problem
        self.path = path
        self.line = line
        self.operation = operation
        place = str(path) if path is not None else ""
        if line is not None:
            place += f":{line}"
        if operation is not None:
            place += f" operation {operation}" if place else f"operation {operation}"
        super().__init__(f"{place}: {problem}" if place else problem)


class SeriesError(ReplayError):
    """series.toml or another file of the series does not say what it should."""


class UsageError(ReplayError):
    """An argument that makes no sense; the message says which would."""


class DomainError(ReplayError):
    """A valid request that a step of the series does not support."""


class WorkerError(ReplayError):
    """A worker process died; the message says what it was working on."""

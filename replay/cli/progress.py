"""A progress bar on standard error, where a person watches; elsewhere nothing."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from replay.cli.common import on_terminal


class Bar:
    """What a long command tells of its progress."""

    def __init__(self, progress: Progress | None, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def show(self, done: float, total: float, text: str) -> None:
        """``done`` of ``total``, and what that is; a total of 0 means that nobody knows."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total or None, description=text)


@contextlib.contextmanager
def progress_bar(text: str) -> Iterator[Bar]:
    """A bar that is gone when the work is done; silent unless standard error is a terminal."""
    if not on_terminal(sys.stderr):
        yield Bar(None, TaskID(0))
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(None),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(text, total=None))

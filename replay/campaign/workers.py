"""Workers that run ranges of traces, here or elsewhere; one that is lost loses nothing.

A range whose worker died is handed out again, to a new one. One that costs several workers
their life is an error, which names it.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection, wait
from queue import Empty, SimpleQueue
from typing import Any, Final

from replay.base.closing import Closing
from replay.base.pool import ignore_interrupts, interrupts_held
from replay.campaign.sums import Task, Work
from replay.errors import WorkerError

LIVES: Final = 4
"""How many workers may be lost at one range."""

AHEAD: Final = 2
"""Ranges a worker that are handed out before a result is taken."""


class Workers(Closing):
    """Workers of some kind. What one raises is raised where its result is taken."""

    work: Work
    """What is done with each task."""

    def __init__(self) -> None:
        self._done: SimpleQueue[tuple[int, Any]] = SimpleQueue()
        self._tasks: dict[int, Task] = {}
        self._lives: dict[int, int] = {}
        self.lost = 0
        """How often a range was handed out again."""

    @property
    def outstanding(self) -> int:
        """How many ranges are handed out."""
        return len(self._tasks)

    @property
    def free(self) -> int:
        """How many more ranges may be handed out."""
        return self.size() * AHEAD - len(self._tasks)

    def begin(self, work: Work) -> None:
        """Say what is to be done with the tasks."""
        self.work = work

    def submit(self, task: Task) -> None:
        """Hand out a range."""
        self._tasks[task.numbers.start] = task
        self._hand_out(task)

    def take(self, timeout: float) -> list[Any]:
        """The results that are there, waiting at most so many seconds for the first.

        Raises:
            WorkerError: too many workers died at one range.

        """
        taken: list[Any] = []
        try:
            first, future = self._done.get(timeout=timeout)
            while True:
                batch = self._result(first, future)
                taken += [batch] if batch is not None else []
                first, future = self._done.get_nowait()
        except Empty:
            return taken

    def _hand_out(self, task: Task) -> None:
        first = task.numbers.start
        future = self.start(task)
        future.add_done_callback(lambda future: self._done.put((first, future)))

    def _result(self, first: int, future: Any) -> Any | None:
        if first not in self._tasks:
            return None
        try:
            batch = future.result()
        except Exception as error:
            if not self.is_loss(error):
                raise
            self._again(self._tasks[first])
            return None
        del self._tasks[first]
        return batch

    def _again(self, task: Task) -> None:
        first = task.numbers.start
        self.lost += 1
        self._lives[first] = self._lives.get(first, 0) + 1
        if self._lives[first] >= LIVES:
            raise WorkerError(
                f"{LIVES} workers died with traces {first} to {task.numbers.stop - 1}, or with "
                "others at the same time: they were killed, perhaps for want of memory; try "
                "fewer jobs. What was done is in the state: go on with --resume"
            )
        self._hand_out(task)

    @abstractmethod
    def size(self) -> int:
        """How many workers there are, at least 1."""

    @abstractmethod
    def start(self, task: Task) -> Any:
        """Hand a task to a worker; gives a future."""

    @abstractmethod
    def is_loss(self, error: Exception) -> bool:
        """Whether an error says that a worker was lost, and not what its task raised."""


class Local(Workers):
    """Processes of this machine."""

    def __init__(self, jobs: int) -> None:
        super().__init__()
        self.jobs = jobs
        self._pool: ProcessPoolExecutor | None = None
        self._ending: tuple[Connection, Connection] | None = None
        """Both ends of a pipe; each process goes when ours is closed."""

    def size(self) -> int:
        """The processes asked for."""
        return self.jobs

    def start(self, task: Task) -> Future[Any]:
        """To a process; a pool that broke is replaced."""
        for _ in range(LIVES):
            if self._pool is None:
                self._pool = self._started()
            try:
                with interrupts_held():
                    return self._pool.submit(_run, task)
            except BrokenProcessPool:
                self.close()
        raise WorkerError("worker processes die as soon as they start; try fewer jobs")

    def _started(self) -> ProcessPoolExecutor:
        context = multiprocessing.get_context("spawn")
        theirs, _ = self._ending = context.Pipe(duplex=False)
        return ProcessPoolExecutor(self.jobs, context, _begin, (self.work, theirs))

    def is_loss(self, error: Exception) -> bool:
        """When one process dies, the pool gives up all that it was given."""
        return isinstance(error, BrokenProcessPool)

    def close(self) -> None:
        """End the processes, and what they do: nobody takes it any more."""
        if self._pool is None or self._ending is None:
            return
        theirs, ours = self._ending
        if self.outstanding:
            ours.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        ours.close()
        theirs.close()
        self._pool = self._ending = None


_given: Final[list[Work]] = []
"""What this process does with tasks, where it is a worker."""


def _begin(work: Work, ending: Connection) -> None:
    """Leave Ctrl-C to the process that started this one, and go when that is gone, or says so."""
    ignore_interrupts()
    _given[:] = [work]
    parent = multiprocessing.parent_process()
    assert parent is not None, "it was started"
    signs = [parent.sentinel, ending]
    threading.Thread(target=_end_with, args=(signs, os._exit), daemon=True).start()


def _run(task: Task) -> Any:
    return _given[0].run(task)


def _end_with(signs: list[int | Connection], end: Callable[[int], Any]) -> None:
    wait(signs)
    end(1)

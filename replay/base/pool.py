"""Worker processes, or threads, whose results come in the order of the tasks.

With one job a pool of processes runs everything in this one. Workers leave Ctrl-C to this
process, and one that dies is an error, never a hang.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from types import FrameType
from typing import Final, TypeVar

from replay.base.closing import Closing
from replay.errors import WorkerError

T = TypeVar("T")
R = TypeVar("R")
Tag = TypeVar("Tag")

AHEAD: Final = 3
"""Tasks a worker that are handed out before the first one's result is taken."""


TURN: Final = 0.2
"""Seconds that a wait for a future takes at most, before the next one."""


def result_of(future: Future[R]) -> R:
    """The result of a future, waited for in short turns.

    A signal that comes just as a wait begins does not end that wait: without turns, Ctrl-C
    would be seen when the future is done.
    """
    while not wait([future], TURN).done:
        pass
    return future.result()


def default_jobs() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Pool(Closing):
    """Worker processes, started when a second task comes; leave it to end them.

    Args:
        jobs: processes; with 1 none is started.
        doing: what they do, for the message about one that died.
    """

    def __init__(self, jobs: int, doing: str) -> None:
        self.jobs = jobs
        self.doing = doing
        self._executor: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """End the workers; what has not begun is not done."""
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)

    def map(
        self,
        work: Callable[[T], R],
        tasks: Iterable[tuple[Tag, T]],
        label: Callable[[T], str] = str,
    ) -> Iterator[tuple[Tag, R]]:
        """(tag, work(task)) in the order of the tasks, which are taken as needed.

        ``work``, the tasks and the results must be fit to travel between processes.
        ``label`` says what a task is, should its worker die.

        Raises:
            WorkerError: a worker died.
        """
        waiting = iter(tasks)
        head = list(islice(waiting, 2)) if self.jobs > 1 else []
        every = chain(head, waiting)
        if len(head) < 2:
            for tag, task in every:
                yield tag, work(task)
            return
        queue: deque[tuple[Tag, T, Future[R]]] = deque()
        for tag, task in every:
            queue.append((tag, task, self._submit(work, task, label)))
            if len(queue) >= self.jobs * AHEAD:
                yield self._take(queue, label)
        while queue:
            yield self._take(queue, label)

    def _submit(self, work: Callable[[T], R], task: T, label: Callable[[T], str]) -> Future[R]:
        if self._executor is None:
            # Forking a process that has threads (a progress bar's) can deadlock.
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self.jobs, context, ignore_interrupts)
        try:
            with interrupts_held():
                return self._executor.submit(work, task)
        except BrokenProcessPool:
            raise self._died(label(task)) from None

    def _take(
        self, queue: deque[tuple[Tag, T, Future[R]]], label: Callable[[T], str]
    ) -> tuple[Tag, R]:
        tag, task, future = queue.popleft()
        try:
            return tag, result_of(future)
        except BrokenProcessPool:
            raise self._died(label(task)) from None

    def _died(self, at: str) -> WorkerError:
        return WorkerError(
            f"a worker process died while {self.doing}, at {at} or soon after; it was killed, "
            "perhaps for want of memory: try fewer jobs, or one job to see where"
        )


class Threads(Closing):
    """Threads of this process, for work that mostly waits; leave it to end them.

    They never see Ctrl-C, which comes to the thread that takes the results.

    Args:
        jobs: threads.
    """

    def __init__(self, jobs: int) -> None:
        self._executor = ThreadPoolExecutor(jobs)

    def close(self) -> None:
        """End the workers; what has not begun is not done."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def map(
        self,
        work: Callable[[T], R],
        tasks: Iterable[tuple[Tag, T]],
        label: Callable[[T], str] = str,
    ) -> Iterator[tuple[Tag, R]]:
        """(tag, work(task)) in the order of the tasks, which are all taken at once.

        What ``work`` raises is raised here, of several tasks that fail for the first one.
        Work must not wait for other work of the same threads. ``label`` is not needed: a
        thread does not die apart.
        """
        futures = [(tag, self._executor.submit(work, task)) for tag, task in tasks]
        for tag, future in futures:
            yield tag, result_of(future)


def ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def interrupts_held() -> Iterator[None]:
    """What is started in here never sees Ctrl-C, not even before it can say so itself.

    A new process inherits the mask. This one gets a Ctrl-C, or a SIGTERM, of that moment
    afterwards: half of what it tells a new process would be no good to that.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with _deferred(signal.SIGINT), _deferred(signal.SIGTERM):
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _deferred(number: signal.Signals) -> Iterator[None]:
    """Let a handler of this process wait: other threads do not mask what comes to them."""
    handler = signal.getsignal(number)
    main = threading.current_thread() is threading.main_thread()
    if not main or not callable(handler):
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(number, lambda *given: came.append(given))
    try:
        yield
    finally:
        signal.signal(number, handler)
        if came:
            handler(*came[0])

"""Workers of a Dask ``distributed`` cluster: the scheduler's address is all that is needed.

They need replay in the same version. What the work needs beside it is sent to each worker
once, and again to those that come later.
"""

from __future__ import annotations

import importlib
import logging
import threading
import time
import warnings
from typing import Any, Final

from replay.campaign.sums import Task, Work
from replay.campaign.workers import Workers
from replay.errors import UsageError, WorkerError

PATIENCE: Final = "10s"
"""For the scheduler to answer."""

COUNT_EVERY: Final = 5.0
"""Seconds between two looks at how many workers there are."""


class Cluster(Workers):
    """The workers of a cluster.

    Raises:
        UsageError: ``distributed`` is not installed, or no scheduler answers.

    """

    def __init__(self, address: str) -> None:
        super().__init__()
        try:
            distributed: Any = importlib.import_module("distributed")
        except ImportError:
            raise UsageError(
                "--cluster needs distributed: pip install 'replay-series[cluster]'"
            ) from None
        # What goes wrong is told here, once; tracebacks of its threads help nobody.
        for name in ("distributed", "distributed.client", "tornado.application", "asyncio"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        try:
            self._client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            raise UsageError(
                f"no scheduler answers at {address!r} ({error}); start one with dask scheduler, "
                "and name the address that it prints, as in tcp://host:8786"
            ) from None
        self._counted = (0.0, 1)
        self._kept: dict[int, Any] = {}
        self._sent: Any = None

    def size(self) -> int:
        """The workers that there are now, counted now and then."""
        now = time.monotonic()
        if now >= self._counted[0]:
            self._counted = (now + COUNT_EVERY, max(len(self._client.nthreads()), 1))
        return self._counted[1]

    def begin(self, work: Work) -> None:
        """Say what is to be done with the tasks, on other machines.

        Raises:
            ReplayError: it cannot be done there.

        """
        self.work = work.packed()

    def start(self, task: Task) -> Any:
        """To the scheduler, which gives it to another worker where one is lost."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that what is sent once is large
            if self._sent is None:
                # A result, and no value that lies with one worker: it is had again where
                # that one is lost.
                self._sent = self._client.submit(_same, self.work, pure=False)
            future = self._client.submit(_run, self._sent, task, pure=False)
        self._kept[task.numbers.start] = future  # one that nobody holds is cancelled
        return future

    def is_loss(self, error: Exception) -> bool:
        """Whether workers were lost with it.

        Raises:
            WorkerError: the scheduler is gone.

        """
        name = type(error).__name__
        if "Cancelled" in name or isinstance(error, OSError):
            raise WorkerError(
                "the scheduler is gone, or gave up; what was done is in the state: go on with "
                "--resume"
            ) from None
        self._sent = None
        return name == "KilledWorker"

    def close(self) -> None:
        """Give back what is not done, and leave the cluster as it is."""
        if self._client.status not in ("closing", "closed"):
            self._client.cancel(list(self._kept.values()), force=True)
            self._client.close()


def _same(work: Work) -> Work:
    return work


_one_at_a_time = threading.Lock()
"""A worker may have several threads, and what it runs is for one."""


def _run(work: Work, task: Task) -> Any:
    with _one_at_a_time:
        return work.run(task)

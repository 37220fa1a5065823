"""The workers that run traces: each with a library or a model, none left behind.

A library runs each trace once, however many commits have it. Work is handed out a library
at a time and taken back in order, so what is found does not depend on the number of jobs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, TypeAlias

from replay.base.pool import Threads
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.errors import RepoError
from replay.repo.runner import ModelError, Run, Runner, spread_addresses
from replay.repo.targets import Prepared, Target

MOST_HANGS: Final = 3
"""Hangs of a library in a share after which it is not asked further."""

Runs: TypeAlias = list[Run | None]


@dataclass(slots=True)
class Checker:
    """Workers, ``jobs`` at a time; use it in a ``with`` statement, which leaves none behind.

    A trace may take ``cpu`` seconds of processor time.
    """

    jobs: int
    cpu: float
    running: set[Runner] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False
    threads: Threads = field(init=False)

    def __post_init__(self) -> None:
        self.threads = Threads(self.jobs)
        spread_addresses()

    def __enter__(self) -> Self:
        self.threads.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        with self.lock:
            self.stopped = True
            for runner in self.running:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(runner.process.pid, signal.SIGKILL)
        self.threads.__exit__(kind, error, trace)

    @contextlib.contextmanager
    def opened(self, target: Target, fill: int = 0) -> Iterator[Runner]:
        """A worker that is ended when the checker is left; ``fill`` as in ``Runner``."""
        if self.stopped:
            raise Unbound("stopped")
        runner = target.open(self.cpu, fill)
        try:
            with runner:
                with self.lock:
                    self.running.add(runner)
                    # Ctrl-C may have come while it started: then nobody else ends it.
                    if self.stopped:
                        raise Unbound("stopped")
                yield runner
        finally:
            with self.lock:
                self.running.discard(runner)

    def load(self, prepared: Sequence[Prepared]) -> list[Prepared]:
        """See that each library loads; what does not is no longer a target."""
        known = {one.target.key: one.target for one in prepared if one.target is not None}
        problems = dict(self.threads.map(self._problem, known.items()))

        def loaded(one: Prepared) -> Prepared:
            problem = problems[one.target.key] if one.target is not None else None
            if one.target is None or problem is None:
                return one
            said = problem.replace(str(one.target.library), "the library")
            return one.stopped(f"it cannot be loaded: {said}")

        return [loaded(one) for one in prepared]

    def _problem(self, target: Target) -> str | None:
        """Why a target cannot be loaded; None where it can."""
        try:
            with self.opened(target):
                return None
        except Unbound as error:
            return str(error)

    def run_all(self, target: Target, traces: Sequence[CallTrace]) -> Runs:
        """The runs of traces; None for those after too many hangs.

        Raises:
            RepoError: the model failed.
            Unbound: it cannot be loaded.

        """
        runs: Runs = []
        hangs = 0
        with self.opened(target) as runner:
            for trace in traces:
                if hangs >= MOST_HANGS:
                    runs.append(None)
                    continue
                try:
                    run = runner.run(trace)
                except ModelError as error:
                    raise RepoError(f"the model failed: {error}") from None
                hangs += run.end == "hang"
                runs.append(run)
        return runs

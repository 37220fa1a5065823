"""The workers that run traces: each with a library or a model, none left behind.

A library runs each trace once, however many commits have it. Work is handed out a library
at a time and taken back in order, so what is found does not depend on the number of jobs.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Final, Self, TypeAlias

from replay.base.pool import Threads
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.errors import RepoError
from replay.repo.runner import ModelError, Run, Runner, spread_addresses
from replay.repo.targets import Prepared, Target

MOST_HANGS: Final = 10
"""Hangs of a library after which it is not asked further before it is known what hangs."""
PROCESSES: Final = 8
"""Processes over which the traces of a library are spread: each loads it at another place."""
LEAST: Final = 0.05
"""Seconds that a trace may take at least before it may be called a hang."""
TIMES: Final = 20
"""The same in times of what the traces took that ended, the faster ones of them."""
GROWN: Final = 4
"""How much longer a trace may take that is asked again before it is called a hang."""
ASKED: Final = 2
"""Hangs of an operation that are asked again; after these it is known to hang."""

KEPT: Final = 64
"""Traces whose times are kept to know what is usual."""

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

        They are spread over several processes, in each of which the library lies at other
        addresses: what depends on that comes and goes. A trace alone runs in each of them,
        and of its runs the first counts that does not come to its end.

        Raises:
            RepoError: the model failed.
            Unbound: it cannot be loaded.

        """
        spread = 1 if target.model else PROCESSES
        if len(traces) == 1:
            return [self._worst(target, traces[0], spread)]
        runs: Runs = [None] * len(traces)
        limit, hangs = Limit(self.cpu), 0
        for first in range(min(spread, len(traces))):
            with self.opened(target) as runner:
                for place in range(first, len(traces), spread):
                    if hangs >= MOST_HANGS:
                        break
                    run = runs[place] = limit.run(runner, target, traces[place])
                    hangs += run.end == "hang"
        return runs

    def _worst(self, target: Target, trace: CallTrace, times: int) -> Run:
        """The first run of several that does not come to its end, or the first of all."""
        first: Run | None = None
        for _ in range(times):
            with self.opened(target) as runner:
                run = asked(runner, target, trace)
            if run.end != "ok":
                return run
            first = first or run
        assert first is not None
        return first


class Limit:
    """How long the traces of a library may run: a hang costs little, and is asked twice.

    Args:
        most: seconds of processor time that a trace may take at most.

    """

    def __init__(self, most: float) -> None:
        self.most = most
        self.times: list[float] = []
        self.hung: Counter[str] = Counter()

    def run(self, runner: Runner, target: Target, trace: CallTrace) -> Run:
        """Run a trace with the limit of this moment; what hangs again with a longer one."""
        limit = self.seconds
        start = time.monotonic()
        run = asked(runner, target, trace, limit)
        at = trace[len(run.records)].op if len(run.records) < len(trace) else ""
        if run.end == "hang" and limit < self.most and self.hung[at] < ASKED:
            self.hung[at] += 1
            again = asked(runner, target, trace, min(self.most, GROWN * limit))
            # A place is told once, by the first of the two.
            return replace(again, reached=(*run.reached, *again.reached))
        if len(self.times) < KEPT:
            bisect.insort(self.times, time.monotonic() - start)
        return run

    @property
    def seconds(self) -> float:
        """By the faster of the traces so far: on a busy machine the others say little."""
        usual = self.times[len(self.times) // 4] if self.times else 0.0
        return min(self.most, max(LEAST, min(TIMES * usual, self.most / GROWN)))


def asked(
    runner: Runner, target: Target, trace: CallTrace, limit: float | None = None
) -> Run:  # fmt: skip
    """Run a trace; a model that fails, ends its process or does not return is an error.

    Raises:
        RepoError: the model failed.

    """
    try:
        run = runner.run(trace, limit if not target.model else None)
    except ModelError as error:
        raise RepoError(f"the model failed: {error}") from None
    if target.model and run.end != "ok":
        at = len(run.records)
        call = f"{trace[at].op}()" if at < len(trace) else "what comes after the last call"
        raise RepoError(
            f"the model failed: {call}: {run.detail}; a model has to return from each call"
        )
    return run

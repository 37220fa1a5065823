"""The workers that run traces: each with a library or a model, none left behind.

A library runs each trace once, however many commits have it. Work is handed out a library
at a time and taken back in order, so what is found does not depend on the number of jobs.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias, TypeVar

from replay.base.closing import Closing
from replay.base.pool import Threads
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.driver.limits import GROWN, LEAST, MOST_HANGS, Limits, Usual
from replay.repo.driver.pieces import Refused
from replay.repo.driver.run import Digest, DriverRunner
from replay.repo.driver.run import opened as driver_of
from replay.repo.errors import RepoError
from replay.repo.runner import ModelError, Run, Runner, spread_addresses
from replay.repo.targets import Prepared, Target

PROCESSES: Final = 8
"""Processes over which the traces of a library are spread: each loads it at another place."""
RARE: Final = 8
"""Traces that ended badly in the driver alone which are asked in every process."""
Runs: TypeAlias = list[Run | None]
AnyRunner = TypeVar("AnyRunner", Runner, DriverRunner)


@dataclass(slots=True)
class Checker(Closing):
    """Workers, ``jobs`` at a time; use it in a ``with`` statement, which leaves none behind.

    A trace may take ``cpu`` seconds of processor time.
    """

    jobs: int
    cpu: float
    running: set[Runner | DriverRunner] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: bool = False
    threads: Threads = field(init=False)
    _usual: dict[tuple[str, str], Usual] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.threads = Threads(self.jobs)
        spread_addresses()

    def close(self) -> None:
        """End all workers, and what is asked of them."""
        with self.lock:
            self.stopped = True
            for runner in self.running:
                runner.stop()
        self.threads.close()

    def usual(self, key: str, by: str = "driver") -> Usual:
        """What is known of how long the target of this key takes in such a process."""
        return self._usual.setdefault((key, by), Usual())

    @contextlib.contextmanager
    def opened(self, target: Target, fill: int = 0) -> Iterator[Runner]:
        """A worker that is ended when the checker is left; ``fill`` as in ``Runner``."""
        if self.stopped:
            raise Unbound("stopped")
        with self._known(target.open(self.cpu, fill)) as runner:
            yield runner

    @contextlib.contextmanager
    def _known(self, runner: AnyRunner) -> Iterator[AnyRunner]:
        """A process that is ended when the checker is left."""
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
        with contextlib.suppress(Refused, Unbound), self.driven(target):
            return None
        try:
            with self.opened(target):
                return None
        except Unbound as error:
            return str(error)

    @contextlib.contextmanager
    def driven(self, target: Target, fill: int = 0) -> Iterator[DriverRunner]:
        """A driver that is ended when the checker is left.

        Raises:
            Refused: only a worker can run this target.
            Unbound: it cannot be loaded.

        """
        if self.stopped or target.key in self.refused:
            raise Refused("stopped" if self.stopped else "it was asked before")
        try:
            driver = driver_of(target, self.cpu, fill=fill, usual=self.usual(target.key))
        except Refused:
            self.refused.add(target.key)
            raise
        with self._known(driver):
            yield driver

    def digests(
        self, target: Target, traces: Sequence[CallTrace], fill: int = 0, spread: int = PROCESSES
    ) -> list[Digest | None]:
        """A digest of all that each trace shows; None where only a worker can tell.

        They are spread over several processes, in each of which the library lies at other
        addresses: what depends on that comes and goes.
        """
        told: list[Digest | None] = [None] * len(traces)
        hangs = 0
        for first in range(min(spread, len(traces))):
            if hangs >= MOST_HANGS:
                break
            try:
                with self.driven(target, fill) as driver:
                    found = driver.digests(traces[first::spread])
                    if driver.reach_unknown:
                        break
                    told[first::spread] = found
                    hangs += driver.limits.hangs
            except (Refused, Unbound):
                break
        return told

    def run_all(
        self, target: Target, traces: Sequence[CallTrace], told: Sequence[Digest | None] = ()
    ) -> Runs:
        """The runs of traces; None for those after too many hangs.

        They are spread over several processes, unless the driver did that: ``told`` is what
        it told of them. A trace alone runs in each of them, and of its runs the first counts
        that does not come to its end; so does one that did not in the driver.

        Raises:
            RepoError: the model failed.
            Unbound: it cannot be loaded.

        """
        known = bool(told) and None not in told
        spread = 1 if target.model or known else PROCESSES
        if len(traces) == 1 and not known:
            return [self._worst(target, traces[0], spread)]
        runs: Runs = [None] * len(traces)
        limits = Limits(self.cpu, self.usual(target.key, "worker"))
        for first in range(min(spread, len(traces))):
            with self.opened(target) as runner:
                for place in range(first, len(traces), spread):
                    if limits.over:
                        break
                    digest = told[place] if told else None
                    hung = digest is not None and digest.end == "hang"
                    runs[place] = limited(limits, runner, target, traces[place], hung)
        for place in self._unlike(runs, told)[:RARE]:
            runs[place] = self._worst(target, traces[place], PROCESSES)
        return runs

    @staticmethod
    def _unlike(runs: Runs, told: Sequence[Digest | None]) -> list[int]:
        """The traces that came to their end, and did not in the driver."""
        return [
            place for place, (run, digest) in enumerate(zip(runs, told, strict=False))
            if run is not None and digest is not None and run.end == "ok" != digest.end
        ]  # fmt: skip

    def _worst(self, target: Target, trace: CallTrace, times: int) -> Run:
        """The first run of several that does not come to its end, or the first of all."""
        first: Run | None = None
        limits = Limits(self.cpu, self.usual(target.key, "worker"))
        for _ in range(times):
            with self.opened(target) as runner:
                run = limited(limits, runner, target, trace)
            if run.end != "ok":
                return run
            first = first or run
        assert first is not None
        return first


def limited(
    limits: Limits, runner: Runner, target: Target, trace: CallTrace, hung: bool = False
) -> Run:
    """Run a trace with the limit of this moment; what hangs again with a longer one.

    Not so where it is known (``hung``) that it hangs in the driver, too.

    Raises:
        RepoError: the model failed.

    """
    start = time.monotonic()
    limit = max(LEAST, limits.seconds / GROWN) if hung else limits.seconds
    run = asked(runner, target, trace, limit)
    if run.end == "hang" and hung:
        limits.hangs += 1
    elif run.end == "hang":
        at = trace[len(run.records)].op if len(run.records) < len(trace) else ""
        longer = limits.longer(at)
        if longer is not None:
            again = asked(runner, target, trace, longer)
            # A place is told once, by the first of the two.
            run = replace(again, reached=(*run.reached, *again.reached))
        limits.hangs += run.end == "hang"
    else:
        limits.ended(time.monotonic() - start)
    return run


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

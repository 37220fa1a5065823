"""Whether a fault is found, at which step it is blamed, and how short its trace gets."""

from __future__ import annotations

import contextlib
import signal
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from refmodels import delta
from replay.check import Plan, Share, do_share, judge, shortest
from replay.errors import SeriesError
from replay.faults.mutate import Fault

PART: Final = 10
"""Traces after which a search looks whether it has found something."""

HANG: Final = 3.0
"""Seconds after which a model that does not come back counts as hanging."""


class Hanging(BaseException):
    """A model did not come back.

    No Exception: those are what a model may fail with, and a run goes on to record them.
    """


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a fault.

    Attributes:
        fault: the fault.
        blamed: the first step that fails because of it; None when it survived.
        by: what found it: "difference", "api", "link", "hang", "crash" or a property's name.
        traces: traces that were run until then.
        shortest: operations of the shrunk trace, None without one.
    """

    fault: Fault
    blamed: int | None
    by: str = ""
    traces: int = 0
    shortest: int | None = None

    @property
    def found(self) -> bool:
        """Whether it was found at all."""
        return self.blamed is not None

    @property
    def right(self) -> bool:
        """Whether the step blamed is the one it was put into."""
        return self.blamed == self.fault.step


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise Hanging in whatever runs longer; only in the main thread of a process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(number: int, frame: Any) -> None:
        raise Hanging

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def judge_fault(fault: Fault, traces: int, seed: int, budget: int = 0) -> Judgement:
    """Look for a fault with at most ``traces`` traces; shrink what shows it if a budget is given.

    The step itself is judged first; a fault that shows only at a later step is blamed on
    the wrong one.
    """
    with tempfile.TemporaryDirectory(prefix="replay-fault-") as folder:
        copy = Path(folder) / f"fault_s{fault.step:02d}.py"
        copy.write_text(fault.text(), encoding="utf-8")
        plan = Plan(seed=seed, traces=traces, copies=((fault.step, str(copy)),))
        for step in range(fault.step, min(fault.step + 2, delta.LAST_STEP) + 1):
            found = _at_step(replace(plan, steps=(step,)), fault, step, budget)
            if found.found:
                return found
        return Judgement(fault, None, traces=traces)


def _at_step(plan: Plan, fault: Fault, step: int, budget: int) -> Judgement:
    share = Share()
    done = 0
    while done < plan.traces:
        try:
            with at_most(HANG):
                share.merge(do_share(plan, done, min(PART, plan.traces - done)))
        except SeriesError:
            return Judgement(fault, step, "link", 0)
        except Hanging:
            return Judgement(fault, step, "hang", done)
        except Exception:
            # The fault spoiled the machine so that it could not even be looked at.
            return Judgement(fault, step, "crash", done)
        done += PART
        result, wanted = judge(plan, share)
        failures = result.steps[0].failures
        if failures:
            length = None
            if budget:
                length = _length(plan, wanted, budget)
            by = min(failures, key=lambda f: f.what == "api").what
            return Judgement(fault, step, by, done, length)
    return Judgement(fault, None, traces=done)


def _length(plan: Plan, wanted: Any, budget: int) -> int | None:
    lengths = []
    for finding, seen, item in wanted:
        if finding.step == plan.steps[0] and hasattr(item, "what"):
            with contextlib.suppress(Hanging), at_most(HANG):
                example, _ = shortest(plan, finding, seen.soonest[1], budget)
                lengths.append(len(example.trace.ops))
    return min(lengths, default=None)

"""Whether a fault is found, by which lane, at which step, and how short its trace gets.

The lanes are those of the checker, each asked by itself:

* ``python``: the models, each step against the one before, with the direct calls and the
  properties (``series.check``); for faults in a model.
* ``native``: the C, each step against the one before; for faults in the C.
* ``both``: C against the model of the same step, the one with the fault against the
  other one as it is.
* ``calls``: the inner API of C and model, called directly.
* ``sanitized``: as ``native``, built with the address and undefined behaviour sanitizer;
  only asked for what no other lane finds.
"""

from __future__ import annotations

import contextlib
import gc
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from refmodels import FOLD
from replay.base.patience import Hanging, at_most, memory_at_most
from replay.dirty.faults.ctrees import Trees, right_trees
from replay.dirty.faults.fault import Fault
from replay.dirty.faults.mutate import faulty_copy
from replay.dirty.native.calls import compare_calls
from replay.dirty.native.compare import Departed, Work
from replay.dirty.native.departure import DEATHS
from replay.dirty.native.session import Session, session
from replay.dirty.subject import SUBJECT
from replay.dirty.subject import plan as plan_of
from replay.errors import SeriesError
from replay.series.check import Check, Plan
from replay.series.judging import Wanted, judge
from replay.series.tally import Share

FIRST: Final = 1
PART: Final = 20
"""Traces after which a search looks whether it has found something: so many to begin with,
as most faults show on the very first, then twice as many each time, and at most PART."""

HANG: Final = 3.0
"""Seconds after which a model that does not come back counts as hanging."""

MEMORY: Final = 4 << 30
"""Bytes that a model may make this process have: what loops may write down events for ever."""

LATER: Final = 2
"""So many steps behind the fault's own are asked, if that does not show it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A lane's finding.

    Attributes:
        lane: which lane.
        by: "difference", "api", "link", "hang", "crash", "call" or a property's name.
        traces: traces, or cases of calls, that were run until then.
        shortest: operations of the shrunk trace, None without one.
    """

    lane: str
    by: str
    traces: int
    shortest: int | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a fault.

    Attributes:
        fault: the fault.
        blamed: the first step that fails because of it; None when it survived.
        found: what each lane that found it says; the first is the first asked.
        void: why it is no fault to find: it does not compile, or compiles to the same code.
    """

    fault: Fault
    blamed: int | None = None
    found: tuple[Found, ...] = ()
    void: str = ""

    @property
    def right(self) -> bool:
        """Whether the step blamed is the one it was put into."""
        return self.blamed == self.fault.step

    @property
    def survives(self) -> bool:
        """Whether it is a fault, and nothing found it."""
        return not self.void and not self.found

    @property
    def lanes(self) -> tuple[str, ...]:
        """The lanes that found it."""
        return tuple(found.lane for found in self.found)

    @property
    def shortest(self) -> int | None:
        """Operations of the shortest trace of any lane."""
        return min((f.shortest for f in self.found if f.shortest is not None), default=None)


@dataclass(frozen=True, slots=True)
class Search:
    """How a fault is looked for.

    Attributes:
        traces: random traces a lane at most.
        seed: of the traces.
        budget: evaluations for shortening what shows a fault; 0 leaves that out.
        seconds: after which a lane begins no more traces.
    """

    traces: int
    seed: int = 1
    budget: int = 0
    seconds: float = math.inf

    def plan(self, step: int) -> Plan:
        """What to check of a step."""
        return plan_of(seed=self.seed, traces=self.traces, steps=(step,))

    def parts(self) -> Iterator[range]:
        """The numbers of the traces of a lane, cut where it looks at what they showed."""
        began, done, size = time.monotonic(), 0, FIRST
        while done < self.traces and time.monotonic() - began < self.seconds:
            yield range(done, min(done + size, self.traces))
            done, size = done + size, min(2 * size, PART)


def judge_fault(fault: Fault, search: Search) -> Judgement:
    """Look for a fault with every lane that can know of it.

    The step itself is judged first; a fault that shows only at a later step is blamed on
    the wrong one.
    """
    with tempfile.TemporaryDirectory(prefix="replay-fault-") as folder:
        judged = (_in_c if fault.in_c else _in_model)(fault, search, Path(folder))
    # Machines and their bound methods are cycles; those that ran wild hold much.
    SUBJECT.forget()
    gc.collect()
    return judged


def _asked(lanes: Iterator[Found | None]) -> tuple[Found, ...]:
    return tuple(found for found in lanes if found)


# --- faults in a model --------------------------------------------------------------


def _in_model(fault: Fault, search: Search, folder: Path) -> Judgement:
    copy = faulty_copy(fault, folder)
    plan = replace(search.plan(fault.step), copies=((fault.step, str(copy)),))
    with memory_at_most(MEMORY):
        found = _asked(_model_lanes(plan, fault.step, search))
        if found:
            return Judgement(fault, fault.step, found)
        for step in range(fault.step + 1, min(fault.step + LATER, FOLD.last) + 1):
            later = _python(replace(plan, steps=(step,)), step, search)
            if later:
                return Judgement(fault, step, (later,))
    return Judgement(fault)


def _model_lanes(plan: Plan, step: int, search: Search) -> Iterator[Found | None]:
    found = _python(plan, step, search)
    yield found
    if found and found.by == "link":
        return
    gc.collect()
    libraries = right_trees().libraries((step - 1, step))
    yield compared(Work("both", plan, libraries), step, search)
    yield _calls(session(libraries), step, search, plan.machines()[step])


def _python(plan: Plan, step: int, search: Search) -> Found | None:
    share = Share()
    for numbers in search.parts():
        try:
            with at_most(HANG):
                share.merge(Check(plan).look(numbers))
        except SeriesError:
            return Found("python", "link", 0)
        except Hanging:
            return Found("python", "hang", numbers.start)
        except Exception:
            # The fault spoiled the machine so that it could not even be looked at.
            return Found("python", "crash", numbers.start)
        result, wanted = judge(plan.subject, share, plan.steps, plan.seed, plan.language.ops)
        failures = result.steps[0].failures
        if failures:
            by = min(failures, key=lambda f: f.what == "api").what
            length = _length(plan, step, wanted, search.budget) if search.budget else None
            return Found("python", by, numbers.stop, length)
    return None


def _length(plan: Plan, step: int, wanted: Wanted, budget: int) -> int | None:
    lengths = []
    for finding, item in wanted:
        if finding.step == step and hasattr(item, "what"):
            with contextlib.suppress(Hanging), at_most(HANG):
                example, _ = Check(plan).example(finding, budget)
                lengths.append(len(example.trace.ops))
    return min(lengths, default=None)


# --- faults in the C ----------------------------------------------------------------


def _in_c(fault: Fault, search: Search, folder: Path) -> Judgement:
    trees = Trees(fault, folder)
    problem = trees.problem()
    if problem:
        return Judgement(fault, void=problem)
    found = _asked(_c_lanes(trees, fault.step, search))
    if not found:
        sanitized = trees.libraries((fault.step - 1, fault.step), sanitize=True)
        work = Work("native", search.plan(fault.step), sanitized)
        found = _asked(iter([compared(work, fault.step, search, "sanitized")]))
    if found:
        return Judgement(fault, fault.step, found)
    for step in range(fault.step + 1, min(fault.step + LATER, FOLD.last) + 1):
        if not trees.carried(step):
            break
        later = _asked(_c_lanes(trees, step, search))
        if later:
            return Judgement(fault, step, later)
    return Judgement(fault)


def _c_lanes(trees: Trees, step: int, search: Search) -> Iterator[Found | None]:
    libraries = trees.libraries((step - 1, step))
    plan = search.plan(step)
    yield compared(Work("native", plan, libraries), step, search)
    yield compared(Work("both", plan, libraries), step, search)
    yield _calls(session(libraries), step, search)


# --- what both share ----------------------------------------------------------------


def compared(work: Work, step: int, search: Search, lane: str = "") -> Found | None:
    """What lane native or both finds of a step, with its traces; None where nothing.

    Raises:
        WorkerError, SeriesError: it cannot look, in lane native.
    """
    lane = lane or work.lane
    for numbers in search.parts():
        try:
            with at_most(HANG * 3):
                share = work.look(numbers)
        except Hanging:
            return Found(lane, "hang", numbers.start)
        except Exception:
            if lane != "both":
                raise
            return Found(lane, "crash", numbers.start)  # a model's, as in lane python
        seen = share.wrong.get(step)
        if seen:
            by = seen.text.partition(":")[0] if seen.fields == ("status",) else "difference"
            length = None
            if search.budget:
                with contextlib.suppress(Hanging), at_most(HANG * 3):
                    example, _ = work.example(Departed.soonest(step, seen), search.budget)
                    length = len(example.trace.ops)
            return Found(lane, by if by in DEATHS else "difference", numbers.stop, length)
    return None


def _calls(
    held: Session, step: int, search: Search, machine: type[Any] | None = None
) -> Found | None:
    """What direct calls find of a step, with as many cases as there are traces."""
    series = SUBJECT.series
    for numbers in search.parts():
        try:
            with at_most(HANG * 3):
                wrong = compare_calls(series, step, held, search.seed, numbers, machine).wrong
        except Hanging:
            return Found("calls", "hang", numbers.start)
        except Exception:
            return Found("calls", "crash", numbers.start)  # as in lane python
        if wrong:
            return Found("calls", "call", numbers.stop, len(wrong.case.trace.ops))
    return None

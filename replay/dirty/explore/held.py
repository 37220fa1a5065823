"""Whether a step keeps a property, whatever trace leads where: the two searched together.

The books of the property are part of a state. A search that ends with no way left that
breaks it has proved that the step keeps it, for traces of every length at the scope; one
that meets such a way has the shortest trace that there is, which the model must show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from replay.base.pool import Pool
from replay.dirty.explore.errors import ExploreError
from replay.dirty.explore.halting import Ended, ending
from replay.dirty.explore.kept import searched
from replay.dirty.explore.reach import Reached
from replay.dirty.explore.search import Request
from replay.dirty.explore.tables import leaves
from replay.dirty.explore.watch import BROKEN, Known, Watch
from replay.dirty.language.trace import Trace
from replay.dirty.machine.run import run_small
from replay.dirty.rules.monitors import watched
from replay.dirty.rules.properties import MONITORS
from replay.series.declared import Series
from replay.series.names import line


class Holds(Enum):
    """What the states of a scope say of a step and a property."""

    PROVED = "proved to hold"
    BROKEN = "broken"
    NOT_ASKED = "says nothing at this scope"
    NOT_DECIDED = "not decided"


@dataclass(slots=True)
class PropertyResult:
    """A property at a step.

    Attributes:
        verdict: what came of it.
        trace: the shortest that breaks it, and ``text``: what it breaks there.
        ways: through operations that were gone for it; 0 where all were known.
        states: that were searched, ``depth``: operations from the first one, ``fixpoint``:
            whether no others can be reached. 0 and False where values that can be had at
            all leave no way that breaks it.
        ended: why the search was given up; empty if it was not.
        problem: why nothing can be said; empty if something can. Beside a verdict: why the
            search could not be kept.

    """

    step: int
    name: str
    verdict: Holds = Holds.NOT_DECIDED
    trace: Trace | None = None
    text: str = ""
    ways: int = 0
    states: int = 0
    depth: int = 0
    fixpoint: bool = False
    ended: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class _Task:
    request: Request
    name: str
    steps: tuple[int, ...]


def held(
    request: Request,
    steps: Sequence[int],
    names: Sequence[str],
    progress: Callable[[int, str], None] = lambda done, text: None,
) -> Iterator[PropertyResult]:
    """The verdict on each of some properties at each of some steps, property by property.

    Raises:
        Refused: the file of a search is none of it.
        WorkerError: a worker process died.

    """
    chunks = [(name, part) for name in names for part in _halves(steps, request.jobs)]
    tasks = [(index, _Task(request, name, part)) for index, (name, part) in enumerate(chunks)]
    done = 0
    with Pool(request.jobs, "asking properties") as pool, ending(request.stop):
        for _, results in pool.map(_asked, tasks, lambda task: task.name):
            done += len(results)
            progress(done, results[-1].name)
            yield from results


def _halves(steps: Sequence[int], jobs: int) -> list[tuple[int, ...]]:
    """Steps in a few parts: neighbours, which share most of their code."""
    size = max(1, -(-len(steps) // max(1, jobs)))
    return [tuple(steps[at : at + size]) for at in range(0, len(steps), size)]


def _asked(task: _Task) -> list[PropertyResult]:
    machines = task.request.subject.machines(task.request.copies)
    known: Known = {}
    found = []
    for step in task.steps:
        result = PropertyResult(step, task.name)
        try:
            _judge(task, machines[step], known, result)
        except Ended as error:
            result.ended = str(error)
        except ExploreError as error:
            result.problem = str(error)
        found.append(result)
    return found


def _judge(task: _Task, machine: Any, known: Known, result: PropertyResult) -> None:
    scope, monitor = task.request.scope, MONITORS[task.name]
    if not monitor.speaks(scope.config, {*scope.names, *(op.name for op in scope.prefix)}):
        result.verdict = Holds.NOT_ASKED
        return
    request = task.request
    watch = Watch(machine, scope, monitor, known)
    reached = Reached(watch, {}, 1, request.memory, stop=request.stop)
    result.ways = watch.ways
    if reached.begun.tagged is not None:
        ops = scope.prefix[: reached.begun.tagged + 1]
        _broken(result, machine, Trace(ops, scope.config))
        return
    if any(leaf.tag for tree in reached.shown.values() for leaf in leaves(tree)):
        _search(reached, machine, result, request)
    else:
        result.verdict = Holds.PROVED


def _search(reached: Reached, machine: Any, result: PropertyResult, request: Request) -> None:
    def broken(depth: int) -> bool:
        for key in reached.shown:
            place = reached.engine.find(key, BROKEN, reached.layers[depth])
            if place is not None:
                _broken(result, machine, reached.trace(depth, place, key[1]))
                return True
        return False

    try:
        searched(reached, request.keeper(result.step, result.name), request.stop, broken)
    finally:
        result.states, result.depth = reached.states, len(reached.layers) - 1
        result.fixpoint, result.ended = reached.fixpoint, reached.ended
        if result.trace is None and reached.fixpoint:
            result.verdict = Holds.PROVED


def _broken(result: PropertyResult, machine: Any, trace: Trace) -> None:
    """Enter a trace, once the model shows that it breaks the property, at its end.

    Raises:
        ExploreError: it does not: the search is wrong.

    """
    seen = watched(MONITORS[result.name], trace, run_small(machine, trace))
    if seen is None or seen.index != len(trace.ops) - 1:
        raise ExploreError(
            f"step {result.step}: the model does not break {result.name} where the search does"
        )
    result.verdict, result.trace, result.text = Holds.BROKEN, trace, seen.text


def declared_broken(series: Series, name: str, step: int) -> bool:
    """Whether the series says that a property is broken at a step: there, or before."""
    prop = next(prop for prop in series.properties if prop.name == name)
    given_up = any(name in series.step(number).breaks for number in line(step)[1:])
    return given_up or bool(prop.broken_at_start)

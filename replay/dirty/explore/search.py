"""From the states of a small machine to a verdict on each step, with the shortest traces.

A pair of steps without suspects is proved without a search: it does the same, or deviates
as declared, from every state of the scope, reached or not. The search says which states a
machine reaches, and by how few operations: what a declared deviation looks like at its
shortest, and whether a suspect is a difference at all. It goes breadth first over all
operations, so that no shorter trace exists than the one it finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Final

from replay.base.pool import Pool
from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.errors import ExploreError
from replay.dirty.explore.halting import Ended, Stop, ending, never
from replay.dirty.explore.kept import Keeper, searched
from replay.dirty.explore.pairs import SUSPECT, Joint, Pair, Told
from replay.dirty.explore.reach import Reached, start
from replay.dirty.explore.state import Shape
from replay.dirty.explore.tables import Effects, Tree, leaves
from replay.dirty.language.trace import Trace
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.rules.diff import Lawful, first_difference, follow_laws
from replay.series.declared import Deviation
from replay.series.names import before
from replay.series.subject import Subject

MEMORY: Final = 4 << 30
"""Bytes that the states of a search may take."""


class Verdict(Enum):
    """What the states of a scope say of a step."""

    PROVED = "proved the same"
    DECLARED = "proved to deviate as declared"
    DIFFERENT = "undeclared difference"
    NOT_DECIDED = "not decided"


@dataclass(frozen=True, slots=True)
class Shortest:
    """A shortest trace: no shorter one of the scope's operations shows it.

    Attributes:
        shows: the id of a deviation; empty for an undeclared difference.
        trace: from an empty machine on.
        fields: what an undeclared difference touches.

    """

    shows: str
    trace: Trace
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class PairResult:
    """What the states of a scope say of a step and the one before it.

    Attributes:
        ways: ways through operations that were gone at both steps.
        operations: that were executed, over all shapes, and ``shared``: that both execute
            by the same code.
        suspects: ways on which they part undeclared.
        open: whether a state may lead to where they part, declared or not, for all that is
            known.
        moved: whether other states follow than at the step before.
        shortest: of what was shown.
        unshown: the deviations that no state of the scope shows.
        states: that were searched, ``depth``: operations from the first one, ``fixpoint``:
            whether no others can be reached. All of them 0 and False where none had to be.
        ended: why the search was given up; empty if it was not.
        problem: why nothing can be said; empty if something can.

    """

    step: int
    ways: int = 0
    operations: int = 0
    shared: int = 0
    shapes: int = 0
    suspects: int = 0
    open: bool = False
    moved: bool = False
    shortest: list[Shortest] = field(default_factory=list)
    unshown: tuple[str, ...] = ()
    states: int = 0
    depth: int = 0
    fixpoint: bool = False
    ended: str = ""
    problem: str = ""

    @property
    def verdict(self) -> Verdict:
        """What that comes to."""
        if any(not one.shows for one in self.shortest):
            return Verdict.DIFFERENT
        if self.problem or self.open:
            return Verdict.NOT_DECIDED
        return Verdict.DECLARED if self.shortest else Verdict.PROVED


@dataclass(frozen=True)
class Request:
    """What to search.

    Attributes:
        subject: whose steps.
        scope: how small the machine is.
        copies: changed copies of steps, as ``check`` takes them.
        jobs: processes, and threads of the search.
        memory: bytes that the states of a search may take.
        share: whether operations that two steps execute by the same code are left out.
        stop: why to end now, asked in any process.
        state: the folder that keeps searches, to go on with them; None to keep none.

    """

    subject: Subject
    scope: Scope
    copies: tuple[tuple[int, str], ...] = ()
    jobs: int = 1
    memory: int = MEMORY
    share: bool = True
    stop: Stop = never
    state: Path | None = None

    def keeper(self, step: int, what: str) -> Keeper | None:
        """The file of a search, if there is to be one: of a property, or of "states"."""
        name = f"{step:02}-{what}.search"
        return Keeper(self.state / name, self.scope, step, what) if self.state else None


@dataclass(frozen=True, slots=True)
class _Task:
    """A step, as a process is told of it."""

    request: Request
    step: int


def compared(task: _Task) -> tuple[dict[Joint, Told], str]:
    """All shapes of a pair, each compared; and why nothing can be said, if so."""
    try:
        return _compared(task), ""
    except (Ended, ExploreError) as error:
        return {}, str(error)


def _compared(task: _Task) -> dict[Joint, Told]:
    pair = _pair(task.request, task.step)
    stop = task.request.stop
    told = _shapes(pair, stop)
    if not any(one.loose for one in told.values()):
        return told
    if not any(one.asked for one in told.values()) and pair.share:
        # What was not executed may have asked for unused bits.
        pair.share = False
        told = _shapes(pair, stop)
    if any(one.asked for one in told.values()):
        pair.share, pair.strict = task.request.share, True
        told = _shapes(pair, stop)
    return told


def _shapes(pair: Pair, stop: Stop = never) -> dict[Joint, Told]:
    told: dict[Joint, Told] = {}
    todo = [_first(pair)]
    while todo:
        joint = todo.pop(0)
        if reason := stop():
            raise Ended(reason)
        if joint not in told:
            told[joint] = pair.compare(joint)
            todo += told[joint].following
    return told


def _machines(request: Request) -> Sequence[Any]:
    return request.subject.machines(request.copies)


def _pair(request: Request, step: int) -> Pair:
    machines = _machines(request)
    deviations = request.subject.series.step(step).deviations
    return Pair(
        step, machines[before(step)], machines[step], deviations, request.scope, request.share
    )  # fmt: skip


def _first(pair: Pair) -> Joint:
    after, before = (start(Effects(form)).shape for form in (pair.after, pair.before))
    return Joint(after, before.room)


class Looking:
    """The search for the shortest traces of what a pair was told of."""

    def __init__(self, request: Request, step: int, told: Mapping[Joint, Told]) -> None:
        self.request, self.step = request, step
        self.deviations = [
            d for d in request.subject.series.step(step).deviations if d.scope == "trace"
        ]
        self.shown: dict[tuple[Shape, int], Tree] = {}
        for joint, one in told.items():
            for operation, tree in one.shown.items():
                self.shown[joint.shape, operation] = tree
        self.machines = _machines(request)

    def shortest(self, result: PairResult) -> None:
        """Search until all that is wanted was found, or no state is left."""
        if not self.shown:
            return
        request = self.request
        effects = Effects.of(self.machines[self.step], request.scope)
        try:
            reached = Reached(effects, self.shown, request.jobs, request.memory, stop=request.stop)
        except Ended as error:
            result.open, result.ended = True, str(error)
            return
        left = 0
        for tree in reached.shown.values():
            for leaf in leaves(tree):
                left |= leaf.tag
        while left:
            depth = len(reached.layers) - 1
            left &= ~self._found(reached, depth, left, result)
            if left and reached.deeper(request.stop) is None:
                break
        result.states, result.depth = reached.states, len(reached.layers) - 1
        result.fixpoint, result.ended = reached.fixpoint, reached.ended
        result.open = bool(left) and not reached.fixpoint

    def _found(self, reached: Reached, depth: int, wanted: int, result: PairResult) -> int:
        """The tags that a layer shows first; their traces are entered."""
        found = 0
        for bit in range(wanted.bit_length()):
            tag = 1 << bit
            if not wanted & tag:
                continue
            for key in reached.shown:
                place = reached.engine.find(key, tag, reached.layers[depth])
                if place is not None:
                    trace = reached.trace(depth, place, key[1])
                    result.shortest.append(self._confirmed(trace, tag))
                    found |= tag
                    break
        return found

    def _confirmed(self, trace: Trace, tag: int) -> Shortest:
        """What the models themselves show on the trace.

        Raises:
            ExploreError: they do not show it: the search is wrong.

        """
        machines = self.machines
        seen = lawful(machines, self.step, trace, self.deviations)
        if tag == SUSPECT:
            fields = seen.wrong.fields if seen.wrong else ()
            if not fields:
                runs = run_steps(machines, trace, (before(self.step), self.step))
                parted = first_difference(*runs.values())
                fields = parted.fields if parted else ("hidden",)
            return Shortest("", trace, tuple(fields))
        deviation = self.deviations[tag.bit_length() - 2]
        at = seen.shown.get(deviation.id)
        if at is None:
            raise ExploreError(
                f"step {self.step}: the models do not show {deviation.id} where the search does"
            )
        # The operations that lead to the first state may show it themselves.
        return Shortest(deviation.id, trace.with_ops(trace.ops[: at + 1]))


def lawful(
    machines: Sequence[Any], step: int, trace: Trace, deviations: Sequence[Deviation]
) -> Lawful:
    """A trace at two steps, under the laws of the later one."""
    return (
        follow_laws(machines[before(step)], machines[step], trace, deviations)
        if deviations else Lawful()
    )  # fmt: skip


def explored(
    request: Request,
    steps: Sequence[int],
    progress: Callable[[int, str], None] = lambda done, text: None,
) -> Iterator[PairResult]:
    """The verdict on each of some steps, in order.

    Raises:
        ExploreError: the scope is too large, or there is no compiler to search with.
        WorkerError: a worker process died.

    """
    tasks = [(step, _Task(request, step)) for step in steps]
    done = 0
    with Pool(request.jobs, "comparing steps") as pool, ending(request.stop):
        for step, (told, problem) in pool.map(compared, tasks, lambda task: f"step {task.step}"):
            done += 1
            progress(done, f"step {step}")
            yield judged(request, step, told, problem)


def judged(request: Request, step: int, told: Mapping[Joint, Told], problem: str) -> PairResult:
    """The verdict on a step from what was told of its shapes."""
    result = PairResult(step, problem=problem, shapes=len(told))
    for joint, one in told.items():
        ops = sum(1 for _ in request.scope.operations(joint.shape.layout))
        result.ways += one.ways
        result.shared += one.shared
        result.operations += ops - one.shared
        result.suspects += one.suspects
    rooms = any(joint.room != joint.shape.room for joint in told)
    result.moved = rooms or any(one.moved or one.suspects for one in told.values())
    looking = Looking(request, step, told)
    looking.shortest(result)
    shown = {one.shows for one in result.shortest}
    if not result.problem and not result.ended:
        result.unshown = tuple(d.id for d in looking.deviations if d.id not in shown)
    return result


@dataclass(frozen=True, slots=True)
class Counted:
    """The states that some steps reach: all of them the same, as was proved.

    Attributes:
        steps: the first and the last of them.
        states: that were met, and ``transitions``: operations from all of them.
        depth: operations that lead to the farthest.
        fixpoint: whether there are no others.
        bytes: that the search holds at its end.
        ended: why it was given up, or could not be kept; empty if it was not.

    """

    steps: tuple[int, int]
    states: int
    transitions: int
    depth: int
    fixpoint: bool
    bytes: int
    ended: str = ""


def counted(
    request: Request,
    results: Sequence[PairResult],
    progress: Callable[[int, int], None] = lambda depth, states: None,
) -> Iterator[Counted]:
    """The states that the steps of some results reach, neighbours that are alike once.

    Raises:
        Refused: the file of a search is none of it.
        ExploreError: the scope is too large, or there is no compiler to search with.

    """
    machines = _machines(request)
    for span in _alike(results):
        effects = Effects.of(machines[span[1]], request.scope)
        try:
            reached = Reached(effects, {}, request.jobs, request.memory, stop=request.stop)
        except Ended as error:
            yield Counted(span, 0, 0, 0, False, 0, str(error))
            continue

        def told(depth: int, reached: Reached = reached) -> bool:
            progress(depth, reached.states)
            return False

        problem = ""
        try:
            searched(reached, request.keeper(span[1], "states"), request.stop, told)
        except ExploreError as error:
            problem = str(error)
        counts = reached.states, reached.transitions, len(reached.layers) - 1
        yield Counted(span, *counts, reached.fixpoint, reached.bytes, problem or reached.ended)


def _alike(results: Sequence[PairResult]) -> list[tuple[int, int]]:
    """Spans of steps that reach the same states, from the step before the first on."""
    spans: list[tuple[int, int]] = []
    for result in results:
        if not spans or spans[-1][1] != before(result.step):
            spans.append((before(result.step), before(result.step)))
        if result.moved or result.verdict in (Verdict.DIFFERENT, Verdict.NOT_DECIDED):
            spans.append((result.step, result.step))
        else:
            spans[-1] = (spans[-1][0], result.step)
    return spans

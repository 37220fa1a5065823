"""From the trees of the models and the C of the steps to a verdict on each step.

Once: the trees, a code after the other, and the libraries. Then the engine runs on each
step; steps whose library and codes are the same are run once. Where C and model part, a
search tells whether a machine gets there, and the library of the step itself whether it is
so: see :mod:`replay.dirty.explore.concolic.reaching`.
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.base.pool import Pool, Threads
from replay.build.command import Commands
from replay.build.errors import BuildError
from replay.dirty.explore.bits import Way
from replay.dirty.explore.concolic.banks import Code, Plan, bank, planned
from replay.dirty.explore.concolic.building import built, engine
from replay.dirty.explore.concolic.reaching import Reaching
from replay.dirty.explore.concolic.running import Told, job, run
from replay.dirty.explore.errors import ExploreError, ToolError
from replay.dirty.explore.halting import Ended, Stop, ending
from replay.dirty.explore.search import Request, Shortest, Verdict
from replay.dirty.explore.state import Form, Shape, cells_of
from replay.errors import ReplayError
from replay.series.latertrees import trees_of

LIMIT: Final = 7200.0
"""Seconds that the engine may take for a step, where no time was given."""
POLL: Final = 0.2
"""Seconds between two questions whether to end."""

Trees = Mapping[int, Mapping[str, bytes]]


@dataclass(slots=True)
class Proved:
    """What the states of a scope say of the C of a step and its model.

    Attributes:
        ways: through operations of the C, ``operations``: that were executed, from all
            ``bases``: machines that differ in more than their cells.
        loads: of the state that the compiler told of.
        suspects: ways on which C and model part, ``touched``: what that touches, and
            ``where``: the first of them in words.
        shortest: the trace that shows a difference, confirmed by the step's library.
        unreached: whether no machine gets where they part.
        problem: why nothing can be said; empty if something can.

    """

    step: int
    ways: int = 0
    operations: int = 0
    bases: int = 0
    loads: int = 0
    suspects: int = 0
    touched: tuple[str, ...] = ()
    where: str = ""
    shortest: list[Shortest] = field(default_factory=list)
    unreached: bool = False
    problem: str = ""

    @property
    def verdict(self) -> Verdict:
        """What that comes to."""
        if self.shortest:
            return Verdict.DIFFERENT
        if self.problem or not self.ways or (self.suspects and not self.unreached):
            return Verdict.NOT_DECIDED
        return Verdict.PROVED


@dataclass(frozen=True, slots=True)
class _Code:
    """A code, as a process is told of it."""

    request: Request
    code: Code
    shapes: tuple[Shape, ...]
    path: Path


def _banked(task: _Code) -> str:
    """Write the trees of a code; why that cannot be, if so."""
    machines = task.request.subject.machines(task.request.copies)
    try:
        task.path.write_bytes(
            bank(
                machines[task.code.step], task.request.scope, task.code, task.shapes,
                task.request.stop,
            )
        )  # fmt: skip
    except (ExploreError, Ended) as error:
        return str(error)
    return ""


@dataclass
class _Work:
    """All that a proof of some steps rests on, in a folder of its own."""

    request: Request
    steps: Sequence[int]
    trees: Trees
    folder: Path
    progress: Callable[[int, int, str], None]
    every: bool

    def __post_init__(self) -> None:
        self.machines = self.request.subject.machines(self.request.copies)
        self.engine = engine()
        self.plan: Plan = planned(self.machines, self.request.scope, self.steps)
        self.problems: dict[int, str] = dict(self.plan.problems)
        self.libraries: dict[int, Path] = {}
        self.commands = Commands()

    def bank_of(self, place: int) -> Path:
        """The file with the trees of a code."""
        return self.folder / f"bank-{place}"

    def banked(self) -> None:
        """Write the trees of all codes."""
        shapes = tuple(self.plan.shapes)
        tasks = [
            (place, _Code(self.request, code, shapes, self.bank_of(place)))
            for place, code in enumerate(self.plan.codes)
        ]
        wrong: dict[int, str] = {}
        with Pool(self.request.jobs, "executing models") as pool:
            for place, problem in pool.map(_banked, tasks, lambda task: task.code.name):
                self.progress(place + 1, len(tasks), f"models: {self.plan.codes[place].name}")
                if problem:
                    wrong[place] = problem
        for step, places in self.plan.of.items():
            if found := [wrong[place] for place in places if place in wrong]:
                self.problems.setdefault(step, found[0])

    def compiled(self) -> None:
        """Make the library of each step."""
        with Threads(self.request.jobs) as threads:
            wanted = [(step, step) for step in self.steps if step not in self.problems]
            for at, (step, made) in enumerate(threads.map(self._library, wanted)):
                self.progress(at + 1, len(wanted), f"C: step {step}")
                if isinstance(made, str):
                    self.problems[step] = made
                else:
                    self.libraries[step] = made

    def _library(self, step: int) -> Path | str:
        if step not in self.trees:
            return "there is no C of this step"
        scope = self.request.scope
        form = Form(self.machines[step], scope, Way(cells_of(scope).sizes))
        try:
            return built(step, self.trees[step], scope.word_bits, form.bytewise)
        except (ToolError, BuildError) as error:
            return str(error)

    def run(self) -> Iterator[tuple[int, Told | str]]:
        """What the engine tells of each step, in order; or why it tells nothing."""
        keys = {step: self._key(step) for step in self.libraries}
        first: dict[str, int] = {}
        for step in self.steps:
            if step in keys:
                first.setdefault(keys[step], step)
        told: dict[str, Told | str] = {}
        with Threads(self.request.jobs) as threads:
            each = threads.map(self._run, [(step, step) for step in first.values()])
            try:
                for step in self.steps:
                    while step in keys and keys[step] not in told:
                        done, one = next(each)
                        told[keys[done]] = one
                    yield step, told[keys[step]] if step in keys else self.problems[step]
            finally:
                # Whoever leaves before the end does not wait for what nobody wants.
                self.commands.stop()

    def _key(self, step: int) -> str:
        digest = hashlib.sha256(self.libraries[step].read_bytes()).hexdigest()
        plan = self.plan
        return f"{digest} {plan.starts[step]} {plan.first[step]} {plan.of[step]}"

    def _run(self, step: int) -> Told | str:
        request, plan = self.request, self.plan
        memory = request.memory // max(request.jobs, 1)
        banks = [self.bank_of(place) for place in plan.of[step]]
        try:
            begin, first = plan.starts[step], plan.first[step]
            given = job(request.scope, plan.shapes, begin, first, memory, self.every)
            library = self.libraries[step]
            return run(self.commands, self.engine, library, given, banks, LIMIT, memory)
        except ToolError as error:
            return self.request.stop() or str(error)


def built_in(steps: Sequence[int]) -> Trees:
    """The C of some steps of the built-in series, and of those after the last."""
    return {step: tree.files for step, tree in trees_of(tuple(steps), every=False).items()}


def proved(
    request: Request,
    steps: Sequence[int],
    trees: Trees | None = None,
    progress: Callable[[int, int, str], None] = lambda done, of, text: None,
    every: bool = False,
) -> Iterator[Proved]:
    """The verdict on the C of each of some steps, in order.

    Args:
        request: the scope and the models.
        steps: which.
        trees: the files of each step's C, if not those of the built-in series.
        progress: is told what is done, of how much, and what that is.
        every: whether the cells of a state have every value that there is, instead of those
            that they can have.

    Raises:
        ExploreError: there is no compiler, or it fails on the engine.
        WorkerError: a worker process died.

    """
    files = built_in(steps) if trees is None else trees
    with tempfile.TemporaryDirectory(prefix="replay-") as folder:
        work = _Work(request, tuple(steps), files, Path(folder), progress, every)
        with ending(request.stop):
            work.banked()
            work.compiled()
            with _watched(request.stop, work.commands):
                for at, (step, told) in enumerate(work.run()):
                    progress(at + 1, len(steps), f"step {step}")
                    yield _judged(work, step, told)


@contextlib.contextmanager
def _watched(stop: Stop, commands: Commands) -> Iterator[None]:
    """End the commands as soon as there is a reason to."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL):
            if stop():
                commands.stop()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def _judged(work: _Work, step: int, told: Told | str) -> Proved:
    if isinstance(told, str):
        return Proved(step, problem=told)
    found = Proved(
        step, told.ways, told.executed, told.bases, told.loads, len(told.different),
        problem=told.problem,
    )  # fmt: skip
    if told.different:
        reaching = Reaching(
            work.request, work.machines, step, work.plan, told.different, work.trees[step]
        )
        found.touched, found.where = reaching.touched, reaching.where
        try:
            reaching.search()
        except ReplayError as error:
            found.problem = found.problem or str(error)
        found.shortest = reaching.shown
        found.unreached = reaching.unreached and not found.problem
        if not found.shortest and not found.unreached:
            found.problem = found.problem or reaching.problem
    return found

"""The subject: all that the tool needs to know of a series that has models.

General code - the check of every step, bisection, the lessons' frame, the command line -
takes steps, titles, models, language and history from the subject that it is given, and
knows no other. A subject is one value with optional hooks. It travels between processes by
its name: ``package.module:NAME``, or the folder of somebody's own subject, whose
``subject.py`` is then executed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol

from refmodels.fold import Fold
from refmodels.later import Names
from refmodels.loading import told
from replay.errors import ReplayError, SeriesError, UsageError
from replay.search.bisect import Answer
from replay.search.campaign import Watcher
from replay.search.language import Language
from replay.series.asked import PASSING, fault, linking
from replay.series.declared import Deviation, Scope, Series, load
from replay.series.fitting import fit
from replay.series.names import parse_step

Machine = type[Any]
"""The class of a step's machine."""

Copies = tuple[tuple[int, str], ...]
"""Changed copies of step modules, (step, path)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A property broken: at which operation of a trace, and in words."""

    index: int
    text: str


class Run(Protocol):
    """A trace, executed at one step: equal records mean that the same was observed."""

    @property
    def trace(self) -> Any:
        """The trace."""
        ...

    @property
    def step(self) -> int:
        """The number of the step."""
        ...

    @property
    def records(self) -> Sequence[Any]:
        """What was observed, a record an operation."""
        ...


class Parting(Protocol):
    """Where two runs part."""

    @property
    def index(self) -> int:
        """The operation."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """What differs there."""
        ...

    def words(self) -> str:
        """What differs, in words."""
        ...


class Lawful(Protocol):
    """A trace at a step that deviates, held against its laws; see ``Subject.follow``."""

    @property
    def shown(self) -> Mapping[str, int]:
        """Deviation to the first operation that showed it."""
        ...

    @property
    def wrong(self) -> tuple[int, tuple[str, ...]] | None:
        """Where the step did not do what its laws say: (operation, fields)."""
        ...

    def words(self) -> str:
        """What it did there, in words."""
        ...


class SideBySide(Protocol):
    """Two runs of one trace, compared in full; ``report`` knows how to show each kind."""

    @property
    def steps(self) -> tuple[int, int]:
        """The two steps."""
        ...

    @property
    def equal(self) -> bool:
        """Whether every observation is the same."""
        ...


@dataclass(frozen=True, slots=True)
class Unbuilt:
    """A step that cannot be run in a lane, and why: a verdict on it, no error."""

    step: int
    text: str


class Lane(Protocol):
    """Another way to run traces at the steps than the models."""

    def run(self, step: int, trace: Any) -> Run | Unbuilt:
        """Run a valid trace at a step."""
        ...

    def takes(self, trace: Any) -> bool:
        """Whether it can run a trace at all."""
        ...

    def code(self, name: str) -> Callable[[int], tuple[Answer, str]]:
        """Whether the code of a function, or a section, changes at a step."""
        ...


class Calls(Protocol):
    """What direct calls of a step's inner API showed."""

    calls: int
    shown: dict[str, tuple[int, str]]
    wrong: str

    def merge(self, other: Any) -> None:
        """Add what others showed."""
        ...


RunProperty = Callable[[Any, Sequence[Any]], Violation | None]
"""(trace, records) to where the property is broken."""

InsideProperty = Callable[[Machine, Any], Violation | None]
"""(machine, trace) to where it is broken: it works the machine itself."""

CallsHook = Callable[[Series, int, Machine, Machine, str, int], Calls]
"""(series, step, machine before, machine, seed, how many) to what direct calls showed."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A series with models.

    Attributes:
        name: by which another process gets at it.
        file: its series.toml; the patches, if it has any, lie beside it.
        fold: the models of its steps.
        language: its traces, drawn as usual.
        run: (step, machine, trace) to a run.
        lockstep: (machines, trace, steps) to the run of each; runs with equal records may
            share them, which makes the comparison cheap.
        parting: where two runs of one trace part, None where they never do.
        side_by_side: two runs of one trace, as they are shown beside each other.
        follow: (machine before, machine, trace, deviations) to how a step keeps its laws.
        laws: the names of the laws, by the scope of the deviations that may name them.
        properties: what must hold of a run, by name.
        inside: what must hold inside a machine, by name.
        calls: draws and makes direct calls of the inner API; None where there is none.
        lanes: other ways to run its steps, by name, each given the folder of a changed copy
            of its patches or None.
        watch: makes what counts what traces reach at some steps; None where nothing does.
        fits: raises a SeriesError where the machines of steps 0, 1 and so on are not what
            its language and its runs ask of them; None where there is nothing to see to.

    """

    name: str
    file: Path
    fold: Fold
    language: Language[Any]
    run: Callable[[int, Machine, Any], Run]
    lockstep: Callable[[Sequence[Machine], Any, Sequence[int]], Mapping[int, Run]]
    parting: Callable[[Any, Any], Parting | None]
    side_by_side: Callable[[Any, Any], SideBySide]
    follow: Callable[[Machine, Machine, Any, Sequence[Deviation]], Lawful]
    laws: Mapping[Scope, frozenset[str]]
    properties: Mapping[str, RunProperty]
    inside: Mapping[str, InsideProperty] = field(default_factory=dict)
    calls: CallsHook | None = None
    lanes: Mapping[str, Callable[[Path | None], Lane]] = field(default_factory=dict)
    watch: Callable[[tuple[int, ...]], Watcher] | None = None
    fits: Callable[[Sequence[Machine]], None] | None = None

    def __reduce__(self) -> Any:
        return _restored, (self.name, self.file)

    @cached_property
    def series(self) -> Series:
        """What its steps declare.

        Raises:
            SeriesError: the file is wrong, names a law or a property that is not there, or
                declares more or fewer steps than there are models.

        """
        series = load(self.file)
        fit(self, series)
        return series

    @property
    def last(self) -> int:
        """The number of its last step.

        Raises:
            SeriesError: there are no models, two for a step, or a gap between them.

        """
        with linking():
            return self.fold.last

    @property
    def steps(self) -> tuple[int, ...]:
        """Its steps, but for step 0, which is the start."""
        return tuple(range(1, self.last + 1))

    @property
    def names(self) -> Names:
        """How its steps are named, with what came after the last one.

        Raises:
            SeriesError: as of ``last``.

        """
        with linking():
            return self.fold.names

    def before(self, step: int) -> int:
        """The step that one is judged against: for a fix the same line without it."""
        return self.names.before(step)

    def line(self, step: int) -> tuple[int, ...]:
        """All steps on the way from step 0 to a step, both included."""
        return self.names.line(step)

    def machine(self, name: str | int) -> Machine:
        """The machine of a step by its number or its name; errors as of ``machines``."""
        step = parse_step(str(name), self.names) if isinstance(name, str) else name
        with linking():
            return self.fold.build(step)

    def machines(self, copies: Copies = (), last: int = -1) -> Sequence[Machine]:
        """The machines of steps 0 to ``last`` (all by default), with changed copies of some.

        Where it goes to the last step, those of what came after it are made when asked for.

        Raises:
            SeriesError: a model or a copy that does not load or does not fit, with what is
                wrong.

        """
        machines = _machines(self.fold, copies, self.last if last < 0 else min(last, self.last))
        if self.fits is not None:
            self.fits(machines)
        return machines

    def loaded_anew(self, copies: Copies, last: int) -> Sequence[Machine]:
        """The machines of steps 0 to ``last``, with copies that remember nothing.

        Raises:
            SeriesError: a copy that does not load.

        """
        return _machines.__wrapped__(self.fold, copies, min(last, self.last))

    def model(self, step: int, trace: Any) -> Run:
        """Run a trace on the model of a step as it is.

        Raises:
            SeriesError: the model, or one before it, does not load or does not fit.

        """
        with linking():
            machine = self.fold.build(step)
        return self.run(step, machine, trace)

    def violation(self, name: str, run: Run) -> Violation | None:
        """Where a run breaks a property; None where it holds.

        Raises:
            SeriesError: the property raises something, or gives no such answer.

        """
        what = f"{self.file.parent}: property {name!r}, asked at step {run.step},"
        try:
            found = self.properties[name](run.trace, run.records)
        except PASSING:
            raise
        except BaseException as error:
            raise SeriesError(fault(what, error)) from error
        if found is None or (isinstance(found, Violation) and type(found.index) is int):
            return found
        raise SeriesError(f"{what} gives {found!r:.80}; give None, or a Violation(index, text)")

    def forget(self) -> None:
        """Let go of all machines with changed copies: they and their methods are cycles."""
        _machines.cache_clear()

    def reading(self, file: Path) -> Subject:
        """The same models with another series.toml."""
        return self if file == self.file else _reading(self, file)

    def deviations(self, step: int) -> list[Deviation]:
        """The deviations of a step that traces show."""
        return [d for d in self.series.step(step).deviations if d.scope == "trace"]


@cache
def _machines(fold: Fold, copies: Copies, last: int) -> Sequence[Machine]:
    with linking():
        return fold.variant({step: Path(path) for step, path in copies}, last)


@cache
def _reading(subject: Subject, file: Path) -> Subject:
    return replace(subject, file=file)


def _restored(name: str, file: Path) -> Subject:
    return subject_of(name).reading(file)


@cache
def subject_of(name: str) -> Subject:
    """The subject of a name. Executes ``subject.py`` where it is the name of a folder.

    Somebody's own is looked at whole before it is given: what it declares, its models and
    what it asks of them.

    Raises:
        UsageError: there is none, or it is broken; the message says what is wrong.
        SeriesError: its series.toml or its models are wrong.

    """
    module, colon, attribute = name.partition(":")
    own = not (colon and module.startswith("replay."))
    found = _somebodys(Path(name)) if own else _of_the_package(module, attribute)
    if not isinstance(found, Subject):
        raise UsageError(f"{name}: SUBJECT is no Subject; see CONTRIBUTING.md, 'A subject'")
    if own:
        _ = found.series
        found.machines()
    return found


def _of_the_package(module: str, attribute: str) -> Any:
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"there is no subject {module}:{attribute} ({error}); name a folder with a subject.py"
        ) from None


def _somebodys(folder: Path) -> Any:
    path = folder / "subject.py"
    if not path.is_file():
        raise UsageError(f"{folder}: there is no subject.py in it; see CONTRIBUTING.md")
    own = f"_subject_{abs(hash(str(path.resolve())))}"
    spec = importlib.util.spec_from_file_location(own, path)
    assert spec is not None and spec.loader is not None, "it ends in .py"
    module = importlib.util.module_from_spec(spec)
    sys.modules[own] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[own]
        if isinstance(error, KeyboardInterrupt):
            raise
        known = isinstance(error, ReplayError)
        raise UsageError(f"{path}: {error}" if known else told(error, path)) from error
    if not hasattr(module, "SUBJECT"):
        raise UsageError(f"{path}: it makes no SUBJECT; see CONTRIBUTING.md, 'A subject'")
    return module.SUBJECT

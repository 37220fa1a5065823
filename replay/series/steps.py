"""What a step of the series is: its words, its source, its deltas; and a function's life."""

from __future__ import annotations

import ast
import difflib
import inspect
from dataclasses import dataclass

from refmodels.delta import Delta, Entry, source
from replay.errors import UsageError
from replay.series.asked import linking
from replay.series.declared import StepData, Theme
from replay.series.names import parts_of
from replay.series.subject import Subject


@dataclass(frozen=True, slots=True)
class Touched:
    """One name that a step adds, changes, removes, moves or declares elsewhere.

    ``kind`` is function, constant or field; of a name that is removed, what it was.
    ``value`` is that of a constant, as far as the step says one, and else None; ``owner``
    is written before the name of a field.
    """

    action: str
    kind: str
    name: str
    home: str
    value: int | None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class StepSource:
    """A step as its patch reads.

    Attributes:
        number, title: of the step.
        declared, theme: what series.toml says of it; None for step 0.
        docstring: what the module says of itself, the title first.
        file: the module, or the package of step 0.
        touched: its delta, in the order of the module.
        source: its module without the docstring; of step 0 all of its package.
        api: the prototypes at this step, sorted.
        start: for step 0 the same in the order of series.toml, else empty.
    """

    number: int
    title: str
    declared: StepData | None
    theme: Theme | None
    docstring: str
    file: str
    touched: tuple[Touched, ...]
    source: str
    api: tuple[str, ...]
    start: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WholeSource:
    """The folded source of a step, file by file."""

    number: int
    source: str


@dataclass(frozen=True, slots=True)
class AtStep:
    """A name at one step: the C file that holds it, and its source."""

    number: int
    file: str
    source: str


@dataclass(frozen=True, slots=True)
class Life:
    """When a name came, changed, moved and went: (step, action, the step's title)."""

    name: str
    events: tuple[tuple[int, str, str], ...]
    at: AtStep | None = None


@linking()
def step_source(subject: Subject, number: int) -> StepSource:
    """Read a step.

    Raises:
        UsageError: there is no such step.
    """
    _check(subject, number)
    known = subject.series
    step = known.step(number) if number else None
    return StepSource(
        number=number,
        title=known.title(number),
        declared=step,
        theme=next((t for t in known.themes if step and t.letter == step.theme), None),
        docstring=_docstring(subject, number),
        file=_file(subject, number),
        touched=tuple(
            _touched(subject, entry, number) for entry in subject.fold.load(number).deltas
        ),
        source=own_source(subject, number),
        api=tuple(sorted(known.api(number))),
        start=() if number else tuple(known.start.api),
    )


@linking()
def whole_source(subject: Subject, number: int) -> WholeSource:
    """Fold a step's source.

    Raises:
        UsageError: there is no such step.
    """
    _check(subject, number)
    return WholeSource(number, "\n".join(subject.fold.whole_source(number).rstrip().splitlines()))


@linking()
def life(subject: Subject, name: str, number: int | None = None) -> Life:
    """Follow a name through the series; with ``number``, read its source at that step too.

    Raises:
        UsageError: no step has the name, or that step has not.
    """
    known = subject.series
    events = tuple((step, action, known.title(step)) for step, action in _events(subject, name))
    if number is None:
        return Life(name, events)
    entry = _entry(subject, name, number)
    return Life(name, events, AtStep(number, entry.home, _source(subject, entry)))


def _check(subject: Subject, number: int) -> None:
    if not parts_of(number) and not 0 <= number <= subject.last:
        raise UsageError(f"there is no step {number}: steps run from 0 to {subject.last}")


def own_source(subject: Subject, number: int) -> str:
    """The module of a step without its docstring; of step 0, which is a package, all of it."""
    if number == 0:
        return subject.fold.whole_source(0)
    source = inspect.getsource(subject.fold.imported(number))
    first = ast.parse(source).body[0]
    return "\n".join(source.splitlines()[first.end_lineno :]).strip("\n")


def _docstring(subject: Subject, number: int) -> str:
    module = subject.fold.imported(number)
    # A string after the first statement, as step 0's module has it, is found as well.
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return inspect.cleandoc(str(node.value.value))
    return ""


def _file(subject: Subject, number: int) -> str:
    path = subject.fold.module(number).replace(".", "/")
    return f"{path}.py" if number else f"{path}/"


def _touched(subject: Subject, entry: Delta, number: int) -> Touched:
    """Of a removed name the delta does not say what it was; the step before does."""
    kind: str = entry.kind
    if entry.action != "adds" and number:
        before_it = subject.fold.table(subject.before(number)).get(entry.name)
        kind = before_it.kind if before_it else kind  # a fix may touch what all fixes stand on
    value = entry.value if entry.kind == "constant" else None
    return Touched(entry.action, kind, entry.name, entry.home, value, subject.fold.owner)


def _events(subject: Subject, name: str) -> list[tuple[int, str]]:
    events = list(subject.fold.life(name))
    if not events:
        known = {entry.name for _, step in subject.fold.all() for entry in step.deltas}
        near = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"; did you mean '{near[0]}'?" if near else "; replay show 0 --whole lists all"
        raise UsageError(f"no step has a function {name!r}{hint}")
    return events


def _entry(subject: Subject, name: str, number: int) -> Entry:
    entry = subject.fold.table(number).get(name)
    if entry is None:
        first = next(iter(subject.fold.life(name)))[0]
        when = f"it comes with step {first}" if number < first else "it is gone by then"
        raise UsageError(f"step {number} has no function {name!r}: {when}")
    return entry


def _source(subject: Subject, entry: Entry) -> str:
    if entry.kind == "function":
        return source(entry.value)
    return (
        f"{entry.name} = {entry.value}"
        if entry.kind == "constant"
        else f"{subject.fold.owner}{entry.name}"
    )

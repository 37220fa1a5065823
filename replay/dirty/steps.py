"""What a step of the series is: its words, its source, its deltas; and a function's life."""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
from dataclasses import dataclass

from refmodels import delta
from replay.errors import UsageError
from replay.series import declared as series


@dataclass(frozen=True, slots=True)
class Touched:
    """One name that a step adds, changes, removes, moves or declares elsewhere.

    ``kind`` is function, constant or field; of a name that is removed, what it was.
    ``value`` is that of a constant, as far as the step says one, and else None.
    """

    action: str
    kind: str
    name: str
    home: str
    value: int | None


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
    declared: series.StepData | None
    theme: series.Theme | None
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


def step_source(number: int) -> StepSource:
    """Read a step.

    Raises:
        UsageError: there is no such step.
    """
    _check(number)
    known = series.load()
    step = known.step(number) if number else None
    return StepSource(
        number=number,
        title=known.title(number),
        declared=step,
        theme=next((t for t in known.themes if step and t.letter == step.theme), None),
        docstring=_docstring(number),
        file=_file(number),
        touched=tuple(_touched(entry, number) for entry in delta.load(number).deltas),
        source=own_source(number),
        api=tuple(sorted(known.api(number))),
        start=() if number else tuple(known.start.api),
    )


def whole_source(number: int) -> WholeSource:
    """Fold a step's source.

    Raises:
        UsageError: there is no such step.
    """
    _check(number)
    return WholeSource(number, "\n".join(delta.whole_source(number).rstrip().splitlines()))


def life(name: str, number: int | None = None) -> Life:
    """Follow a name through the series; with ``number``, read its source at that step too.

    Raises:
        UsageError: no step has the name, or that step has not.
    """
    known = series.load()
    events = tuple((step, action, known.title(step)) for step, action in _events(name))
    if number is None:
        return Life(name, events)
    entry = _entry(name, number)
    return Life(name, events, AtStep(number, entry.home, _source(entry)))


def _check(number: int) -> None:
    if not 0 <= number <= delta.LAST_STEP:
        raise UsageError(f"there is no step {number}: steps run from 0 to {delta.LAST_STEP}")


def own_source(number: int) -> str:
    """The module of a step without its docstring; of step 0, which is a package, all of it."""
    if number == 0:
        return delta.whole_source(0)
    source = inspect.getsource(importlib.import_module(delta.step_module(number)))
    first = ast.parse(source).body[0]
    return "\n".join(source.splitlines()[first.end_lineno :]).strip("\n")


def _docstring(number: int) -> str:
    module = importlib.import_module(delta.step_module(number))
    # A string after the first statement, as step 0's module has it, is found as well.
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return inspect.cleandoc(str(node.value.value))
    return ""


def _file(number: int) -> str:
    path = delta.step_module(number).replace(".", "/")
    return f"{path}.py" if number else f"{path}/"


def _touched(entry: delta.Delta, number: int) -> Touched:
    """Of a removed name the delta does not say what it was; the step before does."""
    kind: str = entry.kind
    if entry.action != "adds" and number:
        kind = delta.table(number - 1)[entry.name].kind
    value = entry.value if entry.kind == "constant" else None
    return Touched(entry.action, kind, entry.name, entry.home, value)


def _events(name: str) -> list[tuple[int, str]]:
    events = list(delta.life(name))
    if not events:
        steps = range(delta.LAST_STEP + 1)
        known = {entry.name for step in steps for entry in delta.load(step).deltas}
        near = difflib.get_close_matches(name, known, 1, 0.5)
        hint = f"; did you mean '{near[0]}'?" if near else "; replay show 0 --whole lists all"
        raise UsageError(f"no step has a function {name!r}{hint}")
    return events


def _entry(name: str, number: int) -> delta.Entry:
    entry = delta.table(number).get(name)
    if entry is None:
        first = next(iter(delta.life(name)))[0]
        when = f"it comes with step {first}" if number < first else "it is gone by then"
        raise UsageError(f"step {number} has no function {name!r}: {when}")
    return entry


def _source(entry: delta.Entry) -> str:
    if entry.kind == "function":
        return delta.source(entry.value)
    return f"{entry.name} = {entry.value}" if entry.kind == "constant" else f"ram_list.{entry.name}"

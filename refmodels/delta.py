"""A step is what its patch changes; folding steps 0..k gives the whole of step k.

The fold acts as the linker does. What a step adds must be new; what it changes,
moves or removes must be there; and when all is folded no function may call one that
is gone, or with the wrong number of arguments. Constants (macros) and the fields of
the state are entries of the same table, since some patches change only those.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import FunctionType
from typing import Any, Literal, TypeAlias, TypeVar

VM: TypeAlias = Any
"""The machine, as a function of a step sees it: the table of *its* step.

No static type can hold it, since each step has other functions. What a type checker
would tell is told by ``refmodels.link`` instead, for every step: the name is in the table,
and the number of arguments fits.
"""

Kind = Literal["function", "constant", "field"]
F = TypeVar("F", bound=Callable[..., Any])


class LinkError(Exception):
    """A delta does not fit the table it is folded into; the text names step and entry."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One name of a step's table, with its life so far.

    ``value`` is the function itself, the number of a constant, or the callable that
    makes a field's first value. ``home`` is the C file that holds it at this step,
    ``declared`` the header of its prototype where a step moved that one alone.
    """

    name: str
    kind: Kind
    value: Any
    home: str
    since: int
    changed: tuple[int, ...] = ()
    declared: str = ""

    @property
    def touched(self) -> int:
        """The last step that wrote this entry."""
        return self.changed[-1] if self.changed else self.since


@dataclass(frozen=True, slots=True)
class Delta:
    """One line of a step: what happens to one name."""

    action: Literal["adds", "changes", "removes", "moves", "declares"]
    name: str
    kind: Kind = "function"
    value: Any = None
    home: str = ""


class Step:
    """The delta of one patch. Its module holds the functions the patch touches, no more."""

    def __init__(self, number: int, home: str = "") -> None:
        self.number = number
        self.home = home
        self.deltas: list[Delta] = []
        self.module = _calling_module()

    def file(self, home: str) -> None:
        """The functions that follow live in this C file."""
        self.home = home

    def adds(self, function: F) -> F:
        """A function that is new at this step."""
        self._function("adds", function)
        return function

    def changes(self, function: F) -> F:
        """A function whose body or signature this step changes."""
        self._function("changes", function)
        return function

    def removes(self, *names: str) -> None:
        """Functions, constants or fields that are gone from this step on."""
        self.deltas += [Delta("removes", name) for name in names]

    def moves(self, *names: str, home: str) -> None:
        """Functions whose C text moves to another file, otherwise untouched."""
        self.deltas += [Delta("moves", name, home=home) for name in names]

    def declares(self, *names: str, home: str) -> None:
        """Functions whose prototype moves to another header; the body stays."""
        self.deltas += [Delta("declares", name, home=home) for name in names]

    def defines(self, **constants: int) -> None:
        """Constants (macros) that are new at this step."""
        self._constants("adds", constants)

    def redefines(self, **constants: int) -> None:
        """Constants that get another value at this step."""
        self._constants("changes", constants)

    def field(self, name: str, first: Callable[[VM], Any]) -> None:
        """A field of ``ram_list`` that is new; ``first(vm)`` makes its first value."""
        self.deltas.append(Delta("adds", name, "field", first, self.home))

    def _constants(self, action: Literal["adds", "changes"], constants: dict[str, int]) -> None:
        for name, value in constants.items():
            self.deltas.append(Delta(action, name, "constant", value, self.home))

    def _function(self, action: Literal["adds", "changes"], function: Callable[..., Any]) -> None:
        self.deltas.append(Delta(action, function.__name__, "function", function, self.home))


class Fix(Step):
    """The delta of a fix, or of a variant of the machine, that came after the last step.

    It has a name and no number: its number depends on what else a step after the last has.
    """

    def __init__(self, name: str, home: str = "") -> None:
        super().__init__(-1, home)
        self.name = name


def _calling_module() -> str:
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    return str(frame.f_globals["__name__"]) if frame is not None else ""


Table: TypeAlias = dict[str, Entry]


def apply(table: Table, step: Step, number: int | None = None) -> Table:
    """Fold one step into a table, giving a new one; the old one is left as it is.

    ``number`` is that of the step made so, where the delta is a fix and has none.

    Raises:
        LinkError: the step adds a name that is there, or touches one that is not.

    """
    new = dict(table)
    at = step.number if number is None else number
    for delta in step.deltas:
        old = new.get(delta.name)
        where = f"step {at} {delta.action} {delta.name}"
        if delta.action == "adds":
            if old is not None:
                raise LinkError(f"{where}: it is there since step {old.since}")
            new[delta.name] = Entry(delta.name, delta.kind, delta.value, delta.home, since=at)
            continue
        if old is None:
            before = "the last step" if isinstance(step, Fix) else f"step {at - 1}"
            raise LinkError(f"{where}: no such entry at {before}")
        if delta.action == "removes":
            del new[delta.name]
        elif delta.action == "moves":
            new[delta.name] = replace(old, home=delta.home)
        elif delta.action == "declares":
            new[delta.name] = replace(old, declared=delta.home)
        elif old.kind != delta.kind:
            raise LinkError(f"{where}: a {old.kind} cannot become a {delta.kind}")
        else:
            new[delta.name] = replace(old, value=delta.value, changed=(*old.changed, at))
    return new


def source(function: FunctionType) -> str:
    """The source of one function, without the decorator that put it into a step."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    while lines and lines[0].startswith("@STEP"):
        lines.pop(0)
    return "\n".join(lines)

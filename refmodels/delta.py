"""A step is what its patch changes; folding steps 0..k gives the whole of step k.

The fold acts as the linker does. What a step adds must be new; what it changes,
moves or removes must be there; and when all is folded no function may call one that
is gone, or with the wrong number of arguments. Constants (macros) and the fields of
``ram_list`` are entries of the same table, since some patches change only those.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, Literal, TypeAlias, TypeVar

VM: TypeAlias = Any
"""The machine, as a function of a step sees it: the table of *its* step.

No static type can hold it, since each step has other functions. What a type checker
would tell is told by :func:`link` instead, for every step: the name is in the table,
and the number of arguments fits.
"""

Kind = Literal["function", "constant", "field"]
F = TypeVar("F", bound=Callable[..., Any])

LAST_STEP = 39


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


def _calling_module() -> str:
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__") == __name__:
        frame = frame.f_back
    return str(frame.f_globals["__name__"]) if frame is not None else ""


Table: TypeAlias = dict[str, Entry]


@cache
def step_module(number: int) -> str:
    """The dotted name of the module (step 0: the package) that holds a step."""
    import refmodels

    for info in pkgutil.iter_modules(refmodels.__path__):
        if info.name.startswith(f"s{number:02d}_"):
            return f"refmodels.{info.name}"
    raise LinkError(f"step {number} has no module refmodels/s{number:02d}_*.py")


@cache
def load(number: int) -> Step:
    """The STEP of one module, imported on demand."""
    module = importlib.import_module(step_module(number))
    step = module.STEP
    if not isinstance(step, Step) or step.number != number:
        raise LinkError(f"{module.__name__}: STEP must be Step({number})")
    return step


def apply(table: Table, step: Step) -> Table:
    """Fold one step into a table, giving a new one; the old one is left as it is.

    Raises:
        LinkError: the step adds a name that is there, or touches one that is not.

    """
    new = dict(table)
    for delta in step.deltas:
        old = new.get(delta.name)
        where = f"step {step.number} {delta.action} {delta.name}"
        if delta.action == "adds":
            if old is not None:
                raise LinkError(f"{where}: it is there since step {old.since}")
            new[delta.name] = Entry(
                delta.name, delta.kind, delta.value, delta.home, since=step.number
            )
            continue
        if old is None:
            raise LinkError(f"{where}: no such entry at step {step.number - 1}")
        if delta.action == "removes":
            del new[delta.name]
        elif delta.action == "moves":
            new[delta.name] = replace(old, home=delta.home)
        elif delta.action == "declares":
            new[delta.name] = replace(old, declared=delta.home)
        elif old.kind != delta.kind:
            raise LinkError(f"{where}: a {old.kind} cannot become a {delta.kind}")
        else:
            new[delta.name] = replace(old, value=delta.value, changed=(*old.changed, step.number))
    return new


@cache
def table(number: int) -> Table:
    """The whole table of step ``number``, linked. Do not change what you get."""
    if not 0 <= number <= LAST_STEP:
        raise LinkError(f"there is no step {number}: steps run from 0 to {LAST_STEP}")
    folded = apply(table(number - 1) if number else {}, load(number))
    link(number, folded)
    return folded


# --- the linker -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Use:
    """One mention of ``vm.name`` in a function; ``arguments`` is None unless called."""

    name: str
    line: int
    arguments: int | None


@cache
def _module_functions(file: str) -> dict[tuple[str, int], ast.FunctionDef]:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    found: dict[tuple[str, int], ast.FunctionDef] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name, first] = node
    return found


@cache
def uses(function: FunctionType) -> tuple[Use, ...]:
    """What a function asks of its machine: every ``vm.name`` it mentions."""
    code = function.__code__
    node = _module_functions(code.co_filename)[function.__name__, code.co_firstlineno]
    called: dict[int, int] = {}
    for sub in ast.walk(node):
        if isinstance(sub, ast.Call):
            called[id(sub.func)] = len(sub.args) + len(sub.keywords)
    return tuple(
        Use(sub.attr, sub.lineno, called.get(id(sub)))
        for sub in ast.walk(node)
        if isinstance(sub, ast.Attribute)
        and isinstance(sub.value, ast.Name)
        and sub.value.id == "vm"
    )


def link(number: int, folded: Table) -> None:
    """Check that every function of a table finds what it uses.

    Raises:
        LinkError: a call of a removed function, or with a wrong number of arguments.

    """
    from refmodels.machine import Machine

    for entry in folded.values():
        if entry.kind != "function":
            continue
        for use in uses(entry.value):
            target = folded.get(use.name)
            where = f"step {number}: {entry.name} (line {use.line})"
            if target is None:
                if not hasattr(Machine, use.name):
                    raise LinkError(f"{where} uses {use.name}, which is not there")
                continue
            if target.kind == "function" and use.arguments is not None:
                wanted = target.value.__code__.co_argcount - 1
                if use.arguments != wanted:
                    raise LinkError(
                        f"{where} calls {use.name} with {use.arguments} arguments, "
                        f"it takes {wanted}"
                    )


# --- the class of a step --------------------------------------------------------


def build_class(number: int, folded: Table) -> type[Any]:
    """Make the machine class of a table: functions are methods, constants attributes."""
    from refmodels.machine import Machine

    body: dict[str, Any] = {
        entry.name: entry.value for entry in folded.values() if entry.kind != "field"
    }
    fields = {e.name: e.value for e in folded.values() if e.kind == "field"}
    body |= {"__slots__": tuple(fields), "FIELDS": fields, "STEP_NUMBER": number}
    return type(f"MachineAtStep{number}", (Machine,), body)


@cache
def build(number: int) -> type[Any]:
    """The machine class of step ``number`` (0 to 39), made once."""
    return build_class(number, table(number))


# --- changed copies of steps ----------------------------------------------------


def load_file(path: Path, number: int) -> Step:
    """The STEP of a changed copy of a step's module. Executes that file.

    Raises:
        LinkError: the file is not a module with ``STEP = Step(number)``.

    """
    name = f"refmodels_copy_s{number:02d}_{abs(hash(path))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LinkError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (OSError, SyntaxError) as error:
        raise LinkError(f"{path}: {error}") from None
    step = getattr(module, "STEP", None)
    if not isinstance(step, Step) or step.number != number:
        raise LinkError(f"{path}: STEP must be Step({number})")
    return step


def build_variant(copies: Mapping[int, Path], last: int = LAST_STEP) -> list[type[Any]]:
    """The machine classes of steps 0..``last`` with some steps' modules replaced.

    What a changed step does lasts until a later step writes the same function again.

    Raises:
        LinkError: a copy that does not load or does not fit.
    """
    first = min(copies, default=last + 1)
    machines = [build(number) for number in range(min(first, last + 1))]
    folded: Table = table(first - 1) if 0 < first <= last else {}
    for number in range(first, last + 1):
        step = load_file(copies[number], number) if number in copies else load(number)
        folded = apply(folded, step)
        link(number, folded)
        machines.append(build_class(number, folded))
    return machines


# --- generated views ------------------------------------------------------------


def source(function: FunctionType) -> str:
    """The source of one function, without the decorator that put it into a step."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines()
    while lines and lines[0].startswith("@STEP"):
        lines.pop(0)
    return "\n".join(lines)


def whole_source(number: int) -> str:
    """The folded source of a step, file by file, each entry with its life."""
    homes: dict[str, list[Entry]] = {}
    for entry in table(number).values():
        homes.setdefault(entry.home, []).append(entry)
    parts = []
    for home, entries in homes.items():
        parts.append(f"# ==== {home} ====\n")
        for entry in entries:
            life = f"since step {entry.since}"
            if entry.changed:
                life += ", changed at " + ", ".join(map(str, entry.changed))
            if entry.kind == "constant":
                parts.append(f"{entry.name} = {entry.value}  # {life}\n")
            elif entry.kind == "field":
                parts.append(f"# ram_list.{entry.name}  # {life}\n")
            else:
                parts.append(f"# {life}\n{source(entry.value)}\n")
    return "\n".join(parts)


def reachable(number: int, root: str) -> frozenset[str]:
    """The names a function of step ``number`` can come to use, itself included."""
    folded = table(number)
    seen: set[str] = set()
    todo = [root]
    while todo:
        name = todo.pop()
        entry = folded.get(name)
        if entry is None or name in seen:
            continue
        seen.add(name)
        if entry.kind == "function":
            todo += [use.name for use in uses(entry.value)]
    return frozenset(seen)


def life(name: str) -> Iterator[tuple[int, str]]:
    """The steps at which a name appears, changes, moves or disappears, with the action."""
    for number in range(LAST_STEP + 1):
        for delta in load(number).deltas:
            if delta.name == name:
                yield number, delta.action

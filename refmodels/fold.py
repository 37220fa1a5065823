"""A family of step modules, folded: what general code asks of the models of a series.

A family is a package, or a plain folder of somebody's, that holds one module a step, named
``s00_…``, ``s01_…`` and so on, and a class that every step's machine stands on. Folding the
deltas of steps 0 to k gives the machine class of step k; the fold acts as the linker.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from refmodels.delta import Delta, Entry, LinkError, Step, Table, apply, source
from refmodels.link import link, uses

_NAME = re.compile(r"s([0-9]{2,3})_[A-Za-z0-9_]+\Z")
_ALARM = "replay.base.patience"
"""Whose errors are no fault of what is executed: it took too long for whoever asked."""
_WANTED = "a module a step is wanted: s00_start.py, s01_….py and on, without a gap"


class Fold:
    """The steps of one series, each as a table, as a class, and as text.

    Args:
        home: the dotted name of a package, or a folder with the modules of the steps.
        base: gives the class that all machines stand on; asked when one is first built.
        prefix: before the number in the names of the machine classes.
        owner: what the fields belong to, as the folded source writes it.

    Raises:
        LinkError: where something does not fit; the text names step and entry.

    """

    def __init__(
        self,
        home: str | Path,
        base: Callable[[], type[Any]],
        prefix: str = "MachineAtStep",
        owner: str = "",
    ) -> None:
        self.home = home
        self.base = base
        self.prefix = prefix
        self.owner = owner
        self._steps: dict[int, Step] = {}
        self._tables: dict[int, Table] = {}
        self._classes: dict[int, type[Any]] = {}

    @cached_property
    def modules(self) -> Mapping[int, str]:
        """Step to the name of its module; importing a package for that imports no step.

        Raises:
            LinkError: there is no such folder, no module in it, two for one step, or none
                for a step before the last.

        """
        if not isinstance(self.home, Path):
            paths = list(importlib.import_module(self.home).__path__)
        elif self.home.is_dir():
            paths = [str(self.home)]
        else:
            raise LinkError(f"{self.home}: no such folder; {_WANTED}")
        found: dict[int, str] = {}
        for info in pkgutil.iter_modules(paths):
            if match := _NAME.match(info.name):
                number, other = int(match[1]), found.get(int(match[1]))
                if other is not None:
                    both = f"{self._path(other)} and {self._path(info.name)}"
                    raise LinkError(f"{both} are both step {number}; keep one, number the other")
                found[number] = info.name
        for number in range(max(found, default=0) + 1):
            if number not in found:
                raise LinkError(f"{self.home}: there is no s{number:02d}_….py; {_WANTED}")
        return dict(sorted(found.items()))

    def _path(self, name: str) -> Path:
        """The file of a module, or the folder of a package."""
        if not isinstance(self.home, Path):
            home = Path(next(iter(importlib.import_module(self.home).__path__)))
        else:
            home = self.home
        file = home / f"{name}.py"
        return file if file.is_file() else home / name

    @property
    def last(self) -> int:
        """The number of the last step."""
        return max(self.modules, default=0)

    def module(self, number: int) -> str:
        """The name of the module that holds a step, as in error messages and imports."""
        if number not in self.modules:
            raise LinkError(f"step {number} has no module {self.home}/s{number:02d}_*.py")
        name = self.modules[number]
        return name if isinstance(self.home, Path) else f"{self.home}.{name}"

    def imported(self, number: int) -> ModuleType:
        """The module of a step, imported on demand. Executes it."""
        name = self.module(number)
        path = self._path(self.modules[number])
        if not isinstance(self.home, Path):
            with executing(path):
                return importlib.import_module(name)
        own = f"_fold_{abs(hash(str(self.home)))}_{name}"
        return sys.modules.get(own) or _execute(own, path)

    def load(self, number: int) -> Step:
        """The STEP of one module."""
        if number not in self._steps:
            module = self.imported(number)
            step = getattr(module, "STEP", None)
            if not isinstance(step, Step) or step.number != number:
                path = self._path(self.modules[number])
                raise LinkError(f"{path}: STEP must be Step({number})")
            self._steps[number] = step
        return self._steps[number]

    def table(self, number: int) -> Table:
        """The whole table of a step, linked. Do not change what you get."""
        if not 0 <= number <= self.last:
            raise LinkError(f"there is no step {number}: steps run from 0 to {self.last}")
        if number not in self._tables:
            before = self.table(number - 1) if number else {}
            folded = apply(before, self.load(number))
            link(number, folded, self.base())
            self._tables[number] = folded
        return self._tables[number]

    def build(self, number: int) -> type[Any]:
        """The machine class of a step, made once."""
        if number not in self._classes:
            self._classes[number] = self.build_class(number, self.table(number))
        return self._classes[number]

    def build_class(self, number: int, folded: Table) -> type[Any]:
        """The machine class of a table: functions are methods, constants attributes."""
        body: dict[str, Any] = {e.name: e.value for e in folded.values() if e.kind != "field"}
        fields = {e.name: e.value for e in folded.values() if e.kind == "field"}
        body |= {"__slots__": tuple(fields), "FIELDS": fields, "STEP_NUMBER": number}
        return type(f"{self.prefix}{number}", (self.base(),), body)

    def variant(self, copies: Mapping[int, Path], last: int) -> list[type[Any]]:
        """The machine classes of steps 0 to ``last`` with some steps' modules replaced.

        What a changed step does lasts until a later step writes the same function again.
        Executes the copies.

        Raises:
            LinkError: a copy that does not load or does not fit.

        """
        first = min(copies, default=last + 1)
        machines = [self.build(number) for number in range(min(first, last + 1))]
        folded: Table = self.table(first - 1) if 0 < first <= last else {}
        for number in range(first, last + 1):
            own = number in copies
            folded = apply(folded, load_file(copies[number], number) if own else self.load(number))
            link(number, folded, self.base())
            machines.append(self.build_class(number, folded))
        return machines

    # --- as text ----------------------------------------------------------------------

    def whole_source(self, number: int) -> str:
        """The folded source of a step, file by file, each entry with its life."""
        homes: dict[str, list[Entry]] = {}
        for entry in self.table(number).values():
            homes.setdefault(entry.home, []).append(entry)
        parts = []
        for home, entries in homes.items():
            parts.append(f"# ==== {home} ====\n")
            parts += [_entry_text(entry, self.owner) for entry in entries]
        return "\n".join(parts)

    def reachable(self, number: int, root: str) -> frozenset[str]:
        """The names that a function of a step can come to use, itself included."""
        folded = self.table(number)
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

    def life(self, name: str) -> Iterator[tuple[int, str]]:
        """The steps at which a name appears, changes, moves or disappears, with the action."""
        for number in range(self.last + 1):
            for delta in self.load(number).deltas:
                if delta.name == name:
                    yield number, delta.action

    def deltas(self, number: int) -> list[Delta]:
        """What a step does to the table, in the order of its module."""
        return self.load(number).deltas


def load_file(path: Path, number: int) -> Step:
    """The STEP of a changed copy of a step's module. Executes that file.

    Raises:
        LinkError: the file is not a module with ``STEP = Step(number)``.

    """
    module = _execute(f"refmodels_copy_s{number:02d}_{abs(hash(path))}", path, keep=False)
    step = getattr(module, "STEP", None)
    if not isinstance(step, Step) or step.number != number:
        raise LinkError(f"{path}: STEP must be Step({number})")
    return step


def _execute(name: str, path: Path, keep: bool = True) -> ModuleType:
    """A Python file, or a package's folder, as a module of a name of its own."""
    where = path / "__init__.py" if path.is_dir() else path
    inside = [str(path)] if path.is_dir() else None
    spec = importlib.util.spec_from_file_location(name, where, submodule_search_locations=inside)
    if spec is None or spec.loader is None:
        raise LinkError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    if keep:
        sys.modules[name] = module
    try:
        with executing(where):
            spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


@contextmanager
def executing(path: Path) -> Iterator[None]:
    """Somebody's file is executed: all that it raises, but for Ctrl-C, is told of the file.

    ``sys.exit`` too: else a file that calls it would end the program, as if all were well.

    Raises:
        LinkError: the file and the line, the kind of the error, and its text.

    """
    try:
        yield
    except (KeyboardInterrupt, LinkError):
        raise
    except BaseException as error:
        if type(error).__module__ == _ALARM:
            raise
        raise LinkError(told(error, path)) from error


def told(error: BaseException, path: Path) -> str:
    """An error of somebody's file in one line, with the last place of that file it came by."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if Path(frame.filename) == path]
    line, text = lines[-1] if lines else None, str(error)
    if isinstance(error, SyntaxError):
        line, text = error.lineno, error.msg
    place = str(path) if line is None else f"{path}:{line}"
    return f"{place}: {type(error).__name__}: {' '.join(text.split())}".rstrip(": ")


def _entry_text(entry: Entry, owner: str) -> str:
    life = f"since step {entry.since}"
    if entry.changed:
        life += ", changed at " + ", ".join(map(str, entry.changed))
    if entry.kind == "constant":
        return f"{entry.name} = {entry.value}  # {life}\n"
    if entry.kind == "field":
        return f"# {owner}{entry.name}  # {life}\n"
    return f"# {life}\n{source(entry.value)}\n"

"""A family of step modules, folded: what general code asks of the models of a series.

A family is a package, or a plain folder of somebody's, that holds one module a step, named
``s00_…``, ``s01_…`` and so on, and a class that every step's machine stands on. Folding the
deltas of steps 0 to k gives the machine class of step k; the fold acts as the linker. What
came after the last step, in any combination, has numbers after its (``refmodels.later``).
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, overload

from refmodels.delta import Delta, Entry, LinkError, Step, Table, apply, source
from refmodels.fixes import Fixes
from refmodels.later import Later, Names
from refmodels.link import link, uses
from refmodels.loading import home_of, imported, load_file

_NAME = re.compile(r"s([0-9]{2,3})_[A-Za-z0-9_]+\Z")
_WANTED = "a module a step is wanted: s00_start.py, s01_….py and on, without a gap"


class Machines(Sequence[type[Any]]):
    """The machine classes of steps 0 to some step; a later one is made when it is asked for.

    Only the former are counted and iterated over.
    """

    def __init__(self, made: list[type[Any]], later: Callable[[int], type[Any]]) -> None:
        self._made = made
        self._later = later
        self._more: dict[int, type[Any]] = {}

    def __len__(self) -> int:
        return len(self._made)

    def __iter__(self) -> Iterator[type[Any]]:
        return iter(self._made)

    @overload
    def __getitem__(self, index: int) -> type[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[type[Any]]: ...
    def __getitem__(self, index: int | slice) -> type[Any] | list[type[Any]]:
        if isinstance(index, slice) or index < len(self._made):
            return self._made[index]
        if index not in self._more:
            self._more[index] = self._later(index)
        return self._more[index]


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
        file = home_of(self.home) / f"{name}.py"
        return file if file.is_file() else file.with_suffix("")

    @property
    def last(self) -> int:
        """The number of the last step."""
        return max(self.modules, default=0)

    @cached_property
    def fixes(self) -> Fixes:
        """What came after the last step."""
        return Fixes(self.home, self.last)

    @property
    def names(self) -> Names:
        """How the steps are named, with what came after the last one."""
        return self.fixes.names

    def module(self, number: int) -> str:
        """The name of the module that holds a step, as in error messages and imports.

        Of a step after the last: that of its last fix.
        """
        step = self.fixes.step(number)
        if isinstance(step, Later):
            return self.fixes.module(step)
        name = self.modules[number]
        return name if isinstance(self.home, Path) else f"{self.home}.{name}"

    def imported(self, number: int) -> ModuleType:
        """The module of a step, imported on demand. Executes it."""
        step = self.fixes.step(number)
        if isinstance(step, Later):
            return self.fixes.imported(step.parts[-1])
        name = self.modules[number]
        return imported(self.home, name, self._path(name))

    def load(self, number: int) -> Step:
        """The STEP of one module; of a step after the last that of its last fix."""
        later = self.fixes.step(number)
        if isinstance(later, Later):
            return self.fixes.load(later.parts[-1])
        if number not in self._steps:
            step = getattr(self.imported(number), "STEP", None)
            if not isinstance(step, Step) or step.number != number:
                path = self._path(self.modules[number])
                raise LinkError(f"{path}: STEP must be Step({number})")
            self._steps[number] = step
        return self._steps[number]

    def table(self, number: int) -> Table:
        """The whole table of a step, linked. Do not change what you get."""
        step = self.fixes.step(number)
        if step not in self._tables:
            if isinstance(step, Later):
                folded = self.fixes.fold(step, self.table(self.last), self.base(), {})
            else:
                folded = apply(self.table(step - 1) if step else {}, self.load(step))
                link(step, folded, self.base())
            self._tables[step] = folded
        return self._tables[step]

    def build(self, number: int) -> type[Any]:
        """The machine class of a step, made once."""
        step = self.fixes.step(number)
        if step not in self._classes:
            self._classes[step] = self.build_class(step, self.table(step))
        return self._classes[step]

    def build_class(self, number: int, folded: Table) -> type[Any]:
        """The machine class of a table: functions are methods, constants attributes."""
        body: dict[str, Any] = {e.name: e.value for e in folded.values() if e.kind != "field"}
        fields = {e.name: e.value for e in folded.values() if e.kind == "field"}
        body |= {"__slots__": tuple(fields), "FIELDS": fields, "STEP_NUMBER": number}
        return type(f"{self.prefix}{number}", (self.base(),), body)

    def variant(self, copies: Mapping[int, Path], last: int) -> Machines:
        """The machine classes of steps 0 to ``last`` with some steps' modules replaced.

        What a changed step does lasts until a later step writes the same function again.
        Executes the copies. A step after the last one of the series is made when it is asked
        for, if the list goes so far.

        Raises:
            LinkError: a copy that does not load or does not fit.

        """
        own = {number: path for number, path in copies.items() if number > self.last}
        end = min(last, self.last)
        first = min({*copies} - {*own}, default=end + 1)
        machines = [self.build(number) for number in range(min(first, end + 1))]
        folded: Table = self.table(first - 1) if 0 < first <= end else {}
        for number in range(first, end + 1):
            step = load_file(copies[number], number) if number in copies else self.load(number)
            folded = apply(folded, step)
            link(number, folded, self.base())
            machines.append(self.build_class(number, folded))

        def later(number: int) -> type[Any]:
            step = self.fixes.step(number)
            if not isinstance(step, Later) or end < self.last:
                raise IndexError(f"there is no step {number} in this list")
            if not copies:
                return self.build(step)
            table = self.fixes.fold(step, folded or self.table(end), self.base(), own)
            return self.build_class(step, table)

        return Machines(machines, later)

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
        for number, step in self.all():
            for delta in step.deltas:
                if delta.name == name:
                    yield number, delta.action

    def all(self) -> Iterator[tuple[int, Step]]:
        """The STEP of every step, and of every fix, which is numbered as if it were alone."""
        for number in range(self.last + 1):
            yield number, self.load(number)
        for name in self.names.parts:
            yield self.names.later([name]), self.fixes.load(name)

    def deltas(self, number: int) -> list[Delta]:
        """What a step does to the table, in the order of its module."""
        return self.load(number).deltas


def _entry_text(entry: Entry, owner: str) -> str:
    life = f"since step {entry.since}"
    if entry.changed:
        life += ", changed at " + ", ".join(map(str, entry.changed))
    if entry.kind == "constant":
        return f"{entry.name} = {entry.value}  # {life}\n"
    if entry.kind == "field":
        return f"# {owner}{entry.name}  # {life}\n"
    return f"# {life}\n{source(entry.value)}\n"

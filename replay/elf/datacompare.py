"""Compares what the variables and constants of two builds hold at the start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from replay.elf.builds import Build
from replay.elf.changes import Change, DataChange, Variable
from replay.elf.image import Symbol
from replay.elf.names import plain
from replay.elf.referents import (
    Content,
    Match,
    Referent,
    Renamed,
    differences,
    match,
    match_content,
)
from replay.elf.values import Leaf


class DataComparer:
    """The variables of two builds.

    Attributes:
        changes: of all of them, by name.
        changed: the names of those that are not the same.
    """

    def __init__(self, before: Build, after: Build, renamed: Renamed, equal: bool) -> None:
        self.before = before
        self.after = after
        self.numbered = numbered_pairs(before, after)
        self.renamed = {**renamed, **{old: frozenset((new,)) for old, new in self.numbered.items()}}
        self.equal = equal
        self._content: dict[str, Content | None] = {}
        both = before.variables.keys() & after.variables.keys()
        found = [self._pair(name, name) for name in both]
        found += [self._pair(old, new) for old, new in self.numbered.items()]
        found += self._alone()
        self.changes = tuple(sorted(found, key=lambda change: change.name))
        same = (Change.SAME, Change.UNKNOWN)
        self.changed = {c.name for c in self.changes if c.change not in same}

    def _pair(self, first: str, second: str) -> DataChange:
        old, new = self.before.variables[first], self.after.variables[second]
        name = _shown(first)
        sides = self._side(self.before, old), self._side(self.after, new)
        if self.equal and (old.value, old.size, old.section) == (new.value, new.size, new.section):
            return DataChange(Change.SAME, name, *sides)
        if self.before.is_hollow or self.after.is_hollow:
            return DataChange(Change.UNKNOWN, name, *sides)
        x, y = self.before.holder.variable(old), self.after.holder.variable(new)
        self._content[first] = x
        if x is None or y is None:
            return DataChange(Change.SAME, name, *sides, uncompared=1)
        found = match_content(x, y, self.renamed)
        if found is Match.OTHER:
            told = differences(x, y, self.renamed, self._leaves(first, second))
            return DataChange(Change.CHANGED, name, *sides, differences=told)
        unknown = 0
        if found is Match.UNKNOWN:
            pairs = zip(x.pointers, y.pointers, strict=True)
            unknown = sum(match(p.place, q.place, self.renamed) is Match.UNKNOWN for p, q in pairs)
        return DataChange(Change.SAME, name, *sides, uncompared=unknown)

    def _side(self, build: Build, symbol: Symbol) -> Variable:
        known = build.types.variables if build.types is not None else {}
        return Variable(known.get(plain(symbol.name), ("", 0))[0], symbol.size)

    def _leaves(self, first: str, second: str) -> tuple[Leaf, ...]:
        """The members of a variable, where both builds agree on them."""
        if self.before.types is None or self.after.types is None:
            return ()
        one = self.before.types.leaves(plain(first))
        return one if one == self.after.types.leaves(plain(second)) else ()

    def _alone(self) -> Iterator[DataChange]:
        """What one file alone has."""
        paired = {*self.numbered, *self.numbered.values()}
        for build, other, change in (
            (self.before, self.after, Change.REMOVED),
            (self.after, self.before, Change.ADDED),
        ):
            for name in build.variables.keys() - other.variables.keys() - paired:
                symbol = build.variables[name]
                side = self._side(build, symbol)
                what = change if other.lacks(symbol) else Change.UNKNOWN
                here = (side, None) if build is self.before else (None, side)
                yield DataChange(what, _shown(name), *here)

    def reached(self, used: set[str]) -> set[str]:
        """Of the variables that are reached from some of the first build, those that changed."""
        seen: set[str] = set()
        pending = list(used)
        while pending:
            name = pending.pop()
            if name in seen:
                continue
            seen.add(name)
            content = self._content.get(name)
            if content is not None:
                pending += variables_in(p.place for p in content.pointers)
        return {_shown(name) for name in seen} & self.changed


def numbered_pairs(before: Build, after: Build) -> dict[str, str]:
    """Constants that a compiler numbered and that changed: the new name by the old one.

    Only where each file has one of the name that the other has not.
    """
    first, second = _numbered(before, after), _numbered(after, before)
    return {
        first[base][0]: second[base][0]
        for base in first.keys() & second.keys()
        if len(first[base]) == len(second[base]) == 1
    }


def _numbered(build: Build, other: Build) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in build.variables.keys() - other.variables.keys():
        base, numbered, _ = name.partition("=")
        if numbered:
            found.setdefault(base, []).append(name)
    return found


def _shown(name: str) -> str:
    """A name without the contents that tell a numbered constant."""
    return name.partition("=")[0]


def variables_in(places: Iterable[Referent]) -> set[str]:
    """The names of what places are in or, where they have none, what is pointed to there."""
    found: set[str] = set()
    pending = list(places)
    while pending:
        place = pending.pop()
        if place.content is not None:
            pending += [pointer.place for pointer in place.content.pointers]
        elif place.names:
            found.add(place.nearest[0])
    return found

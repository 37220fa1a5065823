"""Compares the named types of two builds."""

from __future__ import annotations

from collections.abc import Iterator

from replay.elf.changes import Change, TypeChange
from replay.elf.types import Definition, Known, Types


def compare_types(before: Types, after: Types, wanted: frozenset[str] | None) -> list[TypeChange]:
    """The types that are not the same in both.

    What one build alone knows is told only where a function or variable of the other has
    the same name: types that nobody uses are not in the debug information.

    Args:
        before: of the first build.
        after: of the second.
        wanted: the functions and variables through which types are reached; all if None.
    """
    differing = {
        name
        for name in before.known.keys() & after.known.keys()
        if before.known[name].definitions.keys() != after.known[name].definitions.keys()
        or len(before.known[name].definitions) > 1
    }
    users = _users(before, differing), _users(after, differing)
    found = []
    for name in sorted(differing):
        reached = tuple(sorted(users[0].get(name, set()) | users[1].get(name, set())))
        if wanted is None or wanted & set(reached):
            change = _change(name, before.known[name], after.known[name], reached)
            if change is not None:
                found.append(change)
    return found


def _change(name: str, before: Known, after: Known, users: tuple[str, ...]) -> TypeChange | None:
    old, new = _only(before, after), _only(after, before)
    several = len(before.definitions) > 1 or len(after.definitions) > 1
    if not old and not new:
        return None
    if several:
        told = (*_units("-", before), *_units("+", after))
        sizes = (_size(before), _size(after))
        return TypeChange(Change.CHANGED, name, *sizes, (), (), users, told)
    x, y = old[0], new[0]
    removed = tuple(row for row in x.rows if row not in y.rows)
    added = tuple(row for row in y.rows if row not in x.rows)
    if not removed and not added and x.size == y.size:
        removed, added = x.rows, y.rows
    return TypeChange(Change.CHANGED, name, x.size, y.size, removed, added, users)


def _only(one: Known, other: Known) -> list[Definition]:
    return [d for d in one.definitions if d not in other.definitions]


def _size(known: Known) -> int | None:
    sizes = {d.size for d in known.definitions}
    return sizes.pop() if len(sizes) == 1 else None


def _units(sign: str, known: Known) -> Iterator[str]:
    """Each definition with the source files that have it."""
    for definition, units in known.definitions.items():
        size = "unknown size" if definition.size is None else f"{definition.size} bytes"
        yield f"{sign} {', '.join(units)}: {size}: {'; '.join(definition.rows)}"


def _users(types: Types, wanted: set[str]) -> dict[str, set[str]]:
    """The functions and variables by the wanted types that they reach, also through others."""
    back: dict[str, set[str]] = {}
    for name, known in types.known.items():
        for used in known.uses:
            back.setdefault(used, set()).add(name)
    direct: dict[str, set[str]] = {}
    for user, names in types.users.items():
        for name in names:
            direct.setdefault(name, set()).add(user)
    found: dict[str, set[str]] = {}
    for name in wanted:
        seen, pending = {name}, [name]
        while pending:
            for other in back.get(pending.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    pending.append(other)
        found[name] = {user for reached in seen for user in direct.get(reached, ())}
    return found

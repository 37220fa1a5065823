"""Which objects die at a call: those consumed, what came from them, what the call ends.

Imports the standard library alone: the process apart loads it, see ``replay.repo.worker``.
"""

from __future__ import annotations

TYPE_CHECKING = False  # see replay.apart.light
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any


def gone(
    kinds: Mapping[int, str], parents: Mapping[int, int], given: Iterable[int],
    consumed: Iterable[int], ends: str,
) -> set[int]:  # fmt: skip
    """The numbers of the objects that are dead after a call.

    Args:
        kinds: of the live objects, by number.
        parents: of those that die with another, its number.
        given: the objects that the call takes.
        consumed: those of them that it ends.
        ends: the kind of the objects that came from one of them and are dead, too.

    """
    dead = set(consumed)
    if ends and parents:
        given = set(given)
        dead |= {n for n, kind in kinds.items() if kind == ends and parents.get(n) in given}
    size = -1
    while parents and size != len(dead):
        size = len(dead)
        dead |= {number for number, parent in parents.items() if parent in dead}
    return dead


def follow(trace: Any, data: Mapping[str, Any], values: list[Any], makes: int) -> None:
    """Take what died at a call from the live objects of a trace, and know a new one's parent."""
    ends = data.get("ends", "")
    if data["consumes"] or ends:
        given = [values[v] for v in data.get("given", ())]
        consumed = [values[v] for v in data["consumes"]]
        for number in gone(trace.kinds, trace.parents, given, consumed, ends):
            trace.handles.pop(number, None)
            trace.parents.pop(number, None)
    if data.get("dies_with") is not None and makes in trace.handles:
        trace.parents[makes] = values[data["dies_with"]]


def left(trace: Any, functions: Mapping[str, Any], names: Iterable[str]) -> Iterator[Any]:
    """(a function that destroys, the number of an object) for what a trace leaves alive.

    What dies with another was made after it, and goes first.
    """
    tied = any(one.data.get("dies_with") is not None for one in functions.values())
    for number in sorted(trace.handles, reverse=tied):
        for function in (functions[name] for name in names):
            if function.data["destroys"] == trace.kinds[number] and (
                number in trace.handles and len(function.data["values"]) == 1
            ):
                yield function, number


def is_object(value: Any) -> bool:
    """Whether a pointer, or a number that names an object, is one; a negative number is none."""
    return isinstance(value, int) and value >= 0

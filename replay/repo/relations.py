"""Calls of which the relations of a binding hold, as ``want <= n`` or ``lo + 2 < hi``.

A parameter stands for its integer; one that points to bytes, a string or an array, and one that
is told such a length, for that length: in elements, where it is an array.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from replay.repo import parted

if TYPE_CHECKING:
    from replay.repo.binding import Operation, Param

ROUNDS: Final = 40
"""Changes of a value that are tried until all relations hold."""
TRIES: Final = 200
_SIZED: Final = ("bytes", "inout", "string")


def measured(op: Operation) -> dict[str, str]:
    """The parameters that a relation may name, and of which value of the call each tells."""
    given = {p.name for p in op.given if p.role in ("int", "choice", *_SIZED)}
    lengths = {p.name: p.of for p in op.params if p.role == "length" and p.of in given}
    return {**{name: name for name in given}, **lengths}


def numbers(op: Operation, values: Sequence[Any]) -> dict[str, int]:
    """What each parameter stands for in a call."""
    own = {p.name: _number(p, v) for p, v in zip(op.given, values, strict=True)}
    return {name: own[of] for name, of in measured(op).items()}


def _number(param: Param, value: Any) -> int:
    if isinstance(value, str) and param.role in _SIZED:
        return parted.count(param, value)
    return int(value) if isinstance(value, int) else 0


def _span(param: Param) -> tuple[int, int]:
    """The least and the greatest number that a parameter may stand for."""
    return param.low // param.unit, param.high // param.unit


def broken(op: Operation, values: Sequence[Any]) -> str:
    """The first relation that does not hold for a call; empty where all do."""
    where = op.draft.behaviour.where
    if not where:
        return ""
    known = numbers(op, values)
    return next((one.text for one in where if not one.holds(known)), "")


def mended(op: Operation, values: Sequence[Any], rng: random.Random) -> tuple[Any, ...] | None:
    """The values, some changed so that all relations hold; None where that does not succeed."""
    now = list(values)
    places = {param.name: place for place, param in enumerate(op.given)}
    sources = measured(op)
    for _ in range(ROUNDS):
        known = numbers(op, now)
        wrong = [one for one in op.draft.behaviour.where if not one.holds(known)]
        if not wrong:
            return tuple(now)
        terms = rng.choice(wrong).terms
        if not terms:  # as that of "n < n"
            return None
        name, _ = rng.choice(terms)
        place = places[sources[name]]
        param = op.given[place]
        own = [n for n, of in sources.items() if of == param.name]

        def fits(number: int, own: list[str] = own, known: dict[str, int] = known) -> bool:
            changed = {**known, **dict.fromkeys(own, number)}
            return all(
                one.holds(changed)
                for one in op.draft.behaviour.where if any(n in own for n, _ in one.terms)
            )  # fmt: skip

        number = _drawn(param, _candidates(op, param, own, known), fits, rng)
        if number is not None:
            now[place] = _sized(param, now[place], number)
    return None


def _candidates(
    op: Operation, param: Param, own: Sequence[str], known: Mapping[str, int]
) -> list[int]:
    """Numbers at which a relation of a parameter begins or ends to hold, and beside them."""
    low, high = _span(param)
    found = {low, high}
    for one in op.draft.behaviour.where:
        times = sum(t for name, t in one.terms if name in own)
        if times:
            rest = one.constant + sum(t * known[n] for n, t in one.terms if n not in own)
            edge = -rest // times
            found |= {edge - 1, edge, edge + 1}
    return sorted(n for n in found if low <= n <= high)


def _drawn(
    param: Param, edges: Sequence[int], fits: Callable[[int], bool], rng: random.Random
) -> int | None:
    """A number of a parameter for which its relations hold; else one that is at an edge."""
    if param.role == "choice":
        able = [int(one) for one in param.choices if fits(int(one))]
        return rng.choice(able or [int(one) for one in param.choices])
    able = [edge for edge in edges if fits(edge)]
    if not able:
        return rng.choice(edges) if edges else None
    between = rng.randint(able[0], able[-1])
    return between if fits(between) and rng.random() < 0.7 else rng.choice(able)


def _sized(param: Param, value: Any, number: int) -> Any:
    """A value that stands for a number."""
    return parted.counted(param, value, number) if param.role in _SIZED else number


def example(op: Operation) -> tuple[Any, ...] | None:
    """Values of a call for which all relations hold; objects are 0. None where none is found."""
    rng = random.Random(0)
    for _ in range(TRIES):
        values: list[Any] = []
        for param in op.given:
            if param.role == "choice":
                values.append(rng.choice(param.choices))
            elif param.grammar is not None:
                values.append(param.grammar.draw(rng))
            elif param.role in _SIZED:
                values.append(_sized(param, "", _span(param)[0]))
            else:
                values.append(rng.randint(param.low, max(param.low, param.high)))
        found = mended(op, values, rng)
        if found is not None:
            return found
    return None


def settled(op: Operation, values: Sequence[Any], rng: random.Random) -> tuple[Any, ...]:
    """The values of a call, as they are or changed so that all relations hold."""
    found = mended(op, values, rng)
    if found is not None:
        return found
    known = example(op)
    assert known is not None, "a binding with such relations is turned away"
    named = {measured(op)[name] for one in op.draft.behaviour.where for name, _ in one.terms}
    return tuple(
        new if param.name in named else old
        for param, old, new in zip(op.given, values, known, strict=True)
    )

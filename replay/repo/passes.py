"""The ways to make a trace of calls smaller that change more than one value at once.

Each takes the interface of the calls, too, which says what a value may be. A candidate may
make no sense: the language turns those away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, TypeAlias

from replay.repo.binding import Interface, Param
from replay.repo.calls import Call, CallTrace, Value
from replay.repo.valuepasses import places, simpler_integers, with_value
from replay.search.shrink import Shrinker

SHORT: Final = 5
"""Calls in a trace of which every value of every call is tried."""
FEW: Final = 12
"""Values that are tried for each."""

CallPass: TypeAlias = Callable[[Interface, Shrinker[CallTrace]], None]


def drop_objects(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Leave out an object with all that is done to it, or do it to another instead."""
    for number in sorted({c.makes for c in s.best if c.makes}, reverse=True):
        made = [i for i, c in enumerate(s.best) if c.makes == number]
        if made and not s.without(made):
            for other in range(1, number):
                s.consider(_moved(interface, s.best, made[0], number, other))


def _moved(interface: Interface, trace: CallTrace, made: int, number: int, other: int) -> CallTrace:
    """Without the call that makes an object, whose calls go to another."""
    calls = []
    for index, call in enumerate(trace):
        if index == made:
            continue
        values = tuple(
            other if param.role == "handle" and value == number else value
            for param, value in zip(interface.ops[call.op].given, call.values, strict=True)
        )
        calls.append(replace(call, values=values))
    return tuple(calls)


def lower_together(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Lower all values of parameters of one name by the same, or swap one for another."""
    names = sorted({p.name for _, _, p in places(interface, s.best) if p.role == "int"})
    for name in names:
        largest = max(abs(v) for v in _integers(interface, s.best, name))
        for step in (1 << bits for bits in reversed(range(largest.bit_length()))):
            while s.consider(_lowered(interface, s.best, name, step)):
                pass
        for value in sorted(_integers(interface, s.best, name), reverse=True):
            for smaller in range(min(value, 8)):
                if s.consider(_replaced(interface, s.best, name, value, smaller)):
                    break


def _integers(interface: Interface, trace: CallTrace, name: str) -> set[int]:
    """The integers that parameters of a name have in a trace."""
    return {
        value for index, position, param in places(interface, trace) if param.name == name
        for value in [trace[index].values[position]] if isinstance(value, int)
    }  # fmt: skip


def _lowered(interface: Interface, trace: CallTrace, name: str, step: int) -> CallTrace:
    def lower(param: Param, value: int) -> int:
        return value - step if value - step >= max(param.low, 0) else value

    return _changed(interface, trace, name, lower)


def _replaced(interface: Interface, trace: CallTrace, name: str, value: int, by: int) -> CallTrace:
    def swap(param: Param, seen: int) -> int:
        return by if seen == value and param.low <= by <= param.high else seen

    return _changed(interface, trace, name, swap)


def _changed(
    interface: Interface, trace: CallTrace, name: str, change: Callable[[Param, int], int]
) -> CallTrace:
    """With all integers of a name changed."""
    calls: list[Call] = []
    for call in trace:
        values = tuple(
            change(p, v) if p.name == name and p.role == "int" and isinstance(v, int) else v
            for p, v in zip(interface.ops[call.op].given, call.values, strict=True)
        )
        calls.append(replace(call, values=values))
    return tuple(calls)


def move_together(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Make an integer 0 and give what it was to the next one of the same name."""
    last: dict[str, tuple[int, int]] = {}
    for index, position, param in list(places(interface, s.best)):
        value = s.best[index].values[position]
        if param.role != "int" or not isinstance(value, int):
            continue
        if param.name in last:
            before = last[param.name]
            given = s.best[before[0]].values[before[1]]
            if isinstance(given, int) and given:
                s.consider(
                    with_value(with_value(s.best, *before, 0), index, position, value + given)
                )
        last[param.name] = index, position


def value_and_run(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Lower a value and leave out calls at once: less room needs fewer calls to fill."""
    for index, position, param in list(places(interface, s.best)):
        if param.role != "int" or index >= len(s.best):
            continue
        if position >= len(s.best[index].values):
            continue
        value = s.best[index].values[position]
        simpler = simpler_integers(param, value) if isinstance(value, int) else ()
        for value in list(simpler)[:4]:
            if _without_a_run(s, index, with_value(s.best, index, position, value)):
                break


def values_and_one(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Leave out one call of a short trace, and give the others any small values.

    Which value stands where may be what keeps a call: of three keys two must collide. One
    value is changed; or two of one name, the second to one that the trace has.
    """
    if s.length > SHORT:
        return
    for changes in (_one_change, _two_changes):
        candidates = [
            changed
            for gone in reversed(range(s.length))
            for changed in changes(interface, s.language.without(s.best, frozenset({gone})) or ())
        ]
        # A pass that may use up what is left would only hide that the others are done.
        if len(candidates) >= s.left or any(s.consider(one) for one in candidates):
            return


def _one_change(interface: Interface, trace: CallTrace) -> Iterator[CallTrace]:
    for index, position, param in places(interface, trace):
        for value in _few(param):
            yield with_value(trace, index, position, value)


def _two_changes(interface: Interface, trace: CallTrace) -> Iterator[CallTrace]:
    known = [(i, k, p) for i, k, p in places(interface, trace) if p.role in ("int", "choice")]
    for index, position, param in known:
        for other, place, same in known:
            if same.name != param.name or (other, place) == (index, position):
                continue
            now = trace[other].values[place]
            seen = {trace[i].values[k] for i, k, p in known if p.name == param.name} - {now}
            for value in _few(param):
                changed = with_value(trace, index, position, value)
                for second in sorted(seen, key=float):
                    yield with_value(changed, other, place, second)


def _few(param: Param) -> Sequence[Value]:
    """Some of the values that a parameter takes."""
    if param.role == "choice":
        return param.choices[:FEW]
    if param.role != "int":
        return ()
    start = max(param.low, 0) if param.high >= 0 else param.low
    return range(start, min(param.high + 1, start + FEW))


def _without_a_run(s: Shrinker[CallTrace], index: int, changed: CallTrace) -> bool:
    """Leave out a run of calls behind one that was changed."""
    for run in (1, 2, 3, 4, 8):
        for start in range(index + 1, len(changed) - run + 1):
            if s.consider(changed[:start] + changed[start + run :]):
                return True
    return False

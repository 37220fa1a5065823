"""The ways to make a trace of calls smaller, beside leaving calls out.

Each takes the interface of the calls, too, which says what a value may be. A candidate may
make no sense: the language turns those away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

from replay.repo.binding import Interface, Param
from replay.repo.calls import Call, CallTrace, Value
from replay.search.shrink import Shrinker

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


def smaller_values(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Make single values simpler, each as simple as it can be."""
    for index, position, param in list(_places(interface, s.best)):
        for value in _smaller(param, s.best[index].values[position]):
            if s.consider(_with_value(s.best, index, position, value)):
                break


def lower_together(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Lower all values of parameters of one name by the same, or swap one for another."""
    names = sorted({p.name for _, _, p in _places(interface, s.best) if p.role == "int"})
    for name in names:
        for step in (64, 16, 8, 4, 2, 1):
            while s.consider(_lowered(interface, s.best, name, step)):
                pass
        values = sorted({
            v for i, k, p in _places(interface, s.best) if p.name == name
            for v in [s.best[i].values[k]] if isinstance(v, int)
        }, reverse=True)  # fmt: skip
        for value in values:
            for smaller in range(min(value, 8)):
                if s.consider(_replaced(interface, s.best, name, value, smaller)):
                    break


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


def value_and_run(interface: Interface, s: Shrinker[CallTrace]) -> None:
    """Lower a value and leave out calls at once: less room needs fewer calls to fill."""
    for index, position, param in list(_places(interface, s.best)):
        if param.role != "int" or index >= len(s.best):
            continue
        if position >= len(s.best[index].values):
            continue
        for value in list(_smaller(param, s.best[index].values[position]))[:4]:
            if _without_a_run(s, index, _with_value(s.best, index, position, value)):
                break


def _without_a_run(s: Shrinker[CallTrace], index: int, changed: CallTrace) -> bool:
    """Leave out a run of calls behind one that was changed."""
    for run in (1, 2, 3, 4, 8):
        for start in range(index + 1, len(changed) - run + 1):
            if s.consider(changed[:start] + changed[start + run :]):
                return True
    return False


def _places(interface: Interface, trace: CallTrace) -> Iterator[tuple[int, int, Param]]:
    """The places of values: (call, position in it, its parameter)."""
    for index, call in enumerate(trace):
        for position, param in enumerate(interface.ops[call.op].given):
            yield index, position, param


def _with_value(trace: CallTrace, index: int, position: int, value: Value) -> CallTrace:
    values = list(trace[index].values)
    values[position] = value
    call = replace(trace[index], values=tuple(values))
    return (*trace[:index], call, *trace[index + 1 :])


def _smaller(param: Param, value: Value) -> Iterator[Value]:
    """Simpler values for a parameter, the simplest first."""
    if param.role == "choice":
        yield from param.choices[: param.choices.index(value)]
    elif param.role == "int" and isinstance(value, int):
        if value < 0 and -value <= param.high:
            yield -value
        sign = -1 if value < 0 else 1
        for smaller in dict.fromkeys((0, 1, 2, 3, 4, abs(value) // 2, abs(value) - 2,
                                      abs(value) - 1, param.low)):  # fmt: skip
            if 0 <= smaller < abs(value) and param.low <= sign * smaller <= param.high:
                yield sign * smaller
    elif param.role == "string" and isinstance(value, str):
        for length in (param.low, len(value) // 2, len(value) - 1):
            if param.low <= length < len(value):
                yield value[:length]
        yield param.alphabet[0] * len(value)
    elif param.role in ("bytes", "inout") and isinstance(value, str):
        size = len(value) // 2
        for length in (param.low, size // 2, size - 1):
            if param.low <= length < size:
                yield value[: 2 * length]
        yield "00" * size
        yield "01" * size

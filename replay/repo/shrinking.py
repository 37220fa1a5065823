"""The shortest trace of calls that still shows something.

Shortest first, then smallest values: a trace is better if it has fewer calls, or as many
and smaller values, call by call. Candidates are always valid traces. The result depends on
the trace, the predicate and the budget alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from replay.repo.binding import Param, Plan
from replay.repo.calls import Call, CallTrace, Value, is_valid, renumbered

BUDGET: Final = 1500
Predicate: TypeAlias = Callable[[CallTrace], bool]


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The trace, how many candidates were tried, and whether nothing smaller was left."""

    trace: CallTrace
    tried: int
    complete: bool


def shrink(trace: CallTrace, plan: Plan, holds: Predicate, budget: int = BUDGET) -> Shrunk:
    """Make a trace smaller while ``holds`` is true of it, with at most ``budget`` questions."""
    return _Shrinker(trace, plan, holds, budget).run()


class _OutOfBudget(Exception):
    pass


class _Shrinker:
    def __init__(self, trace: CallTrace, plan: Plan, holds: Predicate, budget: int) -> None:
        self.plan = plan
        self.best = renumbered(trace, plan)
        self.size = self.measure(self.best)
        self.holds = holds
        self.budget = self.left = budget
        self.seen: set[CallTrace] = {self.best}

    def run(self) -> Shrunk:
        complete = True
        try:
            self.prefix()
            while True:
                before = self.size
                self.drop_objects()
                self.drop_runs()
                self.smaller_values()
                self.together()
                self.value_and_run()
                if self.size == before:
                    break
        except _OutOfBudget:
            complete = False
        return Shrunk(self.best, self.budget - self.left, complete)

    def measure(self, trace: CallTrace) -> tuple[Any, ...]:
        order = {name: index for index, name in enumerate(self.plan.ops)}
        calls = [
            (
                order[call.op],
                *(
                    _size(param, value)
                    for param, value in zip(self.plan.ops[call.op].given, call.values, strict=True)
                ),
            )
            for call in trace
        ]
        # The sum first: one large value is worse than two small ones.
        total = sum(size[0] for call in calls for size in call[1:])  # type: ignore[index]
        return len(trace), total, tuple(calls)

    def offer(self, calls: Sequence[Call]) -> bool:
        """Take a candidate if it is valid, smaller, new, and still shows it."""
        if not is_valid(calls, self.plan):
            return False
        candidate = renumbered(calls, self.plan)
        measure = self.measure(candidate)
        if measure >= self.size or candidate in self.seen:
            return False
        self.seen.add(candidate)
        if not self.left:
            raise _OutOfBudget
        self.left -= 1
        if not self.holds(candidate):
            return False
        self.best, self.size = candidate, measure
        return True

    def without(self, gone: set[int]) -> list[Call]:
        """The best trace without some calls, nor any that needs what they make."""
        missing: set[int] = set()
        kept = []
        for index, call in enumerate(self.best):
            given = self.plan.ops[call.op].given
            needs = {v for p, v in zip(given, call.values, strict=True) if p.role == "handle"}
            if index in gone or needs & missing:
                if call.makes:
                    missing.add(call.makes)
            else:
                kept.append(call)
        return kept

    def prefix(self) -> None:
        low, high = 0, len(self.best)
        whole = self.best
        while low < high:
            middle = (low + high) // 2
            if self.offer(whole[:middle]):
                high = middle
            else:
                low = middle + 1

    def drop_objects(self) -> None:
        """Leave out an object with all that is done to it, or do it to another instead."""
        for number in sorted({c.makes for c in self.best if c.makes}, reverse=True):
            made = [i for i, c in enumerate(self.best) if c.makes == number]
            if made and not self.offer(self.without(set(made))):
                for other in range(1, number):
                    self.offer(self.moved(made[0], number, other))

    def moved(self, made: int, number: int, other: int) -> list[Call]:
        """Without the call that makes an object, whose calls go to another."""
        calls = []
        for index, call in enumerate(self.best):
            if index == made:
                continue
            values = tuple(
                other if param.role == "handle" and value == number else value
                for param, value in zip(self.plan.ops[call.op].given, call.values, strict=True)
            )
            calls.append(replace(call, values=values))
        return calls

    def drop_runs(self) -> None:
        """Leave out halves, quarters, … single calls, then any two."""
        run = max(len(self.best) // 2, 1)
        while run:
            index = len(self.best) - run
            while index >= 0:
                self.offer(self.without(set(range(index, index + run))))
                index = min(index - run, len(self.best) - run)
            run //= 2
        for first in range(len(self.best)):
            for second in range(first + 1, len(self.best)):
                if self.offer(self.without({first, second})):
                    return

    def places(self) -> Iterator[tuple[int, int, Param]]:
        for index, call in enumerate(self.best):
            for position, param in enumerate(self.plan.ops[call.op].given):
                yield index, position, param

    def with_value(self, index: int, position: int, value: Value) -> list[Call]:
        calls = list(self.best)
        values = list(calls[index].values)
        values[position] = value
        calls[index] = replace(calls[index], values=tuple(values))
        return calls

    def smaller_values(self) -> None:
        for index, position, param in list(self.places()):
            for value in _smaller(param, self.best[index].values[position]):
                if self.offer(self.with_value(index, position, value)):
                    break

    def together(self) -> None:
        """Lower all values of parameters of one name by the same, or swap one for another."""
        names = sorted({p.name for _, _, p in self.places() if p.role == "int"})
        for name in names:
            for step in (64, 16, 8, 4, 2, 1):
                while self.offer(self.lowered(name, step)):
                    pass
            values = sorted({
                v for i, k, p in self.places() if p.name == name
                for v in [self.best[i].values[k]] if isinstance(v, int)
            }, reverse=True)  # fmt: skip
            for value in values:
                for smaller in range(min(value, 8)):
                    if self.offer(self.replaced(name, value, smaller)):
                        break

    def changed(self, name: str, change: Callable[[Param, int], int]) -> list[Call]:
        calls = []
        for call in self.best:
            given = self.plan.ops[call.op].given
            values = tuple(
                change(p, v) if p.name == name and p.role == "int" and isinstance(v, int) else v
                for p, v in zip(given, call.values, strict=True)
            )
            calls.append(replace(call, values=values))
        return calls

    def lowered(self, name: str, step: int) -> list[Call]:
        return self.changed(name, lambda p, v: v - step if v - step >= max(p.low, 0) else v)

    def replaced(self, name: str, value: int, by: int) -> list[Call]:
        return self.changed(name, lambda p, v: by if v == value and p.low <= by <= p.high else v)

    def value_and_run(self) -> None:
        """Lower a value and leave out calls at once: less room needs fewer calls to fill."""
        for index, position, param in list(self.places()):
            if param.role != "int" or index >= len(self.best):
                continue
            if position >= len(self.best[index].values):
                continue
            for value in list(_smaller(param, self.best[index].values[position]))[:4]:
                if self._value_and_run(index, position, value):
                    break

    def _value_and_run(self, index: int, position: int, value: Value) -> bool:
        changed = self.with_value(index, position, value)
        for run in (1, 2, 3, 4, 8):
            for start in range(index + 1, len(changed) - run + 1):
                if self.offer(changed[:start] + changed[start + run :]):
                    return True
        return False


def _size(param: Param, value: Value) -> tuple[int, Any]:
    """How large a value is: how far from the simplest one, then which."""
    if param.role == "choice":
        return param.choices.index(value), 0
    if isinstance(value, str):
        if param.role == "string":
            letters = sum(param.alphabet.find(c) for c in value if c in param.alphabet)
            return 300 * len(value) + letters, value
        return 300 * (len(value) // 2) + sum(bytes.fromhex(value)), value
    return (2 * abs(int(value)) + (value < 0), 0) if param.role == "int" else (int(value), 0)


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

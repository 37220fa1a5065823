"""Calls that hang on both sides of a pair are left out of its traces, and the rest goes on.

What hangs is learned from runs alone. A call that hung is left out where it stands. Where
one value is to blame (each other argument of the call came back in some other call), calls
with this value are left out of all traces; a function that never comes back, or hangs for
reasons that no value explains, is left out as a whole.

So it is with a call that is given one object twice, as ``merge(a, a)``, and crashes on both
sides: it may well not be meant for that, and what comes behind it would never be compared.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, TypeAlias

from replay.repo.binding import Interface
from replay.repo.calls import Call, CallTrace, Value
from replay.repo.language import CallLanguage
from replay.repo.runner import Run

BLAMED: Final = 2
"""Hangs of a value that alone can be to blame, after which it is left out."""
NEVER: Final = 3
"""Hangs of a function that never came back, after which it is left out."""
UNEXPLAINED: Final = 12
"""Hangs of a function that no value explains, after which it is left out."""

BEYOND: Final = 4
"""Hangs on one side of all numbers that came back, after which that side is left out."""

Given: TypeAlias = tuple[str, int, Value]
"""A value of an operation: at which of its places."""


class Tried(NamedTuple):
    """A trace as it was run, and its runs."""

    number: int
    trace: CallTrace
    made: CallTrace
    before: Run | None
    after: Run | None

    def ended(self, cause: str) -> bool:
        """Whether both sides hang, or crash, at the same call."""
        old, new = self.before, self.after
        if old is None or new is None or not old.end == new.end == cause:
            return False
        return len(old.records) == len(new.records) < len(self.made)


class Stuck(NamedTuple):
    """A trace as it was run, and the call at which both sides hang, or crash."""

    number: int
    trace: CallTrace
    made: CallTrace
    at: int
    crashed: bool = False


@dataclass(slots=True)
class Hanging:
    """What is left out of the traces of a pair.

    Attributes:
        places: calls, by the number of their trace and where they stand.
        values: of operations, and ``ops``: operations as a whole.
        beyond: of a number, by operation and place, the greatest that hangs below all that
            came back, and the least that does above them.
        back: the values with which an operation came back.
        hung: the calls that hung.
        twice: calls that crashed when they were given one object twice, by operation.

    """

    interface: Interface
    places: set[tuple[int, int]] = field(default_factory=set)
    values: set[Given] = field(default_factory=set)
    ops: set[str] = field(default_factory=set)
    beyond: dict[tuple[str, int], tuple[float, float]] = field(default_factory=dict)
    back: set[Given] = field(default_factory=set)
    returned: set[str] = field(default_factory=set)
    hung: list[Call] = field(default_factory=list)
    twice: Counter[str] = field(default_factory=Counter)

    @property
    def key(self) -> tuple[frozenset[object], ...]:
        """Equal for two that leave the same out."""
        return (
            frozenset(self.places), frozenset(self.values), frozenset(self.ops),
            frozenset(self.beyond.items()), self._never_twice(),
        )  # fmt: skip

    def copy(self) -> Hanging:
        """The same, to learn more by itself."""
        return replace(
            self, places=set(self.places), values=set(self.values), ops=set(self.ops),
            beyond=dict(self.beyond), back=set(self.back), returned=set(self.returned),
            hung=list(self.hung), twice=Counter(self.twice),
        )  # fmt: skip

    def cut(self, number: int, trace: CallTrace) -> CallTrace:
        """A trace without the calls that hang, and without what needs what they make."""
        if not self.places:
            return trace
        never = self._never_twice()
        gone = {
            place for place, call in enumerate(trace)
            if (number, place) in self.places or call.op in self.ops
            or not self.values.isdisjoint(self.given(call)) or self._is_beyond(call)
            or (call.op in never and self.is_twice(call))
        }  # fmt: skip
        return CallLanguage(self.interface).without(trace, gone) if gone else trace

    def given(self, call: Call) -> list[Given]:
        """The values of a call, but for objects, whose numbers say nothing."""
        params = self.interface.ops[call.op].given
        return [
            (call.op, place, value)
            for place, (param, value) in enumerate(zip(params, call.values, strict=True))
            if param.role != "handle"
        ]

    def is_twice(self, call: Call) -> bool:
        """Whether a call is given one object twice."""
        params = self.interface.ops[call.op].given
        objects = [
            (param.kind, value) for param, value in zip(params, call.values, strict=True)
            if param.role == "handle" and value is not None
        ]  # fmt: skip
        return len(set(objects)) < len(objects)

    def _never_twice(self) -> frozenset[str]:
        return frozenset(op for op, count in self.twice.items() if count >= BLAMED)

    def stops(self, one: Tried) -> bool:
        """Whether both sides end at the same call, which is left out for that."""
        if one.before is None or not one.ended("crash"):
            return one.ended("hang")
        return self.is_twice(one.made[len(one.before.records)])

    def _is_beyond(self, call: Call) -> bool:
        for op, place, value in self.given(call):
            low, high = self.beyond.get((op, place), (-math.inf, math.inf))
            if isinstance(value, int) and not low < value < high:
                return True
        return False

    def learn(
        self, tried: Iterable[Tried], well: Iterable[CallTrace] = (), stuck: Iterable[Stuck] = ()
    ) -> bool:
        """Learn from runs; whether any of them ended on both sides at a call to be left out.

        Args:
            tried: traces with their runs.
            well: traces that came to their end on both sides.
            stuck: traces that end so, of which no more is known.

        """
        tried = list(tried)
        hanging = [
            Stuck(one.number, one.trace, one.made, len(one.before.records), one.ended("crash"))
            for one in tried if one.before is not None and self.stops(one)
        ]  # fmt: skip
        hanging += stuck
        if not hanging:
            return False
        for trace in well:
            self._came_back(trace)
        for one in tried:
            if one.before is not None and one.after is not None:
                self._came_back(one.made[: min(len(one.before.records), len(one.after.records))])
        for number, trace, made, at, crashed in hanging:
            self._came_back(made[:at])
            if crashed:
                self.twice[made[at].op] += 1
            else:
                self.hung.append(made[at])
            self.places.add((number, _place(trace, made, at)))
        self._blame()
        return True

    def _came_back(self, calls: CallTrace) -> None:
        for call in calls:
            self.returned.add(call.op)
            self.back.update(self.given(call))

    def _learn_sides(self) -> None:
        """Where all numbers that hang lie below, or above, all that came back."""
        hung: dict[tuple[str, int], list[int]] = {}
        back: dict[tuple[str, int], list[int]] = {}
        for known, givens in (
            (hung, [one for call in self.hung for one in self.given(call)]),
            (back, self.back),
        ):
            for op, place, value in givens:
                if isinstance(value, int):
                    known.setdefault((op, place), []).append(value)
        for key, numbers in hung.items():
            good = back.get(key, [])
            if len(numbers) < BEYOND or len(good) < BEYOND:
                continue
            if max(numbers) < min(good):
                self.beyond[key] = max(numbers), math.inf
            elif min(numbers) > max(good):
                self.beyond[key] = -math.inf, min(numbers)
            else:
                self.beyond.pop(key, None)

    def _blame(self) -> None:
        self._learn_sides()
        alone = Counter(
            suspects[0] for call in self.hung
            if call.op in self.returned
            and len(suspects := [one for one in self.given(call) if one not in self.back]) == 1
        )  # fmt: skip
        self.values |= {one for one, count in alone.items() if count >= BLAMED}
        unexplained = Counter(
            call.op
            for call in self.hung
            if self.values.isdisjoint(self.given(call)) and not self._is_beyond(call)
        )
        self.ops |= {
            op for op, count in unexplained.items()
            if count >= (UNEXPLAINED if op in self.returned else NEVER)
        }  # fmt: skip


def _place(trace: CallTrace, made: CallTrace, at: int) -> int:
    """Where a call stands in the whole trace, of which ``made`` is a part in its order."""
    place = -1
    for call in made[: at + 1]:
        place = next(i for i in range(place + 1, len(trace)) if trace[i] is call)
    return place

"""Random traces of calls: a function of the interface, the seed and the trace's number alone.

What was mined is part of the interface; how far values are fetched is told by the number.

Values cluster: ends of ranges and values used before are drawn more often than others,
because full, empty and equal are where code goes wrong. A trace has a mood, which favours
some operations over others, so that some traces fill and others drain.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

from replay.repo import relations
from replay.repo.behaviour import FAILING
from replay.repo.binding import Interface, Operation, Param
from replay.repo.calls import Call, CallTrace, Live, Value, takes
from replay.repo.drawing import SMALL, Drawing, reach, within

AGAIN: Final = 0.3
"""How often a value that was used before for a parameter of this name is used again."""
EQUAL: Final = 0.1
"""How often, else, an integer that any parameter had is used, or one beside it."""
UNCALLED: Final = 0.1
"""How often an operation is drawn that the trace has not called yet."""
MAKING: Final = 0.1
"""How much rarer an operation is drawn that makes or destroys than one that does not."""
FOCUS: Final = 0.25
"""How often a trace keeps to one to three operations, and to what makes their objects: what
goes wrong only after many calls of the same in a row is not come by among all the others."""
FOCUSED_FAILING: Final = 0.5
"""How often allocations may fail in such a trace, where a binding asks for that."""


def generate(interface: Interface, seed: int, number: int, length: int) -> CallTrace:
    """The trace of this number."""
    return _Generator(interface, random.Random(f"{seed}/{number}"), number, length).trace()


class _Generator:
    def __init__(self, interface: Interface, rng: random.Random, number: int, length: int) -> None:
        self.interface = interface
        self.rng = rng
        self.length = 1 + rng.randrange(length) if rng.random() < 0.3 else length
        self.live = Live(interface)
        self.before: dict[str, list[Value]] = {}
        self.integers: list[int] = []
        self.drawing = Drawing(rng, interface.mined)
        names = {p.name: 0 for op in interface.ops.values() for p in op.given}
        self.reach = {name: reach(rng, number) for name in names}
        self.made = {name: op.kind_made for name, op in interface.ops.items()}
        self.needs = {name: _kinds(op) for name, op in interface.ops.items()}
        self.waiting = Counter(kind for kinds in self.needs.values() for kind in kinds)
        self.among = self.focus() if rng.random() < FOCUS else frozenset(interface.ops)
        mood = rng.choice((0.0, 1.0, 2.0))
        self.weights: dict[str, float] = {
            name: (op.draft.weight or self.usual(op)) * (1 + rng.random()) ** (3 * mood)
            for name, op in interface.ops.items()
        }

    def focus(self) -> frozenset[str]:
        """A few operations, and all that make what they need."""
        plain = [name for name, op in self.interface.ops.items() if self.usual(op) == 1.0]
        if len(plain) < 2:
            return frozenset(self.interface.ops)
        kept = set(self.rng.sample(plain, min(self.rng.choice((1, 1, 2, 3)), len(plain))))
        missing = set().union(*(self.needs[name] for name in kept))
        while missing:
            makers = {name for name, kind in self.made.items() if kind in missing} - kept
            missing = set().union(*(self.needs[name] for name in makers))
            kept |= makers
        if FAILING in self.interface.ops and self.rng.random() < FOCUSED_FAILING:
            kept.add(FAILING)
        return frozenset(kept)

    def usual(self, op: Operation) -> float:
        ends = op.destroys or _consumed(op)
        return MAKING if op.kind_made or ends or op.draft.key == FAILING else 1.0

    def trace(self) -> CallTrace:
        calls: list[Call] = []
        called: set[str] = set()
        able, weights = self.able()
        while len(calls) < self.length and able:
            among, likely = able, weights
            if self.rng.random() < UNCALLED:
                fresh = [i for i, op in enumerate(able) if op.name not in called]
                if fresh:
                    among, likely = [able[i] for i in fresh], [weights[i] for i in fresh]
            op = self.rng.choices(among, likely)[0]
            call = self.call(op)
            called.add(op.name)
            calls.append(call)
            if call.makes or op.destroys or op.draft.behaviour.ends or _consumed(op):
                self.live.follow(call)
                able, weights = self.able()
        return tuple(calls)

    def able(self) -> tuple[list[Operation], list[float]]:
        """The operations that can come next, and how likely each is.

        It changes when an object comes or goes, and at no other call.
        """
        ops = self.interface.ops.values()
        able = [op for op in ops if op.name in self.among and self.is_able(op)]
        return able, [self.weight(op) for op in able]

    def weight(self, op: Operation) -> float:
        """How likely an operation is here: what makes an object that others wait for, more."""
        kind = self.made[op.name]
        if kind and not self.live.of(kind):
            return max(self.weights[op.name], float(self.waiting[kind]))
        return self.weights[op.name]

    def is_able(self, op: Operation) -> bool:
        kind = self.made[op.name]
        consumed = _consumed(op)
        if kind and len(self.live.of(kind)) - consumed[kind] >= op.draft.live:
            return False
        if any(len(self.live.of(one)) < _apart(op, one) for one in consumed):
            return False
        return all(self.live.of(needed) for needed in self.needs[op.name])

    def call(self, op: Operation) -> Call:
        values = tuple(self.value(param) for param in op.given)
        if _consumed(op):
            values = self.distinct(op, values)
        if op.draft.behaviour.where:
            values = relations.settled(op, values, self.rng)
        return Call(op.name, values, len(self.live.used) + 1 if self.made[op.name] else 0)

    def distinct(self, op: Operation, values: tuple[Value, ...]) -> tuple[Value, ...]:
        """The values with other objects where one that is consumed is given twice."""
        now = dict(enumerate(values))
        used: set[Value] = set()
        ending = [n for n, p in enumerate(op.given) if _ends(op, p)]
        others = [n for n, p in enumerate(op.given) if p.role == "handle" and n not in ending]
        for place in (*ending, *others):
            if now[place] in used:
                free = [n for n in self.live.of(op.given[place].kind) if n not in used]
                now[place] = self.rng.choice(free)
            if place in ending:
                used.add(now[place])
        return tuple(now.values())

    def value(self, param: Param) -> Value:
        if param.role == "handle":
            return self.rng.choice(self.live.of(param.kind))
        before = self.before.setdefault(param.name, [])
        if before and self.rng.random() < AGAIN:
            again = self.rng.choice(before)
            if _fits(param, again):
                return again
        value = self.fresh(param)
        before.append(value)
        return value

    def fresh(self, param: Param) -> Value:
        drawing, far = self.drawing, self.reach[param.name]
        if param.role == "choice":
            return self.rng.choice(param.choices)
        if param.role == "callback":
            return self.rng.choice((0, self.rng.randint(param.low, param.high)))
        if param.role == "float":
            return drawing.floating(param, far)
        if param.role == "string":
            return drawing.text(param, far)
        if param.role != "int":
            return drawing.data(param, far)
        number = self.equal(param) if far > SMALL and self.rng.random() < EQUAL else None
        if number is None:
            number = drawing.integer(param.low, param.high, far)
        self.integers.append(number)
        return number

    def equal(self, param: Param) -> int | None:
        """An integer that another parameter had, or one beside it."""
        if not self.integers:
            return None
        return within(self.rng.choice(self.integers) + self.drawing.beside(), param.low, param.high)


def _ends(op: Operation, param: Param) -> bool:
    """Whether an object that a parameter takes is dead behind the call."""
    return param.role == "handle" and (param.consumes or param.kind == op.destroys)


def _consumed(op: Operation) -> Counter[str]:
    """How many objects of each kind are dead behind a call."""
    return Counter(param.kind for param in op.params if _ends(op, param))


def _apart(op: Operation, kind: str) -> int:
    """How many objects of a kind a call needs, as one that is consumed is given once."""
    taken = [_ends(op, p) for p in op.params if p.role == "handle" and p.kind == kind]
    return sum(taken) + (not all(taken))


def _kinds(op: Operation) -> set[str]:
    """The kinds of objects of which an operation needs a live one."""
    return {p.kind for p in op.params if p.role == "handle"} | ({op.draft.requires} - {""})


def _fits(param: Param, value: Value) -> bool:
    """Whether a value of a parameter of the same name, perhaps of another call, will do."""
    if param.role == "string" and isinstance(value, str) and param.alphabet:
        return takes(param, value) and set(value) <= set(param.alphabet)
    if param.role in ("bytes", "inout") and isinstance(value, str):
        return takes(param, value) and set(value) <= set("0123456789abcdef")
    return takes(param, value)

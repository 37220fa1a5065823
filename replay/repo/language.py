"""Traces of calls as a language of the search.

Shortest first, then smallest values: a trace is smaller if it has fewer calls, or as many
and smaller values, call by call.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from replay.repo import floats, parted
from replay.repo.binding import ALPHABET, Interface, Param
from replay.repo.calls import CallTrace, Value, is_valid, read_calls, renumbered, takes, to_text
from replay.repo.generating import generate
from replay.repo.passes import (
    CallPass,
    drop_objects,
    lower_together,
    move_together,
    value_and_run,
    values_and_one,
)
from replay.repo.valuepasses import smaller_values
from replay.search.language import Pass
from replay.search.shrink import Shrunk, leave_out, shortest_prefix
from replay.search.shrink import shrink as shrink_in

BUDGET: Final = 1500
"""Evaluations of the predicate, unless told otherwise."""
CALLS: Final = 40
"""Calls a trace that is drawn, unless told otherwise."""


@dataclass(frozen=True, slots=True)
class CallLanguage:
    """The language of traces of calls of an interface; see ``search.language``.

    Attributes:
        interface: the operations, in whose order calls are smaller or larger.
        ops: calls of a trace that is drawn, at most.

    """

    interface: Interface
    ops: int = CALLS

    begin: ClassVar[tuple[Pass, ...]] = (shortest_prefix,)
    before: ClassVar[tuple[CallPass, ...]] = (drop_objects,)
    after: ClassVar[tuple[CallPass, ...]] = (
        smaller_values, lower_together, move_together, value_and_run, values_and_one,
    )  # fmt: skip

    @property
    def passes(self) -> tuple[Pass, ...]:
        """Objects first, since much goes with each; then calls; then values."""
        before, after = (
            tuple(partial(one, self.interface) for one in kept)
            for kept in (self.before, self.after)
        )
        return (*before, leave_out, *after)

    def drawing(self, ops: int) -> CallLanguage:
        """The same, with traces of so many calls."""
        return replace(self, ops=ops)

    def draw(self, seed: int, number: int) -> CallTrace:
        """The trace with this number of a seed."""
        return generate(self.interface, seed, number, self.ops)

    def length(self, trace: CallTrace) -> int:
        """Its calls."""
        return len(trace)

    def without(self, trace: CallTrace, gone: AbstractSet[int]) -> CallTrace:
        """The other calls, but for those that need what a call left out makes."""
        missing: set[int] = set()
        kept = []
        for index, call in enumerate(trace):
            given = self.interface.ops[call.op].given
            needs = {v for p, v in zip(given, call.values, strict=True) if p.role == "handle"}
            if index in gone or needs & missing:
                if call.makes:
                    missing.add(call.makes)
            else:
                kept.append(call)
        return tuple(kept)

    def normal(self, trace: CallTrace) -> CallTrace | None:
        """Objects numbered in order of making; None where it is no trace of the interface.

        A pass may put a value where, meanwhile, another call stands, which does not take it.
        """
        ops = self.interface.ops
        fit = all(
            takes(param, value)
            for call in trace
            for param, value in zip(ops[call.op].given, call.values, strict=True)
        )
        if not fit or not is_valid(trace, self.interface):
            return None
        return renumbered(trace, self.interface)

    def is_valid(self, trace: CallTrace) -> bool:
        """Whatever has a normal form may be run."""
        return True

    def size(self, trace: CallTrace) -> tuple[Any, ...]:
        """Calls, then the sum of their values, then the calls one by one."""
        ops = self.interface.ops
        order = {name: index for index, name in enumerate(ops)}
        sizes = [
            [_size(p, v) for p, v in zip(ops[call.op].given, call.values, strict=True)]
            for call in trace
        ]
        # The sum first: one large value is worse than two small ones.
        total = sum(size[0] for values in sizes for size in values)
        calls = tuple((order[call.op], *values) for call, values in zip(trace, sizes, strict=True))
        return len(trace), total, calls

    def to_text(self, trace: CallTrace, name: str) -> str:
        """As a file of the format ``replay-calls/1``."""
        return to_text(trace, self.interface, name)

    def read(self, path: Path) -> CallTrace:
        """The trace in a file."""
        return read_calls(path, self.interface)


def _size(param: Param, value: Value) -> tuple[int, Any]:  # noqa: PLR0911 - a line a role
    """How large a value is: how far from the simplest one, then which."""
    if param.role == "choice":
        return param.choices.index(value), 0
    if isinstance(value, str):
        if param.role == "float":
            size, *rest = floats.order(value)
            return size, tuple(rest)
        words = param.grammar.words if param.grammar is not None else ()
        if words:
            return words.index(value) if value in words else len(words), value
        if param.role == "string":
            order = param.alphabet or ALPHABET
            ranks = [order.find(c) if c in order else len(ALPHABET) for c in value]
            return 300 * len(value) + sum(ranks), (tuple(ranks), value)
        if param.layout is not None:
            return parted.size_of(param, value), value
        return 300 * (len(value) // 2) + sum(bytes.fromhex(value)), value
    return (2 * abs(int(value)) + (value < 0), 0) if param.role == "int" else (int(value), 0)


def shrink(
    trace: CallTrace,
    interface: Interface,
    holds: Callable[[CallTrace], bool],
    budget: int = BUDGET,
) -> Shrunk[CallTrace]:
    """Make a trace smaller while ``holds`` is true of it; see ``replay.search.shrink``."""
    return shrink_in(trace, CallLanguage(interface), holds, budget)

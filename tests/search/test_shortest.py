"""The trace that is kept: run again alone, smaller while it holds, shown as it shows."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, ClassVar

from replay.search.campaign import Showing, shortest
from replay.search.shrink import leave_out, shortest_prefix

Numbers = tuple[int, ...]


class Lists:
    """Lists of numbers, of which nothing but leaving out is known."""

    begin: ClassVar[Any] = (shortest_prefix,)
    passes: ClassVar[Any] = (leave_out,)

    def draw(self, seed: int, number: int) -> Numbers:
        return (seed, number)

    def length(self, trace: Numbers) -> int:
        return len(trace)

    def without(self, trace: Numbers, gone: AbstractSet[int]) -> Numbers:
        return tuple(one for at, one in enumerate(trace) if at not in gone)

    def normal(self, trace: Numbers) -> Numbers:
        return trace

    def is_valid(self, trace: Numbers) -> bool:
        return True

    def size(self, trace: Numbers) -> tuple[int, Numbers]:
        return len(trace), trace

    def to_text(self, trace: Numbers, name: str) -> str:
        return f"{name} {trace}"


def has_seven(trace: Numbers) -> str | None:
    return f"{len(trace)} with a 7" if 7 in trace else None


def test_what_is_asked_of_smaller_traces_may_be_more_than_what_is_shown() -> None:
    trace = (1, 7, 2, 3)
    alone = shortest(trace, Lists(), has_seven, 99)
    assert alone == Showing((7,), "1 with a 7", True)
    more = shortest(trace, Lists(), has_seven, 99, lambda t: {7, 2} <= set(t))
    assert more == Showing((7, 2), "2 with a 7", True)


def test_a_smaller_trace_that_does_not_show_it_leaves_the_trace_as_it_was() -> None:
    trace = (1, 7, 2, 3)
    assert shortest(trace, Lists(), has_seven, 99, lambda t: 3 in t) == Showing(
        trace, "4 with a 7", False
    )


def test_a_trace_that_shows_nothing_alone_is_none() -> None:
    assert shortest((1, 2), Lists(), has_seven, 99) is None

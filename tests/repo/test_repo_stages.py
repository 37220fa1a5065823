"""The stages between trees and a report take values and give values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replay.repo.bound import Bound
from replay.repo.pairing import Pair, Standing, neighbours
from replay.repo.results import Verdict
from replay.repo.runner import Run
from replay.repo.tallies import PairTally
from replay.repo.targets import Obstacle, Prepared, Target

NOTHING: frozenset[str] = frozenset()


def able(*names: str) -> Prepared:
    """A tree whose library has these operations."""
    ops: tuple[dict[str, Any], ...] = tuple({"name": name} for name in names)
    return Prepared(target=Target(Bound(ops, (), (), (), ()), Path("lib.so"), str(names)))


BROKEN = Prepared(obstacle=Obstacle(Verdict.NOT_BUILT, "make: error", "x.c:1"))


def test_each_tree_is_compared_with_the_last_one_before_it_that_can_be_called() -> None:
    first, last = able("f", "g"), able("f", "h")
    assert first.target is not None and last.target is not None
    assert neighbours([first, BROKEN, last], NOTHING) == [
        Standing(verdict=Verdict.BASE),
        Standing(verdict=Verdict.NOT_BUILT, reason="make: error"),
        Standing(Pair(first.target, last.target, frozenset("f")), against=0, skipped=(1,)),
    ]


def test_a_tree_without_what_a_trace_calls_is_passed_over() -> None:
    standings = neighbours([able("f"), able("g"), able("f", "g")], frozenset("f"))
    assert standings[1] == Standing(reason="it has no f")
    assert (standings[2].against, standings[2].skipped) == (0, (1,))


def test_trees_that_have_nothing_in_common_are_not_compared() -> None:
    first, second = neighbours([BROKEN, able("f")], NOTHING)
    assert first.verdict is Verdict.NOT_BUILT
    assert second.reason == "no commit before it could be built and called"
    alone = neighbours([able("f"), able("g")], NOTHING)[1]
    assert (alone.pair, alone.reason) == (None, "no operation in common")


FINE = Run((b'{"ret": 1}', b'{"ret": 2}'))
WRONG = Run((b'{"ret": 1}', b'{"ret": 3}'))
SOONER = Run((b'{"ret": 9}', b'{"ret": 2}'))
CRASHED = Run((b'{"ret": 1}',), "crash", "SIGSEGV")
RUNS = (FINE, WRONG, None, SOONER, WRONG, CRASHED, CRASHED)


@pytest.mark.parametrize("cut", range(len(RUNS) + 1))
def test_shares_merged_in_order_are_one_share(cut: int) -> None:
    before, after = able("f").target, able("f", "g").target
    assert before is not None and after is not None
    pair = Pair(before, after, frozenset("f"))
    whole, head, tail = PairTally(), PairTally(), PairTally()
    for number, run in enumerate(RUNS):
        whole.add(pair, number, FINE, run)
        (head if number < cut else tail).add(pair, number, FINE, run)
    head.merge(tail)
    assert head == whole
    # What crashes comes before what is only wrong, though that shows earlier.
    assert (whole.soonest, whole.traces, whole.left_out) == (5, 6, [2])
    assert whole.divergence is not None
    assert (whole.divergence.verdict, whole.divergence.index) == (Verdict.CRASH, 1)

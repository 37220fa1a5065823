"""The shrinker, of any language: never larger, valid, still so, repeatable, in its budget."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from replay.search.shrink import Shrinker, Shrunk, leave_out, shortest_prefix, shrink
from search.digits import LANGUAGE, DigitLanguage, Digits

ENOUGH = 10_000

traces = st.builds(
    lambda first, rest: (first, *rest), st.integers(1, 9), st.lists(st.integers(0, 9), max_size=10)
)


class Recorded:
    """A predicate, and of what it was asked."""

    def __init__(self, holds: Callable[[Digits], bool]) -> None:
        self.holds = holds
        self.asked: list[Digits] = []

    def __call__(self, trace: Digits) -> bool:
        self.asked.append(trace)
        return self.holds(trace)


def alike(trace: Digits, what: str) -> Callable[[Digits], bool]:
    """A predicate that is true of a trace."""
    most, total, rises = max(trace), sum(trace), trace == tuple(sorted(trace))
    return {
        "has its largest digit": lambda other: most in other,
        "adds up to as much": lambda other: sum(other) >= total,
        "rises as it does": lambda other: (other == tuple(sorted(other))) == rises,
        "has an odd number of odd digits, or as it does": (
            lambda other: sum(d % 2 for d in other) % 2 == sum(d % 2 for d in trace) % 2
        ),
    }[what]


whats = st.sampled_from(
    ["has its largest digit", "adds up to as much", "rises as it does",
     "has an odd number of odd digits, or as it does"]
)  # fmt: skip


def shrunk(trace: Digits, what: str, budget: int) -> tuple[Shrunk[Digits], list[Digits]]:
    recorded = Recorded(alike(trace, what))
    return shrink(trace, LANGUAGE, recorded, budget), recorded.asked


@given(traces, whats, st.integers(0, 60))
def test_the_result_is_no_larger_valid_and_still_shows_it(
    trace: Digits, what: str, budget: int
) -> None:
    result, _ = shrunk(trace, what, budget)
    assert LANGUAGE.size(result.trace) <= LANGUAGE.size(trace)
    assert LANGUAGE.is_valid(result.trace)
    assert alike(trace, what)(result.trace)


@given(traces, whats, st.integers(0, 60))
def test_the_budget_is_kept_to_the_last_question(trace: Digits, what: str, budget: int) -> None:
    result, asked = shrunk(trace, what, budget)
    assert result.tried == len(asked) <= budget
    assert result.complete or result.tried == budget
    whole, wanted = shrunk(trace, what, ENOUGH)
    assert whole.complete
    assert result.complete == (budget >= len(wanted))
    assert asked == wanted[:budget]


@given(traces, whats)
def test_only_valid_smaller_and_new_traces_are_asked(trace: Digits, what: str) -> None:
    result, asked = shrunk(trace, what, ENOUGH)
    assert all(LANGUAGE.is_valid(other) for other in asked)
    assert all(LANGUAGE.size(other) < LANGUAGE.size(trace) for other in asked)
    assert len(set(asked)) == len(asked)
    assert result.trace in (*asked, trace)


@given(traces, whats)
def test_a_complete_result_has_no_smaller_neighbour(trace: Digits, what: str) -> None:
    result, _ = shrunk(trace, what, ENOUGH)
    small, holds = result.trace, alike(trace, what)
    for at, digit in enumerate(small):
        neighbours = [(*small[:at], less, *small[at + 1 :]) for less in range(digit)]
        for other in (LANGUAGE.without(small, {at}), *neighbours):
            assert not (other and LANGUAGE.is_valid(other) and holds(other))


@given(traces, whats, st.integers(0, 60))
def test_the_same_trace_gives_the_same_result_by_the_same_questions(
    trace: Digits, what: str, budget: int
) -> None:
    assert shrunk(trace, what, budget) == shrunk(trace, what, budget)


def test_the_passes_are_those_of_the_language() -> None:
    class Ends(DigitLanguage):
        """Only the ends of its traces can be cut."""

        passes = ()

    trace = (3, 1, 7, 2)
    assert shrink(trace, Ends(), lambda other: 7 in other, ENOUGH).trace == (3, 1, 7)
    assert shrink(trace, LANGUAGE, lambda other: 7 in other, ENOUGH).trace == (7,)


def test_a_candidate_that_is_larger_equal_or_senseless_is_not_asked() -> None:
    recorded = Recorded(lambda other: True)
    shrinker = Shrinker((3, 1), LANGUAGE, recorded, ENOUGH)
    senseless: list[Digits | None] = [None, (), (0,)]
    assert not any(map(shrinker.consider, [(3, 2), (4, 0), (1, 0, 0), (3, 1), *senseless]))
    assert recorded.asked == []
    assert shrinker.consider((3, 0))
    assert (shrinker.best, recorded.asked) == ((3, 0), [(3, 0)])


def test_the_shortest_prefix_is_found_by_halving() -> None:
    recorded = Recorded(lambda other: 7 in other)
    shrinker = Shrinker((1,) * 40 + (7,) + (1,) * 59, LANGUAGE, recorded, ENOUGH)
    shortest_prefix(shrinker)
    assert shrinker.best == (1,) * 40 + (7,)
    assert len(recorded.asked) <= 8


def test_two_that_only_go_together_are_left_out_together() -> None:
    shrinker = Shrinker((5, 1, 2, 1), LANGUAGE, lambda t: t.count(1) in (0, 2) and 5 in t, ENOUGH)
    leave_out(shrinker)
    leave_out(shrinker)
    assert shrinker.best == (5,)

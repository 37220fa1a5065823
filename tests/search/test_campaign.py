"""The campaign: in order whatever the jobs, the soonest kept, alone again, made small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.base.pool import Pool
from replay.search.campaign import (
    Seen,
    Showing,
    Workers,
    examples,
    gather,
    shortest,
    soonest_alone,
)
from search.digits import LANGUAGE, Backwards, Digits, Search, Sighting, Sightings

TOTAL = 40


def gathered(campaign: Search, spread: Workers | None = None, total: int = TOTAL) -> Sightings:
    return gather(campaign, total, spread or Pool(1, "looking"))


# --- gathering ----------------------------------------------------------------------


@pytest.mark.parametrize("share", [1, 7, 40, 41])
def test_every_trace_is_run_once_and_merged_in_its_order(share: int) -> None:
    assert gathered(Search(share=share)).numbers == list(range(TOTAL))


def test_the_result_depends_neither_on_jobs_nor_on_which_share_ends_first() -> None:
    alone = gathered(Search())
    assert gathered(Search(), Backwards()) == alone
    with Pool(2, "looking") as pool:
        assert gathered(Search(), pool) == alone


@given(st.integers(0, 50), st.integers(1, 60), st.integers(0, 60))
def test_the_result_does_not_depend_on_how_traces_are_cut(
    seed: int, share: int, total: int
) -> None:
    assert gathered(Search(seed, share), total=total) == gathered(Search(seed, 1), total=total)


def test_of_each_thing_the_soonest_is_kept_with_what_was_seen_there() -> None:
    found = gathered(Search())
    traces = [LANGUAGE.draw(1, number) for number in range(TOTAL)]
    for digit in range(10):
        places = [(t.index(digit), number) for number, t in enumerate(traces) if digit in t]
        seen = found.digits[digit]
        assert (seen.count, seen.soonest) == (len(places), min(places))
        index, number = seen.soonest
        assert (seen.text, seen.fields) == (f"trace {number}", (str(index),))


def test_progress_hears_of_the_traces_of_each_share_the_last_may_be_short() -> None:
    told: list[int] = []
    gather(Search(share=15), TOTAL, Backwards(), told.append)
    assert told == [15, 15, 10]
    gather(Search(), 0, Backwards(), told.append)
    assert told == [15, 15, 10], "of no traces there is nothing to tell"


def test_a_share_is_called_by_its_first_trace_should_its_worker_die() -> None:
    spread = Backwards()
    gathered(Search(share=15), spread)
    assert spread.labels == ["trace 0", "trace 15", "trace 30"]


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=12, unique=True),
    st.integers(0, 12),
)
def test_what_was_seen_in_two_parts_is_what_was_seen(
    places: list[tuple[int, int]], cut: int
) -> None:
    def seen(some: list[tuple[int, int]]) -> Seen:
        result = Seen()
        for index, number in some:
            result.add(index, number, f"{index} of {number}", (str(number),))
        return result

    merged = seen(places[:cut])
    merged.merge(seen(places[cut:]))
    assert merged == seen(places)


# --- examples -----------------------------------------------------------------------


def sightings(campaign: Search) -> list[Sighting]:
    found = gathered(campaign).digits
    return [Sighting(digit, found[digit].soonest[1]) for digit in sorted(found, reverse=True)]


def test_examples_come_in_the_order_of_the_findings_whatever_the_jobs() -> None:
    campaign, told = Search(), list[int]()
    wanted = sightings(campaign)
    alone = list(examples(campaign, wanted, 100, Pool(1, "shortening"), told.append))
    # A digit alone is a trace, but for 0, which cannot stand first.
    assert [shown and shown.trace for shown in alone] == [(d,) for d in range(9, 0, -1)] + [(1, 0)]
    assert told == [1] * len(wanted)
    assert list(examples(campaign, wanted, 100, Backwards())) == alone
    with Pool(2, "shortening") as pool:
        assert list(examples(campaign, wanted, 100, pool)) == alone


def test_an_example_is_called_by_its_finding_should_its_worker_die() -> None:
    spread = Backwards()
    list(examples(Search(), [Sighting(3, 5)], 0, spread))
    assert spread.labels == [str(Sighting(3, 5))]


def test_what_does_not_show_alone_has_no_example_and_the_others_have_theirs() -> None:
    campaign = Search(shy=frozenset({8}))
    found = list(examples(campaign, sightings(campaign), 100, Backwards()))
    assert [shown is None for shown in found] == [False, True] + [False] * 8


# --- one trace ----------------------------------------------------------------------

LONG: Digits = (4, 9, 0, 7, 7, 3, 5, 1, 2)


class Asked:
    """Where the digit 7 stands in a trace; counts how often that was asked."""

    def __init__(self, forgets_after: int = 1 << 30) -> None:
        self.traces: list[Digits] = []
        self.forgets_after = forgets_after

    def __call__(self, trace: Digits) -> int | None:
        self.traces.append(trace)
        if len(self.traces) > self.forgets_after:
            return None
        return trace.index(7) if 7 in trace else None


def test_a_trace_that_does_not_show_it_alone_is_run_once_and_left() -> None:
    asked = Asked(forgets_after=0)
    assert shortest(LONG, LANGUAGE, asked, 100) is None
    assert asked.traces == [LONG]


def test_the_witness_is_of_the_smaller_trace() -> None:
    assert shortest(LONG, LANGUAGE, Asked(), 100) == Showing((7,), 0, True)


@pytest.mark.parametrize("budget", range(9))
def test_the_budget_is_of_smaller_traces_the_first_and_the_last_run_come_on_top(
    budget: int,
) -> None:
    asked = Asked()
    shown = shortest(LONG, LANGUAGE, asked, budget)
    assert shown is not None
    assert not shown.complete
    assert len(asked.traces) == budget + 2
    assert (asked.traces[0], asked.traces[-1]) == (LONG, shown.trace)
    assert (shown.trace == LONG) == (budget == 0)


def test_what_shows_by_chance_is_given_as_it_was_found() -> None:
    every = Asked()
    shortest(LONG, LANGUAGE, every, 100)
    asked = Asked(forgets_after=len(every.traces) - 1)
    assert shortest(LONG, LANGUAGE, asked, 100) == Showing(LONG, 3, False)


def test_a_smaller_trace_keeps_what_it_must_but_the_first_need_not_have_it() -> None:
    judged: list[Digits] = []

    def holds(trace: Digits) -> bool:
        if 7 not in trace:
            return False
        judged.append(trace)
        return 5 in trace

    assert shortest(LONG, LANGUAGE, Asked(), 200, holds) == Showing((7, 5), 0, True)
    assert judged and all(7 in trace for trace in judged), "it is asked of those that show it"
    never = shortest(LONG, LANGUAGE, Asked(), 200, lambda trace: False)
    assert never is not None and never.trace == LONG


def test_of_several_the_soonest_alone_is_chosen_and_each_is_run_once() -> None:
    asked = Asked()
    some: list[Digits] = [(1, 2, 7), (1,), (3, 7), (2, 7), (7,)]
    assert soonest_alone(some[:4], asked, lambda trace, at: at) == ((3, 7), 1)
    assert asked.traces == some[:4]
    assert soonest_alone(some, Asked(), lambda trace, at: at) == ((7,), 0)
    assert soonest_alone(some, Asked(), lambda trace, at: (-at, trace)) == ((1, 2, 7), 2)


def test_where_none_shows_it_alone_none_is_chosen() -> None:
    assert soonest_alone([(1,), (2, 3)], Asked(), lambda trace, at: at) is None

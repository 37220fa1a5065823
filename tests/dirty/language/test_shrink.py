"""Shrinking: always smaller, still failing, valid, repeatable, within its budget."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from refmodels import FOLD
from replay.dirty.language.domain import is_valid
from replay.dirty.language.generate import generate
from replay.dirty.language.language import shrink, size
from replay.dirty.language.trace import Trace
from replay.dirty.machine.run import python_model
from replay.dirty.rules.diff import follow_laws
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.dirty.subject import SUBJECT

LOST_STORE = RUN_PROPERTIES["no-lost-store"]


def loses(trace: Trace) -> bool:
    """Lost at step 39 and not at 38."""
    return all(
        (LOST_STORE(trace, python_model(k).run(trace).records) is not None) == (k == 39)
        for k in (38, 39)
    )


def a_losing_trace() -> Trace:
    return next(t for t in (generate(43, i) for i in range(200)) if loses(t))


def test_the_lost_store_of_step_39_takes_at_most_eight_operations() -> None:
    result = shrink(a_losing_trace(), loses)
    assert result.complete
    assert loses(result.trace)
    assert len(result.trace.ops) <= 8
    assert len(result.trace.ops) == 6  # alloc, arm, start, send, store, sync: no shorter one


def test_the_same_trace_shrinks_to_the_same_bytes() -> None:
    trace = a_losing_trace()
    assert shrink(trace, loses).trace == shrink(trace, loses).trace


def test_no_more_evaluations_than_the_budget() -> None:
    calls = 0

    def holds(trace: Trace) -> bool:
        nonlocal calls
        calls += 1
        return loses(trace)

    result = shrink(a_losing_trace(), holds, budget=25)
    assert calls == result.tried == 25
    assert not result.complete
    assert loses(result.trace)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sets(st.sampled_from(["store", "translate", "ram_free",
       "kvm_log_sync", "migration_sync"]), min_size=1, max_size=3))  # fmt: skip
def test_what_is_asked_for_stays_and_every_candidate_is_valid(seed: int, names: set[str]) -> None:
    trace = generate(seed, 0)

    def holds(candidate: Trace) -> bool:
        assert is_valid(candidate)
        return names <= {op.name for op in candidate.ops}

    if not holds(trace):
        return
    result = shrink(trace, holds, budget=600)
    assert holds(result.trace)
    assert size(result.trace) <= size(trace)
    # One of each is enough, with the ram_alloc and the migration_start they need.
    assert len(result.trace.ops) <= 2 * len(names) + 1


def test_a_difference_of_large_host_pages_keeps_large_host_pages() -> None:
    deviations = SUBJECT.series.step(37).deviations

    def holds(trace: Trace) -> bool:
        result = follow_laws(FOLD.build(36), FOLD.build(37), trace, deviations)
        return "log-bit-is-one-page" in result.shown

    trace = next(t for t in (generate(43, i) for i in range(300)) if holds(t))
    small = shrink(trace, holds).trace
    assert [op.name for op in small.ops] == ["ram_alloc", "kvm_log_sync"]
    assert small.config.hpratio == 2 and small.config.word_bits == 64 and small.config.tcg

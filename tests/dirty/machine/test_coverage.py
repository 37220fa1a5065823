"""Counting: what runs at different steps share is counted once and told of each."""

from __future__ import annotations

from replay.dirty.language.domain import validate
from replay.dirty.language.trace import Op, Trace
from replay.dirty.machine.coverage import Coverage
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.machine.reach import reach
from replay.dirty.subject import plan

STEPS = tuple(range(40))
LOST = Trace(
    (
        Op("ram_alloc", (1,)),
        Op("store", (0, 1)),
        Op("migration_start"),
        Op("migration_next", (0, 0)),
        Op("store", (0, 1)),
        Op("migration_sync"),
        Op("store", (0, 4)),
    )
)


def counted(traces: list[Trace], share: bool = True, first: int = 0) -> Coverage:
    coverage = Coverage(STEPS)
    machines = plan().machines()
    for number, trace in enumerate(traces, first):
        validate(trace)
        coverage.add(trace, run_steps(machines, trace, STEPS, share), number)
    return coverage


def by_text(coverage: Coverage) -> dict[str, list[int]]:
    return {str(path): counts for path, counts in coverage.counts().items()}


def test_an_entry_that_step_39_leaves_as_it_is_is_seen_at_step_39_alone() -> None:
    found = by_text(counted([LOST]))
    assert found["store tlb=none tcg=on"] == [1] * 40
    assert found["store tlb=direct tcg=on"] == [0] * 39 + [2]
    assert found["store tlb=notdirty tcg=on"] == [2] * 39 + [0]


def test_ways_are_those_of_the_step() -> None:
    found = by_text(counted([LOST]))
    words = [sum(found.get(f"migration_sync way=words armed={label}", [0] * 40)[step]
                 for label in ("none", "notdirty", "direct")) for step in STEPS]  # fmt: skip
    assert words == [0] * 39 + [1]


def test_runs_that_share_are_counted_as_if_they_did_not() -> None:
    traces = [plan(seed=4).draw(number) for number in range(12)]
    assert by_text(counted(traces)) == by_text(counted(traces, share=False))


def test_shares_merge_to_the_whole() -> None:
    traces = [plan(seed=4).draw(number) for number in range(10)]
    whole, merged = counted(traces), counted(traces[:4])
    merged.merge(counted(traces[4:], first=4))
    assert by_text(whole) == by_text(merged)
    assert (whole.first, whole.traces) == (merged.first, merged.traces)


def test_what_is_missed_is_named_with_its_steps_and_nothing_argued_is_reached() -> None:
    found = reach(counted([LOST]))
    missed = {str(path): steps for path, steps in found.missed()}
    assert missed["tlb_flush entries=none"] == STEPS
    assert missed["migration_sync way=words armed=direct"] == (39,)
    assert "store start=word size=1" not in missed
    assert not any("start=inside extent=whole" in text for text in missed)
    assert found.refuted() == []


def test_a_machine_that_died_is_counted_to_its_end() -> None:
    """A reset that leaves its block aborts: the operation is counted, none behind it."""
    blocks = (Op("ram_alloc", (2,)), Op("ram_alloc", (1,)))
    out = Op("region_reset_dirty", (0, 3 * 4096, "vga"))
    found = by_text(counted([Trace((*blocks, out, Op("tlb_flush")))]))
    assert found["region_reset_dirty extent=out tcg=on"] == [1] * 40
    assert "tlb_flush entries=none" not in found

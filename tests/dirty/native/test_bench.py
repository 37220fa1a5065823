"""The measurements run, on little, and their figures are put together right."""

from __future__ import annotations

import math

import pytest

from native.steps import libraries
from replay.dirty.native import bench
from replay.dirty.native.costs import SHARES, STEPS, Cost, Costs, Ratio, measure_costs, store_bytes
from replay.dirty.native.session import Libraries
from replay.errors import UsageError


def test_the_lane_is_measured_on_every_workload() -> None:
    figures = bench.measure_lane(libraries(), rounds=1)
    assert [f.workload for f in figures] == list(bench.WORKLOADS)
    for figure in figures:
        assert min(figure.bare, figure.sparse, figure.sound, figure.shared) > 0
        assert figure.sparse_ratio == figure.sparse / figure.bare
        assert figure.shared_ratio == figure.shared / figure.bare


def test_what_is_shared_has_the_digests_of_each_step_run() -> None:
    bound = bench.OpenLibraries(libraries())
    batch = bench.short_traces(count=20)
    each, shared = bound.room(batch), bound.room(batch)
    bound.run(batch, each, 1)
    bound.run(batch, shared, 1, share=True)
    assert each == shared and all(each)


def test_end_to_end_shares_add_up() -> None:
    found = bench.measure_end_to_end(libraries(), rounds=1)
    whole = found.generate + found.run + found.compare
    assert 0 < found.share == found.bare / whole


def test_calls_are_measured_with_cffi_or_without() -> None:
    for found in bench.measure_calls(libraries(), rounds=1, traces=1):
        assert min(found.lane, found.ctypes, found.python, found.shared) > 0
        assert math.isnan(found.cffi) or found.cffi > 0


def test_the_costs_of_every_step_share_and_alignment_are_there() -> None:
    found = measure_costs(libraries(), pages=256, rounds=1)
    assert len(found.figures) == 2 * 2 * len(SHARES) * len(STEPS)


def test_ratios_are_those_of_the_figures() -> None:
    figures = tuple(
        Cost(what, True, share, step, 2.0 if step in (0, 36) else 1.0)
        for what in ("sync", "merge") for share in SHARES for step in STEPS
    )  # fmt: skip
    ratios = Costs(256, False, figures).ratios()
    assert [ratio.measured for ratio in ratios] == [2.0, 2.0, 2.0, 2.0, 1.0, 0.5]
    assert Ratio("", 65.1, (130, 370)).agrees and Ratio("", 739.0, (130, 370)).agrees
    assert not Ratio("", 64.0, (130, 370)).agrees and not Ratio("", 741.0, (130, 370)).agrees
    assert Ratio("", 1.1, None).agrees and not Ratio("", 0.9, None).agrees


def test_the_store_of_a_gib_goes_from_8_bits_a_page_to_3() -> None:
    assert store_bytes(0) == store_bytes(18) == 262144
    assert store_bytes(19) == store_bytes(39) == 262144 * 3 // 8


def test_all_steps_are_needed() -> None:
    assert bench.need_all(libraries()) is libraries()
    with pytest.raises(UsageError, match="all 40"):
        bench.need_all(Libraries(libraries().paths[1:]))

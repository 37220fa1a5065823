"""A check that is told nothing finds every defect of the series, and blames no other step."""

from __future__ import annotations

from dataclasses import replace

from replay.dirty.bench.recalling import RecallResult
from replay.dirty.gallery.recall import Recalled, recall


def test_every_defect_is_found_at_its_step_and_nobody_else_is_blamed() -> None:
    found = recall(seed=3, traces=100)
    assert found.missed == ()
    assert found.false_alarms == ()
    assert found.blamed == (0, 9, 11, 14, 15, 20, 23, 27, 30, 37, 39)
    assert found.inner == (9, 11, 14, 15, 20, 23)
    assert len(found.defects) == 11
    assert {one.name: one.operations for one in found.defects if one.operations is None} == {}
    result = RecallResult((found,))
    assert all(goal.met for goal in result.verdicts())
    worse = replace(found, false_alarms=(5,), defects=(Recalled("stale-code", 0, None),))
    assert not any(goal.met for goal in RecallResult((worse,)).verdicts())
    assert RecallResult((worse,)).tables()[0].rows[0][2] == "0/1"

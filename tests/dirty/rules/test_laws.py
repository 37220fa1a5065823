"""A declared deviation is exact: the law says what must be seen, and nothing else passes."""

from __future__ import annotations

import pytest

from refmodels import FOLD
from replay.dirty.language.generate import traces
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Op, Trace
from replay.dirty.machine.run import python_model
from replay.dirty.rules.diff import first_difference, follow_laws
from replay.dirty.rules.laws import LAW_OPS, LAWS
from replay.dirty.subject import SUBJECT

DEVIATING = [
    s.number for s in SUBJECT.series.steps if any(d.scope == "trace" for d in s.deviations)
]


def test_the_recordings_change_at_the_steps_that_declare_it() -> None:
    assert DEVIATING == [27, 30, 37, 39]


@pytest.mark.parametrize("step", DEVIATING)
def test_a_deviating_step_does_what_its_laws_say(step: int) -> None:
    shown: set[str] = set()
    deviations = SUBJECT.series.step(step).deviations
    for trace in traces(21, 150):
        result = follow_laws(FOLD.build(step - 1), FOLD.build(step), trace, deviations)
        assert result.wrong is None, (trace.name, result.words())
        shown |= set(result.shown)
    assert shown == {d.id for d in deviations}


@pytest.mark.parametrize("step", DEVIATING)
@pytest.mark.parametrize("left_out", range(3))
def test_a_law_left_out_is_missed(step: int, left_out: int) -> None:
    deviations = SUBJECT.series.step(step).deviations
    fewer = [d for i, d in enumerate(deviations) if i != left_out % len(deviations)]
    results = [
        follow_laws(FOLD.build(step - 1), FOLD.build(step), trace, fewer)
        for trace in traces(22, 150)
    ]
    assert any(result.wrong for result in results)


@pytest.mark.parametrize("step", [k for k in range(1, 40) if k not in DEVIATING])
def test_other_steps_never_differ(step: int) -> None:
    for trace in traces(23, 25):
        old, new = (python_model(k).run(trace) for k in (step - 1, step))
        assert first_difference(old, new) is None


def test_every_law_names_operations_and_is_declared_by_a_step_or_a_fix() -> None:
    series = SUBJECT.series
    declared = [d for s in (*series.steps, *series.fixes) for d in s.deviations]
    laws = {law for d in declared if d.scope == "trace" for law in (d.law, *d.beside.values())}
    assert laws == set(LAWS)
    for ops in LAW_OPS.values():
        assert ops and ops <= set(OPS)


def test_nothing_hides_behind_a_declared_difference() -> None:
    """After the difference of step 39 both machines go on from one state."""
    trace = Trace(
        (
            Op("ram_alloc", (1,)),
            Op("tlb_fill", (0,)),
            Op("migration_start"),
            Op("store", (0, 4)),
            Op("migration_sync"),
        )
    )
    deviations = SUBJECT.series.step(39).deviations
    result = follow_laws(FOLD.build(38), FOLD.build(39), trace, deviations)
    assert result.wrong is None
    assert result.shown == {"sync-does-not-rearm": 2}
    # Without the laws the runs part there and never meet again.
    difference = first_difference(python_model(38).run(trace), python_model(39).run(trace))
    assert difference is not None and difference.index == 2

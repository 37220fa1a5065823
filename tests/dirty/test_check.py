"""The checker: 39 verdicts as claimed, the same for any number of processes, and it can fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from faults.catalogue import FAULTS, INSIDE, Fault

from replay.dirty.language.generate import Profile
from replay.dirty.subject import plan as plan_of
from replay.errors import SeriesError
from replay.report.checking import result_json
from replay.search.verdict import Verdict
from replay.series.check import check, gather
from replay.series.declared import data_path
from replay.series.verdict import CheckResult


@pytest.fixture(scope="module")
def whole() -> CheckResult:
    return check(plan_of(seed=5, traces=160), jobs=1)


def test_all_steps_are_as_claimed(whole: CheckResult) -> None:
    assert whole.passed
    assert [s.step for s in whole.steps] == list(range(1, 40))
    deviating = {s.step for s in whole.steps if s.verdict is Verdict.DEVIATES}
    assert deviating == {9, 11, 14, 15, 20, 23, 27, 30, 37, 39}
    assert {s.verdict for s in whole.steps} == {Verdict.SAME, Verdict.DEVIATES}


def test_steps_differ_from_the_start_through_declared_deviations_only(whole: CheckResult) -> None:
    for step in whole.steps:
        assert (step.from_start > 0) == (step.step >= 27)
        assert step.through == tuple(k for k in (27, 30, 37, 39) if k <= step.step)


def test_the_lost_store_is_shown_by_a_short_trace(whole: CheckResult) -> None:
    lost = next(p for p in whole.steps[38].properties if p.name == "no-lost-store")
    assert lost.example is not None
    assert lost.example.shrunk
    assert len(lost.example.trace.ops) <= 8


def test_what_step_0_breaks_is_named(whole: CheckResult) -> None:
    assert {p.name for p in whole.start} == {
        "no-lost-store-without-tcg", "no-lost-quiet-store", "no-stale-code",
    }  # fmt: skip


def test_the_number_of_processes_changes_nothing(whole: CheckResult) -> None:
    again = check(plan_of(seed=5, traces=160), jobs=2)
    a, b = (result_json(replace(r, seconds=0.0)) for r in (whole, again))
    assert a == b


def test_few_steps_can_be_judged_alone() -> None:
    result = check(plan_of(seed=5, traces=60, steps=(27, 39)), budget=0)
    assert [s.step for s in result.steps] == [27, 39]
    assert result.steps[0].verdict is Verdict.DEVIATES


def test_a_deviation_that_nothing_shows_fails(tmp_path: Path) -> None:
    """With no reset in the traces step 30 cannot show what it declares."""
    result = check(plan_of(seed=1, traces=1, profile=Profile(ops=1), steps=(30,)), budget=0)
    assert result.steps[0].verdict is Verdict.UNSHOWN
    assert not result.passed


def test_a_deviation_that_nothing_declares_fails(tmp_path: Path) -> None:
    text = (data_path() / "series.toml").read_text(encoding="utf-8")
    start = text.index('[[step.deviation]]\nid = "xen-told-start"')
    end = text.index("[[step]]", start)
    changed = tmp_path / "series.toml"
    changed.write_text(text[:start] + text[end:], encoding="utf-8")
    result = check(plan_of(traces=20, steps=(27,), series=changed), budget=100)
    assert result.steps[0].verdict is Verdict.UNDECLARED
    failure = next(f for f in result.steps[0].failures if f.what == "difference")
    assert failure.fields == ("events",)
    assert failure.example is not None and len(failure.example.trace.ops) == 1


def test_a_property_that_is_broken_without_saying_so_fails(tmp_path: Path) -> None:
    text = (data_path() / "series.toml").read_text(encoding="utf-8")
    changed = tmp_path / "series.toml"
    declared = 'breaks = ["no-lost-store", "direct-is-dirty", "count-is-popcount"]'
    assert declared in text
    changed.write_text(
        text.replace(declared, 'breaks = ["direct-is-dirty", "count-is-popcount"]'),
        encoding="utf-8",
    )
    result = check(plan_of(traces=60, steps=(39,), series=changed), budget=300)
    assert [f.what for f in result.steps[0].failures] == ["no-lost-store"]


def test_no_traces_decide_nothing() -> None:
    result = check(plan_of(traces=0, steps=(5,)), budget=0)
    assert result.steps[0].verdict is Verdict.UNDECIDED
    assert not result.passed


def test_a_copy_that_does_not_load_is_one_clear_error(tmp_path: Path) -> None:
    copy = tmp_path / "mine.py"
    copy.write_text("def f(:\n", encoding="utf-8")
    with pytest.raises(SeriesError, match=r"mine\.py"):
        gather(plan_of(traces=1, copies=((5, str(copy)),)))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_copy_that_never_comes_back_is_one_clear_error(jobs: int, tmp_path: Path) -> None:
    fault = Fault(
        20, "endless", "    for addr in range(", "    while True: pass\n    for addr in range("
    )
    copy = fault.write(tmp_path)
    with pytest.raises(SeriesError, match=r"endless\.py \(step 20\).*endless loop"):
        gather(plan_of(traces=40, steps=(20,), copies=((20, str(copy)),), patience=1.0), jobs=jobs)


def test_a_model_that_crashes_is_a_finding(tmp_path: Path) -> None:
    fault = Fault(36, "crash", "c = bitmap[i]", "c = bitmap[i + 1]")
    plan = plan_of(traces=40, steps=(36,), copies=((36, str(fault.write(tmp_path))),))
    result = check(plan, budget=300)
    failure = result.steps[0].failures[0]
    assert failure.what == "difference" and "status" in failure.fields
    assert "IndexError" in failure.text


@pytest.mark.parametrize("fault", (*FAULTS, *INSIDE), ids=lambda fault: fault.name)
def test_a_fault_is_found_at_its_step_and_shrunk(fault: Fault, tmp_path: Path) -> None:
    steps = tuple(range(max(1, fault.step - 1), min(39, fault.step + 1) + 1))
    copies = ((fault.step, str(fault.write(tmp_path))),)
    result = check(plan_of(traces=150, steps=steps, copies=copies), budget=400)
    failing = [s for s in result.steps if s.failures]
    assert failing and failing[0].step == fault.step
    for failure in failing[0].failures:
        if failure.what != "api":
            assert failure.example is not None and len(failure.example.trace.ops) <= 8

"""The default check: the models, the C, and both; one verdict, which says what it rests on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from native.steps import Fault, series
from replay.build.compile import build_series
from replay.dirty.native.inner import with_calls
from replay.dirty.native.model import built_series, libraries_of
from replay.dirty.native.session import Libraries
from replay.dirty.native.whole import add, check_whole, traces_in_c
from replay.dirty.subject import plan as plan_of
from replay.search.verdict import Verdict
from replay.series.declared import data_path, load
from replay.series.verdict import CheckResult, Comparison, Failure, StepResult

MODELS, C, C_MODEL = Comparison.MODELS, Comparison.C, Comparison.C_MODEL
CALL = "    cpu_physical_memory_set_dirty_flag(ram_addr, VGA_DIRTY_FLAG);\n"
FAULT = Fault("forgets a client", 8, "exec.c", CALL, "", 8)


def libraries(*steps: int) -> Libraries:
    return libraries_of(built_series(calls=True, steps={0, *steps}))


def test_a_verdict_rests_on_all_three_comparisons() -> None:
    plan = plan_of(traces=60, steps=(26, 27))
    result = check_whole(plan, libraries(25, 26, 27), budget=50)
    assert [step.step for step in result.steps] == [26, 27]
    assert [step.verdict for step in result.steps] == [Verdict.SAME, Verdict.DEVIATES]
    assert all(step.rests == {MODELS: 60, C: 20, C_MODEL: 20} for step in result.steps)
    assert result.traces == 60 and result.reached
    (found,) = result.steps[1].deviations
    assert found.count > 20, "it is the models' count, which is of more traces"
    assert found.example is not None and found.example.trace.name == f"step-27-{found.deviation.id}"


def test_the_number_of_processes_changes_nothing() -> None:
    plan, held = plan_of(traces=20, steps=(27,)), libraries(26, 27)
    one, two = (check_whole(plan, held, jobs=jobs, budget=20) for jobs in (1, 2))
    assert replace(one, seconds=0.0) == replace(two, seconds=0.0)


def test_a_fault_in_the_c_alone_fails_the_step_by_both_comparisons_with_the_c() -> None:
    declared = load(data_path() / "series.toml")
    trees = {step: series()[step] for step in (0, 7, 8)} | FAULT.trees()
    made = build_series({step: with_calls(tree, declared, step) for step, tree in trees.items()})
    result = check_whole(plan_of(traces=20, steps=(8,)), Libraries.of(made), budget=100)
    (step,) = result.steps
    assert step.verdict is Verdict.UNDECLARED and not result.passed
    shown = {failure.comparison: failure for failure in step.failures if failure.example}
    assert set(shown) == {C, C_MODEL}
    names = {failure.example.trace.name for failure in shown.values() if failure.example}
    assert names == {"native-step-8-difference", "both-step-8-difference"}


def test_a_step_that_is_not_in_c_rests_on_the_models() -> None:
    result = check_whole(plan_of(traces=5, steps=(4,)), libraries(3), budget=0)
    assert result.steps[0].rests == {MODELS: 5}
    assert result.steps[0].verdict is Verdict.SAME


@pytest.mark.parametrize("failing", [False, True])
def test_step_0_has_a_row_only_where_its_c_is_not_as_its_model(failing: bool) -> None:
    result = CheckResult(1, 5, 50, [StepResult(1, "one", 5, rests={MODELS: 5})], [])
    failures = [Failure("difference", ("ret",), "", 1, comparison=C_MODEL)] if failing else []
    start = StepResult(0, "start", 5, failures=failures, rests={C_MODEL: 5})
    add(result, CheckResult(1, 5, 50, [start, StepResult(1, "one", 5, rests={C_MODEL: 5})], []))
    assert [step.step for step in result.steps] == ([0, 1] if failing else [1])
    assert result.passed is not failing
    assert result.steps[-1].rests == {MODELS: 5, C_MODEL: 5}


def test_few_traces_all_run_in_c_and_of_many_a_tenth() -> None:
    assert [traces_in_c(traces) for traces in (1, 20, 60, 1200)] == [1, 20, 20, 120]

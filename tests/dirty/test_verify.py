"""Each patch of the C series: applies, builds, declares and behaves; and can fail each of these."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults import ASK_ALL
from faults.patches import FAULTS, PatchFault

from replay.dirty.subject import plan as plan_of
from replay.dirty.verify import Verification, verify
from replay.series.declared import data_path

IDENTICAL = {1, 25, 32}
"""The steps that only move or rename: their code must not change, with any compiler."""
STEPS = tuple(range(1, 40)) if ASK_ALL else (1, 9, 14, 20, 25, 27, 32, 37, 38, 39)
"""Each kind and each claim. A step and the one before are built three times each; that all
patches apply and build, other tests see, too."""


def judge(copy: Path, steps: tuple[int, ...], traces: int = 60) -> Verification:
    plan = plan_of(traces=traces, steps=steps, series=copy / "series.toml")
    return verify(copy, plan, jobs=1, budget=300)


def around(step: int) -> tuple[int, ...]:
    """The step and the one before, which must not be blamed."""
    return tuple(range(max(1, step - 1), step + 1))


def a_copy(folder: Path) -> Path:
    return Path(shutil.copytree(data_path(), folder / "series"))


def test_all_rows_are_good() -> None:
    result = verify(None, plan_of(traces=60, steps=STEPS), jobs=2, budget=200)
    assert result.passed
    assert [row.step for row in result.rows] == list(STEPS)
    for row in result.rows:
        assert row.good and row.applies and row.builds and row.api
        assert len(row.behaviour) == 2
    assert {row.step for row in result.rows if row.code == "identical"} >= IDENTICAL


@pytest.mark.parametrize("fault", FAULTS if ASK_ALL else FAULTS[::6], ids=lambda f: f.name)
def test_a_fault_in_a_patch_is_named_at_its_step_and_shrunk(
    fault: PatchFault, tmp_path: Path
) -> None:
    result = judge(fault.write(tmp_path), around(fault.step))
    failing = result.first_failing
    assert failing is not None and failing.step == fault.step
    assert failing.problem.startswith("behaviour differs from the model")
    examples = [f.example for step in failing.behaviour for f in step.failures if f.example]
    assert examples and min(len(e.trace.ops) for e in examples) <= 8


def test_a_patch_that_does_not_apply_is_named(tmp_path: Path) -> None:
    copy = a_copy(tmp_path)
    (patch,) = (copy / "patches").glob("0012-*")
    text = patch.read_text(encoding="utf-8")
    patch.write_text(text.replace("int dirty_flags)", "int dirty_flaggs)"), encoding="utf-8")
    failing = judge(copy, (11, 12, 13), traces=5).first_failing
    assert failing is not None and failing.step == 12
    assert failing.problem.startswith("does not apply") and "0012-" in failing.problem


def test_a_step_that_does_not_build_is_named(tmp_path: Path) -> None:
    fault = PatchFault(26, "typo", "find_next_bit(ram_list", "find_next_bit(ramlist")
    failing = judge(fault.write(tmp_path), (25, 26, 27), traces=5).first_failing
    assert failing is not None and failing.step == 26
    assert failing.problem.startswith("does not build") and "ramlist" in failing.problem


def test_a_step_with_a_warning_does_not_build(tmp_path: Path) -> None:
    fault = PatchFault(26, "unused", "unsigned long page, end;", "unsigned long page, end, more;")
    failing = judge(fault.write(tmp_path), (26,), traces=5).first_failing
    assert failing is not None and "unused" in failing.problem


def test_a_binary_with_another_api_is_named(tmp_path: Path) -> None:
    copy = a_copy(tmp_path)
    toml = copy / "series.toml"
    text = toml.read_text(encoding="utf-8")
    declared = '"void cpu_physical_memory_set_dirty_tracking(bool enable)"'
    assert declared in text
    toml.write_text(text.replace(declared, declared.replace("bool", "int")), encoding="utf-8")
    failing = judge(copy, (31,), traces=5).first_failing
    assert failing is not None and failing.step == 31
    assert "binary differs from the declared API" in failing.problem


def test_a_move_that_changes_code_is_named(tmp_path: Path) -> None:
    fault = PatchFault(32, "no-move", "return find_next_bit", 'asm("nop"); return find_next_bit')
    failing = judge(fault.write(tmp_path), (32,), traces=5).first_failing
    assert failing is not None
    assert "a move changes no code" in failing.problem


def test_a_deviation_left_undeclared_is_named(tmp_path: Path) -> None:
    copy = a_copy(tmp_path)
    toml = copy / "series.toml"
    text = toml.read_text(encoding="utf-8")
    start = text.index('[[step.deviation]]\nid = "xen-told-start"')
    toml.write_text(text[:start] + text[text.index("[[step]]", start) :], encoding="utf-8")
    failing = judge(copy, (26, 27), traces=20).first_failing
    assert failing is not None and failing.step == 27
    assert "without a declaration" in failing.problem

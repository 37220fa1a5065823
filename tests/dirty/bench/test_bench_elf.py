"""The section that compares libraries."""

from __future__ import annotations

import sys

import pytest

from replay.dirty.bench import binaries
from replay.dirty.bench.binaries import BinariesResult, Compared, Ran
from replay.dirty.bench.figures import Effort, silent
from replay.dirty.bench.libraries import PER_UNIT, Size, made
from replay.elf import Change, compare
from replay.errors import UsageError


def test_one_unit_of_the_generated_libraries_differs(tmp_path):
    found = compare(*made(tmp_path, Size(2, 1 << 16)))
    changed = {f.name for f in found.functions if f.change is not Change.SAME}
    assert changed == {f"u1_f{number}" for number in range(PER_UNIT)}


def test_without_abidiff_only_our_own_figures_are_told(monkeypatch):
    monkeypatch.setattr(binaries, "QUICK", {"few": Size(2)})
    monkeypatch.setattr(binaries, "abidiff", lambda: None)
    found = binaries.measure(Effort(quick=True), silent)
    assert found.measured[0].ratio is None
    assert found.measured[0].peak > 1 << 20
    assert binaries.MISSING in found.notes()


def test_goals_are_of_the_ratio_and_of_the_memory():
    ran = Ran(3.0, 1 << 20), Ran(1.0, 1 << 31)
    found = BinariesResult((Compared("a", 1, ran[:1], ran[1:]),), "")
    assert [v.met for v in found.verdicts()] == [False, True]
    swapped = BinariesResult((Compared("a", 1, ran[1:], ran[:1]),), "")
    assert [v.met for v in swapped.verdicts()] == [True, False]


def test_a_comparison_that_fails_is_told():
    with pytest.raises(UsageError, match="failed: no"):
        binaries.ran([sys.executable, "-c", "import sys; sys.exit('no')"], 3)

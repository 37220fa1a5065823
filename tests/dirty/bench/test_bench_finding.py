"""Who looks for a fault of the C finds one, and none where there is none; times are not tested."""

from __future__ import annotations

import math
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from replay.cli.bench import command
from replay.dirty.bench import finding
from replay.dirty.bench.figures import Effort, silent
from replay.dirty.bench.finders import FUZZER, HYPOTHESIS, OURS, Look
from replay.dirty.bench.finding import FindingResult, Sought
from replay.dirty.faults.judge import PART, Search
from replay.dirty.faults.mutate_c import c_faults
from replay.errors import UsageError
from replay.report.benching import table_lines

WRONG_OPERATOR = "02 memory-internal.h cpu_physical_memory_set_dirty_flags: |= -> &="
NO_END = "38 arch_init.c migration_bitmap_sync_range: += -> ="
ALIKE = "18 bitmap.h bitmap_zero_extend: old_nbits, new_nbits - old_nbits -> "
ALIKE += "new_nbits - old_nbits, old_nbits"
PATIENCE = 60.0


def fault(name):
    return next(one for one in c_faults(int(name[:2])) if one.name == name)


@pytest.fixture(scope="module")
def finders(tmp_path_factory):
    assert shutil.which("clang"), "these tests need clang with libFuzzer: apt-get install clang"
    made, missing = finding.finders_at(tmp_path_factory.mktemp("finders"))
    assert not missing
    return made


@pytest.mark.parametrize("name", [WRONG_OPERATOR, NO_END])
def test_each_finds_a_fault_that_is_plain(name, finders, tmp_path) -> None:
    mutant = finding.built(fault(name), tmp_path, clang=True)
    assert list(finders) == [OURS, HYPOTHESIS, FUZZER]
    for finder, look in finders.items():
        seen = look(mutant, 1, PATIENCE)
        assert seen.found, finder
        assert 0 < seen.start < seen.seconds < PATIENCE, finder


def test_none_finds_anything_in_a_step_as_it_is(finders, tmp_path) -> None:
    mutant = finding.built(None, tmp_path, clang=True, step=27)  # one that declares deviations
    for finder, look in finders.items():
        seen = look(mutant, 1, 2.0)
        assert not seen.found, finder
        assert seen.seconds == 2.0, finder


def test_what_is_no_fault_is_not_looked_for(tmp_path) -> None:
    assert finding.built(fault(ALIKE), tmp_path, clang=False) is None


def test_without_clang_one_message_says_what_to_install(tmp_path, monkeypatch) -> None:
    (tmp_path / "cc").symlink_to(shutil.which("cc"))
    monkeypatch.setenv("PATH", str(tmp_path))
    made, missing = finding.finders_at(tmp_path)
    assert list(made) == [OURS, HYPOTHESIS]
    assert "no clang" in missing and "libclang-rt" in missing and "\n" not in missing


@pytest.mark.parametrize("name", ["tree_sitter_c", "hypothesis", "cffi"])
def test_what_python_lacks_is_told_in_one_message(name, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "replay.dirty.bench.findingtest", raising=False)
    with pytest.raises(UsageError, match=f"^no {name}: install the extra bench$"):
        finding.measure(Effort(True), silent)


def test_the_sample_is_the_seeds_and_all_is_all() -> None:
    once = finding.shuffled(1)
    assert once == finding.shuffled(1) != finding.shuffled(2)
    assert len(once) == len(set(once)) == sum(len(c_faults(step)) for step in range(1, 40))


def test_what_nobody_finds_is_looked_for_with_one_seed() -> None:
    asked: list[tuple[str, int]] = []

    def finder(name, found):
        def look(mutant, seed, limit):
            asked.append((name, seed))
            return Look(found, 0.1, 0.5 if found else limit)

        return look

    blind = {name: finder(name, False) for name in "ab"}
    assert len(finding.looked(None, blind, 4, 3, 9.0)["a"]) == 1
    assert asked == [("a", 4), ("b", 4)]
    one_sees = {"a": finder("a", False), "b": finder("b", True)}
    assert len(finding.looked(None, one_sees, 4, 3, 9.0)["a"]) == 3
    assert asked[2:] == [(name, seed) for seed in (4, 5, 6) for name in "ab"]


def result():
    """Three faults: found by both, found by one, found by nobody."""
    made = []
    for one, ours, theirs in zip(
        c_faults(7), [[1, 3, 2], [4, 4, 4], [10]], [[4, 6, 5], [10, 10, 10], [10]], strict=False
    ):
        looks = {
            name: tuple(Look(s < 10, 0.5, float(s)) for s in seconds)
            for name, seconds in ((OURS, ours), (FUZZER, theirs))
        }
        made.append(Sought(one, looks))
    return FindingResult(tuple(made), 2, 10.0, {OURS: 0.4}, "")


def test_the_median_is_over_seeds_and_then_over_faults_with_the_limit_for_the_rest() -> None:
    measured = result()
    assert [one.seconds(OURS) for one in measured.sought] == [2, 4, 10]
    assert measured.medians(OURS).median == 4 and measured.medians(FUZZER).median == 10
    assert measured.ratio(FUZZER) == 2.5
    assert (measured.unfound(OURS), measured.unfound(FUZZER)) == (1, 2)
    assert (measured.first(OURS), measured.first(FUZZER)) == (2, 0)
    assert measured.start(OURS) == 0.5 and measured.search(OURS) == 3.5
    assert (measured.alone(OURS), measured.alone(FUZZER)) == (4.4, 10)
    sooner, alone = measured.verdicts()
    assert sooner.met and "2.50" in sooner.measured
    assert alone.met and "2.27" in alone.measured
    assert not replace(measured, imports={OURS: 6.5}).verdicts()[1].met
    text = "\n".join(line for table in measured.tables() for line in table_lines(table))
    assert "4,000" in text and "10,000" in text
    assert any(note.startswith("1 of the faults nobody found") for note in measured.notes())


def test_the_document_holds_each_look() -> None:
    document = result().to_json()
    assert document["finders"][FUZZER]["not_found"] == 2 and document["void_faults"] == 2
    assert [len(one["looks"][OURS]) for one in document["faults"]] == [3, 3, 1]
    assert document["faults"][0]["looks"][FUZZER][1] == {
        "found": True, "start_seconds": 0.5, "seconds": 6.0,
    }  # fmt: skip


def test_as_many_faults_are_looked_for_as_are_asked_for(monkeypatch) -> None:
    quick = {OURS: lambda mutant, seed, limit: Look(True, 0.1, 0.2)}
    monkeypatch.setattr(finding, "finders_at", lambda folder: (quick, "no libFuzzer"))
    monkeypatch.setattr(finding, "built", lambda one, folder, clang: None if one.step < 13 else 1)
    told: list[float] = []
    measured = finding.measure(Effort(True, 1, 5), lambda share, text: told.append(share))
    assert len(measured.sought) == 5 and told == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert all(one.fault.step >= 13 for one in measured.sought) and measured.void > 0
    everything = finding.measure(Effort(True, 1, 0), silent)
    assert len(everything.sought) + everything.void == len(finding.shuffled(1))


@pytest.mark.parametrize("given", ["none", "0", "-3", "1.5"])
def test_a_number_of_faults_that_is_none_is_refused(given: str) -> None:
    ended = CliRunner().invoke(command, ["--faults", given], standalone_mode=True)
    assert ended.exit_code == 2 and "neither a number of faults nor all" in ended.output


def test_a_search_looks_soon_at_what_it_has() -> None:
    parts = list(Search(100).parts())
    assert [len(part) for part in parts] == [1, 2, 4, 8, 16, PART, PART, PART, 9]
    assert [number for part in parts for number in part] == list(range(100))
    assert list(Search(100, seconds=0.0).parts()) == []
    assert math.isinf(Search(1).seconds)


def test_the_harness_comes_with_the_package() -> None:
    assert Path(finding.__file__).with_name("findingfuzz.c").is_file()

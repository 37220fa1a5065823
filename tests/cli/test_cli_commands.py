import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from refmodels import FOLD
from replay.cli import main
from replay.dirty.language.files import write_trace
from replay.dirty.language.vectors import read_vectors

VECTORS = Path(__file__).parent.parent / "vectors"
NAMED = VECTORS / "named.jsonl"
SAMPLE = VECTORS / "public-sample.jsonl.gz"
LOST = next(v.trace for v in read_vectors(NAMED) if v.trace.name == "sync-lost-store")


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "trace.jsonl"
    write_trace(LOST, path)
    return path


@pytest.fixture
def corrupted(tmp_path: Path) -> Path:
    """The named vectors with one expected value changed, of one observation at step 0."""
    vectors = [json.loads(line) for line in NAMED.read_text().splitlines()]
    vectors[9]["baseline"][3]["state"]["vga"] = "1"
    path = tmp_path / "corrupted.jsonl"
    path.write_text("".join(json.dumps(vector) + "\n" for vector in vectors))
    return path


# --- conform -----------------------------------------------------------------------------


def test_conform_ends_with_the_totals_and_exit_0() -> None:
    result = replay("conform", NAMED, SAMPLE, "--jobs", 2)
    operations = sum(len(v.trace.ops) for path in (NAMED, SAMPLE) for v in read_vectors(path))
    assert result.stdout == f"{operations * 40} observations, 0 mismatches\n"
    assert (result.exit_code, result.stderr) == (0, "")


def test_conform_reports_a_corrupted_value_and_exits_1(corrupted: Path) -> None:
    result = replay("conform", corrupted, "--steps", "0,38", "--max-mismatches", 1, "--jobs", 1)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"mismatch trace sync-lost-store ({corrupted}:10) at step 0",
        "  operation 3: store(addr=0x1000, size=4)",
        "  vga",
        "    expected page 0  (1)",
        "    got      pages 0-1  (3)",
        "",
        "1 more mismatch not shown",
        "",
        "step 0: 1",
        "step 38: 1",
        "192 observations, 2 mismatches",
    ]


def test_conform_counts_all_even_when_none_is_shown(corrupted: Path) -> None:
    result = replay("conform", corrupted, "--max-mismatches", 0)
    assert result.stdout.splitlines()[-1] == "3840 observations, 40 mismatches"
    assert result.exit_code == 1


def test_conform_as_json(corrupted: Path) -> None:
    result = replay("conform", corrupted, "--steps", "0", "--json")
    made = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (made["observations"], made["mismatches"], made["conforms"]) == (96, 1, False)
    (shown,) = made["shown"]
    assert (shown["trace"], shown["step"], shown["operation"]) == ("sync-lost-store", 0, 3)
    assert shown["fields"] == [{"field": "vga", "expected": "1", "got": "3"}]
    assert json.loads(replay("conform", NAMED, "--json").stdout)["conforms"] is True


def test_conform_on_nothing_is_not_a_pass(tmp_path: Path) -> None:
    vector: dict[str, Any] = json.loads(NAMED.read_text().splitlines()[0])
    path = tmp_path / "v.jsonl"
    path.write_text(json.dumps(vector | {"ops": [], "baseline": [], "changes": {}}) + "\n")
    result = replay("conform", path)
    assert (result.exit_code, result.stdout) == (1, "0 observations, 0 mismatches\n")


@pytest.mark.parametrize("jobs", [1, 2])
def test_conform_on_a_file_cut_off_is_one_error_and_exit_2(tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "cut.jsonl"
    path.write_bytes(NAMED.read_bytes()[:-99])
    result = replay("conform", path, "--jobs", jobs)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"replay: error: {path}:18: the file ends inside this line: it was cut off; "
        "write or copy it again\n"
    )


# --- run ------------------------------------------------------------------------------------


def test_run_shows_every_operation_and_the_title_of_the_step(trace: Path) -> None:
    result = replay("run", trace, "--step", 39)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "trace sync-lost-store at step 39"
    assert lines[1] == "migration: synchronize memory bitmap 64bits at a time"
    assert "   4 migration_sync() -> 1" in lines
    assert "   5 store(addr=0x1000, size=4) -> fast" in lines


def test_run_of_a_range_and_as_json(trace: Path) -> None:
    made = json.loads(replay("run", trace, "--step", 0, "--ops", "6-", "--json").stdout)
    assert [entry["index"] for entry in made["operations"]] == [6, 7]
    result = replay("run", trace, "--step", 0, "--ops", "8")
    assert result.exit_code == 2
    assert result.stderr == "replay: error: --ops starts at 8; the trace has operations 0 to 7\n"


def test_run_refuses_a_wrong_trace_with_its_line(trace: Path) -> None:
    trace.write_text(trace.read_text().replace("migration_sync", "migration_sink", 1))
    result = replay("run", trace, "--step", 0)
    assert result.exit_code == 2
    assert result.stderr == (
        f"replay: error: {trace}:6: unknown operation 'migration_sink'; "
        "did you mean 'migration_sync'?\n"
    )


# --- compare --------------------------------------------------------------------------------


def test_compare_exits_1_when_steps_differ_and_0_when_not(trace: Path) -> None:
    differ = replay("compare", trace, 38, 39)
    assert differ.exit_code == 1
    assert "first difference: tlb_direct, tlb_notdirty" in differ.stdout
    same = replay("compare", trace, 38, 37)
    assert same.exit_code == 0
    assert same.stdout.endswith("steps 38 and 37 are equal on all 8 operations\n")


def test_compare_as_json(trace: Path) -> None:
    result = replay("compare", trace, 38, 39, "--json")
    made = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (made["steps"], made["equal"], made["first_difference"]) == ([38, 39], False, 4)
    assert made["differences"][0]["fields"] == ["tlb_direct", "tlb_notdirty"]


# --- show -----------------------------------------------------------------------------------


def test_show_prints_docstring_source_and_api_delta() -> None:
    result = replay("show", 5)
    assert result.exit_code == 0
    assert result.stdout.startswith("step 5: memory: create function to set a single dirty bit\n")
    assert "def cpu_physical_memory_set_dirty_flag(" in result.stdout
    assert "  + void cpu_physical_memory_set_dirty_flag(" in result.stdout


def test_show_whole_prints_the_folded_source() -> None:
    assert replay("show", 39, "--whole").stdout.rstrip() == FOLD.whole_source(39).rstrip()
    made = json.loads(replay("show", 39, "--whole", "--json").stdout)
    assert made["source"] == FOLD.whole_source(39).rstrip()


def test_show_a_function_with_and_without_a_step() -> None:
    name = "cpu_physical_memory_mask_dirty_range"
    result = replay("show", "--function", name)
    assert "gone since step 25" in result.stdout
    assert "def " not in result.stdout
    assert f"def {name}(" in replay("show", 24, "--function", name).stdout
    made = json.loads(replay("show", 24, "--function", name, "--json").stdout)
    assert made["life"][-1] == {"step": 25, "action": "removes"}
    assert replay("show", 25, "--function", name).exit_code == 2


def test_show_as_json() -> None:
    made = json.loads(replay("show", 27, "--json").stdout)
    assert made["number"] == 27
    assert made["deltas"][0]["name"] == "cpu_physical_memory_set_dirty_range"
    assert made["series"]["deviation"][0]["kind"] == "fix"

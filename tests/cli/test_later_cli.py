"""A step after the last is named the same everywhere, and what is no step is told the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from refmodels import FOLD
from replay.cli import main
from replay.dirty.language.files import write_trace
from replay.dirty.language.trace import Op, Trace

LOST = Trace((
    Op("ram_alloc", (1,)), Op("tlb_fill", (0,)), Op("migration_start"),
    Op("migration_next", (0, 0)), Op("store", (0, 1)), Op("migration_sync"),
)).renamed("lost")  # fmt: skip
"""Of one page: what loses the store is mended by the fix of 2018, and by no other."""

THERE = str(FOLD.names)


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    path = tmp_path / "lost.jsonl"
    write_trace(LOST, path)
    return path


@pytest.mark.parametrize(
    "words",
    [
        ["check", "--steps"], ["explore", "--steps"], ["coverage", "--steps"],
        ["campaign", "--steps"], ["series", "verify", "--steps"], ["faults", "--steps"],
        ["conform", "x", "--steps"], ["show"], ["series", "show"], ["compare", "x", "39"],
        ["run", "x", "--step"], ["bisect", "--property", "no-lost-store", "--bad"], ["teach"],
        ["probe", ".", "--trace", "x", "--step"],
    ],
    ids=lambda words: "-".join(words).replace("--", ""),
)  # fmt: skip
@pytest.mark.parametrize("name", ["39+sync-lenght", "38+all"])
def test_a_name_that_no_step_has_is_told_the_same_everywhere(words: list[str], name: str) -> None:
    result = replay(*words, name)
    assert result.exit_code == 2, result.output
    assert THERE in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check"], "step 0 has no step before it; --steps takes steps from 1 to 39"),
        (["explore"], "step 0 has no step before it; --steps takes steps from 1 to 39"),
        (["coverage"], "step 0 has no step before it; --steps takes steps from 1 to 39"),
        (["series", "verify"], "step 0 is no patch; --steps takes steps from 1 to 39"),
    ],
)
def test_step_0_alone_is_refused_the_same_everywhere(words: list[str], said: str) -> None:
    result = replay(*words, "--steps", "0")
    assert (result.exit_code, said in result.stderr) == (2, True)


def test_a_campaign_of_step_0_is_refused_before_there_is_a_state(tmp_path: Path) -> None:
    result = replay("campaign", "--steps", "0", "--state", tmp_path / "state", "--traces", "1")
    assert result.exit_code == 2 and "step 0 has no step before it" in result.stderr
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("words", [["faults", "--steps"], ["conform", "x", "--steps"]])
def test_a_command_for_the_series_alone_says_so(words: list[str]) -> None:
    result = replay(*words, "39+all")
    assert result.exit_code == 2 and "39+all" in result.stderr and "0 to 39" in result.stderr


def test_check_names_a_step_after_the_last_as_it_is_written() -> None:
    words = ("--traces", 300, "--budget", 0, "--jobs", 2)
    result = replay("check", "--steps", "39+03bfc2188f", *words)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    at = lines.index("39+03bfc2188f")
    assert lines[at + 1].split()[:3] == ["deviates", "as", "declared"]
    assert any("mends no-lost-store, shown by" in line for line in lines)
    assert "without it" in result.stdout


def test_check_in_json_names_it_too() -> None:
    words = ("--steps", "39+all", "--traces", 40, "--budget", 0, "--jobs", 1, "--json")
    (step,) = json.loads(replay("check", *words).stdout)["steps"]
    assert step["step"] == "39+all"
    assert step["through"][-2:] == ["39+f9ee9f9ac2+49dfcec403+sync-length", "39+all"]
    assert [one["property"] for one in step["mends"]] == ["no-lost-store", "direct-is-dirty"]


def test_an_example_is_replayed_against_the_line_without_the_fix(tmp_path: Path) -> None:
    words = ("--steps", "39+sync-length", "--traces", 60, "--budget", 40, "--jobs", 1)
    result = replay("check", *words, "--save", tmp_path)
    commands = [line.split() for line in result.stdout.splitlines() if "replay compare" in line]
    assert commands and all(line[3:] == ["39", "39+sync-length"] for line in commands)
    again = replay(*commands[0][1:])
    assert again.exit_code == 1 and "step 39 beside step 39+sync-length" in again.stdout


def test_run_and_compare_take_it(trace: Path) -> None:
    assert "at step 39+sync-length" in replay("run", trace, "--step", "39+sync-length").stdout
    compared = replay("compare", trace, 39, "39+sync-length", "--json")
    assert json.loads(compared.stdout)["steps"] == [39, "39+sync-length"]
    assert compared.exit_code == 1
    assert replay("compare", trace, "39+sync-length", "39+all").exit_code == 0


def test_show_and_series_show_tell_what_a_fix_does() -> None:
    shown = replay("show", "39+all+log-start-flush").stdout
    assert "refmodels/epilogue/v1_log_start_flush.py" in shown and "Deviation start-drops" in shown
    patch = replay("series", "show", "39+sync-length", "--json")
    assert json.loads(patch.stdout)["verdict"] == "deviates as declared"
    life = replay("show", "--function", "sync_by_words").stdout
    assert "step 39+sync-length  changes" in life


def test_teach_tells_of_each_part() -> None:
    told = replay("teach", "39+log-start-flush+sync-length")
    assert told.exit_code == 0
    first, second = told.stdout.index("==== sync-length"), told.stdout.index("==== log-start-flush")
    assert first < second
    assert "mends count-is-popcount" in told.stdout and "+    if ((start | length)" in told.stdout
    assert "replay check --steps 39+sync-length+log-start-flush" in told.stdout


# --- bisect ---------------------------------------------------------------------------------------


def test_bisect_finds_where_a_trace_went_bad_and_which_fix_mends_it(
    trace: Path, tmp_path: Path
) -> None:
    words = ("bisect", "--trace", trace, "--property", "no-lost-store")
    log = tmp_path / "log"
    found = replay(*words, "--good", 36, "--bad", "39+all", "--log", log, "--json")
    values = json.loads(found.stdout)
    assert values["method"] == "full scan"
    assert values["guilty"] == [39]
    assert values["mended"] == ["39+f9ee9f9ac2+49dfcec403+sync-length"]
    again = replay("bisect", "--good", 36, "--bad", "39+all", "--replay", log, "--json")
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout) == values


def test_bisect_takes_one_fix_for_the_end_and_for_what_is_compared_with(trace: Path) -> None:
    words = ("bisect", "--trace", trace, "--good", 39)
    changed = replay(*words, "--bad", "39+sync-length", "--json")
    assert json.loads(changed.stdout)["guilty"] == [39, "39+sync-length"]
    against = replay(*words, "--bad", "39+all", "--against", "39+sync-length", "--json")
    answers = {p["step"]: p["answer"] for p in json.loads(against.stdout)["probes"]}
    assert answers[39] == "bad" and answers["39+all"] == "good"


def test_the_time_line_of_a_property_shows_where_it_broke_and_healed() -> None:
    words = ("bisect", "--property", "no-lost-store", "--timeline", "--traces", 40)
    values = json.loads(replay(*words, "--json").stdout)
    assert values["broke"][-1] == 39 and values["healed"]
    assert [point["step"] for point in values["steps"]][-2:] == [
        "39+f9ee9f9ac2+49dfcec403+sync-length", "39+all",
    ]  # fmt: skip
    counts = {point["step"]: point["broken"] for point in values["steps"]}
    assert counts[38] < counts[39] > counts["39+all"]
    text = replay(*words).stdout
    assert f"at step 39+all it is broken on {counts['39+all']}" in text or "it holds" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--api", "x", "--timeline"], "--timeline is one of a property"),
        (["--property", "no-lost-store", "--timeline", "--log", "x"], "goes without --log"),
        (["--property", "no-lost-store", "--good", "39+all", "--bad", "39"], "earlier step"),
        (["--property", "no-lost-store", "--good", "39+sync-length", "--bad", "39+03bfc2188f"],
         "earlier step"),
        (["--property", "no-lost-shore", "--timeline"], "no property 'no-lost-shore'"),
    ],
)  # fmt: skip
def test_what_makes_no_line_is_told(words: list[str], said: str) -> None:
    result = replay("bisect", *words)
    assert result.exit_code == 2 and said in result.stderr, result.output
    assert result.stderr.count("\n") == 1

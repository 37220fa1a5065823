"""``replay check``: what is there is used, what was asked for is done, and the verdict says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.cli import main
from replay.dirty.language.files import write_trace
from replay.dirty.language.language import LANGUAGE, Preceded
from replay.dirty.language.trace import Config, Op, Trace

FEW = ("check", "--steps", "12", "--traces", "20", "--jobs", "1", "--budget", "0")


def replay(*words: str) -> Result:
    return CliRunner().invoke(main, [*FEW, *words])


def rests(done: Result) -> list[str]:
    return [one["comparison"] for one in json.loads(done.stdout)["steps"][0]["rests_on"]]


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_by_default_all_comparisons_are_made_and_told() -> None:
    done = replay()
    assert "\nby, on so many traces: m the models (20), c the C (20), = C and model (20)\n" in (
        done.stdout
    )
    assert "  12  same                        0      0 mc= " in done.stdout
    data = json.loads(replay("--json").stdout)
    assert data["steps"][0]["rests_on"] == [
        {"comparison": name, "traces": 20} for name in ("models", "c", "c-model")
    ]
    assert data["left_out"] is None


@pytest.mark.usefixtures("no_compiler")
def test_without_a_compiler_the_verdict_says_that_the_models_alone_were_compared() -> None:
    done = replay()
    assert "  12  same                        0      0 m   " in done.stdout
    said = " ".join(done.stdout.split())
    assert "Only the models were compared, as the C cannot be built: there is no C comp" in said
    assert "apt-get install gcc" in said
    as_data = replay("--json")
    assert rests(as_data) == ["models"]
    assert json.loads(as_data.stdout)["left_out"].startswith("Only the models were compared")


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("words", [("--lane", "all"), ("--lane", "native"), ("--sanitize",)])
def test_c_that_was_asked_for_and_cannot_be_built_is_an_error(words: tuple[str, ...]) -> None:
    done = replay(*words)
    assert done.exit_code == 2 and "there is no C compiler 'cc'" in done.stderr
    assert done.stdout == ""


def test_a_compiler_that_is_named_must_be_there() -> None:
    done = replay("--compiler", "no-such-cc")
    assert done.exit_code == 2 and "no-such-cc" in done.stderr


def test_a_compiler_that_builds_not_even_step_0_leaves_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "cc"
    broken.write_text('#!/bin/sh\n[ "$1" = --version ] && echo cc 1.0 && exit 0\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = replay("--json")
    assert rests(done) == ["models"]
    assert "step 0 does not build" in json.loads(done.stdout)["left_out"]


@pytest.mark.parametrize(
    ("lane", "compared"),
    [
        ("python", ["models"]), ("native", ["c"]), ("both", ["c-model"]),
        ("all", ["models", "c", "c-model"]),
    ],
)  # fmt: skip
def test_a_lane_that_is_named_is_what_is_compared(lane: str, compared: list[str]) -> None:
    done = replay("--lane", lane, "--json")
    data = json.loads(done.stdout)
    row = next(step for step in data["steps"] if step["step"] == 12)
    assert [one["comparison"] for one in row["rests_on"]] == compared
    assert data["left_out"] is None


def test_python_alone_builds_nothing() -> None:
    done = replay("--lane", "python", "--sanitize")
    assert done.exit_code == 2 and "--lane python runs none" in done.stderr


def test_a_series_with_models_alone_is_checked_by_these_without_a_word() -> None:
    counter = Path(__file__).parents[1] / "series" / "counter"
    words = ["--subject", str(counter), "check", "--traces", "5", "--steps", "1", "--json"]
    done = CliRunner().invoke(main, words)
    assert rests(done) == ["models"] and json.loads(done.stdout)["left_out"] is None
    refused = CliRunner().invoke(main, [*words, "--compiler", "cc"])
    assert refused.exit_code == 2 and "leave out --subject" in refused.stderr


def test_a_model_that_is_not_as_its_c_is_named_with_the_command_that_shows_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (source,) = (Path(__file__).parents[2] / "refmodels").glob("s27_*.py")
    text = source.read_text(encoding="utf-8")
    line = "    vm.bitmap_set(vm.dirty_memory[vm.DIRTY_MEMORY_VGA], page, end - page)\n"
    assert text.count(line) == 1
    (tmp_path / "mine.py").write_text(text.replace(line, ""), encoding="utf-8")
    words = ["check", "--steps", "27", "--traces", "10", "--budget", "50", "--model", "27=mine.py"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 1
    assert "undeclared difference in vga" in done.stdout, "of the models"
    assert "undeclared difference between the C and its model in vga" in done.stdout
    saved = "counterexamples/both-step-27-difference.jsonl"
    assert f"replay bisect --trace {saved} --lane native --against model" in done.stdout
    assert (tmp_path / saved).is_file()


# --- kept traces --------------------------------------------------------------------

CLEARED = (Op("ram_alloc", (3,)), Op("region_reset_dirty", (0, 3 << 12, "vga")))
SYMPTOM = Trace((*CLEARED, Op("region_set_dirty", (0, 9000))), name="symptom")
IN_PYTHON_ALONE = Trace((Op("ram_alloc", (1,)),), Config(word_bits=8), "small words")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    folder = tmp_path / "kept"
    folder.mkdir()
    write_trace(SYMPTOM, folder / "a.jsonl")
    write_trace(IN_PYTHON_ALONE, folder / "b.jsonl")
    return folder


def test_kept_traces_run_first_in_every_lane_that_can_run_them(corpus: Path) -> None:
    data = json.loads(replay("--corpus", str(corpus), "--json").stdout)
    assert (data["corpus"], data["traces"]) == (2, 22)
    assert [one["traces"] for one in data["steps"][0]["rests_on"]] == [22, 21, 21]
    text = replay("--corpus", str(corpus), "--lane", "python").stdout
    assert "\n2 traces of the corpus ran first\n22 traces of" in text
    native = json.loads(replay("--corpus", str(corpus), "--lane", "native", "--json").stdout)
    assert (native["corpus"], native["traces"]) == (1, 21)


def test_a_kept_trace_shows_what_no_drawn_one_does(corpus: Path, tmp_path: Path) -> None:
    (source,) = (Path(__file__).parents[2] / "refmodels").glob("s27_*.py")
    text = source.read_text(encoding="utf-8")
    line = "    vm.bitmap_set(vm.dirty_memory[vm.DIRTY_MEMORY_VGA], page, end - page)\n"
    assert text.count(line) == 1
    copy = tmp_path / "mine.py"
    copy.write_text(text.replace(line, f"    if length != 9000:\n    {line}"), encoding="utf-8")
    few = ["check", "--steps", "27", "--traces", "3", "--lane", "python", "--model", f"27={copy}"]
    without = CliRunner().invoke(main, [*few, "--save", str(tmp_path), "--json"])
    assert json.loads(without.stdout)["steps"][0]["failures"] == []
    shown = CliRunner().invoke(main, [*few, "--save", str(tmp_path), "--corpus", str(corpus)])
    assert shown.exit_code == 1 and "undeclared difference in vga" in shown.stdout


def test_the_corpus_of_campaigns_is_the_one_by_default(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path / "cache"))
    assert json.loads(replay("--lane", "python", "--corpus", "--json").stdout)["corpus"] == 0
    added = CliRunner().invoke(main, ["traces", "add", *map(str, corpus.iterdir())])
    assert added.exit_code == 0, added.output
    assert json.loads(replay("--lane", "python", "--corpus", "--json").stdout)["corpus"] == 2
    assert json.loads(replay("--lane", "python", "--json").stdout)["corpus"] == 0


def test_the_traces_behind_the_kept_ones_are_those_of_a_check_without() -> None:
    language = Preceded(LANGUAGE.profile, (SYMPTOM,))
    drawn = [language.draw(5, number) for number in range(3)]
    assert drawn == [SYMPTOM, LANGUAGE.draw(5, 0), LANGUAGE.draw(5, 1)]


def test_a_corpus_that_is_not_there_or_broken_is_one_message(corpus: Path) -> None:
    done = replay("--corpus", str(corpus / "none"))
    assert done.exit_code == 2 and "there is no such folder" in done.stderr
    (corpus / "c.jsonl").write_text("no trace\n")
    done = replay("--corpus", str(corpus))
    assert done.exit_code == 2 and "c.jsonl" in done.stderr and "delete it" in done.stderr
    counter = Path(__file__).parents[1] / "series" / "counter"
    done = CliRunner().invoke(main, ["--subject", str(counter), "check", "--corpus"])
    assert done.exit_code == 2 and "--corpus is for the built-in subject" in done.stderr

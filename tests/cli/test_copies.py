"""A changed copy that a command would not run is refused: silence would look like a verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from replay.cli import main

(STEP_26,) = (Path(__file__).parents[2] / "refmodels").glob("s26_*.py")


def replay(*words: str) -> Result:
    return CliRunner().invoke(main, [*words])


def refused(done: Result, said: str) -> None:
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("replay: error: ") and said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def copy(tmp_path: Path) -> str:
    """Step 26 finding nothing dirty, ever: wherever it is run, that shows."""
    text = STEP_26.read_text(encoding="utf-8")
    assert text.count("return following < end") == 1
    path = tmp_path / "mine.py"
    path.write_text(text.replace("return following < end", "return False"), encoding="utf-8")
    return f"26={path}"


@pytest.mark.parametrize("steps", ["20", "28-", "1-25"])
@pytest.mark.parametrize(
    "command",
    [
        ("check", "--traces", "3", "--lane", "python"),
        ("campaign", "--traces", "3", "--lanes", "python"),
        ("explore", "--pages", "1"),
    ],
    ids=lambda words: str(words[0]),
)
def test_steps_that_leave_the_copy_out_are_refused(
    command: tuple[str, ...], steps: str, copy: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("REPLAY_CACHE", str(tmp_path / "cache"))
    done = replay(*command, "--steps", steps, "--model", copy)
    refused(done, f"--model {copy} changes step 26, which --steps leaves out")
    assert not (tmp_path / "cache" / "campaign.sqlite").exists()


@pytest.mark.parametrize("steps", ["26", "27"])
def test_steps_that_run_the_copy_show_it(
    steps: str, copy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it is only the step before the one that is judged."""
    monkeypatch.chdir(tmp_path)
    few = ("--traces", "8", "--budget", "0", "--lane", "python", "--jobs", "1")
    done = replay("check", "--steps", steps, *few, "--model", copy)
    assert done.exit_code in (0, 1) and done.stderr == ""
    assert ("undeclared difference" in done.stdout) == (steps == "26")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--property", "no-lost-store", "--bad", "20"), "which --bad leaves out"),
        (("--api", "cpu_physical_memory_reset_dirty"), "this search runs none"),
        (("--property", "no-lost-store", "--lane", "native"), "this search runs none"),
    ],
)
def test_a_bisection_that_would_not_run_the_copy_is_refused(
    words: tuple[str, ...], said: str, copy: str
) -> None:
    refused(replay("bisect", *words, "--model", copy), said)


def test_a_script_would_forget_the_copy(copy: str, tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    trace.write_text('{"format": "dirty-trace/1", "name": "t", "config": {"page_bits": 12, '
                     '"hpratio": 1, "tcg": true}}\n{"op": "ram_alloc", "pages": 1}\n')  # fmt: skip
    script = tmp_path / "red.sh"
    words = ("--trace", str(trace), "--against", "model", "--script", str(script))
    refused(replay("bisect", *words, "--model", copy), "this search runs none")
    assert not script.exists()

"""``replay faults``: what it prints, what it exits with, and what it says of what it lacks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

WITHOUT = """
import sys
sys.modules["{module}"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "{module}" else found(name, *more)
sys.argv[0] = "replay"
from replay.cli import main
main()
"""


def faults(*words: str, without: str = "") -> subprocess.CompletedProcess[str]:
    start = ["-c", WITHOUT.format(module=without)] if without else ["-m", "replay"]
    return subprocess.run(
        [sys.executable, *start, "faults", *words], capture_output=True, text=True, check=False
    )


def test_the_tables_and_the_shares_are_printed() -> None:
    done = faults("--steps", "31,38", "--every", "20", "--traces", "60", "--budget", "60")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert "Faults in the models" in lines and "Faults in the C" in lines
    heads = [line.split() for line in lines if line.startswith("step")]
    assert heads[0][:5] == ["step", "faults", "found", "here", "python"]
    assert heads[1][:5] == ["step", "faults", "found", "here", "native"]
    assert "(100.0 %)" in done.stdout and "found by: " in done.stdout
    assert "\x1b" not in done.stdout


def test_json_has_each_fault_with_the_lanes_that_found_it() -> None:
    done = faults(
        "--in", "c", "--steps", "31", "--every", "3", "--traces", "40", "--json", "--hypothesis"
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["format"] == "replay-faults/2" and report["passed"]
    for judged in report["judged"]:
        assert judged["file"] == "memory.c" and judged["step"] == judged["blamed"] == 31
        assert {lane["lane"] for lane in judged["lanes"]} >= {"native", "both"}
        assert judged["hypothesis"] is None, "it drives models"


def test_the_rival_is_counted_beside_the_lane_of_the_models() -> None:
    done = faults("--in", "models", "--steps", "31", "--traces", "10", "--hypothesis")
    assert "lane python" in done.stdout and "a Hypothesis state machine over" in done.stdout


@pytest.mark.parametrize(
    ("module", "words", "cure"),
    [
        ("tree_sitter_c", ("--steps", "31"), "or leave them out with --in models"),
        ("hypothesis", ("--in", "models", "--steps", "31", "--hypothesis"), "pip install"),
    ],
)
def test_what_is_not_installed_is_one_clear_error(
    module: str, words: tuple[str, ...], cure: str
) -> None:
    done = faults(*words, without=module)
    assert done.returncode == 2
    assert cure in done.stderr and "Traceback" not in done.stderr


def test_a_step_without_code_is_a_usage_error() -> None:
    done = faults("--steps", "1", "--in", "c")
    assert done.returncode == 2 and "no faults to put in" in done.stderr

"""The two worked examples: the guilty commit is found, and the trace is short."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from userrepo import EXAMPLES, UserRepo, cli

GUILTY = {
    "ring": ("ring: count without relying on unsigned overflow", 7),
    "map": ("map: shift back in one pass", 9),
}


def verify(repo: UserRepo, name: str, *more: object, span: str = "main~10..main") -> Any:
    return cli(
        "verify", "--repo", repo.path, "--range", span, "--build", "make -s",
        "--library", f"lib{name}.so", "--binding", EXAMPLES / f"{name}.toml", *more,
    )  # fmt: skip


@pytest.fixture
def repos(ring: UserRepo, hash_map: UserRepo) -> dict[str, UserRepo]:
    return {"ring": ring, "map": hash_map}


@pytest.mark.parametrize("name", ["ring", "map"])
def test_the_one_defective_commit_is_named_with_a_trace_of_four_calls(
    name: str, repos: dict[str, UserRepo]
) -> None:
    repo = repos[name]
    before = repo.digest()
    done = verify(repo, name, "--jobs", 2, "--json", "--traces", 100)
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    subject, place = GUILTY[name]
    verdicts = [row["verdict"] for row in report["commits"]]
    expected = ["base"] + ["same"] * 10
    expected[place] = "undeclared difference"
    assert verdicts == expected
    row = report["commits"][place]
    assert (row["subject"], row["commit"]) == (subject, report["guilty"])
    assert len(row["example"]["trace"]) == 4
    assert row["example"]["shortest"]
    assert repo.digest() == before

    # The command that it gives shows the same difference, from the file.
    words = shlex.split(row["example"]["command"])
    assert words[0] == "replay"
    again = cli(*words[1:], "--json")
    assert again.returncode == 1
    rows = json.loads(again.stdout)["commits"]
    assert [r["verdict"] for r in rows] == ["base", "undeclared difference"]
    assert rows[1]["example"]["differs"] == row["example"]["differs"]


def test_the_report_does_not_depend_on_the_number_of_jobs(hash_map: UserRepo) -> None:
    one = verify(hash_map, "map", "--jobs", 1, "--traces", 30, "--seed", 5, "--fresh")
    two = verify(hash_map, "map", "--jobs", 2, "--traces", 30, "--seed", 5, "--fresh")
    cached = re.compile(r"\nnote: \d+ of \d+ libraries come from the cache [^\n]*\nanew\n")
    first, second = (cached.sub("", done.stdout) for done in (one, two))
    assert first == second
    assert "as claimed, on" in first


def test_the_text_shows_the_trace_and_what_differs(ring: UserRepo) -> None:
    done = verify(ring, "ring", "--traces", 60, span="main~5..main~3")
    assert "first guilty commit" in done.stdout
    assert "ring_count(ring1): before 1, after 0" in done.stdout
    assert "ring1 = ring_new(capacity=1)" in done.stdout
    assert "first guilty: " in done.stdout.splitlines()[-1]


def test_commits_before_the_defect_are_as_claimed(ring: UserRepo) -> None:
    done = verify(ring, "ring", "--traces", 40, span="main~10..main~5")
    assert done.returncode == 0
    assert "5 of 5 commits as claimed" in done.stdout


def test_without_a_binding_one_is_guessed_that_finds_the_defect_too(ring: UserRepo) -> None:
    done = cli(
        "verify", "--repo", ring.path, "--range", "main~5..main~2", "--build", "make -s",
        "--library", "libring.so", "--json",
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert [row["verdict"] for row in report["commits"]] == [
        "base", "same", "undeclared difference", "same",
    ]  # fmt: skip
    assert any("no --binding" in note for note in report["notes"])


def test_a_reference_model_agrees_until_the_defect_and_never_after(ring: UserRepo) -> None:
    model = f"{EXAMPLES / 'ring_model.py'}:Ring"
    done = verify(ring, "ring", "--model", model, "--traces", 100, "--json", span="main~5..main~2")
    assert done.stderr == ""
    rows = json.loads(done.stdout)["commits"]
    assert [row["model_differing"] > 0 for row in rows] == [False, False, True, True]
    assert rows[3]["verdict"] == "same"
    assert len(rows[2]["model_example"]["trace"]) == 4
    text = verify(ring, "ring", "--model", model, span="main~3..main~2").stdout
    assert "differs from the model" in text


def test_a_model_that_fails_is_an_error_that_says_where(ring: UserRepo, tmp_path: Path) -> None:
    model = tmp_path / "model.py"
    model.write_text("class Ring:\n    def ring_new(self, capacity):\n        return 1 // 0\n")
    span = "main~10..main~9"
    done = verify(ring, "ring", "--model", f"{model}:Ring", "--traces", 3, span=span)
    assert done.returncode == 2
    assert "ring_new() raised ZeroDivisionError" in done.stderr
    done = verify(ring, "ring", "--model", f"{model}:Rings", "--traces", 3, span=span)
    assert "has no class 'Rings'; classes in it: Ring" in done.stderr

"""``replay verify --bisect``: the guilty commit of a user's range, most commits never built."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from userrepo import EXAMPLES, MAKE, UserRepo, cli

GUILTY = {
    "ring": ("ring: count without relying on unsigned overflow", 7),
    "map": ("map: shift back in one pass", 9),
}
GOOD = "int twice(int x) { return 2 * x; }\n"
BAD = "int twice(int x) { return x == 1 ? 3 : 2 * x; }\n"


def search(repo: Path, *more: object, span: str, build: str = MAKE, library: str = "libx.so"):
    return cli(
        "verify", "--repo", repo, "--range", span, "--build", build, "--library", library,
        "--bisect", "--traces", 60, "--jobs", 2, *more,
    )  # fmt: skip


@pytest.fixture
def many(tmp_path: Path) -> UserRepo:
    """31 commits that change nothing but a comment, and the 20th what is returned."""
    repo = UserRepo(tmp_path / "many")
    for number in range(32):
        code = BAD if number >= 20 else GOOD
        repo.commit(f"commit {number}", x_c=f"/* {number} */\n{code}")
    return repo


@pytest.mark.parametrize("name", ["ring", "map"])
def test_the_guilty_commit_of_an_example_is_found_in_few_probes(
    name: str, ring: UserRepo, hash_map: UserRepo
) -> None:
    repo = {"ring": ring, "map": hash_map}[name]
    before = repo.digest()
    binding = ("--binding", EXAMPLES / f"{name}.toml")
    done = search(
        repo.path, *binding, "--json", span="main~10..main", build="make -s",
        library=f"lib{name}.so",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    subject, _ = GUILTY[name]
    (guilty,) = [row for row in report["commits"] if row["commit"] == report["guilty"]]
    assert guilty["subject"] == subject
    assert len(guilty["example"]["trace"]) <= 4
    assert report["search"]["commits"] == 10 and len(report["search"]["probes"]) <= 6
    assert not report["search"]["suspects"]
    assert repo.digest() == before

    words = shlex.split(guilty["example"]["command"])
    again = cli(*words[1:], "--json")
    assert json.loads(again.stdout)["guilty"] == report["guilty"]


def test_only_what_is_asked_is_built(many: UserRepo, tmp_path: Path) -> None:
    log = tmp_path / "built"
    build = f"echo x >> {shlex.quote(str(log))}; {MAKE}"
    done = search(many.path, span="main~31..main", build=build)
    assert done.returncode == 1
    assert "commit 20" in done.stdout.splitlines()[-1]
    assert "binary search: 7 probes in 31 commits" in done.stdout
    assert len(log.read_text().split()) == 7


def test_a_trace_that_is_given_is_searched_for(many: UserRepo, tmp_path: Path) -> None:
    first = search(many.path, "--save", tmp_path / "kept", span="main~31..main")
    assert first.returncode == 1
    (path,) = (tmp_path / "kept").iterdir()
    again = search(many.path, "--trace", path, "--save", tmp_path / "more", span="main~25..main~3")
    assert again.returncode == 1 and "commit 20" in again.stdout.splitlines()[-1]
    good = search(many.path, "--trace", path, span="main~10..main~2")
    assert good.returncode == 0 and "binary search" not in good.stdout


def test_commits_that_do_not_build_are_passed_over(many: UserRepo) -> None:
    repo = many.path
    many.git("checkout", "-q", "-b", "broken", "main~31")
    for number in range(1, 8):
        code = BAD if number >= 4 else GOOD
        text = "int twice(\n" if number in (3, 4) else f"/* {number} */\n{code}"
        many.commit(f"commit {number}", x_c=text)
    done = search(repo, "--json", span="broken~7..broken")
    report = json.loads(done.stdout)
    names = {row["commit"]: row["subject"] for row in report["commits"]}
    suspects = [names[commit] for commit in report["search"]["suspects"]]
    assert suspects == ["commit 3", "commit 4", "commit 5"]
    verdicts = [row["verdict"] for row in report["commits"]]
    assert verdicts == ["base", "cannot be built", "cannot be built", "undeclared difference"]
    told = search(repo, span="broken~7..broken").stdout
    assert "the guilty commit is one of" in told


def test_ends_that_do_the_same_are_said_to(many: UserRepo) -> None:
    done = search(many.path, "--json", span="main~31..main~15")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["search"] is None and report["guilty"] is None
    assert [row["verdict"] for row in report["commits"]] == ["base", "same"]


def test_an_end_that_does_not_build_is_said(many: UserRepo) -> None:
    many.git("checkout", "-q", "-b", "end", "main")
    many.commit("broken", x_c="int twice(\n")
    done = search(many.path, span="end~5..end")
    assert done.returncode == 4
    assert "both ends of the range have to be built" in done.stdout
    assert "cannot be built" in done.stdout and "Traceback" not in done.stderr


def test_a_model_cannot_be_searched_for(many: UserRepo, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text("class Model:\n    pass\n")
    model = f"{tmp_path / 'model.py'}:Model"
    done = search(many.path, "--model", model, span="main~3..main")
    assert done.returncode == 2 and "not with --model" in done.stderr


def test_a_function_that_gets_another_name_on_the_way_is_the_same_one(
    many: UserRepo, tmp_path: Path
) -> None:
    many.git("checkout", "-q", "-b", "renamed", "main~31")
    for number in range(1, 10):
        code = BAD if number >= 7 else GOOD
        name = "dbl" if number >= 3 else "twice"
        many.commit(f"commit {number}", x_c=f"/* {number} */\n{code}".replace("twice", name))
    binding = tmp_path / "binding.toml"
    binding.write_text(
        "format = 'replay-binding/1'\n"
        "[[op]]\nfunction = 'twice'\n[op.args]\nx = { range = [0, 9] }\n"
        "[[map]]\ncommits = 'renamed~7..renamed'\nop = 'twice'\nfunction = 'dbl'\n"
    )
    done = search(many.path, "--binding", binding, span="renamed~9..renamed")
    assert done.returncode == 1, done.stderr
    assert "commit 7" in done.stdout.splitlines()[-1]


# --- every kind of difference that the ends show -------------------------------------------

TWO = "int twice(int x) {{ return {twice}; }}\nint thrice(int x) {{ return {thrice}; }}\n"


def changes(report: dict[str, Any]) -> list[tuple[str, list[str]]]:
    names = {row["commit"]: row["subject"] for row in report["commits"]}
    return [(names[one["commit"]], one["kinds"]) for one in report["search"]["changes"]]


def test_each_commit_that_changed_something_is_named(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    for number in range(16):
        twice = "2 * x" if number < 5 else "2 * x + (x == 1)"
        thrice = "3 * x" if number < 9 else "3 * x + 1" if number < 12 else "3 * x + 2"
        text = TWO.format(twice=twice, thrice=thrice)
        repo.commit(f"commit {number}", x_c=f"/* {number} */\n{text}")
    done = search(repo.path, "--json", span="main~15..main")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert changes(report) == [
        ("commit 5", ["twice: returns"]),
        ("commit 9", ["thrice: returns"]),
        ("commit 12", ["thrice: returns"]),
    ]
    guilty = [row for row in report["commits"] if row["verdict"] == "undeclared difference"]
    assert [row["subject"] for row in guilty] == ["commit 5", "commit 9", "commit 12"]
    assert len({row["example"]["file"] for row in guilty}) == 3
    assert len(report["search"]["probes"]) < 16


STALE = """\
#include <stdint.h>
#include <stdlib.h>
static int n;
int add(int v) {{ n += v; return n; }}
int clear(void) {{ {clear} n = 0; return 0; }}
"""
SOMETIMES = (
    "void *p = malloc(1 << 20); int bad = ((uintptr_t)p >> 13) & 1; free(p); if (bad) abort();"
)


def test_a_crash_that_comes_and_goes_does_not_mislead(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    for number in range(9):
        text = STALE.format(clear=SOMETIMES if number >= 3 else "")
        repo.commit(f"commit {number}", x_c=f"/* {number} */\n{text}")
    done = search(repo.path, "--json", span="main~8..main")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert changes(report) == [("commit 3", ["clear: a crash"])]
    assert report["commits"][-1]["verdict"] == "crash"
    assert report["guilty"] == report["commits"][-1]["commit"]


def test_what_no_call_repeats_is_not_followed(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    clock = "#include <time.h>\nlong now(void) { static int n; struct timespec t; "
    clock += "clock_gettime(CLOCK_REALTIME, &t); return t.tv_nsec + n++; }\n"
    for number in range(6):
        code = BAD if number >= 4 else GOOD
        repo.commit(f"commit {number}", x_c=f"/* {number} */\n{clock}{code}")
    done = search(repo.path, "--json", "--ops", 4, span="main~5..main")
    assert done.returncode != 0
    assert changes(json.loads(done.stdout)) == [("commit 4", ["twice: returns"])]

"""Odd repositories behave well, and nothing in the user's repository changes, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from userrepo import MAKE, RUN, UserRepo, cli, environment

SOURCE = "int twice(int n) { return 2 * n; }\n"


def verify(repo: UserRepo, span: str, *more: object, build: str = MAKE) -> Any:
    return cli(
        "verify", "--repo", repo.path, "--range", span, "--build", build, "--library", "libx.so",
        "--traces", 10, "--ops", 10, "--json", *more,
    )  # fmt: skip


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> UserRepo:
    """Merges, a commit that does not build, an empty commit, submodules, hooks, filters."""
    place = tmp_path_factory.mktemp("odd")
    part = UserRepo(place / "part")
    part.commit("part", part_h="#define FACTOR 2\n")
    repo = UserRepo(place / "repo")
    repo.commit("base", x_c=SOURCE)
    repo.commit("empty")
    repo.commit("broken", x_c="int twice(int n) { return 2 * n }\n")
    repo.commit("mended", x_c=SOURCE + "/* whole */\n")
    repo.git("checkout", "-q", "-b", "side", "HEAD~3")
    repo.commit("side one", notes_txt="1\n")
    repo.commit("side two", notes_txt="2\n")
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", "merge side", "side")
    allow = ("-c", "protocol.file.allow=always")
    repo.git(*allow, "submodule", "--quiet", "add", str(part.path), "part")
    included = '#include "part/part.h"\nint twice(int n) { return FACTOR * n; }\n'
    repo.commit("a submodule", x_c=included)
    repo.git("rm", "-q", "--cached", "part")
    gone = "1" * 40
    repo.git("update-index", "--add", "--cacheinfo", f"160000,{gone},part")
    repo.git("commit", "-q", "-m", "a submodule that was never fetched")
    (repo.path / "x.c").write_text("the user is working on this\n")
    (repo.path / "untracked").write_text("")
    return repo


def test_each_odd_commit_has_a_clear_row(odd: UserRepo) -> None:
    before = odd.digest()
    done = verify(odd, "main~6..main", "--jobs", 2)
    assert (done.returncode, done.stderr) == (4, "")
    rows = json.loads(done.stdout)["commits"]
    assert [(row["subject"], row["verdict"]) for row in rows] == [
        ("base", "base"),
        ("empty", "same"),
        ("broken", "cannot be built"),
        ("mended", "same"),
        ("merge side", "same"),
        ("a submodule", "same"),
        ("a submodule that was never fetched", "cannot be built"),
    ]
    notes = [" ".join(row["notes"]) for row in rows]
    assert "empty commit" in notes[1]
    assert "error: expected" in rows[2]["output"]
    assert rows[2]["reason"] == "the command ended with status 1"
    assert rows[3]["against"] == rows[1]["commit"]
    assert f"may have come with {rows[2]['commit'][:12]}" in notes[3]
    assert "a merge, which brings in 2 commits" in notes[4]
    assert notes[5] == ""
    assert "'part' at 111111111111 is left empty" in notes[6]
    assert odd.digest() == before


def test_the_text_of_odd_commits_shows_what_the_compiler_said(odd: UserRepo) -> None:
    done = cli(
        "verify", "--repo", odd.path, "--range", "main~5..main~3", "--build", MAKE,
        "--library", "libx.so", "--traces", 3,
    )  # fmt: skip
    assert "cannot be built" in done.stdout
    assert "    | ./x.c" in done.stdout or "    | x.c" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_range_whose_start_is_on_a_side_branch_is_judged_and_said_so(odd: UserRepo) -> None:
    done = verify(odd, "side..main~1")
    report = json.loads(done.stdout)
    assert "not on the line of first parents" in report["notes"][0]


def test_no_hook_filter_or_setting_of_the_user_runs(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    mark = tmp_path / "mark"
    run = f"touch {mark}; cat"
    repo.commit("base", x_c=SOURCE, _gitattributes="*.c filter=evil diff=evil\n")
    (repo.path / ".gitattributes").write_text("*.c filter=evil diff=evil\nx.c export-ignore\n")
    repo.commit("next", x_c=SOURCE + "\n")
    for key in ("filter.evil.smudge", "filter.evil.clean", "core.fsmonitor", "diff.evil.textconv"):
        repo.git("config", key, run)
    repo.git("config", "core.pager", f"touch {mark}")
    repo.git("config", "alias.log", f"!touch {mark}")
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        hook = repo.path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    mark.unlink(missing_ok=True)
    done = verify(repo, "main~1..main")
    assert [r["verdict"] for r in json.loads(done.stdout)["commits"]] == ["base", "same"]
    assert not mark.exists()


def test_a_linked_worktree_and_a_bare_repository_are_read_too(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("base", x_c=SOURCE)
    repo.commit("next", x_c=SOURCE + "\n")
    repo.git("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "other")
    repo.git("clone", "-q", "--bare", ".", str(tmp_path / "bare"))
    before = repo.digest()
    for place, span in (("linked", "HEAD~1..HEAD"), ("bare", "main~1..main")):
        done = cli(
            "verify", "--repo", tmp_path / place, "--range", span, "--build", MAKE,
            "--library", "libx.so", "--traces", 3,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert repo.digest() == before


@pytest.mark.parametrize(
    ("span", "more", "said"),
    [
        ("main", (), "'main' is no range; write A..B"),
        ("main...main", (), "is no range"),
        ("nope..main", (), "'nope' names no commit"),
        ("--all..main", (), "'--all' names no commit"),
        ("main..main~1", (), "holds no commit"),
        ("main~1..main", ("--library", "/etc/passwd"), "relative to the top of the tree"),
        ("main~1..main", ("--library", "../x.so"), "relative to the top of the tree"),
        ("main~1..main", ("--repo", "/"), "not in a git repository"),
        ("main~1..main", ("--repo", "/nowhere"), "no such folder"),
        ("main~1..main", ("--binding", "none.toml"), "`replay init LIBRARY` writes a binding"),
    ],
)
def test_bad_input_is_one_error_with_the_cure(
    span: str, more: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("base", x_c=SOURCE)
    repo.commit("next", x_c=SOURCE + "\n")
    before = repo.digest()
    done = verify(repo, span, *more)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.startswith("replay: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert repo.digest() == before


def test_a_build_past_its_time_is_a_verdict_and_leaves_no_process(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("base", x_c=SOURCE)
    repo.commit("slow", x_c=SOURCE, slow="yes")
    build = f"{MAKE}; if test -e slow; then echo begun; sleep 471 & sleep 472; fi"
    done = verify(repo, "main~1..main", "--timeout", 1, build=build)
    assert done.returncode == 4
    row = json.loads(done.stdout)["commits"][1]
    assert (row["verdict"], row["reason"]) == ("cannot be built", "it did not end within 1 s")
    assert row["output"] == "begun\n"
    assert not _processes("sleep 471", "sleep 472")


def test_a_library_that_is_not_made_or_no_library_is_a_verdict(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("base", x_c=SOURCE)
    repo.commit("no library", x_c=SOURCE, skip="yes")
    repo.commit("text", x_c=SOURCE, text="yes")
    build = f"if test -e text; then echo x > libx.so; elif ! test -e skip; then {MAKE}; fi"
    rows = json.loads(verify(repo, "main~2..main", build=build).stdout)["commits"]
    assert rows[1]["reason"] == "the command succeeded, but made no libx.so"
    assert rows[2]["verdict"] == "cannot be judged"
    assert rows[2]["reason"].startswith("the library: ")


def test_where_nothing_builds_there_are_rows_and_no_traceback(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("base", x_c="no C\n")
    repo.commit("next", x_c="no C either\n")
    done = verify(repo, "main~1..main")
    assert (done.returncode, done.stderr) == (4, "")
    assert [r["verdict"] for r in json.loads(done.stdout)["commits"]] == ["cannot be built"] * 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("when", ["building", "calling"])
def test_an_interrupt_leaves_no_process_no_folder_and_the_repository_as_it_was(
    when: str, number: signal.Signals, tmp_path: Path
) -> None:
    repo = UserRepo(tmp_path / "repo")
    mark = tmp_path / "mark"
    hang = f'#include <stdio.h>\nint f(void) {{ fclose(fopen("{mark}", "w")); for (;;) ; }}\n'
    repo.commit("base", x_c=hang if when == "calling" else SOURCE)
    later = hang.replace('"w"', '"a"')  # other code: equal code is not run
    repo.commit("next", x_c=later if when == "calling" else SOURCE + "\n")
    before = repo.digest()
    build = f"touch {mark}; sleep 481 & sleep 482" if when == "building" else MAKE
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "verify", "--repo", str(repo.path), "--range", "main~1..main",
         "--build", build, "--library", "libx.so", "--call-timeout", "60", "--jobs", "2"],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert mark.exists()
    os.kill(process.pid, number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (128 + number, "", "")
    assert repo.digest() == before
    assert not _processes("sleep 481", "sleep 482", str(tmp_path / "scratch"))
    assert not list((tmp_path / "scratch").iterdir())


def _processes(*words: str) -> list[str]:
    """The command lines that hold one of the words, once what was killed had time to go."""
    for _ in range(50):
        found = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                line = file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            except OSError:
                continue
            if any(word in line for word in words):
                found.append(line)
        if not found:
            break
        time.sleep(0.05)
    return found

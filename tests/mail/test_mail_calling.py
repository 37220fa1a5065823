"""Versions of a series of any project: built by the user's command, called by a binding."""

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
from boxes import Done, compare, series, write
from userrepo import EXAMPLES, MAKE, UserRepo, environment

pytestmark = pytest.mark.usefixtures("own_places")

HEAD = 'format = "replay-binding/1"\n'
BINDING = HEAD + '[[op]]\nfunction = "f"\n[op.args]\nn = { range = [0, 9] }\n'
F = "int f(int n) { return n; }\n"
G = "int g(int n) { return n; }\n"


def look(
    tmp_path: Path, old: list[str], new: list[str], *more: object, binding: str = BINDING,
    build: str = MAKE,
) -> Done:  # fmt: skip
    """Compare two series that start from F, a text of x.c a patch."""
    if not (tmp_path / "base").exists():
        write(tmp_path / "base", {"x.c": F})
    (tmp_path / "binding.toml").write_text(binding)
    boxes = [
        series(tmp_path / f"v{v}", *({"x.c": text} for text in (F, *texts)), version=v)
        for v, texts in ((1, old), (2, new))
    ]
    return compare(
        *boxes, "--tree", tmp_path / "base", "--build", build, "--library", "libx.so",
        "--binding", tmp_path / "binding.toml", "--traces", 20, "--ops", 8, "--jobs", 2, *more,
    )  # fmt: skip


def test_a_fault_in_a_series_of_a_repository_is_found_and_the_repository_stays(
    tmp_path: Path,
) -> None:
    repo = UserRepo(tmp_path / "repo")
    patches = sorted((EXAMPLES / "ring").glob("*.patch"))[:4]
    repo.git("am", "-q", str(patches[0]))
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        for file in patches[1:]:
            text = file.read_text()
            if version == "v2":
                text = text.replace("r->mask = capacity - 1;", "r->mask = capacity / 2;")
            (tmp_path / version / file.name).write_text(text)
    before = repo.digest()
    words: tuple[object, ...] = (
        tmp_path / "v1", tmp_path / "v2", "--tree", repo.path, "--build", "make -s",
        "--library", "libring.so", "--binding", EXAMPLES / "ring.toml", "--traces", 40,
    )  # fmt: skip
    done = compare(*words, "--json")
    assert (done.code, done.err) == (1, "")
    assert [step["verdict"] for step in done.steps] == ["same tree", "differs", "differs"]
    assert [step["since"] for step in done.steps] == [None, 2, 2]
    example = done.steps[1]["example"]
    assert example["shortest"]
    assert example["ops"][0].startswith("ring1 = ring_new(capacity=")
    assert len(example["ops"]) <= 4
    assert done.steps[2]["example"] is None
    text = compare(*words).out
    assert "behaves differently since this patch" in text
    assert "still behaves differently, since patch 2" in text
    assert f"> {example['ops'][example['index']]}" in text
    assert repo.digest() == before

    saved = compare(*words, "--save", tmp_path / "saved")
    (file,) = (tmp_path / "saved").iterdir()
    assert str(file) in saved.out
    again = compare(*words, "--trace", file, "--json").steps[1]
    assert (again["traces"], again["differing"]) == (1, 1)
    assert again["example"]["differs"] == example["differs"]


def test_what_is_not_a_difference_is_told_apart(tmp_path: Path) -> None:
    done = look(
        tmp_path, [F + "\n", F + "int a;\n"], [F + "/**/\n", F + "int b;\n"],
        "--json",
    )  # fmt: skip
    assert done.err == ""
    assert [step["verdict"] for step in done.steps] == ["same code", "no difference"]
    assert [step["traces"] for step in done.steps] == [0, 20]
    assert done.code == 1


def test_a_crash_is_contained_and_a_version_that_does_not_build_is_said(tmp_path: Path) -> None:
    crash = "int f(int n) { return n == 7 ? *(int *)0 : n; }\n"
    done = look(tmp_path, [F + "\n", F], [crash, "int f(int n) { return m; }\n"])
    assert (done.code, done.err) == (1, "")
    assert "> f(n=7)" in done.out
    assert "crash  it returned               SIGSEGV" in done.out
    assert "v2 does not build: x.c:1:23: error: " in done.out
    assert "1 differ, 1 not built; differences begin with patch 1" in done.out


def test_what_cannot_be_judged_is_said_with_the_reason(tmp_path: Path) -> None:
    clock = "#include <time.h>\nint f(int n) { return clock() + n; }\n"
    done = look(tmp_path, [G, F], [F + "\n", clock], "--json")
    assert done.code == 1
    gone, chance = done.steps
    assert gone["verdict"] == chance["verdict"] == "cannot be judged"
    assert gone["problems"][0]["series"] == "old"
    assert "calls f, which the library does not export" in gone["problems"][0]["text"]
    assert chance["problems"][0]["text"].startswith("it is not deterministic: ")


def test_the_example_of_a_second_fault_does_not_show_the_first(tmp_path: Path) -> None:
    first = "int f(int n) { return n == 2 ? 0 : n; }\n"
    both = "int f(int n) { return n == 2 || n == 7 ? 0 : n; }\n"
    done = look(tmp_path, [F + "\n", F + "\n\n"], [first, both], "--json")
    assert [step["since"] for step in done.steps] == [1, 1]
    assert [step["example"]["ops"] for step in done.steps] == [["f(n=2)"], ["f(n=7)"]]
    assert 0 < done.steps[1]["fresh"] < done.steps[1]["differing"]


def test_who_may_execute_a_file_and_what_steers_git_are_kept(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "base")
    (repo.path / "build.sh").write_text(
        f"#!/bin/sh\ntest -f .gitattributes && ! test -e .git && {MAKE}\n"
    )
    (repo.path / "build.sh").chmod(0o755)
    (repo.path / ".gitattributes").write_text("*.c text\n")
    repo.commit("base", x_c=F)
    wrong = "int f(int n) { return n + 1; }\n"
    done = look(tmp_path, [F + "\n"], [wrong], "--json", build="./build.sh")
    assert done.err == ""
    assert [step["verdict"] for step in done.steps] == ["differs"]
    assert not list(repo.path.glob("*.so"))


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.o", b"\x7fELF\x02", "base/x.o: a compiled file"),
        ("libx.a", b"!<arch>\nxyz", "base/libx.a: a compiled file"),
    ],
)
def test_a_tree_that_is_not_clean_is_refused(
    name: str, content: bytes, said: str, tmp_path: Path
) -> None:
    write(tmp_path / "base", {"x.c": F})
    (tmp_path / "base" / name).write_bytes(content)
    done = look(tmp_path, [F + "\n"], [G])
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "git worktree add" in done.err


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        (BINDING + '[[map]]\ncommits = "a..b"\nop = "f"\nfunction = "g"\n',
         "binding.toml:6: map[1]: a map is for commits"),
        (BINDING.replace("\nn =", "\nm ="), "int f(int n) has no such parameter; known are n"),
        ("format = 3\n", "binding.toml"),
    ],
)  # fmt: skip
def test_a_bad_binding_is_one_error_with_its_place(binding: str, said: str, tmp_path: Path) -> None:
    done = look(tmp_path, [F + "\n"], [F + "int a;\n"], binding=binding)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize("when", ["building", "calling"])
def test_ctrl_c_leaves_nothing_behind(when: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    hang = f'#include <stdio.h>\nint f(int n) {{ fclose(fopen("{mark}", "w")); for (;;) ; }}\n'
    write(tmp_path / "base", {"x.c": F})
    new = series(tmp_path / "2", {"x.c": F}, {"x.c": hang if when == "calling" else F + "\n"})
    build = MAKE if when == "calling" else f"touch {mark}; sleep 491 & sleep 492"
    words = [
        str(series(tmp_path / "1", {"x.c": F}, {"x.c": F + "int a;\n"})), str(new),
        "--tree", str(tmp_path / "base"), "--build", build, "--library", "libx.so",
        "--call-timeout", "60",
    ]  # fmt: skip
    process: Any = subprocess.Popen(
        [sys.executable, "-m", "replay", "mail", "compare", *words, "--jobs", "2"],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")
    assert mark.exists()
    assert not list((tmp_path / "scratch").iterdir())
    assert not _processes("sleep 491", "sleep 492", str(tmp_path / "scratch"))


def _processes(*words: str) -> list[str]:
    """The command lines that hold one of the words, once what was killed had time to go."""
    found: list[str] = []
    for _ in range(50):
        lines = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.append(file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            except OSError:
                continue
        found = [line for line in lines if any(word in line for word in words)]
        if not found:
            break
        time.sleep(0.05)
    return found


def test_the_json_has_one_shape_whatever_was_found(tmp_path: Path) -> None:
    done = look(tmp_path, [F + "\n"], ["int f(int n) { return n > 3; }\n"], "--json")
    (row,) = json.loads(done.out)["patches"]
    assert row["tree"] == {"same": False, "since": 1, "problem": None}
    assert row["behaviour"] == {
        "verdict": "differs", "traces": 20, "differing": row["behaviour"]["differing"],
        "fresh": row["behaviour"]["differing"], "since": 1, "again": False, "perhaps": [],
        "problems": [],
        "example": {
            "trace": ['{"format": "replay-calls/1", "name": "difference"}',
                      '{"call": "f", "args": {"n": 1}}'],
            "ops": ["f(n=1)"], "index": 0,
            "differs": [{"what": "returns", "old": "1", "new": "0"}], "shortest": True,
        },
    }  # fmt: skip

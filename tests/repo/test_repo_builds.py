"""Folders that move from commit to commit, wrappers, and what the cache of builds rests on."""

from __future__ import annotations

import json
import shlex
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from userrepo import MAKE, UserRepo, cli

from replay.repo.building import Builder, Built
from replay.repo.errors import RepoError
from replay.repo.git import Repository
from replay.repo.worktree import Worktree

TWICE = "int twice(int n) { return 2 * n; }\n"
BROKEN = "int twice(int n) { return n > 5 ? 0 : 2 * n; }\n"


def verify(repo: UserRepo, *more: object, span: str = "main~1..main", build: str = MAKE) -> Any:
    return cli(
        "verify", "--repo", repo.path, "--range", span, "--build", build, "--library", "libx.so",
        "--traces", 20, "--ops", 10, "--jobs", 1, *more,
    )  # fmt: skip


def worktree(repo: UserRepo, tmp_path: Path) -> Worktree:
    place = tmp_path / "place"
    place.mkdir()
    return Repository(repo.path, place).worktree(place / "tree")


def listing(folder: Path) -> dict[str, tuple[Any, ...]]:
    """What is in a folder: kinds, permissions, contents."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] == ".git":
            continue
        if path.is_symlink():
            found[name] = ("link", str(path.readlink()))
        elif path.is_dir():
            found[name] = ("folder",)
        else:
            found[name] = ("file", bool(path.stat().st_mode & stat.S_IXUSR), path.read_bytes())
    return found


def checked_out(repo: UserRepo, commit: str, folder: Path) -> dict[str, tuple[Any, ...]]:
    repo.git("worktree", "add", "-q", "--detach", str(folder), commit)
    return listing(folder)


@pytest.fixture
def shapes(tmp_path: Path) -> UserRepo:
    """A file becomes a folder and back, a link, an executable, deep folders come and go."""
    repo = UserRepo(tmp_path / "shapes")
    top = repo.path
    (top / "a").write_text("a file\n")
    (top / "deep" / "er" / "est").mkdir(parents=True)
    (top / "deep" / "er" / "est" / "f").write_text("f\n")
    (top / "deep" / "g").write_text("g\n")
    repo.commit("one", x_c=TWICE)
    (top / "a").unlink()
    (top / "a").mkdir()
    (top / "a" / "b").write_text("in a folder\n")
    (top / "deep" / "er" / "est" / "f").unlink()
    (top / "link").symlink_to("a/b")
    (top / "deep" / "g").chmod(0o755)
    repo.commit("two")
    (top / "a" / "b").unlink()
    (top / "a").rmdir()
    (top / "a").symlink_to("deep")
    (top / "link").unlink()
    (top / "link").mkdir()
    (top / "link" / "now a folder é").write_text("")
    repo.commit("three")
    return repo


def test_a_moved_folder_holds_what_a_checkout_of_the_commit_does(
    shapes: UserRepo, tmp_path: Path
) -> None:
    moved = worktree(shapes, tmp_path)
    for number, name in enumerate(["main~2", "main~1", "main", "main~2", "main", "main~1"]):
        assert moved.move(shapes.git("rev-parse", f"{name}^{{tree}}")) == ()
        wanted = checked_out(shapes, name, tmp_path / f"checkout-{number}")
        assert listing(moved.path) == wanted, name


def test_what_a_build_left_or_changed_is_gone_at_the_next_commit(
    shapes: UserRepo, tmp_path: Path
) -> None:
    moved = worktree(shapes, tmp_path)
    outside = tmp_path / "outside"
    (outside / "er" / "est").mkdir(parents=True)
    for file in (outside / "er" / "est" / "f", outside / "g", outside / "keep"):
        file.write_text("not ours\n")
    before = listing(outside)
    trees = [shapes.git("rev-parse", f"main~{back}^{{tree}}") for back in (2, 1, 0)]
    builds = [
        "touch x.o; mkdir -p out/a/b; touch out/a/b/c; ln -s / out/root",
        # The same size, and the time put back.
        "touch -r x.c t; printf I | dd of=x.c conv=notrunc status=none; touch -r t x.c",
        f"rm -r deep; ln -s {outside} deep",
        f"rm x.c; ln {outside}/keep x.c",
        "chmod 700 deep; chmod a+x x.c; rm -rf a link",
        "mkdir shut; touch shut/f; chmod 0 shut",
        f"cd ..; rm -r tree; ln -s {outside} tree",
        "rm -rf a deep; touch deep; mkdir -p a/b/c/d",
    ]
    for number, build in enumerate([*builds, *builds]):
        tree = trees[number % 3]
        moved.move(tree)
        subprocess.run(build, shell=True, cwd=moved.path, check=True)
        moved.move(trees[(number + 1) % 3])
        name = f"main~{2 - (number + 1) % 3}"
        wanted = checked_out(shapes, name, tmp_path / f"checkout-{number}")
        assert listing(moved.path) == wanted, build
        assert listing(outside) == before, build


def test_only_what_differs_is_written_and_all_files_are_of_one_time(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    for number in range(30):
        (repo.path / f"f{number}").write_text(f"{number}\n")
    repo.commit("one", x_c=TWICE)
    repo.commit("two", x_c=TWICE + "\n")
    moved = worktree(repo, tmp_path)
    moved.move(repo.git("rev-parse", "main~1^{tree}"))
    before = {path.name: path.stat() for path in moved.path.iterdir()}
    moved.move(repo.git("rev-parse", "main^{tree}"))
    after = {path.name: path.stat() for path in moved.path.iterdir()}
    changed = {name for name in after if after[name].st_ctime_ns != before[name].st_ctime_ns}
    assert changed == {"x.c"}
    assert len({info.st_mtime_ns for info in after.values()}) == 1


def test_submodules_are_moved_too(tmp_path: Path) -> None:
    part = UserRepo(tmp_path / "part")
    part.commit("one", part_h="#define FACTOR 2\n", old_h="")
    repo = UserRepo(tmp_path / "repo")
    repo.commit("none", x_c=TWICE)
    allow = ("-c", "protocol.file.allow=always")
    repo.git(*allow, "submodule", "--quiet", "add", str(part.path), "inner/part")
    repo.commit("one")
    part.commit("two", part_h="#define FACTOR 3\n")
    part.git("rm", "-q", "old.h")
    part.commit("three")
    repo.git(*allow, "submodule", "--quiet", "update", "--remote")
    repo.commit("three")
    repo.git("rm", "-q", "inner/part")
    (repo.path / "inner").mkdir(exist_ok=True)
    (repo.path / "inner" / "part").mkdir(exist_ok=True)
    (repo.path / "inner" / "part" / "part.h").write_text("no submodule\n")
    repo.commit("a folder in its place")
    moved = worktree(repo, tmp_path)
    held = []
    for back in (3, 2, 1, 0, 1, 2, 3):
        assert moved.move(repo.git("rev-parse", f"main~{back}^{{tree}}")) == ()
        inner = moved.path / "inner" / "part"
        names = sorted(path.name for path in inner.iterdir()) if inner.is_dir() else None
        held.append((names, (inner / "part.h").read_text() if names else ""))
    two = (["old.h", "part.h"], "#define FACTOR 2\n")
    three = (["part.h"], "#define FACTOR 3\n")
    assert held == [
        (None, ""), two, three, (["part.h"], "no submodule\n"), three, two, (None, ""),
    ]  # fmt: skip


def hostile(repo: UserRepo, *entries: tuple[str, str, str]) -> str:
    """A tree of these entries, (mode, name, id), that git itself would not make."""
    data = b"".join(f"{mode} {name}\0".encode() + bytes.fromhex(oid) for mode, name, oid in entries)
    done = subprocess.run(
        ["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"], input=data,
        cwd=repo.path, check=True, capture_output=True,
    )  # fmt: skip
    return done.stdout.decode().strip()


@pytest.mark.parametrize(
    "names",
    [
        ("..",), (".",), (".git",), (".GIT",), (".git ",), ("git~1",), (".g\u200cit",),
        (".git::$INDEX_ALLOCATION",), ("a\\.git\\b",), ("x", "x"), ("../y",), ("/tmp/y",),
        ("l", "l/x"), ("x/y", "x"),
    ],
)  # fmt: skip
def test_a_hostile_tree_is_refused_at_first_and_when_moved_to(
    names: tuple[str, ...], tmp_path: Path
) -> None:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("one", x_c=TWICE)
    blob = repo.git("hash-object", "-w", "x.c")
    link = repo.git("hash-object", "-w", "--stdin", stdin=str(tmp_path))
    entries = [("120000", "l", link) if name == "l" else ("100644", name, blob) for name in names]
    tree = hostile(repo, *entries)
    moved = worktree(repo, tmp_path)
    good = repo.git("rev-parse", "main^{tree}")
    before = set(tmp_path.rglob("*"))
    for _ in range(2):
        with pytest.raises(RepoError, match=r"cannot be written|git|path"):
            moved.move(tree)
        moved.move(good)
        assert listing(moved.path) == {"x.c": ("file", False, TWICE.encode())}
    new = {path for path in set(tmp_path.rglob("*")) - before if moved.path not in path.parents}
    assert new <= {moved.path, tmp_path / "place" / "tree"}


def test_all_commits_of_a_worker_are_built_in_one_folder(tmp_path: Path) -> None:
    repo = UserRepo(tmp_path / "repo")
    for number in range(5):
        repo.commit(f"{number}", x_c=f"/* {number} */\n{TWICE}")
    log = tmp_path / "log"
    place = tmp_path / "place"
    place.mkdir()
    source = Repository(repo.path, place)
    trees = [commit.tree for commit in source.range("main~4..main").commits]
    builder = Builder(source, f"pwd >> {shlex.quote(str(log))}; {MAKE}", "libx.so", 60)
    built = builder.build_all(trees, 1)
    assert all(isinstance(one, Built) for one in built.values()) and list(built) == trees
    assert len(log.read_text().split()) == 4 and len(set(log.read_text().split())) == 1


# --- wrappers and what is outside --------------------------------------------------------


@pytest.fixture
def breaks(tmp_path: Path) -> UserRepo:
    repo = UserRepo(tmp_path / "repo")
    repo.commit("base", x_c=TWICE)
    repo.commit("breaks above 5", x_c=BROKEN)
    (tmp_path / "b.toml").write_text('format = "replay-binding/1"\n[[op]]\nfunction = "w"\n')
    return repo


HIDES = "int twice(int); int w(int v) { return twice(v & 1); }\n"
SHOWS = "int twice(int); int w(int v) { return twice(v); }\n"


@pytest.mark.parametrize(
    "build",
    [
        MAKE,
        "cc -c -fPIC -g x.c && gcc -shared x.o -o libx.so",
        "mkdir -p out && cd out && cc -O1 -g -fPIC -shared -o ../libx.so ../x.c",
        MAKE + " $REPLAY_WRAPPER",
    ],
)
def test_a_wrapper_is_built_into_each_library_and_a_changed_one_builds_anew(
    build: str, breaks: UserRepo, tmp_path: Path
) -> None:
    wrapper = tmp_path / "wrap.c"
    more = ("--binding", tmp_path / "b.toml", "--wrapper", wrapper, "--json")
    wrapper.write_text(HIDES)
    assert verify(breaks, *more, build=build).returncode == 0
    wrapper.write_text(SHOWS)
    done = verify(breaks, *more, build=build)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [row["verdict"] for row in report["commits"]] == ["base", "undeclared difference"]
    assert f"--wrapper {wrapper}" in report["commits"][1]["example"]["command"]


def test_a_wrapper_that_a_build_leaves_out_is_said(breaks: UserRepo, tmp_path: Path) -> None:
    wrapper = tmp_path / "wrap.c"
    wrapper.write_text(SHOWS)
    build = "/usr/bin/cc -O1 -g -fPIC -shared -o libx.so x.c"
    done = verify(breaks, "--wrapper", wrapper, "--json", build=build)
    assert done.returncode != 0
    rows = json.loads(done.stdout)["commits"]
    assert {row["verdict"] for row in rows} == {"cannot be built"}
    assert "name $REPLAY_WRAPPER" in rows[0]["reason"]


def test_a_wrapper_that_does_not_compile_is_said(breaks: UserRepo, tmp_path: Path) -> None:
    wrapper = tmp_path / "wrap.c"
    wrapper.write_text("int w(int v) { return\n")
    done = verify(breaks, "--wrapper", wrapper, "--json")
    assert "wrap.c:1" in json.loads(done.stdout)["commits"][0]["output"]
    done = verify(breaks, "--wrapper", tmp_path / "none.c")
    assert done.returncode == 2 and "none.c: cannot be read" in done.stderr


def test_a_file_outside_that_the_command_names_is_told_and_builds_anew(
    breaks: UserRepo, tmp_path: Path
) -> None:
    outer = tmp_path / "outer.c"
    build = f"{MAKE} {outer}"
    more = ("--binding", tmp_path / "b.toml")
    outer.write_text(HIDES)
    done = verify(breaks, *more, build=build)
    assert done.returncode == 0 and "outside of the commits" in done.stdout
    outer.write_text(SHOWS)
    assert verify(breaks, *more, build=build).returncode == 1


def test_the_report_says_which_libraries_come_from_the_cache(breaks: UserRepo) -> None:
    span = "main~1..main"
    for number in range(3):
        breaks.commit("more", x_c=f"{BROKEN}/* in no other test: {number} */\n")
    first = verify(breaks, "--json", span=span)
    assert not any(row["cached"] for row in json.loads(first.stdout)["commits"])
    again = json.loads(verify(breaks, "--json", span=span).stdout)
    assert [row["cached"] for row in again["commits"]] == [True, True]
    told = " ".join(verify(breaks, span="main~2..main").stdout.split())
    assert "2 of 3 libraries come from the cache of builds; --rebuild makes them anew" in told
    anew = verify(breaks, "--rebuild", span=span)
    assert "come from the cache" not in anew.stdout


# --- incremental -------------------------------------------------------------------------

MAKEFILE = """\
libx.so: x.o y.o
\tcc -shared -o $@ x.o y.o
%.o: %.c {header}
\techo $< >> {log}
\tcc -O1 -fPIC -c -o $@ $<
"""


def incremental(tmp_path: Path, header: str) -> tuple[Builder, list[str], Path]:
    log = tmp_path / "log"
    repo = UserRepo(tmp_path / "repo")
    files = {"x_c": '#include "k.h"\nint x(void) { return K; }\n', "k_h": "#define K 1\n"}
    makefile = MAKEFILE.format(header=header, log=log)
    repo.commit("0", Makefile=makefile, y_c="int y(void) { return 0; }\n", **files)
    for number in range(1, 5):
        repo.commit(f"{number}", y_c=f"int y(void) {{ return {number}; }}\n")
    repo.commit("k", k_h="#define K 2\n")
    place = tmp_path / "place"
    place.mkdir()
    source = Repository(repo.path, place)
    found = source.range("main~5..main")
    trees = [commit.tree for commit in (found.base, *found.commits)]
    return Builder(source, "make -s", "libx.so", 60, incremental=True), trees, log


def test_incremental_builds_make_what_changed_and_a_sample_is_built_clean(tmp_path: Path) -> None:
    builder, trees, log = incremental(tmp_path, "k.h")
    built = builder.build_all(trees, 1)
    assert all(isinstance(one, Built) for one in built.values())
    # Two at first, one a commit, both for the header, and both for each of the sample.
    assert log.read_text().split().count("x.c") == 1 + 1 + 2
    assert len(log.read_text().split()) == 2 + 4 + 2 + 2 * 2
    again = builder.build_all(trees, 1)
    assert all(isinstance(one, Built) and one.cached for one in again.values())


def test_incremental_builds_that_miss_a_change_are_refused_and_not_kept(tmp_path: Path) -> None:
    builder, trees, _ = incremental(tmp_path, "")
    for number in range(2):
        place = tmp_path / f"again-{number}"
        place.mkdir()
        again = Builder(
            Repository(tmp_path / "repo", place), "make -s", "libx.so", 60, incremental=True
        )
        with pytest.raises(RepoError, match="leave out --incremental"):
            again.build_all(trees, 1)
    clean = Builder(builder.source, "make -s", "libx.so", 60).build_all(trees, 1)
    assert all(isinstance(one, Built) and not one.cached for one in clean.values())

"""The series as a git repository: the same ids everywhere, and nothing but the repository."""

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from replay.errors import SeriesError, UsageError
from replay.git import folders as gitfolders
from replay.git import runner as gitrunner
from replay.git.apply import File
from replay.git.objects import COMMITTER, tree_id
from replay.series import declared as series
from replay.series import history as gitreplay
from replay.series.history import GitError, Materialized, export, iter_trees, materialize, trees
from replay.series.patches import PatchError, read_patches

# Whoever changes series/tree or a patch changes these: `replay series materialize` prints them.
BASE_COMMIT = "a950c329e992fef323ca3def9cb6c3ef144b1d24"
LAST_COMMIT = "00de1b7e410fa6b460c7d5fb9696a8759d2463c6"

# These change only if the form of the history does, which would be a promise broken.
SMALL_COMMITS = (
    "d427bb4c41343a9f2ef0536310fb0de005053388",
    "12023a46e0dd7822693ebe333b2d9361d6e898b9",
    "7633c240cde109567deebf7d9837febf50d28fdf",
)

PATCHES = series.data_path() / "patches"
SMALL = {
    1: "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1 +1,2 @@\n one\n+two\n",
    2: (
        "diff --git a/run b/run\nnew file mode 100755\n--- /dev/null\n+++ b/run\n"
        "@@ -0,0 +1 @@\n+x\n"
        "diff --git a/f b/f\ndeleted file mode 100644\n--- a/f\n+++ /dev/null\n"
        "@@ -1,2 +0,0 @@\n-one\n-two\n"
    ),
}


def patch_text(number: int, diff: str, total: int = 2) -> str:
    return (
        f"From: Ä U Thor <a@example.invalid>\nDate: Thu, {number} Feb 2024 23:59:59 -0330\n"
        f"Subject: [PATCH {number}/{total}] change {number}\n\nWhy.\n---\n{diff}"
    )


def write_small(folder: Path) -> Path:
    """A series of two patches."""
    (folder / "tree" / "d").mkdir(parents=True)
    (folder / "patches").mkdir()
    (folder / "tree" / "f").write_text("one\n")
    (folder / "tree" / "d" / "größe").write_text("")
    for number, diff in SMALL.items():
        (folder / "patches" / f"000{number}-x.patch").write_text(patch_text(number, diff))
    (folder / "patches" / "series").write_text("0001-x.patch\n0002-x.patch\n")
    return folder


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return write_small(tmp_path / "small")


def git(folder: Path, *words: str, **variables: str) -> str:
    """Git as an outsider runs it, but without the settings of whoever runs the tests."""
    environment = {
        "PATH": os.environ["PATH"], "HOME": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C",
        "GIT_COMMITTER_NAME": COMMITTER[0], "GIT_COMMITTER_EMAIL": COMMITTER[1], **variables,
    }  # fmt: skip
    done = subprocess.run(
        ["git", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Materialized:
    return materialize(tmp_path_factory.mktemp("made") / "repo")


def everything(folder: Path) -> dict[str, bytes | None]:
    """All files and folders below a folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


# --- the history ----------------------------------------------------------------------


def test_the_ids_of_the_series_are_those_pinned_here(made: Materialized) -> None:
    assert (made.commits[0], made.commits[39]) == (BASE_COMMIT, LAST_COMMIT)


def test_the_ids_of_a_small_series_never_change(small: Path, tmp_path: Path) -> None:
    assert materialize(tmp_path / "repo", small).commits == SMALL_COMMITS


def test_git_finds_40_commits_with_their_tags_and_a_clean_work_tree(made: Materialized) -> None:
    listed = git(made.path, "rev-list", "--reverse", "main").split()
    assert tuple(listed) == made.commits
    for step, commit in enumerate(made.commits):
        assert git(made.path, "rev-parse", f"step-{step:02}").strip() == commit
    assert git(made.path, "symbolic-ref", "HEAD") == "refs/heads/main\n"
    assert git(made.path, "status", "--porcelain", "--ignored") == ""
    assert git(made.path, "fsck", "--strict", "--no-dangling") == ""
    assert git(made.path, "tag").split() == [f"step-{step:02}" for step in range(40)]


def test_commits_say_what_their_patches_say(made: Materialized) -> None:
    form = "%an|%ae|%ad|%cn|%ce|%cd|%B"
    for patch in read_patches():
        when = f"{int(patch.date.timestamp())} {patch.date:%z}"
        shown = git(
            made.path, "log", "-1", "--date=raw", f"--format={form}", f"step-{patch.number:02}"
        )
        said = [patch.author, patch.email, when, *COMMITTER, when, patch.text]
        assert shown == "|".join(said) + "\n"
    assert "step 0" in git(made.path, "log", "-1", "--format=%s", "step-00").lower()


def test_git_am_makes_the_very_same_commits(made: Materialized, tmp_path: Path) -> None:
    other = tmp_path / "am"
    git(tmp_path, "clone", "-q", "--no-tags", str(made.path), str(other))
    git(other, "reset", "-q", "--hard", made.commits[0])
    files = [str(PATCHES / name) for name in (PATCHES / "series").read_text().split()]
    git(other, "am", "-q", "--committer-date-is-author-date", *files)
    assert tuple(git(other, "rev-list", "--reverse", "HEAD").split()) == made.commits
    assert tuple(git(other, "log", "--reverse", "--format=%T").split()) == made.trees


def test_the_trees_in_memory_are_those_git_has(made: Materialized) -> None:
    found = trees()
    assert tuple(tree.id for tree in found) == made.trees
    assert [tree.step for tree in found] == list(range(40))
    for step in (0, 19, 39):
        listed = git(made.path, "ls-tree", "-r", "--name-only", f"step-{step:02}").split("\n")[:-1]
        assert sorted(found[step].files) == listed
    for path, data in found[39].files.items():
        assert (made.path / path).read_bytes() == data


def test_tree_ids_are_git_s_own_also_where_names_sort_oddly(tmp_path: Path) -> None:
    tree = {
        name: File(name.encode(), mode)
        for name, mode in (
            ("a/x", 0o100644), ("a.c", 0o100755), ("a-b/y/z", 0o100644), ("a0", 0o100644),
            ("größe/ü", 0o100644), ("B", 0o100644), ("empty", 0o100644),
        )
    }  # fmt: skip
    git(tmp_path, "init", "-q")
    gitfolders.write_tree(tree, tmp_path)
    git(tmp_path, "add", ".")
    assert git(tmp_path, "write-tree").strip() == tree_id(tree)


# --- whatever the user's settings -----------------------------------------------------


@contextmanager
def hostile_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user whose settings would change what git does; a canary tells if one ran."""
    canary, home = tmp_path / "canary", tmp_path / "home"
    canary.mkdir()
    (canary / "elsewhere").mkdir()
    hooks = home / "template" / "hooks"
    hooks.mkdir(parents=True)
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit"):
        (hooks / name).write_text(f"#!/bin/sh\necho ran > {canary}/{name}\n")
        (hooks / name).chmod(0o755)
    (home / "attributes").write_text("* text eol=crlf ident filter=evil -diff\n")
    config = home / ".gitconfig"
    config.write_text(
        f"[core]\nautocrlf = true\nhooksPath = {hooks}\nattributesFile = {home}/attributes\n"
        f"fsmonitor = touch {canary}/fsmonitor\nabbrev = 4\nquotePath = false\n"
        f"[commit]\ngpgsign = true\n[tag]\ngpgsign = true\nforceSignAnnotated = true\n"
        f"[gpg]\nprogram = touch {canary}/gpg\n[user]\nname = Somebody\nemail = s@example.invalid\n"
        f"[init]\ntemplateDir = {home}/template\ndefaultBranch = trunk\n"
        f'defaultObjectFormat = sha256\n[filter "evil"]\nsmudge = touch {canary}/smudge\n'
        f"[diff]\nexternal = touch {canary}/diff\nnoprefix = true\nmnemonicPrefix = true\n"
        "context = 9\nalgorithm = patience\nrenames = copies\nindentHeuristic = false\n"
        "[color]\nui = always\n[i18n]\ncommitEncoding = latin1\n[safe]\ndirectory =\n"
    )
    elsewhere = str(canary / "elsewhere")
    for name, value in {
        "HOME": str(home), "XDG_CONFIG_HOME": str(home), "TZ": "Pacific/Kiritimati",
        "GIT_CONFIG_GLOBAL": str(config), "GIT_CONFIG_SYSTEM": str(config),
        "GIT_DIR": elsewhere, "GIT_WORK_TREE": elsewhere, "GIT_COMMON_DIR": elsewhere,
        "GIT_INDEX_FILE": f"{elsewhere}/index", "GIT_OBJECT_DIRECTORY": elsewhere,
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": elsewhere, "GIT_NAMESPACE": "elsewhere",
        "GIT_TEMPLATE_DIR": str(home / "template"), "GIT_DEFAULT_HASH": "sha256",
        "GIT_AUTHOR_DATE": "1 +0000", "GIT_COMMITTER_DATE": "1 +0000",
        "GIT_COMMITTER_NAME": "Somebody", "GIT_COMMITTER_EMAIL": "s@example.invalid",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "core.autocrlf", "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_KEY_1": "core.hooksPath", "GIT_CONFIG_VALUE_1": str(hooks),
        "GIT_CONFIG_PARAMETERS": "'core.eol'='crlf'", "GIT_EXTERNAL_DIFF": f"touch {canary}/ext",
        "GIT_DIFF_OPTS": "--unified=1", "GIT_LITERAL_PATHSPECS": "1",
        "GIT_TRACE": f"{canary}/trace", "GIT_TRACE2_EVENT": f"{canary}/trace2",
        "LC_ALL": "tr_TR.UTF-8", "LANGUAGE": "tr",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    yield canary
    assert sorted(everything(canary)) == ["elsewhere"], "a setting had an effect"


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with hostile_settings(tmp_path, monkeypatch) as canary:
        yield canary


def test_hostile_settings_change_no_id_and_have_no_effect(
    made: Materialized, hostile: Path, tmp_path: Path
) -> None:
    sealed, made = made, materialize(tmp_path / "repo")
    assert (made.commits, made.trees) == (sealed.commits, sealed.trees)
    assert (made.path / "exec.c").read_bytes() == trees()[39].files["exec.c"]
    assert not (made.path / ".git" / "hooks").exists()
    export(made.path, 0, tmp_path / "out")
    assert (tmp_path / "out" / "exec.c").read_bytes() == trees()[0].files["exec.c"]


def test_hostile_settings_have_no_effect_on_a_new_process(
    made: Materialized, hostile: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from replay.series import history; history.materialize(sys.argv[1]); "
        "history.export(sys.argv[1], 0, sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "repo"), str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    head = tmp_path / "repo" / ".git" / "refs" / "heads" / "main"
    assert head.read_text().strip() == made.commits[39]


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o027])
def test_the_umask_changes_permissions_only(small: Path, tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        made = materialize(tmp_path / "repo", small)
        export(made.path, 2, tmp_path / "out")
    finally:
        os.umask(before)
    assert made.commits == SMALL_COMMITS
    for folder in (made.path, tmp_path / "out"):
        assert stat.S_IMODE((folder / "run").stat().st_mode) == 0o777 & ~mask
        assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~mask
    assert git(made.path, "status", "--porcelain") == ""


def test_the_permissions_of_the_series_files_say_nothing(small: Path, tmp_path: Path) -> None:
    (small / "tree" / "f").chmod(0o777)
    assert materialize(tmp_path / "repo", small).commits == SMALL_COMMITS


def test_another_clock_and_zone_change_nothing(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/St_Johns")
    time.tzset()
    try:
        assert materialize(tmp_path / "repo", small).commits == SMALL_COMMITS
    finally:
        monkeypatch.undo()
        time.tzset()


def test_git_itself_still_works_in_a_repository_that_was_made(small: Path, tmp_path: Path) -> None:
    made = materialize(tmp_path / "repo", small)
    (made.path / "run").write_text("edited\n")
    git(made.path, "commit", "-qam", "edit", GIT_AUTHOR_NAME="x", GIT_AUTHOR_EMAIL="y")
    assert git(made.path, "rev-parse", "HEAD~1").strip() == made.commits[2]


# --- where it may be made -------------------------------------------------------------


def test_an_empty_folder_is_filled_and_keeps_its_permissions(small: Path, tmp_path: Path) -> None:
    dest = tmp_path / "there"
    dest.mkdir(mode=0o750)
    inode = dest.stat().st_ino
    made = materialize(dest, small)
    assert (dest.stat().st_ino, stat.S_IMODE(dest.stat().st_mode)) == (inode, 0o750)
    assert sorted(path.name for path in dest.iterdir()) == [".git", "d", "run"]
    assert git(dest, "status", "--porcelain") == ""
    assert made.commits == SMALL_COMMITS


def test_paths_may_be_relative(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "here").mkdir()
    for folder, dest in ((tmp_path, "new"), (tmp_path, "empty"), (tmp_path / "here", ".")):
        monkeypatch.chdir(folder)
        made = materialize(dest, os.path.relpath(small))
        assert made.commits == SMALL_COMMITS
        assert git(made.path.resolve(), "status", "--porcelain") == ""
    monkeypatch.chdir(tmp_path)
    export("new", 2, "out")
    assert (tmp_path / "out" / "run").read_text() == "x\n"


def _full(dest: Path) -> None:
    dest.mkdir()
    (dest / "mine").write_text("mine")


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (_full, "not empty"),
        (lambda dest: dest.write_text("mine"), "no folder"),
        (lambda dest: dest.symlink_to("nowhere"), "no folder"),
    ],
)
def test_what_is_there_already_is_not_touched(
    small: Path, tmp_path: Path, prepare: Callable[[Path], object], reason: str
) -> None:
    dest = tmp_path / "out" / "dest"
    dest.parent.mkdir()
    prepare(dest)
    before = everything(dest.parent)
    for call in (materialize, lambda folder, _: export(tmp_path, 0, folder)):
        with pytest.raises(UsageError if call is materialize else (UsageError, GitError)) as caught:
            call(dest, small)
        assert call is not materialize or reason in str(caught.value)
    assert everything(dest.parent) == before


def test_a_folder_in_no_folder_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the folder above it"):
        materialize(tmp_path / "a" / "b", small)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left"), GitError("x")])
@pytest.mark.parametrize("moment", ["fast-import", "read-tree"])
def test_after_a_failure_all_is_as_before(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    there: bool, error: Any, moment: str,
) -> None:  # fmt: skip
    run = gitrunner.SealedGit.run

    def failing(self: gitrunner.SealedGit, *words: str, **options: Any) -> bytes:
        if words[0] == moment:
            run(self, *words, **options)
            raise error
        return run(self, *words, **options)

    monkeypatch.setattr(gitrunner.SealedGit, "run", failing)
    parent = tmp_path / "parent"
    (parent / "dest" if there else parent).mkdir(parents=True)
    before = everything(parent)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        materialize(parent / "dest", small)
    assert everything(parent) == before


def test_a_failing_move_takes_back_what_was_moved(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dest = tmp_path / "dest"
    dest.mkdir()
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "run":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(KeyboardInterrupt):
        materialize(dest, small)
    assert everything(dest) == {}


def test_a_file_that_another_program_makes_meanwhile_stays(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for there in (True, False):
        dest = tmp_path / f"dest{there}"
        check = gitreplay._check_stored

        def meanwhile(*values: Any, dest: Path = dest, check: Any = check) -> None:
            check(*values)
            dest.mkdir(exist_ok=True)
            (dest / "theirs").write_text("theirs")

        with monkeypatch.context() as patched:
            patched.setattr(gitreplay, "_check_stored", meanwhile)
            if there:
                dest.mkdir()
            with pytest.raises(UsageError, match="another program"):
                materialize(dest, small)
        assert everything(dest) == {"theirs": b"theirs"}


def test_ctrl_c_at_the_terminal_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from replay.series import history as gitreplay\n"
        "check = gitreplay._check_stored\n"
        "gitreplay._check_stored = lambda *a: (check(*a), os.kill(os.getpid(), signal.SIGINT))\n"
        "gitreplay.materialize(sys.argv[1])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "dest")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "KeyboardInterrupt" in done.stderr
    assert everything(tmp_path) == {}


def test_a_missing_git_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env = shutil.which("env")
    assert env is not None
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "env").symlink_to(env)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(GitError, match="install git"):
        materialize(tmp_path / "repo")
    assert not (tmp_path / "repo").exists()


# --- hostile series -------------------------------------------------------------------


@contextmanager
def nothing_written(folder: Path) -> Iterator[None]:
    before = everything(folder)
    yield
    assert everything(folder) == before


HOSTILE = {
    "out": "diff --git a/../out b/../out\nnew file mode 100644\n--- /dev/null\n+++ b/../out\n",
    "absolute": "diff --git a//tmp/x b//tmp/x\nnew file mode 100644\n--- /dev/null\n+++ b//tmp/x\n",
    "hook": "diff --git a/.git/hooks/x b/.git/hooks/x\nnew file mode 100755\n--- /dev/null\n"
    "+++ b/.git/hooks/x\n",
    "link": "diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n",
    "module": "diff --git a/m b/m\nnew file mode 160000\n--- /dev/null\n+++ b/m\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_last_patch_stops_all_before_anything_is_written(
    small: Path, tmp_path: Path, name: str
) -> None:
    diff = HOSTILE[name] + "@@ -0,0 +1 @@\n+owned\n"
    (small / "patches" / "0002-x.patch").write_text(patch_text(2, diff))
    with nothing_written(tmp_path):
        for call in (lambda: materialize(tmp_path / "repo", small), lambda: trees(small)):
            with pytest.raises(PatchError, match=r"0002-x\.patch:\d+: "):
                call()


def test_a_patch_that_does_not_apply_is_named_and_nothing_is_written(
    small: Path, tmp_path: Path
) -> None:
    (small / "tree" / "f").write_text("other\n")
    with nothing_written(tmp_path), pytest.raises(PatchError) as caught:
        materialize(tmp_path / "repo", small)
    assert "0001-x.patch:10: hunk 1 of 'f' does not apply" in str(caught.value)
    assert caught.value.step == 1


def test_the_steps_before_a_patch_that_does_not_apply_can_be_had(small: Path) -> None:
    text = patch_text(2, SMALL[2]).replace("-two", "-tow")
    (small / "patches" / "0002-x.patch").write_text(text)
    steps = []
    with pytest.raises(PatchError) as caught:
        for tree in iter_trees(small):
            steps.append(tree.step)
    assert (steps, caught.value.step) == ([0, 1], 2)


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (shutil.rmtree, "no such folder"),
        (lambda tree: [shutil.rmtree(tree), tree.mkdir()], "empty"),
        (lambda tree: (tree / "link").symlink_to("/etc/passwd"), "symbolic link"),
        (lambda tree: (tree / "link").symlink_to("/etc"), "symbolic link"),
        (lambda tree: os.mkfifo(tree / "pipe"), "special file"),
        (lambda tree: [(tree / ".git").mkdir(), (tree / ".git" / "x").touch()], "git's own"),
        (lambda tree: (tree / ".gitattributes").touch(), "steers git"),
        (lambda tree: (tree / "a\nb").touch(), "control character"),
    ],
)
def test_a_tree_that_holds_what_it_may_not_is_refused(
    small: Path, tmp_path: Path, harm: Callable[[Path], object], reason: str
) -> None:
    harm(small / "tree")
    with pytest.raises(SeriesError, match=reason):
        materialize(tmp_path / "repo", small)
    assert not (tmp_path / "repo").exists()


# --- export ---------------------------------------------------------------------------


def test_export_writes_the_tree_of_a_step(made: Materialized, tmp_path: Path) -> None:
    for step in (0, 32, 39):
        folder = tmp_path / str(step)
        export(made.path, step, folder)
        files = {path: data for path, data in everything(folder).items() if data is not None}
        assert files == trees()[step].files


def test_export_of_what_is_not_there_is_refused(made: Materialized, tmp_path: Path) -> None:
    for repo, step, error in (
        (made.path, 40, GitError), (made.path, -1, UsageError), (tmp_path, 0, GitError),
        (tmp_path / "gone", 0, GitError),
    ):  # fmt: skip
        with pytest.raises(error):
            export(repo, step, tmp_path / "out")
    assert everything(tmp_path) == {}


def test_export_refuses_a_tree_that_a_patch_may_not_make(small: Path, tmp_path: Path) -> None:
    made = materialize(tmp_path / "repo", small)
    (made.path / "link").symlink_to("/etc/passwd")
    git(made.path, "add", "link")
    git(made.path, "commit", "-qm", "link", GIT_AUTHOR_NAME="x", GIT_AUTHOR_EMAIL="y")
    git(made.path, "tag", "-f", "step-02")
    with pytest.raises(PatchError, match="symbolic link"):
        export(made.path, 2, tmp_path / "out")
    assert not (tmp_path / "out").exists()

"""Git is run sealed: what the caller's environment says has no say, and what fails is told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replay.git.runner import (
    GitError,
    GitLate,
    GitMissing,
    GitRefused,
    SealedGit,
    create,
    environment,
)


def test_what_a_command_of_git_says_is_in_the_error(tmp_path: Path) -> None:
    made = create(tmp_path, bare=True)
    with pytest.raises(GitRefused, match="git cat-file failed with 128: 'fatal: ") as caught:
        made.run("cat-file", "-p", "nothing")
    assert caught.value.said.startswith("fatal: ")
    with pytest.raises(GitRefused, match=r"git rev-parse failed with 1$"):
        made.run("rev-parse", "--verify", "--quiet", "nothing")


def test_a_missing_git_is_told_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitMissing, match=r"install git 2\.30"):
        SealedGit().run("version")


def test_a_command_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "git"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    began = time.monotonic()
    with pytest.raises(GitLate, match=r"git version did not end within 0\.2 s"):
        SealedGit().run("version", limit=0.2)
    assert time.monotonic() - began < 10


def test_all_kinds_of_failure_are_git_errors() -> None:
    assert all(issubclass(kind, GitError) for kind in (GitLate, GitMissing, GitRefused))


def test_variables_of_git_do_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_DIR", "GIT_TRACE", "GIT_CONFIG_PARAMETERS", "GIT_INVENTED_LATER"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    sealed = environment()
    assert not {"GIT_DIR", "GIT_TRACE", "GIT_CONFIG_PARAMETERS", "GIT_INVENTED_LATER"} & set(sealed)
    assert sealed["LC_ALL"] == "C" and sealed["HOME"] == os.devnull


def test_a_repository_is_named_whatever_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("made").mkdir()
    made = create(Path("made"), bare=False)
    (tmp_path / "made" / "file").write_bytes(b"text\n")
    monkeypatch.chdir("/")
    made.run("add", "file")
    assert made.run("ls-files") == b"file\n"
    assert made.run("hash-object", "--stdin", stdin=b"text\n") == (made.run("rev-parse", ":file"))


def test_running_git_needs_no_gitpython() -> None:
    code = (
        "import sys; from replay.git.runner import SealedGit; SealedGit().run('version'); "
        "import replay.series.history; sys.exit('git' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""A user's repository, made for a test, and a digest of all that must not change in it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from replay.build.cache import cache_folder
from replay.cli import COMMANDS, Entry, main

EXAMPLES = Path(__file__).parent / "examples"
RUN = """
from replay.cli import COMMANDS, Entry, main
for name in ("verify", "init", "mail"):
    COMMANDS.setdefault(name, Entry(f"replay.cli.{name}:command", name))
main()
"""


SHARED = ("build", "driver", "reach", "failing")
"""What is kept there depends on no user's commit: on texts of the tool, or of the series."""


def own_cache(folder: Path) -> Path:
    """A cache that knows no library of a user; what is compiled for any lies with all others'."""
    for name in SHARED:
        shared = cache_folder() / name
        shared.mkdir(parents=True, exist_ok=True)
        (folder / name).symlink_to(shared.resolve())
    return folder


def own_places(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cache of builds for the tests alone, and a folder for what is temporary.

    What one test leaves for later runs is not there for the next.
    """
    for name in ("judged", "kept"):
        shutil.rmtree(cache / name, ignore_errors=True)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("REPLAY_CACHE", str(cache))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(scratch.glob("replay-*")), "a temporary folder is left behind"


MAKE = "cc -O1 -g -fPIC -shared -o libx.so x.c"


def environment(**more: str) -> dict[str, str]:
    """The caller's, without git's variables and configuration, and with a fixed clock."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    who = {
        f"GIT_{role}_{what}": value
        for role in ("AUTHOR", "COMMITTER")
        for what, value in (
            ("NAME", "A User"),
            ("EMAIL", "user@example.org"),
            ("DATE", "1700000000 +0000"),
        )
    }
    sealed = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return {**kept, **who, **sealed, **more}


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def cli(*arguments: object) -> Done:
    """Run the command line in this process."""
    for name in ("verify", "init", "mail"):
        COMMANDS.setdefault(name, Entry(f"replay.cli.{name}:command", name))
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return Done(result.exit_code, result.stdout, result.stderr)


class UserRepo:
    """A repository with a branch ``main``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["git", *words], cwd=self.path, env=environment(), check=True, input=stdin,
            capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout.strip()

    def commit(self, subject: str, **files: str) -> str:
        """Commit files, named with _ for the dot before their ending; gives the id."""
        for name, text in files.items():
            (self.path / name.replace("_", ".")).write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", subject)
        return self.git("rev-parse", "HEAD")

    def digest(self) -> str:
        """Everything in .git and in the work tree, byte by byte, and the worktree list."""
        digest = hashlib.sha256()
        for file in sorted(self.path.rglob("*")):
            stat = file.lstat()
            digest.update(
                f"{file.relative_to(self.path)} {stat.st_mode} {stat.st_mtime_ns}".encode()
            )
            if file.is_file():
                digest.update(file.read_bytes())
        digest.update(self.git("worktree", "list", "--porcelain").encode())
        return digest.hexdigest()


def example(name: str, path: Path) -> UserRepo:
    """One of the worked examples as a repository: a commit a patch."""
    repo = UserRepo(path)
    patches = sorted((EXAMPLES / name).glob("*.patch"))
    repo.git("am", "-q", "--committer-date-is-author-date", *map(str, patches))
    return repo


def lines_like(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]

"""The one way to run git, sealed: no setting, hook or variable of the user takes part.

A command of git obeys some two hundred variables and four files of configuration. All of
them are left out here: each command starts with an environment of its own, not with the
caller's less a list of names, so that what a later git invents stays out as well.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Final

from replay.errors import ReplayError
from replay.git.objects import BRANCH, COMMITTER
from replay.git.paths import shown

NOWHERE: Final = os.devnull
LIMIT: Final = 600.0
"""Seconds that one command of git may take."""

# What a program needs to start at all, and nothing else.
_KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR", "DEVELOPER_DIR")

# A repository that is read has a configuration of its own; these stand above it.
_SETTINGS: Final = {
    "core.attributesFile": NOWHERE,
    "core.autocrlf": "false",
    "core.commitGraph": "false",
    "core.excludesFile": NOWHERE,
    "core.fileMode": "true",
    "core.fsmonitor": "false",
    "core.hooksPath": NOWHERE,
    "core.pager": "cat",
    "core.quotePath": "true",
    "gc.auto": "0",
    "init.defaultBranch": BRANCH,
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "safe.directory": "*",
}


class GitError(ReplayError):
    """Git is missing, is given something that is no repository, or refuses a command."""


class GitMissing(GitError):
    """There is no program git."""

    def __init__(self) -> None:
        super().__init__(
            "git is not to be found; install git 2.30 or later, and see that it is on the PATH"
        )


class GitLate(GitError):
    """A command of git did not end in time, and was ended."""

    def __init__(self, command: str, limit: float) -> None:
        super().__init__(f"git {command} did not end within {limit:g} s")


class GitRefused(GitError):
    """A command of git failed; ``said`` is what it wrote about it, as it came."""

    def __init__(self, command: str, status: int, said: str) -> None:
        self.said = said
        told = f": {shown(said, 300)}" if said else ""
        super().__init__(f"git {command} failed with {status}{told}")


def environment() -> dict[str, str]:
    """All that a command of git gets to know of the outside."""
    values = {name: os.environ[name] for name in _KEPT if name in os.environ}
    values.setdefault("PATH", os.defpath)
    values |= {
        "HOME": NOWHERE,
        "XDG_CONFIG_HOME": NOWHERE,
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "TZ": "UTC",
        "GIT_ALLOW_PROTOCOL": "",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": NOWHERE,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_SYSTEM": NOWHERE,
        "GIT_DEFAULT_HASH": "sha1",
        "GIT_DEFAULT_REF_FORMAT": "files",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
    for role in ("AUTHOR", "COMMITTER"):
        # Only for the log of a branch's movements: commits name theirs.
        values |= {f"GIT_{role}_NAME": COMMITTER[0], f"GIT_{role}_EMAIL": COMMITTER[1]}
        values[f"GIT_{role}_DATE"] = "1383739200 +0000"
    values["GIT_CONFIG_COUNT"] = str(len(_SETTINGS))
    for index, (key, value) in enumerate(_SETTINGS.items()):
        values |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return values


class SealedGit:
    """Git for one repository, or for none.

    Args:
        git_dir: the git directory that commands work on; git then looks for none itself.
        work_tree: the work tree that belongs to it. Commands run in it, else in ``git_dir``.
        extra: variables to set beside the sealed ones.

    """

    def __init__(
        self,
        git_dir: os.PathLike[str] | str | None = None,
        work_tree: os.PathLike[str] | str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self.environment = environment() | dict(extra or {})
        self.folder: str | None = None
        for name, path in (("GIT_DIR", git_dir), ("GIT_WORK_TREE", work_tree)):
            if path is not None:
                self.folder = self.environment[name] = os.path.abspath(path)  # noqa: PTH100

    def run(self, *words: str, stdin: bytes = b"", limit: float = LIMIT) -> bytes:
        """Run ``git WORDS`` and give its output.

        Raises:
            GitMissing: there is no git.
            GitLate: it does not end within ``limit`` seconds.
            GitRefused: it fails; the text is what it says.

        """
        try:
            # In a session of its own: Ctrl-C at the terminal ends us, and we end it.
            done = subprocess.run(
                ["git", *words], input=stdin, cwd=self.folder, env=self.environment,
                capture_output=True, timeout=limit, check=False, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError:
            raise GitMissing from None
        except subprocess.TimeoutExpired:
            raise GitLate(words[0], limit) from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise GitRefused(words[0], done.returncode, said)
        return done.stdout

    @contextlib.contextmanager
    def reading(self, *words: str, stdin: IO[bytes]) -> Iterator[IO[bytes]]:
        """Run ``git WORDS`` on a file, and read its output as it comes, to whatever end.

        Raises:
            GitMissing: there is no git.
            GitRefused: it failed, or was not read to its end.

        """
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    ["git", *words], stdin=stdin, stdout=subprocess.PIPE, stderr=said,
                    cwd=self.folder, env=self.environment, start_new_session=True,
                )  # fmt: skip
            except FileNotFoundError:
                raise GitMissing from None
            assert process.stdout is not None
            try:
                with process.stdout:
                    yield process.stdout
            except BaseException:
                process.kill()
                raise
            finally:
                status = process.wait()
            if status:
                said.seek(0)
                told = said.read(4096).decode("utf-8", "replace").strip()
                raise GitRefused(words[0], status, told)


def create(path: Path, *, bare: bool) -> SealedGit:
    """Make an empty repository in a folder that exists, and give the git that works on it.

    Its object ids are SHA-1, its branch is ``main``, and nothing of a template is in it.

    Raises:
        GitError: git fails.

    """
    SealedGit().run("init", "--quiet", "--template=", *(["--bare"] if bare else []), str(path))
    made = SealedGit(path) if bare else SealedGit(path / ".git", path)
    # Versions before 2.28 do not know init.defaultBranch.
    made.run("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    return made

"""Git through GitPython, sealed: no setting, hook or variable of the user takes part.

A command of git obeys some two hundred variables and four files of configuration. All of
them are left out here: each command starts with an environment of its own, not with the
caller's less a list of names, so that what a later git invents stays out as well.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from replay.errors import ReplayError
from replay.git.objects import BRANCH, COMMITTER
from replay.git.paths import shown


class GitError(ReplayError):
    """Git is missing, is given something that is no repository, or refuses a command."""


_MISSING: Final = (
    "git is not to be found; install git 2.30 or later, and see that it is on the PATH"
)

_ENVIRONMENT_LOCK: Final = threading.Lock()


@contextlib.contextmanager
def _without_git_variables() -> Iterator[None]:
    """GitPython itself reads GIT_DIR and its like in this process, and runs git on import.

    They are out of the way for that moment, and only where there are any.
    """
    with _ENVIRONMENT_LOCK:
        names = [name for name in os.environ if re.match("GIT_(?!PYTHON_)", name)]
        taken = {name: os.environ.pop(name) for name in names}
        try:
            yield
        finally:
            os.environ.update(taken)


try:
    with _without_git_variables():
        import git
        from git.db import GitCmdObjectDB
        from git.exc import ODBError
except ImportError as error:  # GitPython looks for the program when it is imported.
    raise GitError(_MISSING) from error

NOWHERE: Final = os.devnull
_NO_PROGRAM: Final = 127  # so says env

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


class SealedGit(git.Git):
    """GitPython's way to run git, with the sealed environment in place of the caller's.

    A ``git_dir`` is told to git together with the work tree it belongs to, if it has one;
    then git looks for neither.
    """

    def __init__(
        self,
        working_dir: os.PathLike[str] | str | None = None,
        git_dir: os.PathLike[str] | str | None = None,
    ) -> None:
        where = working_dir if working_dir is not None else git_dir
        super().__init__(None if where is None else os.fspath(where))
        self.sealed = environment()
        if git_dir is not None:
            self.sealed["GIT_DIR"] = os.fspath(git_dir)
            if working_dir is not None:
                self.sealed["GIT_WORK_TREE"] = os.fspath(working_dir)

    def execute(self, command: str | Sequence[Any], *args: Any, **options: Any) -> Any:
        """Run a command as GitPython does. It can only add to the environment: ``env`` clears."""
        words = [command] if isinstance(command, str) else list(command)
        pairs = [f"{name}={value}" for name, value in self.sealed.items()]
        return super().execute(["env", "-i", *pairs, *words], *args, **options)

    def run(self, *words: str, stdin: bytes = b"") -> bytes:
        """Run ``git WORDS`` and give its output.

        Raises:
            GitError: git fails; the text is what it says.
        """
        program = str(self.GIT_PYTHON_GIT_EXECUTABLE)
        with tempfile.TemporaryFile() as source:
            source.write(stdin)
            source.seek(0)
            status, out, err = self.execute(
                [program, *words], istream=source, with_extended_output=True,
                with_exceptions=False, stdout_as_string=False, strip_newline_in_stdout=False,
            )  # fmt: skip
        if status == _NO_PROGRAM:
            raise GitError(_MISSING)
        if status:
            said = err.decode("utf-8", "replace") if isinstance(err, bytes) else str(err)
            told = f": {shown(said.strip(), 300)}" if said.strip() else ""
            raise GitError(f"git {words[0]} failed with {status}{told}")
        assert isinstance(out, bytes)
        return out


class SealedRepo(git.Repo):
    """A repository of somebody's, to read from; its commands are sealed.

    Each keeps two children of git alive once objects are read: use :func:`opened`.
    """

    GitCommandWrapperType = SealedGit

    def __init__(self, path: Path) -> None:
        with _without_git_variables():
            super().__init__(str(path.resolve()), expand_vars=False)
        self.git = SealedGit(git_dir=self.git_dir)
        self.odb = GitCmdObjectDB(os.fspath(Path(self.common_dir) / "objects"), self.git)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[SealedRepo]:
    """A repository to read from, closed afterwards.

    Raises:
        GitError: there is no repository; the folder above one does not count.
    """
    try:
        repo = SealedRepo(path)
    except (git.GitError, configparser.Error, OSError, ValueError):
        raise GitError(f"{path}: no git repository, or a broken one; name its top folder") from None
    try:
        yield repo
    except (git.GitError, ODBError, ValueError) as error:
        # What GitPython raises for objects that are missing or broken varies.
        raise GitError(f"{path}: cannot be read: {shown(str(error).strip(), 300)}") from None
    finally:
        repo.close()


def create(path: Path, *, bare: bool) -> SealedGit:
    """Make an empty repository in a folder that exists, and give the git that works on it.

    Its object ids are SHA-1, its branch is ``main``, and nothing of a template is in it.

    Raises:
        GitError: git fails.
    """
    starter = SealedGit()
    starter.run("init", "--quiet", "--template=", *(["--bare"] if bare else []), str(path))
    made = SealedGit(git_dir=path) if bare else SealedGit(path, path / ".git")
    # Versions before 2.28 do not know init.defaultBranch.
    made.run("symbolic-ref", "HEAD", f"refs/heads/{BRANCH}")
    return made

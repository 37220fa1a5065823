"""Somebody's repository, its objects read with GitPython, sealed as every command of git is.

GitPython takes as long to import as half of the tool, and runs git as it does: import this
module where a repository is read, not at the top of a module that commands without one use.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from replay.git.paths import shown
from replay.git.runner import GitError, GitMissing, SealedGit

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
    raise GitMissing from error


class _Commands(git.Git):
    """GitPython's own way to run git, with the sealed environment in place of the caller's."""

    def __init__(
        self, working_dir: os.PathLike[str] | str | None = None, sealed: SealedGit | None = None
    ) -> None:
        super().__init__(None if working_dir is None else os.fspath(working_dir))
        self.sealed = sealed or SealedGit()

    def execute(self, command: str | Sequence[Any], *args: Any, **options: Any) -> Any:
        """Run a command as GitPython does. It can only add to the environment: ``env`` clears."""
        words = [command] if isinstance(command, str) else list(command)
        pairs = [f"{name}={value}" for name, value in self.sealed.environment.items()]
        return super().execute(["env", "-i", *pairs, *words], *args, **options)


class SealedRepo(git.Repo):
    """A repository of somebody's, to read from; ``sealed`` runs commands on it.

    Each keeps two children of git alive once objects are read: use :func:`opened`.
    """

    GitCommandWrapperType = _Commands

    def __init__(self, path: Path) -> None:
        with _without_git_variables():
            super().__init__(str(path.resolve()), expand_vars=False)
        self.sealed = SealedGit(self.git_dir)
        self.git = _Commands(self.git_dir, self.sealed)
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

"""What can be wrong with a repository, a binding or a call trace."""

from __future__ import annotations

from pathlib import Path

from replay.errors import ReplayError


class RepoError(ReplayError):
    """A repository, range or library that cannot be used; with the cure."""


class BindingError(ReplayError):
    """A binding that does not say what it should.

    Args:
        problem: what is wrong, and what would be right.
        path: the file.
        line: the line in it, counted from 1; None where it is not known.
        key: the key in it, such as ``op[2].args.value``.
        function: the C function that the key is about.

    """

    def __init__(
        self, problem: str, path: Path | str, line: int | None = None, key: str = "",
        function: str = "",
    ) -> None:  # fmt: skip
        self.problem = problem
        self.path = path
        self.line = line
        self.key = key
        place = f"{path}:{line}" if line is not None else str(path)
        about = f"{key} of {function}" if key and function else key
        super().__init__(f"{place}: {about}: {problem}" if key else f"{place}: {problem}")


class ExpectError(BindingError):
    """A file of declared differences that does not say what it should, or a rule that fails."""

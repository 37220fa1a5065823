"""Changed copies of step modules, as a person names them: ``STEP=FILE``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from replay.errors import UsageError


def copies_of(texts: Iterable[str], last: int) -> tuple[tuple[int, str], ...]:
    """(step, whole path) for each, in order of steps; the last of a step counts.

    Raises:
        UsageError: a text that is not of the form, a step past ``last``, a file that is
            not there.

    """
    copies: dict[int, str] = {}
    for text in texts:
        number, equals, path = text.partition("=")
        small = number.isascii() and number.isdecimal() and len(number) < 10
        if not equals or not small or int(number) > last:
            raise UsageError(
                f"--model {text!r}: write STEP=FILE with a step from 0 to {last}, "
                f"as in {last * 9 // 13}=mine.py"
            )
        if not Path(path).is_file():
            raise UsageError(f"--model {text!r}: {path}: no such file")
        copies[int(number)] = str(Path(path).resolve())
    return tuple(sorted(copies.items()))

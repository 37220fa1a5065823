"""Changed copies of step modules, as a person names them: ``STEP=FILE``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from refmodels.later import Names
from replay.errors import UsageError
from replay.series.names import parse_step, parts_of


def copies_of(texts: Iterable[str], names: Names) -> tuple[tuple[int, str], ...]:
    """(step, whole path) for each, in order of steps; the last of a step counts.

    Raises:
        UsageError: a text that is not of the form, a step that is none or several fixes at
            once, a file that is not there.

    """
    copies: dict[int, str] = {}
    for text in texts:
        name, equals, path = text.partition("=")
        step = _step(name, names) if equals else None
        if step is None or len(parts_of(step)) > 1:
            after = f", or {names.last}+{names.parts[0]}=mine.py" if names.parts else ""
            raise UsageError(
                f"--model {text!r}: write STEP=FILE with a step from 0 to {names.last}, "
                f"as in {names.last * 9 // 13}=mine.py{after}"
            )
        if not Path(path).is_file():
            raise UsageError(f"--model {text!r}: {path}: no such file")
        copies[step] = str(Path(path).resolve())
    return tuple(sorted(copies.items()))


def _step(name: str, names: Names) -> int | None:
    try:
        return parse_step(name, names)
    except UsageError:
        return None

"""Steps as a person names them: ``27``, ``0-5,30-``, and what came after the last: ``K+a+b``.

The grammar, with K for the last step::

    steps = range {"," range}
    range = step | number "-" [step]
    step  = number | K "+" fix {"+" fix}

``fix`` is the name of a fix or of a variant of the machine, or ``all``; ``refmodels.later``
says what these are. ``A-`` goes to step K, and ``A-K+a+b`` is the line that leads to K+a+b,
one fix after another, from step A on.
"""

from __future__ import annotations

import re
from typing import Any

from refmodels.later import Later, Names, NoSuchStep, before, line
from replay.errors import UsageError

__all__ = (
    "Later",
    "before",
    "line",
    "number_in_series",
    "parse_step",
    "parse_steps",
    "parts_of",
    "plain",
)

_RANGE = re.compile(r"([0-9]{1,9})-(.*)", re.ASCII | re.DOTALL)


def parse_step(text: str, names: Names) -> int:
    """The step that a text names; past the last step a :class:`Later`.

    Raises:
        UsageError: it names none; the message says which there are.

    """
    try:
        return names.parse(text.strip())
    except NoSuchStep as error:
        raise UsageError(str(error)) from None


def parse_steps(text: str, names: Names) -> tuple[int, ...]:
    """The steps that a text names, in order, each once.

    Raises:
        UsageError: a part of it names none; the message shows the form.

    """
    steps: set[int] = set()
    for part in map(str.strip, text.split(",")):
        found = _RANGE.fullmatch(part)
        first = parse_step(found[1], names) if found and "+" in found[2] else None
        if found and first is not None:
            steps.update(step for step in names.line(parse_step(found[2], names)) if step >= first)
        elif "+" in part:
            steps.add(parse_step(part, names))
        else:
            steps.update(_plain(part, names))
    return tuple(sorted(steps))


def _plain(part: str, names: Names) -> range:
    """``A``, ``A-B`` or ``A-``, all of the series itself."""
    first, dash, last = part.partition("-")
    ends = [first, (last.strip() or str(names.last)) if dash else first]
    if not all(re.fullmatch(r"[0-9]{1,9}", end.strip(), re.ASCII) for end in ends):
        raise UsageError(f"{part!r} names no steps; write {_like(names)}")
    low, high = map(int, ends)
    if not low <= high <= names.last:
        raise UsageError(f"{part!r} names no steps; write {_like(names)}")
    return range(low, high + 1)


def _like(names: Names) -> str:
    """How steps are written, shown on a series of so many."""
    end = names.last
    text = f"0-{end}, or {end * 9 // 13},{end * 10 // 13}, or 0-{max(end // 7, 1)},{end}"
    return f"{text}; after step {end} come {names}" if names.parts else text


def plain(values: Any) -> Any:
    """Values for a document for programs: a step after the last one is there by its name."""
    if isinstance(values, Later):
        return values.name
    if isinstance(values, dict):
        return {plain(key): plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    return values


def number_in_series(step: int) -> int:
    """The number of the last step of the series that a step has behind it: mostly its own."""
    return step.base if isinstance(step, Later) else step


def parts_of(step: int) -> tuple[str, ...]:
    """The fixes and variants of a step after the last; none of a step of the series."""
    return step.parts if isinstance(step, Later) else ()

"""Which of the lines that a commit changed were executed, by which traces first.

No change to the user's build: the line table says where the lines are, and breakpoints that
are met once, in the process that runs the traces, tell which are come by. See ``reach.c``.
Once all lines that can be reached were, traces run as fast as without.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from replay.build.compiler import find_compiler
from replay.build.errors import BuildError
from replay.build.helper import NotCompiledError, compiled_helper
from replay.repo.calls import CallTrace
from replay.repo.generating import generate
from replay.repo.language import CallLanguage
from replay.repo.lines import ChangedLine, ChangedLines, Line

FORMAT: Final = "replay-reach/1"
SOURCE: Final = Path(__file__).with_name("reach.c")
FLAGS: Final = ("-std=gnu11", "-O2", "-fPIC", "-shared", "-fcf-protection=none")
SHOWN: Final = 5
"""Lines that a text names."""


class NoReach(Exception):
    """What is reached cannot be told; the text says why."""


def helper() -> Path:
    """The compiled helper, from the cache or made now.

    Raises:
        NoReach: there is no compiler, or it fails.
        BuildError: the cache cannot be written.

    """
    try:
        compiler = find_compiler()
    except BuildError as error:
        raise NoReach(f"without a C compiler: {error}") from None
    flags = [flag for flag in FLAGS if not flag.startswith("-fcf") or _is_x86()]
    try:
        return compiled_helper(compiler, SOURCE, flags, FORMAT)
    except NotCompiledError as error:
        raise NoReach(f"the helper does not compile: {error}") from None


def _is_x86() -> bool:
    return os.uname().machine == "x86_64"


def reach_request(places: Sequence[int], made: Path) -> dict[str, Any]:
    """What the first message to a worker says, so that it tells which places are reached.

    They are addresses in ascending order: a worker tells of them by number.
    """
    return {"reach": list(places), "helper": str(made)} if places else {}


def places(lines: Iterable[ChangedLine]) -> list[int]:
    """All addresses of lines in ascending order."""
    return sorted({address for line in lines for address in line.addresses})


@dataclass(frozen=True, slots=True)
class Reach:
    """How far traces got into what a commit changed.

    Attributes:
        executed: the lines that were come by, each with the number of the first trace
            that did, on the lowest of its addresses that was met.
        missed: those that were not.
        unknown: why that cannot be told; empty if it can.
        bred: how many traces were bred from others, to reach more.
    """

    executed: Mapping[Line, int] = field(default_factory=dict)
    missed: tuple[Line, ...] = ()
    unknown: str = ""
    bred: int = 0

    @property
    def traces(self) -> tuple[int, ...]:
        """The traces that reached a line first, in order."""
        return tuple(sorted(set(self.executed.values())))

    def text(self) -> str:
        """In a line: ``3 of 5 changed lines executed; not: ring.c:41, ring.c:44``."""
        if self.unknown:
            return f"not known which changed lines were executed: {self.unknown}"
        total = len(self.executed) + len(self.missed)
        if not total:
            return "no changed line has code in the library"
        said = f"{len(self.executed)} of {total} changed line{'' if total == 1 else 's'} executed"
        if not self.missed:
            return said
        more = len(self.missed) - SHOWN
        named = ", ".join(map(str, self.missed[:SHOWN])) + (f" and {more} more" if more > 0 else "")
        return f"{said}; not: {named}"


def reached(lines: Sequence[ChangedLine], first: Mapping[int, int]) -> Reach:
    """What was reached of the lines in one library.

    Args:
        lines: in that library.
        first: the number of the first trace that met a place, by the place's number; where
            several workers ran traces, the least of what they tell. With the traces of each
            in order, that does not depend on how many workers there were.

    """
    numbers = {address: number for number, address in enumerate(places(lines))}
    executed: dict[Line, int] = {}
    missed = []
    for one in lines:
        met = [first[numbers[a]] for a in one.addresses if numbers[a] in first]
        if met:
            executed[one.line] = min(met)
        else:
            missed.append(one.line)
    return Reach(executed, tuple(missed))


def joined(changed: ChangedLines, new: Reach, old: Reach) -> Reach:
    """What was reached of a commit's lines: the added ones in the new library, the removed ones
    in the old.
    """  # noqa: D205
    unknown = changed.unknown or new.unknown or old.unknown
    executed = {**new.executed, **old.executed}
    return Reach(executed, tuple(sorted((*new.missed, *old.missed))), unknown)


# --- breeding -------------------------------------------------------------------------


def bred(language: CallLanguage, trace: CallTrace, seed: int, number: int) -> CallTrace:
    """A trace like one that reached something: a function of its arguments alone.

    Calls are dropped, repeated, given other values, or followed by what another trace does.
    """
    rng = random.Random(f"{seed}/{number}/bred")
    for _ in range(8):
        changed = trace
        for _ in range(rng.randint(1, 4)):
            changed = _changed(language, changed, rng, seed)
        normal = language.normal(changed)
        if normal:
            return normal
    return trace


def _changed(language: CallLanguage, trace: CallTrace, rng: random.Random, seed: int) -> CallTrace:
    """One change, perhaps to what is no trace any more."""
    if not trace:
        return trace
    at = rng.randrange(len(trace))
    how = rng.choice(("drop", "repeat", "values", "values", "splice"))
    if how == "drop":
        return language.without(trace, {at})
    if how == "repeat":
        end = min(at + rng.randint(1, 4), len(trace))
        run = trace[at:end]
        return trace if any(c.makes for c in run) else (*trace[:end], *run, *trace[end:])
    other = generate(language.interface, seed, rng.getrandbits(48), language.ops)
    if how == "values":
        return _with_values(language, trace, at, other)
    used = max((call.makes for call in trace), default=0)
    tail = [replace(call, makes=call.makes + used if call.makes else 0) for call in other]
    return (*trace[: at + 1], *_shifted(language, tail, used))[: language.ops]


def _with_values(language: CallLanguage, trace: CallTrace, at: int, other: CallTrace) -> CallTrace:
    """The trace with the values of one call taken from a call of another, its objects apart."""
    call = trace[at]
    given = language.interface.ops[call.op].given
    fresh = next((c.values for c in other if c.op == call.op), call.values)
    values = tuple(
        old if param.role == "handle" else new
        for param, old, new in zip(given, call.values, fresh, strict=True)
    )
    return (*trace[:at], replace(call, values=values), *trace[at + 1 :])


def _shifted(language: CallLanguage, tail: Sequence[Any], by: int) -> CallTrace:
    """Calls whose objects are numbered behind those of another trace."""
    return tuple(
        replace(
            call,
            values=tuple(
                value + by if param.role == "handle" else value
                for param, value in zip(
                    language.interface.ops[call.op].given, call.values, strict=True
                )
            ),
        )
        for call in tail
    )

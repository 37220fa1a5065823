"""Values that code compares while it runs: they decide where it goes, and stand in no code.

Breakpoints on the comparisons of the functions that changed tell both values of each. What is
the same in two processes, whose addresses and fresh memory differ, is a value to draw, as a
constant is. On x86-64 alone; elsewhere nothing is told.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from replay.build.errors import BuildError
from replay.elf.compares import Compare, compares
from replay.elf.errors import ElfError
from replay.elf.image import Image
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.checking import Checker, limited
from replay.repo.constants import plain, plausible
from replay.repo.drawing import FEW
from replay.repo.driver.limits import Limits
from replay.repo.mining import Constants
from replay.repo.reach import NoReach, helper, reach_request
from replay.repo.targets import Target

MOST_COMPARES: Final = 256
"""Comparisons that are watched in a library."""
MOST_VALUES: Final = 64
"""Values that are kept, those first that came in most comparisons."""
FILLED: Final = (0, 1)
"""How the memory of the two processes is filled."""


def operands(
    checker: Checker, target: Target, functions: Iterable[str], traces: Sequence[CallTrace]
) -> Constants:
    """What some functions of a library compare while it runs traces, but for small integers.

    A function of the library, the functions and the traces alone.

    Raises:
        WorkerError: a worker could not be started, or was killed.
        RepoError: the model failed.

    """
    found = _compares(target.library, frozenset(functions))[:MOST_COMPARES]
    if not found or target.model:
        return Constants()
    told: list[Counter[int | float]] = []
    with contextlib.suppress(Unbound, NoReach, BuildError):
        request = reach_request([one.address for one in found], helper())
        request["compares"] = [word for one in found for word in one.words]
        watched = replace(target, reach=request)
        told = [_told(checker, watched, found, traces, fill) for fill in FILLED]
    if len(told) < len(FILLED):
        return Constants()
    both = [(value, count) for value, count in told[0].items() if value in told[1]]
    both.sort(key=lambda one: -one[1])
    kept = [value for value, _ in both[:MOST_VALUES]]
    return Constants(
        tuple(value for value in kept if isinstance(value, int)),
        tuple(value for value in kept if isinstance(value, float)),
    )


def _compares(library: Path, functions: frozenset[str]) -> list[Compare]:
    """The comparisons in functions of a library, in ascending order."""
    found: dict[int, Compare] = {}
    try:
        with Image(library) as image:
            if image.machine != "EM_X86_64":
                return []
            for symbol in image.symbols:
                if not (symbol.is_function and symbol.size and symbol.section is not None):
                    continue
                if plain(symbol.name) in functions:
                    code = image.code_of(symbol)
                    found |= {one.address: one for one in compares(code, symbol.value)}
    except (ElfError, OSError):
        return []
    return [found[address] for address in sorted(found)]


def _told(
    checker: Checker, target: Target, found: Sequence[Compare], traces: Sequence[CallTrace],
    fill: int,
) -> Counter[int | float]:  # fmt: skip
    """How often each value came in a comparison, in the order in which they came first."""
    limits = Limits(checker.cpu, checker.usual(target.key, "worker"))
    words: Sequence[int] = ()
    with checker.opened(target, fill) as runner:
        for trace in traces:
            if limits.over:
                break
            words = limited(limits, runner, target, trace).operands or words
    count: Counter[int | float] = Counter()
    for at in range(0, len(words), 3):
        one = found[words[at]]
        count.update(_values(words[at + 1 : at + 3], one))
    return count


def _values(raw: Iterable[int], one: Compare) -> Iterator[int | float]:
    for value in raw:
        data = value.to_bytes(8, "little")[: one.size]
        if one.floating:
            yield from plausible(data, one.size)
            continue
        number = int.from_bytes(data, "little", signed=True)
        if not -1 <= number <= FEW:
            yield number

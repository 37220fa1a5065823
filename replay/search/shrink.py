"""From a trace that shows something to a small one that shows it too.

Every candidate is smaller than the best so far by the order of its language, and valid;
it replaces the best where the predicate still holds. The passes are the language's, as a
listed value; those that only leave operations out stand here, since every language has
them. The result depends on the trace, the predicate and the budget alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from replay.search.language import Language

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shrunk(Generic[T]):
    """The smallest trace found.

    Attributes:
        trace: it.
        tried: how often the predicate was asked.
        complete: no single reduction makes it smaller; False where the budget ended first.

    """

    trace: T
    tried: int
    complete: bool


def shrink(trace: T, language: Language[T], holds: Callable[[T], bool], budget: int) -> Shrunk[T]:
    """Make a trace on which ``holds`` is true smaller; the result is one too.

    ``holds`` is called at most ``budget`` times, and only with valid traces.
    """
    shrinker = Shrinker(trace, language, holds, budget)
    complete = True
    try:
        for one in language.begin:
            one(shrinker)
        before = None
        while shrinker.size != before:
            before = shrinker.size
            for one in language.passes:
                one(shrinker)
    except OutOfBudget:
        complete = False
    return Shrunk(shrinker.best, budget - shrinker.left, complete)


class OutOfBudget(Exception):
    """The predicate was asked as often as it may be."""


class Shrinker(Generic[T]):
    """The best trace so far; passes offer it candidates.

    Attributes:
        best: the smallest trace on which the predicate was true.
        size: its size in the language's order.
        left: how often the predicate may still be asked.

    """

    def __init__(
        self, trace: T, language: Language[T], holds: Callable[[T], bool], budget: int
    ) -> None:
        self.language = language
        self.best = language.normal(trace) or trace
        self.size = language.size(self.best)
        self.holds = holds
        self.left = budget
        self._seen: set[Any] = set()

    def consider(self, candidate: T | None) -> bool:
        """Take a candidate if it is smaller, new, valid, and still shows it.

        Raises:
            OutOfBudget: the predicate would have to be asked once too often.

        """
        language = self.language
        made = None if candidate is None else language.normal(candidate)
        if made is None:
            return False
        size = language.size(made)
        # Two traces of one size are the same trace.
        if size >= self.size or size in self._seen:
            return False
        self._seen.add(size)
        if not language.is_valid(made):
            return False
        if not self.left:
            raise OutOfBudget
        self.left -= 1
        if not self.holds(made):
            return False
        self.best, self.size = made, size
        return True

    @property
    def length(self) -> int:
        """Operations in the best trace."""
        return self.language.length(self.best)

    def without(self, gone: Iterable[int]) -> bool:
        """Consider the best trace without some operations."""
        return self.consider(self.language.without(self.best, frozenset(gone)))


def shortest_prefix(shrinker: Shrinker[Any]) -> None:
    """The shortest prefix that shows it, by halving: what was shown once stays shown."""
    whole, total = shrinker.best, shrinker.length
    low, high = 0, total
    while low < high:
        middle = (low + high) // 2
        kept = shrinker.language.without(whole, frozenset(range(middle, total)))
        if shrinker.consider(kept):
            high = middle
        else:
            low = middle + 1


def leave_out(shrinker: Shrinker[Any]) -> None:
    """Leave out runs of operations: halves, quarters, … single ones; then any two."""
    run = max(shrinker.length // 2, 1)
    while run:
        index = shrinker.length - run
        while index >= 0:
            shrinker.without(range(index, index + run))
            index = min(index - run, shrinker.length - run)
        run //= 2
    for first in range(shrinker.length):
        for second in range(first + 1, shrinker.length):
            if shrinker.without((first, second)):
                return

"""A language of nothing but digits, and a campaign that looks for them: for tests of the search."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from replay.search.campaign import Seen, Showing, shortest
from replay.search.language import Pass
from replay.search.shrink import Shrinker, leave_out, shortest_prefix

Digits: TypeAlias = tuple[int, ...]


def smaller_digits(shrinker: Shrinker[Any]) -> None:
    """Each digit by the least that will do."""
    for at in range(shrinker.length):
        for digit in range(shrinker.best[at] if at < shrinker.length else 0):
            before = shrinker.best
            if shrinker.consider((*before[:at], digit, *before[at + 1 :])):
                break


class DigitLanguage:
    """Some digits, the first of which is not 0; the empty trace makes no sense."""

    begin: ClassVar[tuple[Pass, ...]] = (shortest_prefix,)
    passes: ClassVar[tuple[Pass, ...]] = (leave_out, smaller_digits)

    def draw(self, seed: int, number: int) -> Digits:
        rng = random.Random(f"{seed}/{number}")
        return (rng.randrange(1, 10), *(rng.randrange(10) for _ in range(rng.randrange(12))))

    def length(self, trace: Digits) -> int:
        return len(trace)

    def without(self, trace: Digits, gone: AbstractSet[int]) -> Digits:
        return tuple(digit for at, digit in enumerate(trace) if at not in gone)

    def normal(self, trace: Digits) -> Digits | None:
        return trace or None

    def is_valid(self, trace: Digits) -> bool:
        return trace[0] != 0

    def size(self, trace: Digits) -> Any:
        return len(trace), trace

    def to_text(self, trace: Digits, name: str) -> str:
        return f"{name} {trace}"


LANGUAGE = DigitLanguage()


@dataclass
class Sightings:
    """Which digits traces have."""

    numbers: list[int] = field(default_factory=list)
    digits: dict[int, Seen] = field(default_factory=dict)

    def merge(self, other: Sightings) -> None:
        self.numbers += other.numbers
        for digit, seen in other.digits.items():
            self.digits.setdefault(digit, Seen()).merge(seen)


@dataclass(frozen=True)
class Sighting:
    """A digit, and the number of a trace that has it."""

    digit: int
    number: int


@dataclass(frozen=True)
class Search:
    """The campaign: where is which digit? Those that are ``shy`` do not show alone."""

    seed: int = 1
    share: int = 7
    shy: frozenset[int] = frozenset()

    def nothing(self) -> Sightings:
        return Sightings()

    def look(self, numbers: range) -> Sightings:
        found = Sightings(list(numbers))
        for number in numbers:
            trace = LANGUAGE.draw(self.seed, number)
            for digit in set(trace):
                at = trace.index(digit)
                found.digits.setdefault(digit, Seen()).add(
                    at, number, f"trace {number}", (str(at),)
                )
        return found

    def example(self, finding: Sighting, budget: int) -> Showing[Digits, int] | None:
        def shows(trace: Digits) -> int | None:
            if finding.digit in self.shy or finding.digit not in trace:
                return None
            return trace.index(finding.digit)

        return shortest(LANGUAGE.draw(self.seed, finding.number), LANGUAGE, shows, budget)


@dataclass
class Backwards:
    """A spread that does the last task first; what it hands back is in order nevertheless."""

    labels: list[str] = field(default_factory=list)

    def map(
        self,
        work: Callable[[Any], Any],
        tasks: Iterable[tuple[Any, Any]],
        label: Callable[[Any], str] = str,
    ) -> Iterator[tuple[Any, Any]]:
        every = list(tasks)
        self.labels += [label(task) for _, task in every]
        done = [(tag, work(task)) for tag, task in reversed(every)]
        yield from reversed(done)

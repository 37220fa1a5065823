"""Which lines are watched while traces run on pairs, and what that shows of each pair.

A library is in two pairs, with the commit before it and with the one after: its worker
watches the lines of both, and each pair takes its own from what is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from replay.base.pool import Threads
from replay.base.style import listed
from replay.build.errors import BuildError
from replay.repo.lines import ChangedLine, ChangedLines, changed_lines
from replay.repo.pairing import Pair
from replay.repo.reach import NoReach, Reach, helper, joined, places, reach_request, reached
from replay.repo.runner import Run
from replay.repo.targets import Target

CURE: Final = (
    "run more traces (--traces), or longer ones (--ops), or call what leads there (--binding)"
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the trees of some commits can be read, in the order of the commits."""

    git_dir: Path
    trees: Sequence[str]


@dataclass(slots=True)
class Firsts:
    """By which trace each place was reached first, in the two libraries of a pair.

    The least number counts, so it does not matter which worker ran which traces. ``bred``
    is how many of the traces were bred from others.
    """

    before: dict[int, int] = field(default_factory=dict)
    after: dict[int, int] = field(default_factory=dict)
    unknown: str = ""
    bred: int = 0

    def add(self, number: int, before: Run | None, after: Run | None) -> None:
        """Take what the runs of a trace tell."""
        for first, run in ((self.before, before), (self.after, after)):
            if run is not None:
                _least(first, dict.fromkeys(run.reached, number))
                self.unknown = self.unknown or run.reach_unknown

    def note(self, number: int, before: Iterable[int], after: Iterable[int]) -> None:
        """Take the places that a trace reached in each."""
        _least(self.before, dict.fromkeys(before, number))
        _least(self.after, dict.fromkeys(after, number))

    def fill(self, other: Firsts) -> None:
        """Take the places of another that none of these traces reached."""
        for mine, theirs in ((self.before, other.before), (self.after, other.after)):
            for place, number in theirs.items():
                mine.setdefault(place, number)

    def merge(self, other: Firsts) -> None:
        """Add what other traces tell."""
        _least(self.before, other.before)
        _least(self.after, other.after)
        self.unknown = self.unknown or other.unknown
        self.bred += other.bred


def _least(first: dict[int, int], other: Mapping[int, int]) -> None:
    for place, number in other.items():
        first[place] = min(number, first.get(place, number))


@dataclass(frozen=True, slots=True)
class Watch:
    """The lines that are watched.

    Attributes:
        lines: what changed, by the number of the pair; no pair is watched that has none.
        watched: the places of each library, by the key of its target, in ascending order:
            where its changed lines begin, and others.
        helper: what watches them; None where nothing can, and ``unknown``: why.

    """

    lines: Mapping[int, ChangedLines] = field(default_factory=dict)
    watched: Mapping[str, Sequence[int]] = field(default_factory=dict)
    helper: Path | None = None
    unknown: str = ""

    def target(self, side: Target) -> Target:
        """The target, whose worker tells which of its lines are reached."""
        places = self.watched.get(side.key) if self.lines else None
        if not places or self.helper is None or side.model:
            return side
        return replace(side, reach=reach_request(places, self.helper))

    def reach(self, number: int, pair: Pair, firsts: Firsts) -> Reach | None:
        """What was reached of what changed in a pair; None where it was not watched."""
        changed = self.lines.get(number)
        if changed is None:
            return None
        if not changed.unknown and not (changed.new or changed.old):
            return Reach()
        unknown = self.unknown or firsts.unknown
        whole = joined(
            changed,
            replace(self._side(pair.after, changed.new, firsts.after), unknown=unknown),
            self._side(pair.before, changed.old, firsts.before),
        )
        return replace(whole, bred=firsts.bred)

    def _side(self, side: Target, lines: Sequence[ChangedLine], first: Mapping[int, int]) -> Reach:
        whole, own = self.watched.get(side.key, ()), places(lines)
        numbers = {address: number for number, address in enumerate(own)}
        met = {whole[place]: number for place, number in first.items()}
        return reached(lines, {numbers[a]: n for a, n in met.items() if a in numbers})

    def functions(self, number: int) -> frozenset[str]:
        """The functions of a pair that have a changed line."""
        changed = self.lines.get(number, ChangedLines())
        lines = (*changed.new, *changed.old)
        return frozenset(name for line in lines for name in line.functions if name)

    def executed(self, number: int, reach: Reach | None) -> frozenset[str]:
        """The functions of a pair in which a changed line was executed."""
        if reach is None or reach.unknown or not reach.executed:
            return frozenset()
        changed = self.lines[number]
        return frozenset(
            name
            for line in (*changed.new, *changed.old) if line.line in reach.executed
            for name in line.functions
        )  # fmt: skip

    def unreached(
        self, number: int, reach: Reach | None, one_sided: frozenset[str] = frozenset()
    ) -> str:
        """Why a pair that does not differ is not decided: no line was executed that changed.

        Empty where one was, where it is not known, where no changed line has code, and where all
        that have lie in functions that one of the two alone exports.
        """
        if reach is None or reach.unknown or reach.executed or not reach.missed:
            return ""
        changed = self.lines[number]
        lines = [
            line for line in (*changed.new, *changed.old)
            if not line.functions or not set(line.functions) <= one_sided
        ]  # fmt: skip
        if not lines:
            return ""  # all in functions that one of the two alone has
        names = {name for line in lines for name in line.functions if name}
        inside = f", in {listed(sorted(names), 3)}" if names else ""
        return (
            f"no changed line was executed ({listed([str(n) for n in reach.missed], 3)}{inside}); "
            + CURE
        )


def watch(
    threads: Threads, sources: Sources, pairs: Iterable[tuple[tuple[int, int], Pair]]
) -> Watch:
    """Watch the changed lines of pairs, each given with the places of its two trees.

    Raises:
        RepoError: a tree is missing.

    """
    asked = list(pairs)

    def between(one: tuple[tuple[int, int], Pair]) -> ChangedLines:
        (old, new), pair = one
        trees = sources.trees[old], sources.trees[new]
        return changed_lines(sources.git_dir, trees, pair.before.library, pair.after.library)

    lines = dict(threads.map(between, enumerate(asked)))
    watched: dict[str, set[int]] = {}
    for number, (_, pair) in enumerate(asked):
        changed = lines[number]
        watched.setdefault(pair.before.key, set()).update(places(changed.old), changed.around[0])
        watched.setdefault(pair.after.key, set()).update(places(changed.new), changed.around[1])
    if not any(watched.values()):
        return Watch(lines)
    ordered = {key: sorted(found) for key, found in watched.items()}
    try:
        return Watch(lines, ordered, helper())
    except (NoReach, BuildError) as error:
        return Watch(lines, ordered, unknown=str(error))

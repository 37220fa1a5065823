"""The campaign on libraries: traces of calls, run on both of each pair, and compared."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from replay.base.pool import Pool
from replay.repo.binding import Interface
from replay.repo.calls import CallTrace
from replay.repo.checking import Checker, Runs
from replay.repo.language import CallLanguage
from replay.repo.masks import Mask
from replay.repo.observing import called, observed
from replay.repo.pairing import Names, Pair
from replay.repo.repeating import Repeater, with_repeats
from replay.repo.results import Counterexample, Divergence, compare
from replay.repo.runner import ModelError, Run, Runner
from replay.repo.targets import Progress, Target
from replay.search.campaign import gather, shortest
from replay.search.verdict import Verdict

SHARE: Final = 250
"""Traces whose runs are in memory at once."""
SHRUNK_LIMIT: Final = 0.25
"""Seconds of processor time after which a candidate counts as hanging."""

TURNS: Final = 4
"""Times that an example is looked for, each without what was found not to be repeatable."""
NOT_AGAIN: Final = "a trace that differed does not when it is run again"

Parted: TypeAlias = tuple[Run, Run, Divergence]
"""The runs of a trace on two targets, and where they part."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which traces are run: one that is given, or random ones.

    Attributes:
        interface: whose operations they call.
        seed: which random ones, ``traces`` of at most ``ops`` calls.
        given: this one alone; None for random ones.

    """

    interface: Interface
    seed: int
    traces: int
    ops: int
    given: CallTrace | None = None

    @property
    def count(self) -> int:
        """How many."""
        return self.traces if self.given is None else 1

    @property
    def wanted(self) -> Names:
        """The operations that a target must have."""
        return frozenset(call.op for call in self.given or ())

    def trace(self, names: Names, number: int) -> CallTrace:
        """The trace of a number, of these operations."""
        language = CallLanguage(self.interface.only(names), self.ops)
        return self.given or language.draw(self.seed, number)


@dataclass(slots=True)
class PairTally:
    """What traces show of a pair.

    Attributes:
        differing: the numbers of the traces on which the two differ, each with its rank:
            what crashes or hangs is worse than a wrong answer, and comes first; then what
            shows early.
        left_out: the numbers of those that were not compared.
        traces: how many were.
        soonest: the number of the one of least rank, and ``divergence``: what it shows.
        called: the functions that were called, and ``seen``: those of which something is
            observed, see ``replay.repo.observing``.

    """

    differing: dict[int, tuple[bool, int]] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)
    traces: int = 0
    soonest: int | None = None
    divergence: Divergence | None = None
    called: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def add(self, pair: Pair, number: int, before: Run | None, after: Run | None) -> None:
        """Compare the runs of the trace that comes next."""
        if before is None or after is None:
            self.left_out.append(number)
            return
        self.traces += 1
        found = pair.differs(before, after)
        if found is not None:
            self.differing[number] = (found.verdict is Verdict.UNDECLARED, found.index)
            self._keep(number, found)

    def merge(self, other: PairTally) -> None:
        """Add what the traces that come next show."""
        self.differing |= other.differing
        self.left_out += other.left_out
        self.traces += other.traces
        self.called |= other.called
        self.seen |= other.seen
        if other.soonest is not None and other.divergence is not None:
            self._keep(other.soonest, other.divergence)

    def _keep(self, number: int, found: Divergence) -> None:
        rank = self.differing[number], number
        if self.soonest is None or rank < (self.differing[self.soonest], self.soonest):
            self.soonest, self.divergence = number, found


@dataclass(slots=True)
class CallTally:
    """What traces show: how often each operation was called, and of each pair."""

    calls: Counter[str]
    pairs: list[PairTally]

    def merge(self, other: CallTally) -> None:
        """Add the share that comes next."""
        self.calls += other.calls
        for mine, theirs in zip(self.pairs, other.pairs, strict=True):
            mine.merge(theirs)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A trace on which a pair differs, both by their numbers.

    On its example the pair ``unlike`` does not differ, if there is one.
    """

    pair: int
    trace: int
    unlike: int | None = None


@dataclass(slots=True)
class CallCampaign:
    """Traces on pairs of targets; see ``replay.search.campaign.Campaign``."""

    checker: Checker
    sampling: Sampling
    pairs: Sequence[Pair]
    share: int = SHARE
    repeater: Repeater = field(init=False)

    def __post_init__(self) -> None:
        self.repeater = Repeater(self.checker)

    def run(self, progress: Progress) -> CallTally:
        """What all traces show.

        The shares come one after the other: within each, the libraries are spread.
        """
        total, done = self.sampling.count, 0

        def told(count: int) -> None:
            nonlocal done
            done += count
            progress(done, total, f"{done} of {total} traces")

        return gather(self, total, Pool(1, "running traces"), told)

    def nothing(self) -> CallTally:
        """The tally of no traces."""
        return CallTally(Counter(), [PairTally() for _ in self.pairs])

    def look(self, numbers: range) -> CallTally:
        """Run the traces of these numbers on all that take part, and compare."""
        needed: dict[tuple[str, Names], Target] = {}
        for pair in self.pairs:
            for target in (pair.before, pair.after):
                needed.setdefault((target.key, pair.names), target)
        traces = {
            names: [self.sampling.trace(names, number) for number in numbers]
            for names in dict.fromkeys(names for _, names in needed)
        }
        tally = self.nothing()
        for kept in traces.values():
            tally.calls.update(call.op for trace in kept for call in trace)
        tasks = [(key, (target, traces[key[1]])) for key, target in needed.items()]
        runs = dict(self.checker.threads.map(self._run_all, tasks))
        for pair, seen in zip(self.pairs, tally.pairs, strict=True):
            before, after = (runs[side.key, pair.names] for side in (pair.before, pair.after))
            made = traces[pair.names]
            mask = self.repeater.learn(pair, made, before, after)
            seen.called |= called(made)
            seen.seen |= observed(self.checker, pair, made, after, mask)
            for number, trace, old, new in zip(numbers, made, before, after, strict=True):
                seen.add(pair, number, *mask.applied(trace, old, new))
        return tally

    def _run_all(self, task: tuple[Target, Sequence[CallTrace]]) -> Runs:
        return self.checker.run_all(*task)

    def example(self, finding: Sighting, budget: int) -> Counterexample | str:
        """A trace on which a pair differs, shortened; or why there is none after all."""
        pair = self.pairs[finding.pair]
        trace = self.sampling.trace(pair.names, finding.trace)
        other = None if finding.unlike is None else self.pairs[finding.unlike]
        with contextlib.ExitStack() as stack:
            old, new = (
                stack.enter_context(self.checker.opened(side)) for side in (pair.before, pair.after)
            )
            others = [
                stack.enter_context(self.checker.opened(side))
                for side in ((other.before, other.after) if other is not None else ())
            ]
            language = CallLanguage(self.sampling.interface, self.sampling.ops)
            mask = self.repeater.mask(pair)
            without = self.repeater.mask(other) if other is not None else Mask()
            for _ in range(TURNS):
                question = _Question(pair, (old, new), tuple(others), mask, without)
                found = question.shortest(trace, language, budget)
                if isinstance(found, str):
                    return found
                runs = found.before, found.after
                mask = with_repeats(self.checker, pair, found.trace, *runs, mask)
                if pair.differs(*mask.applied(found.trace, *runs)):
                    return found
            return NOT_AGAIN


@dataclass(slots=True)
class _Question:
    """Whether a pair differs on a trace as it did on the first one that was asked about.

    Attributes:
        pair: asked about.
        targets: workers with its two.
        unlike: workers with two that must not differ; none for no such pair.
        mask: what is left out of the comparison, and ``without``: of those two.
        verdict: of the first trace.

    """

    pair: Pair
    targets: tuple[Runner, Runner]
    unlike: tuple[Runner, ...]
    mask: Mask
    without: Mask
    verdict: Verdict | None = None

    def shortest(
        self, trace: CallTrace, language: CallLanguage, budget: int
    ) -> Counterexample | str:
        """The smallest trace found that shows it; with no budget the trace as it is."""
        if not budget:
            first = self.shows(trace)
            found = None if first is None else (trace, first, len(trace) == 1)
        else:
            shown = shortest(trace, language, self.shows, budget, self.holds)
            found = None if shown is None else (shown.trace, shown.witness, shown.complete)
        if found is None:
            return NOT_AGAIN
        return Counterexample("", found[0], *found[1], found[2])

    def shows(self, trace: CallTrace) -> Parted | None:
        """The runs of a trace, where they differ."""
        before, after = (runner.run(trace) for runner in self.targets)
        found = self.pair.differs(*self.mask.applied(trace, before, after))
        if found is None or (self.verdict is not None and found.verdict is not self.verdict):
            return None
        self.verdict = found.verdict
        return before, after, found

    def holds(self, trace: CallTrace) -> bool:
        """Whether a smaller trace shows it too, and the other pair does not differ on it.

        A hang is given less time: a trace shown only under this limit is asked once more.
        """
        limit = SHRUNK_LIMIT if self.verdict is Verdict.HANG else None
        try:
            before, after = (runner.run(trace, limit) for runner in self.targets)
        except ModelError:
            return False
        found = self.pair.differs(*self.mask.applied(trace, before, after))
        if found is None or found.verdict is not self.verdict:
            return False
        if not self.unlike:
            return True
        old, new = (other.run(trace, limit) for other in self.unlike)
        return compare(*self.without.applied(trace, old, new)) is None


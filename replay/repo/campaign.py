"""The campaign on libraries: traces of calls, run on both of each pair, and compared."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from replay.base.pool import Pool
from replay.repo.binding import Interface
from replay.repo.calls import CallTrace
from replay.repo.checking import LEAST, TIMES, Checker, Runs, asked
from replay.repo.crashing import MORE, RUNS, repeat, shortened
from replay.repo.hanging import Hanging, Tried
from replay.repo.language import CallLanguage
from replay.repo.masks import Mask
from replay.repo.observing import called, observed
from replay.repo.pairing import Names, Pair
from replay.repo.repeating import Repeater, with_repeats
from replay.repo.results import Counterexample, Divergence, compare
from replay.repo.runner import ModelError, Run, Runner
from replay.repo.tallies import CallTally, PairTally
from replay.repo.targets import Progress, Target
from replay.repo.watching import Watch
from replay.search.campaign import gather, shortest
from replay.search.verdict import Verdict

SHARE: Final = 250
"""Traces whose runs are in memory at once."""
ROUNDS: Final = 6
"""Times that traces are run again without the calls that hang on both sides."""
SHRUNK_LIMIT: Final = 0.25
"""Seconds of processor time after which a candidate counts as hanging that is to hang."""

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
        bred: traces of further numbers, see ``replay.repo.breeding``.

    """

    interface: Interface
    seed: int
    traces: int
    ops: int
    given: CallTrace | None = None
    bred: Mapping[int, CallTrace] = field(default_factory=dict)

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
        return self.given or self.bred.get(number) or language.draw(self.seed, number)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A trace on which a pair differs, both by their numbers.

    Attributes:
        unlike: a pair that does not differ on its example, if there is one.
        others: more such traces, asked in their order where this one shows nothing again.
        shorter: those of them that were not run as drawn.

    """

    pair: int
    trace: int
    unlike: int | None = None
    others: tuple[int, ...] = ()
    shorter: Mapping[int, CallTrace] = field(default_factory=dict)


@dataclass(slots=True)
class CallCampaign:
    """Traces on pairs of targets; see ``replay.search.campaign.Campaign``."""

    checker: Checker
    sampling: Sampling
    pairs: Sequence[Pair]
    share: int = SHARE
    watch: Watch = field(default_factory=Watch)
    hanging: list[Hanging] = field(init=False)
    repeater: Repeater = field(init=False)

    def __post_init__(self) -> None:
        self.hanging = [Hanging(self.sampling.interface) for _ in self.pairs]
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
        """Run the traces of these numbers on all that take part, and compare.

        Where both of a pair hang at the same call, its traces are run again without it.
        """
        drawn = {
            names: {number: self.sampling.trace(names, number) for number in numbers}
            for names in dict.fromkeys(pair.names for pair in self.pairs)
        }
        tally = self.nothing()
        for traces in drawn.values():
            tally.calls.update(call.op for trace in traces.values() for call in trace)
        for place, ones in self._settled(tuple(numbers), drawn, tally).items():
            self._compared(self.pairs[place], tally.pairs[place], ones)
        return tally

    def _settled(
        self, numbers: tuple[int, ...], drawn: Mapping[Names, Mapping[int, CallTrace]],
        tally: CallTally,
    ) -> dict[int, list[Tried]]:  # fmt: skip
        """The runs of traces on each pair, those calls left out that hang on both sides."""
        settled: dict[int, list[Tried]] = {place: [] for place in range(len(self.pairs))}
        waiting = dict.fromkeys(settled, numbers)
        for turn in range(ROUNDS):
            tried = self._round(waiting, drawn)
            waiting = {}
            for place, ones in tried.items():
                again = turn < ROUNDS - 1 and self.hanging[place].learn(ones)
                for one in ones:
                    tally.pairs[place].firsts.add(one.number, one.before, one.after)
                    if again and (one.before is None or one.after is None or one.hung):
                        waiting[place] = (*waiting.get(place, ()), one.number)
                    else:
                        settled[place].append(one)
        return settled

    def _compared(self, pair: Pair, tally: PairTally, tried: list[Tried]) -> None:
        """Compare runs, but for what is not the same twice."""
        tried.sort(key=lambda one: one.number)
        made = [one.made for one in tried]
        before, after = [one.before for one in tried], [one.after for one in tried]
        mask = self.repeater.learn(pair, made, before, after)
        tally.called |= called(made)
        tally.seen |= observed(self.checker, pair, made, after, mask)
        for one in tried:
            tally.take(pair, one, mask)

    def _round(
        self, waiting: Mapping[int, tuple[int, ...]], drawn: Mapping[Names, Mapping[int, CallTrace]]
    ) -> dict[int, list[Tried]]:
        """The runs of traces, given by their numbers, of some pairs.

        A target that is in two pairs runs a trace once where both leave the same out.
        """
        needed: dict[Hashable, tuple[Target, list[CallTrace]]] = {}
        asked = {}
        for place, numbers in waiting.items():
            pair, hanging = self.pairs[place], self.hanging[place]
            made = [hanging.cut(number, drawn[pair.names][number]) for number in numbers]
            which = (pair.names, numbers, hanging.key)
            keys = [(side.key, which) for side in (pair.before, pair.after)]
            for key, side in zip(keys, (pair.before, pair.after), strict=True):
                needed.setdefault(key, (self.watch.target(side), made))
            asked[place] = keys, made
        runs = dict(self.checker.threads.map(self._run_all, needed.items()))
        return {
            place: [
                Tried(number, drawn[self.pairs[place].names][number], *one)
                for number, *one in zip(
                    waiting[place], made, *(runs[key] for key in keys), strict=True
                )
            ]
            for place, (keys, made) in asked.items()
        }

    def _run_all(self, task: tuple[Target, Sequence[CallTrace]]) -> Runs:
        return self.checker.run_all(*task)

    def example(self, finding: Sighting, budget: int) -> Counterexample | str:
        """A trace on which a pair differs, shortened; or why there is none after all."""
        reason = ""
        for number in (finding.trace, *finding.others):
            found = self._example(finding, number, budget)
            if not isinstance(found, str):
                return found
            reason = reason or found
        return reason

    def _example(self, finding: Sighting, number: int, budget: int) -> Counterexample | str:
        """The example that one trace gives."""
        pair = self.pairs[finding.pair]
        trace = finding.shorter.get(number) or self.sampling.trace(pair.names, number)
        language = CallLanguage(self.sampling.interface, self.sampling.ops)
        crashing = repeat(self.checker, pair, trace)
        if crashing.come_and_go:
            if not crashing.one_sided:
                return crashing.text
            return shortened(self.checker, pair, crashing, language, budget)
        other = None if finding.unlike is None else self.pairs[finding.unlike]
        with contextlib.ExitStack() as stack:
            old, new = (
                stack.enter_context(self.checker.opened(side)) for side in (pair.before, pair.after)
            )
            others = [
                stack.enter_context(self.checker.opened(side))
                for side in ((other.before, other.after) if other is not None else ())
            ]
            mask = self.repeater.mask(pair)
            without = self.repeater.mask(other) if other is not None else Mask()
            for _ in range(TURNS):
                question = _Question(pair, (old, new), tuple(others), mask, without)
                found = question.shortest(trace, language, budget)
                if isinstance(found, str):
                    break
                runs = found.before, found.after
                mask = with_repeats(self.checker, pair, found.trace, *runs, mask)
                if pair.differs(*mask.applied(found.trace, *runs)):
                    return self._seldom(pair, found)
        return self._rare(pair, trace, language, budget)

    def _seldom(self, pair: Pair, found: Counterexample) -> Counterexample:
        """An example as found; a crash that its shorter trace shows at times only says so."""
        if found.divergence.verdict is Verdict.CRASH:
            again = repeat(self.checker, pair, found.trace)
            if again.come_and_go and again.one_sided:
                return again.example(found.complete)
        return found

    def _rare(
        self, pair: Pair, trace: CallTrace, language: CallLanguage, budget: int
    ) -> Counterexample | str:
        """What a trace shows that differed, and not when it was run again: perhaps a rare crash."""
        crashing = repeat(self.checker, pair, trace, MORE * RUNS)
        if crashing.one_sided:
            return shortened(self.checker, pair, crashing, language, budget)
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
        limit: seconds of processor time after which a smaller trace counts as hanging.

    """

    pair: Pair
    targets: tuple[Runner, Runner]
    unlike: tuple[Runner, ...]
    mask: Mask
    without: Mask
    verdict: Verdict | None = None
    limit: float = SHRUNK_LIMIT

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
        start = time.monotonic()
        sides = zip(self.targets, (self.pair.before, self.pair.after), strict=True)
        before, after = (asked(runner, side, trace) for runner, side in sides)
        found = self.pair.differs(*self.mask.applied(trace, before, after))
        if found is None or (self.verdict is not None and found.verdict is not self.verdict):
            return None
        if self.verdict is None and found.verdict is not Verdict.HANG:
            self.limit = max(LEAST, TIMES * (time.monotonic() - start))
        self.verdict = found.verdict
        return before, after, found

    def holds(self, trace: CallTrace) -> bool:
        """Whether a smaller trace shows it too, and the other pair does not differ on it.

        It is given less time: a trace shown only under this limit is asked once more.
        """
        limit = min(self.limit, self.targets[0].cpu)
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

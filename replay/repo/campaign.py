"""The campaign on libraries: traces of calls, run on both of each pair, and compared."""

from __future__ import annotations

import contextlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from replay.base.pool import Pool
from replay.repo.agreeing import Key, Settled, Shares, sort
from replay.repo.binding import Interface
from replay.repo.bound import Unbound
from replay.repo.calls import CallTrace
from replay.repo.checking import Checker
from replay.repo.crashing import MORE, RUNS, repeat, shortened, shorter
from replay.repo.driver.pieces import Refused
from replay.repo.driver.run import DriverRunner
from replay.repo.hanging import Hanging, Tried
from replay.repo.language import CallLanguage
from replay.repo.masks import Mask
from replay.repo.observing import called, observed
from replay.repo.pairing import Names, Pair
from replay.repo.repeating import Repeater, with_repeats
from replay.repo.results import Counterexample
from replay.repo.shrinking import NOT_AGAIN, Shrinking
from replay.repo.tallies import CallTally, PairTally
from replay.repo.targets import Progress, Target
from replay.repo.watching import Watch
from replay.search.campaign import gather
from replay.search.verdict import Verdict

SHARE: Final = 250
"""Traces whose runs are in memory at once."""
ROUNDS: Final = 6
"""Times that traces are run again without the calls that hang on both sides."""
TURNS: Final = 4
"""Times that an example is looked for, each without what was found not to be repeatable."""
Drawn: TypeAlias = Mapping[Names, Mapping[int, CallTrace]]
"""Traces by their numbers, for each set of operations."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which traces are run: one that is given, or random ones.

    Attributes:
        interface: whose operations they call.
        seed: which random ones, ``traces`` of at most ``ops`` calls.
        given: this one alone; None for random ones.
        deeper: whether further rounds follow these traces, see ``replay.repo.rounds``, and
            ``seconds``: for how long, None for as long as they reach something new.
        bred: traces of further numbers, see ``replay.repo.breeding``.

    """

    interface: Interface
    seed: int
    traces: int
    ops: int
    given: CallTrace | None = None
    deeper: bool = False
    seconds: float | None = None
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

    def part(self, numbers: Sequence[int]) -> CallCampaign:
        """The same on some of the pairs; what is learned of them is learned for both."""
        part = CallCampaign(
            self.checker, self.sampling, [self.pairs[n] for n in numbers], self.share, self.watch
        )
        part.hanging = [self.hanging[number] for number in numbers]
        part.repeater = self.repeater
        return part

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
        return CallTally([PairTally() for _ in self.pairs])

    def look(self, numbers: range) -> CallTally:
        """Run the traces of these numbers on all that take part, and compare.

        Where both of a pair hang at the same call, its traces are run again without it.
        """
        drawn = {
            names: {number: self.sampling.trace(names, number) for number in numbers}
            for names in dict.fromkeys(pair.names for pair in self.pairs)
        }
        tally = self.nothing()
        for place, settled in self._settled(tuple(numbers), drawn, tally).items():
            self._compared(self.pairs[place], tally.pairs[place], settled)
        return tally

    def _settled(
        self, numbers: tuple[int, ...], drawn: Drawn, tally: CallTally
    ) -> dict[int, Settled]:
        """The runs of traces on each pair, those calls left out that hang on both sides."""
        settled = {place: Settled.none() for place in range(len(self.pairs))}
        waiting = dict.fromkeys(settled, numbers)
        for turn in range(ROUNDS):
            last = turn == ROUNDS - 1
            found = self._round(waiting, drawn, last)
            waiting = {}
            for place, share in found.items():
                well = [same.made for same in share.agreed]
                stops = self.hanging[place].stops
                again = not last and self.hanging[place].learn(share.tried, well, share.stuck)
                if share.waiting:
                    waiting[place] = tuple(share.waiting)
                firsts = tally.pairs[place].firsts
                for one in share.tried:
                    firsts.add(one.number, one.before, one.after)
                    if again and (one.before is None or one.after is None or stops(one)):
                        waiting[place] = (*waiting.get(place, ()), one.number)
                    else:
                        settled[place].tried.append(one)
                for same in share.agreed:
                    firsts.note(same.number, same.before.reached, same.after.reached)
                settled[place].agreed.extend(share.agreed)
        return settled

    def _compared(self, pair: Pair, tally: PairTally, settled: Settled) -> None:
        """Compare runs, but for what is not the same twice."""
        tried = sorted(settled.tried, key=lambda one: one.number)
        made = [one.made for one in tried]
        before, after = [one.before for one in tried], [one.after for one in tried]
        mask = self.repeater.learn(pair, made, before, after)
        tally.called |= called(made) | called([one.made for one in settled.agreed])
        tally.seen |= observed(self.checker, pair, made, after, mask)
        for one in tried:
            tally.take(pair, one, mask)
        ops = [op["name"] for op in pair.after.bound.ops]
        for same in settled.agreed:
            tally.agree(same, ops)

    def _round(
        self, waiting: Mapping[int, tuple[int, ...]], drawn: Drawn, last: bool
    ) -> dict[int, Settled]:
        """The runs of traces, given by their numbers, of some pairs.

        What hangs on both sides is run no further, unless this is the ``last`` time. A target
        that is in two pairs runs a trace once where both leave the same out.
        """
        asked, sides = self._asked(waiting, drawn)
        shares = Shares(self.checker, asked)
        told = shares.digests()
        found = {
            place: sort(
                zip(waiting[place], *(told[key] for key in keys), strict=True),
                drawn[self.pairs[place].names], asked[keys[0]][1], last,
                self.hanging[place].is_twice,
            )
            for place, keys in sides.items()
        }  # fmt: skip
        needed: dict[Key, set[int]] = {}
        for place, keys in sides.items():
            for key in keys:
                needed.setdefault(key, set()).update(found[place].needed)
        for key, places in needed.items():
            target, made = asked[key]
            self.repeater.told(target, ((made[at], told[key][at]) for at in places))
        runs = shares.runs(told, needed)
        for place, (old, new) in sides.items():
            traces, made = drawn[self.pairs[place].names], asked[old][1]
            for at in found[place].needed:
                number = waiting[place][at]
                one = Tried(number, traces[number], made[at], runs[old][at], runs[new][at])
                found[place].tried.append(one)
        return found

    def _asked(
        self, waiting: Mapping[int, tuple[int, ...]], drawn: Drawn
    ) -> tuple[dict[Key, tuple[Target, list[CallTrace]]], dict[int, tuple[Key, Key]]]:
        """What each target has to run, and by which keys each pair finds it."""
        asked: dict[Key, tuple[Target, list[CallTrace]]] = {}
        sides: dict[int, tuple[Key, Key]] = {}
        for place, numbers in waiting.items():
            pair, hanging = self.pairs[place], self.hanging[place]
            made = [hanging.cut(number, drawn[pair.names][number]) for number in numbers]
            which: Hashable = (pair.names, numbers, hanging.key)
            old, new = (pair.before.key, which), (pair.after.key, which)
            for key, side in ((old, pair.before), (new, pair.after)):
                asked.setdefault(key, (self.watch.target(side), made))
            sides[place] = old, new
        return asked, sides

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
        if crashing.one_sided and budget:
            less, complete = shorter(self.checker, pair, crashing, language, budget)
            again = repeat(self.checker, pair, less)
            if again.one_sided and again.come_and_go:
                return again.example(complete)
            trace = less if again.one_sided else trace
        other = None if finding.unlike is None else self.pairs[finding.unlike]
        with contextlib.ExitStack() as stack:
            old, new = (
                stack.enter_context(self.checker.opened(side)) for side in (pair.before, pair.after)
            )
            others = [
                stack.enter_context(self.checker.opened(side))
                for side in ((other.before, other.after) if other is not None else ())
            ]
            drivers = self._drivers(stack, pair)
            mask = self.repeater.mask(pair)
            without = self.repeater.mask(other) if other is not None else Mask()
            for _ in range(TURNS):
                question = Shrinking(pair, (old, new), tuple(others), mask, without, drivers)
                found = question.shortest(trace, language, budget)
                if isinstance(found, str):
                    break
                runs = found.before, found.after
                mask = with_repeats(self.checker, pair, found.trace, *runs, mask)
                if pair.differs(*mask.applied(found.trace, *runs)):
                    return self._seldom(pair, found)
        return self._rare(pair, trace, language, budget)

    def _drivers(self, stack: contextlib.ExitStack, pair: Pair) -> tuple[DriverRunner, ...]:
        """Drivers with both of a pair; none where only workers can run them."""
        try:
            with contextlib.ExitStack() as both:
                made = [
                    both.enter_context(self.checker.driven(side))
                    for side in (pair.before, pair.after)
                ]
                stack.push(both.pop_all())
        except (Refused, Unbound):
            return ()
        return tuple(made)

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

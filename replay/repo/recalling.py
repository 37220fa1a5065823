"""What earlier runs found, in a run: verdicts that are remembered, traces that are run first.

A remembered verdict counts where all traces at hand that earlier runs kept were run on its
pair, or came from the run that found it. The others are judged anew, and first of all on
the kept traces: a pair that differs on them alone differs, and a line that only they reach
counts as reached by them. Else they leave no trace in what is said of a pair, so that the
same seed says the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from replay.repo.calls import CallTrace
from replay.repo.campaign import CallCampaign
from replay.repo.expecting import asking
from replay.repo.kept import Kept, Why
from replay.repo.pairing import Names, Pair
from replay.repo.remembered import Calls, Known, Memory
from replay.repo.results import Counterexample, PairResult
from replay.repo.tallies import CallTally, PairTally

MOST_REACHED: Final = 16
"""Traces that reached something first which are kept of a pair."""

Trees: TypeAlias = Mapping[int, tuple[str, ...]]


@dataclass(slots=True)
class Recall:
    """What is known of before, and what is kept for later.

    Attributes:
        memory: of verdicts.
        kept: traces of earlier runs; None to do without.
        trees: of the two commits of each pair, by the place of the later one.
        ran: the ids of the kept traces that are run.

    """

    memory: Memory = field(default_factory=Memory)
    kept: Kept | None = None
    trees: Trees = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)

    def known(self, pairs: Mapping[int, Pair]) -> dict[int, Known]:
        """The pairs whose verdict is remembered, by their places."""
        found = {
            place: self.memory.known(pair, self.trees.get(place, ()), self._ids(pair.names))
            for place, pair in pairs.items()
        }
        return {place: known for place, known in found.items() if known is not None}

    def _ids(self, names: Names) -> frozenset[str]:
        return self.kept.ids(names) if self.kept is not None else frozenset()

    # --- traces of earlier runs ----------------------------------------------------

    def before(self, campaign: CallCampaign) -> dict[int, PairTally]:
        """What the kept traces show of the pairs of a campaign, by their numbers.

        They are numbered down from -1, and the campaign knows them by these numbers. A
        model is not asked.
        """
        groups: dict[Names, list[int]] = {}
        for number, pair in enumerate(campaign.pairs):
            if not (pair.before.model or pair.after.model):
                groups.setdefault(pair.names, []).append(number)
        found: dict[int, PairTally] = {}
        for names, numbers in groups.items():
            traces = self.kept.traces(names) if self.kept is not None else ()
            if traces:
                self.ran |= self._ids(names)
                found |= self._look(campaign, numbers, traces)
        return found

    def _look(
        self, campaign: CallCampaign, numbers: list[int], traces: Sequence[CallTrace]
    ) -> dict[int, PairTally]:
        start = -1 - len(campaign.sampling.bred)
        own = {start - place: trace for place, trace in enumerate(traces)}
        campaign.sampling = replace(campaign.sampling, bred={**campaign.sampling.bred, **own})
        part = campaign.part(numbers)
        tally = part.look(range(start - len(traces) + 1, start + 1))
        for pair in tally.pairs:
            pair.own |= own
        return dict(zip(numbers, tally.pairs, strict=True))

    def ask(self, campaign: CallCampaign, tally: CallTally) -> None:
        """Run the calls of which a result is declared, and add what they show to a tally."""
        for number, pair in enumerate(campaign.pairs):
            traces = asking(pair, campaign.sampling)
            if traces:
                tally.pairs[number].merge(self._look(campaign, [number], traces)[number])

    # --- for later runs ------------------------------------------------------------

    def keep(
        self, campaign: CallCampaign, tally: CallTally, places: Sequence[int],
        results: Sequence[PairResult], shortened: Iterable[bool],
    ) -> None:  # fmt: skip
        """Keep the traces that showed something, and remember what can be believed again.

        Args:
            campaign: that was run.
            tally: what it showed.
            places: of its first pairs.
            results: of the same.
            shortened: whether the example of each had the whole budget.

        """
        new: set[str] = set()
        for number, result in enumerate(results[: len(places)]):
            new |= self._kept(campaign, tally.pairs[number], campaign.pairs[number], result)
        noise = campaign.repeater.noise
        for number, (place, result, whole) in enumerate(
            zip(places, results, shortened, strict=False)
        ):
            pair, shown = campaign.pairs[number], tally.pairs[number]
            noisy = bool(noise.get(pair.before.key) or noise.get(pair.after.key)) or any(
                not wrong for wrong, _ in shown.differing.values()
            )
            known = Known(result, calls_of(shown), frozenset(self.ran | new))
            self.memory.remember(
                pair, self.trees.get(place, ()), known, noisy=noisy, shortened=whole
            )

    def _kept(
        self, campaign: CallCampaign, tally: PairTally, pair: Pair, result: PairResult
    ) -> frozenset[str]:
        if self.kept is None or pair.before.model or pair.after.model:
            return frozenset()
        ids: frozenset[str] = frozenset()
        if isinstance(result.shown, Counterexample):
            ids |= self.kept.add([result.shown.trace], Why.EXAMPLE)
        if result.reach is not None and not result.reach.unknown:
            numbers = [number for number in result.reach.traces if number >= 0][:MOST_REACHED]
            traces = [
                tally.own.get(number) or campaign.sampling.trace(pair.names, number)
                for number in numbers
            ]
            ids |= self.kept.add(traces, Why.REACHED)
        return ids

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know of it."""
        problems = (self.memory.problem, self.kept.problem if self.kept is not None else "")
        return tuple(filter(None, problems))


def calls_of(tally: PairTally) -> Calls:
    """How often each operation was called for a pair."""
    own = Counter(call.op for trace in tally.own.values() for call in trace)
    return Calls(tally.evidence.generated - own, own)

"""More traces for a pair, bred from those that reached a changed line first.

Where random traces leave changed lines unexecuted and show no difference, what came near is
varied. The traces are numbered on after the drawn ones, and a function of the request and of
what the drawn ones reached alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from replay.repo.calls import CallTrace
from replay.repo.campaign import CallCampaign
from replay.repo.language import CallLanguage
from replay.repo.reach import bred
from replay.repo.tallies import CallTally

PART: Final = 4
"""Of so many drawn traces, one more is bred at most."""
TURNS: Final = 2
"""The later turn breeds from what the earlier reached too."""


def breed(campaign: CallCampaign, tally: CallTally) -> None:
    """Run bred traces on each pair that needs them, and add what they show to the tally."""
    sampling = campaign.sampling
    each = 0 if sampling.given is not None else sampling.count // PART // TURNS
    if each:
        for place in range(len(campaign.pairs)):
            _pair(campaign, tally, place, each)


def _pair(campaign: CallCampaign, tally: CallTally, place: int, each: int) -> None:
    pair, whole = campaign.pairs[place], tally.pairs[place]
    language = CallLanguage(campaign.sampling.interface.only(pair.names), campaign.sampling.ops)
    made: dict[int, CallTrace] = {}
    drawn = whole.traces + len(whole.left_out)
    for turn in range(TURNS):
        reach = campaign.watch.reach(place, pair, whole.firsts)
        if reach is None or reach.unknown or not (reach.executed and reach.missed):
            return
        if whole.differing:
            return
        start = drawn + turn * each
        sampling = campaign.sampling
        parents = [
            whole.own.get(number) or sampling.trace(pair.names, number) for number in reach.traces
        ]
        for number in range(start, start + each):
            parent = parents[number % len(parents)]
            made[number] = bred(language, parent, sampling.seed, number)
        run_own(campaign, tally, place, {n: made[n] for n in range(start, start + each)})
        whole.firsts.bred += each


def run_own(
    campaign: CallCampaign, tally: CallTally, place: int, made: Mapping[int, CallTrace]
) -> None:
    """Run traces that were made for one pair, by their numbers, and add what they show."""
    whole = tally.pairs[place]
    alone = campaign.part([place])
    alone.sampling = replace(campaign.sampling, bred={**whole.own, **made})
    found = alone.look(range(min(made), max(made) + 1)).pairs[0]
    whole.merge(found)
    whole.own |= made
    for number in found.differing:
        whole.shorter.setdefault(number, made[number])

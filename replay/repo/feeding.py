"""More traces for a pair on which none differs, drawn from what its changed code compares.

See ``replay.repo.operands``. The traces are numbered on after all others of the pair, and a
function of the request and of the two libraries alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from replay.repo.breeding import run_own
from replay.repo.calls import CallTrace
from replay.repo.campaign import CallCampaign
from replay.repo.language import CallLanguage
from replay.repo.mining import Constants, Mined
from replay.repo.operands import operands
from replay.repo.tallies import CallTally

PART: Final = 4
"""Of so many drawn traces, one more is drawn at most."""
WATCHED: Final = 16
"""Traces whose comparisons are watched."""


def feed(campaign: CallCampaign, tally: CallTally) -> None:
    """Run such traces on each pair that shows no difference, and add what they show.

    Not so where a number of traces was asked for: it is exact.
    """
    sampling = campaign.sampling
    each = sampling.count // PART if sampling.deeper and sampling.given is None else 0
    if each:
        for place in range(len(campaign.pairs)):
            _pair(campaign, tally, place, each)


def _pair(campaign: CallCampaign, tally: CallTally, place: int, each: int) -> None:
    pair, whole, sampling = campaign.pairs[place], tally.pairs[place], campaign.sampling
    functions = campaign.watch.functions(place)
    if whole.differing or not functions:
        return
    told = Constants()
    watched = range(min(WATCHED, sampling.count))
    cut = campaign.hanging[place].cut
    traces = [cut(number, sampling.trace(pair.names, number)) for number in watched]
    for side in (pair.before, pair.after):
        told = _joined(told, operands(campaign.checker, side, functions, traces))
    if told == Constants():
        return
    mined = Mined(told, sampling.interface.mined.all)
    language = CallLanguage(replace(sampling.interface, mined=mined).only(pair.names), sampling.ops)
    start = whole.traces + len(whole.left_out)
    numbers = range(start, start + each)
    made: dict[int, CallTrace] = {
        number: language.draw(sampling.seed, number) for number in numbers
    }
    run_own(campaign, tally, place, made)


def _joined(one: Constants, other: Constants) -> Constants:
    return Constants(
        tuple(dict.fromkeys((*one.ints, *other.ints))),
        tuple(dict.fromkeys((*one.floats, *other.floats))),
    )

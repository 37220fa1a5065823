"""What a crash hid: commits after one that crashes, compared with the last that did not.

Two neighbours that crash at the same call are the same as far as that goes; what the later
one changed behind the crash shows when the crash is gone, against a commit that had none.
A commit that does the same as one that crashes needs no such comparison.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replay.repo.campaign import CallCampaign, Sampling, Sighting
from replay.repo.checking import Checker
from replay.repo.expected import Expected, union
from replay.repo.pairing import Pair, Standing
from replay.repo.results import Counterexample
from replay.repo.tallies import PairTally
from replay.repo.targets import Prepared
from replay.search.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Past:
    """A commit after one that crashes or hangs, beside the last one that did not.

    Attributes:
        against: the place of that one.
        traces: on how many the two were compared, and ``differing``: on how many they differ.
        fresh: on how many of them something differs that no commit between showed, and
            ``shown``: an example of it.

    """

    against: int
    traces: int
    differing: int
    fresh: int = 0
    shown: Counterexample | None = None


def behind_crashes(
    checker: Checker, sampling: Sampling, loaded: Sequence[Prepared],
    standings: Sequence[Standing], tallies: Mapping[int, PairTally], budget: int,
) -> dict[int, Past]:  # fmt: skip
    """Compare what stands behind a crash or a hang with the last that had none.

    Args:
        checker: runs them.
        sampling: on which traces.
        loaded: the trees.
        standings: how each stands to those before it.
        tallies: what traces showed of neighbours, by the place of the later one; none for
            those that are identical.
        budget: candidates tried to shorten an example.

    """
    found: dict[int, Past] = {}
    good: int | None = None
    seen: frozenset[int] = frozenset()
    for place, standing in enumerate(standings):
        if standing.pair is None:
            continue
        tally = tallies.get(place)
        if good is None:
            if tally is not None and _ends(tally):
                good, seen = standing.against, _wrong(tally)
            continue
        if tally is None or not tally.differing:
            continue  # the same as the one before, of which all is said
        before, after = loaded[good].target, loaded[place].target
        assert before is not None and after is not None
        names = sampling.wanted or before.bound.names & after.bound.names
        pair = Pair(before, after, names, expected=_declared(standings[good + 1 : place + 1]))
        campaign = CallCampaign(checker, sampling, [pair])
        past = campaign.run(lambda done, total, text: None).pairs[0]
        fresh = [n for n in past.ranked() if n in _wrong(past) - seen]
        shown = _example(campaign, past, fresh, budget)
        found[place] = Past(good, past.traces, len(past.differing), len(fresh), shown)
        good, seen = (good, _wrong(past)) if _ends(past) else (None, frozenset())
    return found


def _declared(standings: Sequence[Standing]) -> Expected | None:
    """What is declared of several commits in a row."""
    return union(one.pair.expected for one in standings if one.pair is not None)


def _expected(between: Sequence[Standing]) -> Expected | None:
    """What is declared of any of the commits between two."""
    return union(one.pair.expected for one in between if one.pair is not None)


def _ends(tally: PairTally) -> bool:
    """Whether some trace crashes or hangs on the later side alone."""
    return any(not wrong for wrong, _ in tally.differing.values())


def _wrong(tally: PairTally) -> frozenset[int]:
    """The traces on which something else differs."""
    return frozenset(number for number, (wrong, _) in tally.differing.items() if wrong)


def _example(
    campaign: CallCampaign, tally: PairTally, fresh: Sequence[int], budget: int
) -> Counterexample | None:
    if not fresh:
        return None
    sighting = Sighting(0, fresh[0], None, tuple(fresh[1:4]), tally.shorter)
    shown = campaign.example(sighting, budget)
    if isinstance(shown, str) or shown.divergence.verdict is not Verdict.UNDECLARED:
        return None
    return shown

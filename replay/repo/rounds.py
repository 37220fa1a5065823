"""Further rounds of traces on the pairs that may still show something.

Each round has as many traces as all before it. A pair that differs is done. Any other gets
one round more, and goes on as long as the last round reached a place in its libraries that
none before had. So the effort is a function of the request and of what was reached; no
clock decides, unless seconds were asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from replay.repo.campaign import CallCampaign
from replay.repo.tallies import CallTally, PairTally
from replay.repo.targets import Progress

MOST: Final = 16
"""Times the first round that a pair gets at most, where no time is given."""


@dataclass(frozen=True, slots=True)
class First:
    """What the traces show that are run of any pairs, before further rounds.

    Attributes:
        tally: of the kept traces and of the first round.
        early: what the kept ones alone show, by the number of the pair.

    """

    tally: CallTally
    early: Mapping[int, PairTally] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ranged:
    """How the pairs of a campaign lie in the range that is verified.

    Attributes:
        said: of each tree why no trace is run for it; empty where some are.
        trees: of the first pairs, in their order: the trees of the two commits, by the place
            of the later one.

    """

    said: Sequence[str]
    trees: Mapping[int, tuple[str, ...]]


class Rounds(Protocol):
    """What decides how many traces are run on the pairs of a campaign."""

    def run(self, campaign: CallCampaign, ranged: Ranged, first: Callable[[], First]) -> First:
        """What all of them show.

        Args:
            campaign: of the pairs; it learns what they show.
            ranged: where they lie.
            first: runs those of the first round, at most once.

        """
        ...


@dataclass(frozen=True, slots=True)
class Deepening:
    """The rounds of a verification that ends by itself, or when its time is over."""

    progress: Progress

    def run(self, campaign: CallCampaign, ranged: Ranged, first: Callable[[], First]) -> First:
        """The first round, and further ones where they are asked for."""
        found, sampling = first(), campaign.sampling
        if campaign.pairs and sampling.deeper and sampling.given is None:
            deepen(campaign, found.tally, self.progress, sampling.seconds)
        return found


def deepen(
    campaign: CallCampaign, tally: CallTally, progress: Progress, seconds: float | None = None
) -> None:
    """Run further rounds, and add what they show to the tally.

    Args:
        campaign: whose first round has been run.
        tally: what that showed.
        progress: called with how much is done.
        seconds: after which no more traces are begun, to go on with each pair that does not
            differ until then; None to go on where something new is reached, up to ``MOST``
            times the first round.

    Raises:
        WorkerError: a worker could not be started, or was killed.

    """
    end = None if seconds is None else time.monotonic() + seconds
    done = first = campaign.sampling.count
    waiting = [
        place for place, pair in enumerate(campaign.pairs)
        if not (pair.before.model or pair.after.model or tally.pairs[place].differing)
    ]  # fmt: skip
    while waiting and (end is not None or done < MOST * first):
        known = {place: _places(tally.pairs[place]) for place in waiting}
        numbers = range(done, 2 * done)
        if not _round(campaign, tally, waiting, numbers, end, progress):
            return
        done = numbers.stop
        waiting = [
            place for place in waiting
            if not tally.pairs[place].differing
            and (end is not None or _places(tally.pairs[place]) > known[place])
        ]  # fmt: skip


def _places(tally: PairTally) -> int:
    """How many places of its two libraries a pair has reached."""
    return len(tally.firsts.before) + len(tally.firsts.after)


def _round(
    campaign: CallCampaign, tally: CallTally, places: list[int], numbers: range,
    end: float | None, progress: Progress,
) -> bool:  # fmt: skip
    """Run some traces on some pairs; whether there was time for all."""
    part = campaign.part(places)
    for first in range(numbers.start, numbers.stop, part.share):
        if end is not None and time.monotonic() > end:
            return False
        share = range(first, min(first + part.share, numbers.stop))
        found = part.look(share)
        for place, pair in zip(places, found.pairs, strict=True):
            tally.pairs[place].merge(pair)
        progress(share.stop, numbers.stop, f"{share.stop} traces")
    return True

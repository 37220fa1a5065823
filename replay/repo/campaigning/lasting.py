"""The rounds of a campaign in a verification: the first here, the others by workers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from replay.base.closing import Closing
from replay.campaign.drive import Drive, Limits, News
from replay.campaign.state import State
from replay.campaign.workers import Workers
from replay.errors import UsageError
from replay.repo.campaign import CallCampaign
from replay.repo.campaigning.asked import Row, made_of, request_values
from replay.repo.campaigning.sums import Learned, PairSums
from replay.repo.campaigning.work import Pairs, is_modelled, target_keys
from replay.repo.git import Commit
from replay.repo.opening import Request
from replay.repo.rounds import First, Ranged, Rounds
from replay.repo.tallies import CallTally, PairTally

CHANGED = (
    "the commits, their libraries, the binding or replay have changed since this campaign began; "
    "start a new one with --state"
)


@dataclass(slots=True)
class Lasting(Closing):
    """A campaign on the commits of a range; use it in a ``with`` statement.

    Attributes:
        request: what is verified.
        path: the file of the state, and ``resume``: whether it is there.
        limits: when it ends.
        workers: those who run the traces; closed when the last has been.
        told: hears how far it is.
        save: the folder of the examples, for whoever goes on with it.
        state: once it is open.

    """

    request: Request
    path: Path
    resume: bool
    limits: Limits
    workers: Workers
    told: Callable[[News], None] = lambda news: None
    save: str | None = None
    state: State[PairSums] | None = field(default=None, init=False)

    def close(self) -> None:
        """Let go of the state."""
        if self.state is not None:
            self.state.close()

    def rounds(self, commits: Sequence[Commit], question: str) -> Rounds:
        """The rounds of a verification of these commits that asks this."""
        return _Rounds(self, commits, question)

    def opened(self, made: str, rows: Sequence[Row], pairs: Sequence[bool]) -> State[PairSums]:
        """The state: a new one, or the one that is there, if it is of the same.

        Raises:
            UsageError: it is of something else.
            StateError: it cannot be read or written.

        """
        if not self.resume:
            asked = {"request": request_values(self.request), "save": self.save}
            sums = PairSums(asked, made, tuple(rows), tuple(pairs))
            self.state = State.create(self.path, sums)
            return self.state
        self.state = State.resume(self.path, PairSums)
        if self.state.sums.made != made:
            raise UsageError(f"{self.path}: {CHANGED}")
        return self.state


@dataclass(slots=True)
class _Rounds:
    """See ``replay.repo.rounds.Rounds``."""

    lasting: Lasting
    commits: Sequence[Commit]
    question: str

    def run(self, campaign: CallCampaign, ranged: Ranged, first: Callable[[], First]) -> First:
        """What all traces of the campaign show, those of earlier runs among them."""
        rows = self._rows(ranged)
        trees = [*ranged.trees.values(), *((),) * (len(campaign.pairs) - len(ranged.trees))]
        made = made_of(self.question, rows, list(zip(campaign.pairs, trees, strict=True)))
        opens = [bool(pair.names) and not is_modelled(pair) for pair in campaign.pairs]
        state = self.lasting.opened(made, rows, opens)
        sums, keys = state.sums, target_keys(campaign.pairs)
        state.begin()
        if sums.learned is None:
            self._first(sums, campaign, first(), keys)
            state.commit()
        learned = sums.learned
        assert learned is not None
        campaign.sampling = replace(campaign.sampling, bred=learned.bred)
        campaign.hanging = [one.copy() for one in learned.hanging]
        sums.look = lambda: _lines(campaign, sums.tallies)
        work = Pairs.of(campaign, learned.hanging, learned.noise)
        with self.lasting.workers as workers:
            Drive(state, work, workers, self.lasting.limits, self.lasting.told).run()
        for key, number in keys.items():
            campaign.repeater.noise[key] = dict(sums.noise.get(number, {}))
        # What follows is found again by each run, and stands in no state.
        whole = campaign.nothing()
        whole.merge(CallTally(sums.tallies))
        return First(whole, {n: PairTally(firsts=one) for n, one in learned.early.items()})

    def _rows(self, ranged: Ranged) -> list[Row]:
        numbers = {place: number for number, place in enumerate(ranged.trees)}
        return [
            Row(commit.id, commit.subject, numbers.get(place), ranged.said[place])
            for place, commit in enumerate(self.commits)
        ]

    @staticmethod
    def _first(
        sums: PairSums, campaign: CallCampaign, found: First, keys: Mapping[str, int]
    ) -> None:
        noise = {
            keys[key]: dict(fields)
            for key, fields in campaign.repeater.noise.items() if key in keys
        }  # fmt: skip
        bred = dict(campaign.sampling.bred)
        early = {number: tally.firsts for number, tally in found.early.items()}
        learned = Learned(tuple(campaign.hanging), noise, bred, early)
        sums.begin(learned, found.tally.pairs, campaign.sampling.count)


def _lines(campaign: CallCampaign, tallies: Sequence[PairTally]) -> tuple[int, int] | None:
    """How many of the changed lines were executed, of all pairs together."""
    done = total = 0
    known = False
    for number, (pair, tally) in enumerate(zip(campaign.pairs, tallies, strict=True)):
        reach = campaign.watch.reach(number, pair, tally.firsts)
        if reach is not None and not reach.unknown:
            known = True
            done += len(reach.executed)
            total += len(reach.executed) + len(reach.missed)
    return (done, total) if known else None

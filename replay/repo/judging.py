"""Trees of a range, as prepared → what is to be said of each: the stages in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replay.repo.bound import Unbound
from replay.repo.campaign import CallCampaign, CallTally, Sampling, Sighting
from replay.repo.checking import Checker
from replay.repo.errors import RepoError
from replay.repo.pairing import Pair, Standing, neighbours, unpaired, with_model
from replay.repo.results import Counterexample
from replay.repo.targets import Prepared, Progress
from replay.search.campaign import examples
from replay.search.verdict import Verdict

SHRUNK_PAIRS: Final = 8
"""Pairs whose example is shortened; of more, the rest show theirs as found."""


@dataclass(frozen=True, slots=True)
class PairResult:
    """What traces showed of a pair.

    Attributes:
        traces: on how many it was compared, and ``differing``: on how many it differs.
        verdict: on the trace that shows it soonest; SAME where none does, NOT_JUDGED where
            none was compared.
        shown: an example; a text says how one of the two is not repeatable; None where
            there is no difference.
        notes: what was left out of the comparison, and why.
        unseen: the functions that were called of which nothing is observed.

    """

    traces: int
    differing: int
    verdict: Verdict
    shown: Counterexample | str | None = None
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found about trees, in their order.

    Attributes:
        prepared: each, as far as it came.
        standings: how each stands to those before it.
        neighbours: what traces showed of the pair of a standing, by the place of the tree.
        model: the same for the reference model.
        calls: how often each operation was called.

    """

    prepared: Sequence[Prepared]
    standings: Sequence[Standing]
    neighbours: Mapping[int, PairResult] = field(default_factory=dict)
    model: Mapping[int, PairResult] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)


def unjudged(prepared: Sequence[Prepared]) -> Judged:
    """Trees that are not compared."""
    return Judged(prepared, [unpaired(one) for one in prepared])


def judge(
    checker: Checker, sampling: Sampling, prepared: Sequence[Prepared], budget: int,
    progress: Progress, model: tuple[Path, str] | None = None,
) -> Judged:  # fmt: skip
    """Compare each tree with the last one before it that can be called, and with a model.

    Args:
        checker: runs them.
        sampling: on which traces.
        prepared: the trees.
        budget: candidates tried to shorten an example; with 0 it is shown as it was found.
        progress: called with how much is done.
        model: a Python file and a class in it, which is executed.

    Raises:
        RepoError: the model cannot be loaded, or fails.
        WorkerError: a worker could not be started, or was killed.

    """
    loaded = checker.load(prepared)
    standings = neighbours(loaded, sampling.wanted)
    before = {place: one.pair for place, one in enumerate(standings) if one.pair is not None}
    reference = with_model(loaded, standings, model, sampling.wanted) if model else {}
    if model and reference:
        _try_model(checker, next(iter(reference.values())), model)
    campaign = CallCampaign(checker, sampling, [*before.values(), *reference.values()])
    tally = campaign.run(progress)
    progress(0, 0, "shortening examples")
    results = _results(campaign, tally, budget)
    return Judged(
        loaded,
        standings,
        dict(zip(before, results, strict=False)),
        dict(zip(reference, results[len(before) :], strict=True)),
        tally.calls,
    )


def _try_model(checker: Checker, pair: Pair, model: tuple[Path, str]) -> None:
    path, name = model
    try:
        with checker.opened(pair.before):
            pass
    except Unbound as error:
        raise RepoError(f"--model {path}:{name}: {error}") from None


def _results(campaign: CallCampaign, tally: CallTally, budget: int) -> list[PairResult]:
    """What was found of each pair, with an example where it differs."""
    seen = [
        Sighting(number, pair.soonest)
        for number, pair in enumerate(tally.pairs)
        if pair.soonest is not None
    ]
    shown: dict[int, Counterexample | str] = {}
    for few, spent in ((seen[:SHRUNK_PAIRS], budget), (seen[SHRUNK_PAIRS:], 0)):
        found = examples(campaign, few, spent, campaign.checker.threads)
        shown |= zip((one.pair for one in few), found, strict=True)
    results = []
    for number, pair in enumerate(tally.pairs):
        verdict = Verdict.SAME if pair.traces else Verdict.NOT_JUDGED
        if pair.divergence is not None:
            verdict = pair.divergence.verdict
        notes = campaign.repeater.mask(campaign.pairs[number]).notes(tally.calls)
        unseen = tuple(sorted(pair.called - pair.seen))
        if verdict is Verdict.SAME and unseen and not pair.seen:
            verdict = Verdict.UNDECIDED
        result = PairResult(
            pair.traces, len(pair.differing), verdict, shown.get(number), notes, unseen
        )
        results.append(result)
    return results

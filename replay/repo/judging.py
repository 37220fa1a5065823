"""Trees of a range, as prepared → what is to be said of each: the stages in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from replay.repo.bound import Unbound
from replay.repo.breeding import breed
from replay.repo.campaign import CallCampaign, Sampling, Sighting
from replay.repo.checking import Checker
from replay.repo.errors import RepoError
from replay.repo.evidence import Evidence, Ground, decide
from replay.repo.grounds import everything_left_out, grounds_of
from replay.repo.pairing import Pair, Standing, neighbours, unpaired, with_model
from replay.repo.past import Past, behind_crashes
from replay.repo.reach import Reach
from replay.repo.results import Counterexample
from replay.repo.tallies import CallTally, PairTally
from replay.repo.targets import Prepared, Progress
from replay.repo.watching import Sources, Watch, watch
from replay.search.campaign import examples
from replay.search.verdict import Verdict

SHRUNK_PAIRS: Final = 8
"""Pairs whose example is shortened; of more, the rest show theirs as found."""
OTHERS: Final = 8
"""Traces that are asked for an example, where those before gave none."""


@dataclass(frozen=True, slots=True)
class PairResult:
    """What traces showed of a pair.

    Attributes:
        traces: on how many it was compared, and ``differing``: on how many it differs.
        verdict: on the trace that shows it soonest; where none does, what the evidence gives.
        reason: why it is not decided.
        evidence: what was seen of it, call by call.
        shown: an example; a text says how one of the two is not repeatable; None where
            there is no difference.
        notes: what was left out of the comparison, and why.
        unseen: the functions that were called of which nothing is observed.
        reach: which of the changed lines were executed; None where it was not asked.

    """

    traces: int
    differing: int
    verdict: Verdict
    shown: Counterexample | str | None = None
    reason: str = ""
    evidence: Evidence = field(default_factory=Evidence)
    notes: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    reach: Reach | None = None


IDENTICAL: Final = PairResult(0, 0, Verdict.SAME, evidence=Evidence(identical=True))


@dataclass(frozen=True, slots=True)
class Judged:
    """What was found about trees, in their order.

    Attributes:
        prepared: each, as far as it came.
        standings: how each stands to those before it.
        neighbours: what traces showed of the pair of a standing, by the place of the tree.
        model: the same for the reference model.
        calls: how often each operation was called.
        past: those behind a crash, beside the last that had none.
        left_out: the exported functions that are not called, each with the reason.

    """

    prepared: Sequence[Prepared]
    standings: Sequence[Standing]
    neighbours: Mapping[int, PairResult] = field(default_factory=dict)
    model: Mapping[int, PairResult] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    past: Mapping[int, Past] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)


def unjudged(prepared: Sequence[Prepared]) -> Judged:
    """Trees that are not compared."""
    return Judged(prepared, [unpaired(one) for one in prepared])


def judge(
    checker: Checker, sampling: Sampling, prepared: Sequence[Prepared], budget: int,
    progress: Progress, model: tuple[Path, str] | None = None, sources: Sources | None = None,
) -> Judged:  # fmt: skip
    """Compare each tree with the last one before it that can be called, and with a model.

    Args:
        checker: runs them.
        sampling: on which traces.
        prepared: the trees.
        budget: candidates tried to shorten an example; with 0 it is shown as it was found.
        progress: called with how much is done.
        model: a Python file and a class in it, which is executed.
        sources: the trees, to ask which changed lines are executed; None not to ask.

    Raises:
        RepoError: the model cannot be loaded, or fails.
        WorkerError: a worker could not be started, or was killed.

    """
    loaded = checker.load(prepared)
    standings = neighbours(loaded, sampling.wanted)
    reference = with_model(loaded, standings, model, sampling.wanted) if model else {}
    if model and reference:
        _try_model(checker, next(iter(reference.values())), model)
    return _judged(checker, sampling, loaded, standings, reference, budget, progress, sources)


def _judged(
    checker: Checker, sampling: Sampling, loaded: Sequence[Prepared],
    standings: Sequence[Standing], reference: Mapping[int, Pair], budget: int, progress: Progress,
    sources: Sources | None,
) -> Judged:  # fmt: skip
    """Run the pairs whose code is not identical, and those with the model."""
    progress(0, 0, "comparing code")
    binding = sampling.interface.binding
    grounds = grounds_of(checker, binding, loaded, standings)
    before = _different(standings, grounds)
    campaign = CallCampaign(checker, sampling, [*before.values(), *reference.values()])
    campaign.watch = _watched(checker, sources, standings, before)
    tally = campaign.run(progress)
    breed(campaign, tally)
    progress(0, 0, "shortening examples")
    known = [None if sampling.given else grounds[place] for place in before]
    results = _results(campaign, tally, budget, known)
    tallies = dict(zip(before, tally.pairs, strict=False))
    return Judged(
        loaded, standings,
        dict.fromkeys(grounds, IDENTICAL) | dict(zip(before, results, strict=False)),
        dict(zip(reference, results[len(before) :], strict=True)),
        tally.calls,
        behind_crashes(checker, sampling, loaded, standings, tallies, budget),
        everything_left_out(binding, loaded),
    )  # fmt: skip


def _different(standings: Sequence[Standing], grounds: Mapping[int, Ground]) -> dict[int, Pair]:
    """The pairs to run, by the place of the tree: those whose code is not identical."""
    return {
        place: one.pair for place, one in enumerate(standings)
        if one.pair is not None and not grounds[place].code.identical
    }  # fmt: skip


def _watched(
    checker: Checker, sources: Sources | None, standings: Sequence[Standing],
    before: Mapping[int, Pair],
) -> Watch:  # fmt: skip
    """The changed lines of pairs, which are the first of the campaign, in their order."""
    if sources is None:
        return Watch()
    sides = [(standings[place].against, place, pair) for place, pair in before.items()]
    pairs = [((old, new), pair) for old, new, pair in sides if old is not None]
    return watch(checker.threads, sources, pairs)


def _try_model(checker: Checker, pair: Pair, model: tuple[Path, str]) -> None:
    path, name = model
    try:
        with checker.opened(pair.before):
            pass
    except Unbound as error:
        raise RepoError(f"--model {path}:{name}: {error}") from None


def _results(
    campaign: CallCampaign, tally: CallTally, budget: int, known: Sequence[Ground | None]
) -> list[PairResult]:
    """What was found of each pair, with an example where it differs.

    ``known`` is what is known of the code of the first pairs; the others are with a model.
    """
    seen = [
        Sighting(number, pair.soonest, None, tuple(pair.ranked()[1:OTHERS]), pair.shorter)
        for number, pair in enumerate(tally.pairs)
        if pair.soonest is not None
    ]
    shown: dict[int, Counterexample | str] = {}
    for few, spent in ((seen[:SHRUNK_PAIRS], budget), (seen[SHRUNK_PAIRS:], 0)):
        found = examples(campaign, few, spent, campaign.checker.threads)
        shown |= zip((one.pair for one in few), found, strict=True)
    results = []
    for number, pair in enumerate(tally.pairs):
        ground = known[number] if number < len(known) else None
        notes = campaign.repeater.mask(campaign.pairs[number]).notes(tally.calls)
        reach = campaign.watch.reach(number, campaign.pairs[number], pair.firsts)
        executed = campaign.watch.executed(number, reach)
        result = _result(pair, shown.get(number), ground, executed)
        if result.verdict is Verdict.SAME and ground is not None:
            # Nothing that changed was run: that nothing differs says nothing of it.
            reason = campaign.watch.unreached(number, reach, ground.one_sided)
            if reason:
                result = replace(result, verdict=Verdict.UNDECIDED, reason=reason)
        results.append(replace(result, notes=notes, reach=reach))
    return results


def _result(
    tally: PairTally, shown: Counterexample | str | None, ground: Ground | None,
    executed: frozenset[str],
) -> PairResult:  # fmt: skip
    unseen = tuple(sorted(tally.called - tally.seen))
    verdict, reason = decide(tally.evidence, ground, executed)
    if verdict is Verdict.SAME and (blind := _blind(tally, unseen, ground)):
        verdict, reason = Verdict.UNDECIDED, f"nothing is observed of {', '.join(blind)}"
    if isinstance(shown, Counterexample):
        verdict, reason = shown.divergence.verdict, ""
    return PairResult(
        tally.traces, len(tally.differing), verdict, shown, reason, tally.evidence, (), unseen
    )


def _blind(tally: PairTally, unseen: Sequence[str], ground: Ground | None) -> Sequence[str]:
    """The functions of which nothing is seen that a verdict would have to rest on."""
    if unseen and not tally.seen:
        return unseen
    return ground.changed(unseen) if ground is not None else ()

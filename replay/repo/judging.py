"""Trees of a range, as prepared → what is to be said of each: the stages in their order."""

from __future__ import annotations

from collections import Counter
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
from replay.repo.expected import Expected
from replay.repo.feeding import feed
from replay.repo.grounds import everything_left_out, grounds_of
from replay.repo.pairing import Pair, Standing, declaring, neighbours, unpaired, with_model
from replay.repo.past import Past, behind_crashes
from replay.repo.prove.proof import Proof
from replay.repo.recalling import Recall, calls_of
from replay.repo.remembered import Known, total
from replay.repo.results import Counterexample, PairResult
from replay.repo.rounds import Deepening, First, Ranged, Rounds
from replay.repo.tallies import CallTally, PairTally
from replay.repo.targets import Prepared, Progress
from replay.repo.watching import Sources, Watch, watch
from replay.search.campaign import examples
from replay.search.verdict import Verdict

SHRUNK_PAIRS: Final = 32
"""Pairs whose example is shortened; of more, the rest show theirs as found."""
OTHERS: Final = 8
"""Traces that are asked for an example, where those before gave none."""


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
        remembered: the places of those whose verdict an earlier run found.
        proofs: of the pairs that were to be proved, by the place of the tree.

    """

    prepared: Sequence[Prepared]
    standings: Sequence[Standing]
    neighbours: Mapping[int, PairResult] = field(default_factory=dict)
    model: Mapping[int, PairResult] = field(default_factory=dict)
    calls: Mapping[str, int] = field(default_factory=dict)
    past: Mapping[int, Past] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    remembered: frozenset[int] = frozenset()
    proofs: Mapping[int, Proof] = field(default_factory=dict)


def unjudged(prepared: Sequence[Prepared]) -> Judged:
    """Trees that are not compared."""
    return Judged(prepared, [unpaired(one) for one in prepared])


def judge(
    checker: Checker, sampling: Sampling, prepared: Sequence[Prepared], budget: int,
    progress: Progress, model: tuple[Path, str] | None = None, sources: Sources | None = None,
    recall: Recall | None = None, declared: Sequence[Expected | None] = (),
    rounds: Rounds | None = None,
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
        recall: what is known of before; None to do without.
        declared: how each may differ from the one before it in the list; empty for not at all.
        rounds: how many traces are run; None for as many as the sampling says.

    Raises:
        ExpectError: a rule of what is declared fails.
        RepoError: the model cannot be loaded, or fails.
        WorkerError: a worker could not be started, or was killed.

    """
    loaded = checker.load(prepared)
    standings = neighbours(loaded, sampling.wanted)
    if declared:
        standings = declaring(standings, declared)
    reference = with_model(loaded, standings, model, sampling.wanted) if model else {}
    if model and reference:
        _try_model(checker, next(iter(reference.values())), model)
    recall = recall or Recall()
    recall.trees = _trees(standings, sources)
    return _judged(
        checker, sampling, loaded, standings, reference, budget, progress, sources, recall,
        rounds or Deepening(progress),
    )  # fmt: skip


def _judged(
    checker: Checker, sampling: Sampling, loaded: Sequence[Prepared],
    standings: Sequence[Standing], reference: Mapping[int, Pair], budget: int, progress: Progress,
    sources: Sources | None, recall: Recall, rounds: Rounds,
) -> Judged:  # fmt: skip
    """Run the pairs whose code is not identical nor known, and those with the model."""
    progress(0, 0, "comparing code")
    grounds = grounds_of(checker, sampling.interface.binding, loaded, standings)
    pairs = _different(standings, grounds)
    known = recall.known(pairs)
    before = {place: pair for place, pair in pairs.items() if place not in known}
    campaign = CallCampaign(checker, sampling, [*before.values(), *reference.values()])
    campaign.watch = _watched(checker, sources, standings, before)
    ranged = _ranged(standings, grounds, {place: recall.trees.get(place, ()) for place in before})
    tally = _run(campaign, recall, rounds, ranged, progress)
    calls = _calls(campaign, tally, pairs, known)
    progress(0, 0, "shortening examples")
    grounded = [None if sampling.given else grounds[place] for place in before]
    results, shortened = _results(campaign, tally, budget, grounded, _left(known), calls)
    recall.keep(campaign, tally, tuple(before), results, shortened)
    tallies = dict(zip(before, tally.pairs, strict=False))
    tallies |= {place: _as_if(one.result) for place, one in known.items()}
    found = dict.fromkeys(grounds, IDENTICAL) | dict(zip(before, results, strict=False))
    found |= {place: one.result for place, one in known.items()}
    return Judged(
        loaded, standings, found, dict(zip(reference, results[len(before) :], strict=True)),
        calls, behind_crashes(checker, sampling, loaded, standings, tallies, budget),
        everything_left_out(sampling.interface.binding, loaded), frozenset(known),
    )  # fmt: skip


def _left(known: Mapping[int, Known]) -> int:
    """Pairs whose example may still be shortened, beside those of which one is known."""
    shown = sum(isinstance(one.result.shown, Counterexample) for one in known.values())
    return max(SHRUNK_PAIRS - shown, 0)


def _ranged(
    standings: Sequence[Standing], grounds: Mapping[int, Ground],
    trees: Mapping[int, tuple[str, ...]],
) -> Ranged:  # fmt: skip
    """How the pairs that are run lie among the trees."""

    def said(place: int, one: Standing) -> str:
        if place in trees:
            return ""
        if place in grounds and grounds[place].code.identical:
            return "identical code"
        return one.reason or one.verdict.value

    return Ranged([said(place, one) for place, one in enumerate(standings)], trees)


def _run(
    campaign: CallCampaign, recall: Recall, rounds: Rounds, ranged: Ranged, progress: Progress
) -> CallTally:
    """What traces show: those that were kept, those of the first round, and more."""
    whole = rounds.run(campaign, ranged, lambda: _first(campaign, recall, progress))
    tally = whole.tally
    breed(campaign, tally)
    feed(campaign, tally)
    for number, found in whole.early.items():
        tally.pairs[number].firsts.fill(found.firsts)
    return tally


def _first(campaign: CallCampaign, recall: Recall, progress: Progress) -> First:
    """What the traces show that were kept, and those of the first round."""
    if not campaign.pairs:
        return First(campaign.nothing())
    sampling = campaign.sampling
    early = recall.before(campaign) if sampling.given is None else {}
    tally = campaign.run(progress)
    if sampling.given is None:
        recall.ask(campaign, tally)
    for number, found in early.items():
        if found.differing and not tally.pairs[number].differing:
            tally.pairs[number].merge(found)
    return First(tally, early)


def _calls(
    campaign: CallCampaign, tally: CallTally, pairs: Mapping[int, Pair],
    known: Mapping[int, Known],
) -> Counter[str]:  # fmt: skip
    """How often each operation was called, for the pairs that were run and those known."""
    ran = zip(campaign.pairs, tally.pairs, strict=True)
    return total(
        [*((pair.names, calls_of(one)) for pair, one in ran),
         *((pairs[place].names, one.calls) for place, one in known.items())]
    )  # fmt: skip


def _as_if(result: PairResult) -> PairTally:
    """What stands for the traces of a pair of which the verdict is remembered: none crashed."""
    return PairTally(differing=dict.fromkeys(range(result.differing), (True, 0)))


def _trees(standings: Sequence[Standing], sources: Sources | None) -> dict[int, tuple[str, ...]]:
    """The trees of each pair, where changed lines are asked for."""
    if sources is None:
        return {}
    return {
        place: (sources.trees[one.against], sources.trees[place])
        for place, one in enumerate(standings) if one.against is not None
    }  # fmt: skip


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
    campaign: CallCampaign, tally: CallTally, budget: int, known: Sequence[Ground | None],
    full: int, calls: Mapping[str, int],
) -> tuple[list[PairResult], list[bool]]:  # fmt: skip
    """What was found of each pair, with an example where it differs.

    ``known`` is what is known of the code of the first pairs; the others are with a model.
    The examples of the first ``full`` pairs that differ have the whole budget: which, is
    told of each pair beside what was found. ``calls``: how often each operation was called.
    """
    seen = [
        Sighting(number, pair.soonest, None, tuple(pair.ranked()[1:OTHERS]), pair.shorter)
        for number, pair in enumerate(tally.pairs)
        if pair.soonest is not None
    ]
    shown: dict[int, Counterexample | str] = {}
    for few, spent in ((seen[:full], budget), (seen[full:], 0)):
        found = examples(campaign, few, spent, campaign.checker.threads)
        shown |= zip((one.pair for one in few), found, strict=True)
    results = []
    for number, pair in enumerate(tally.pairs):
        ground = known[number] if number < len(known) else None
        notes = campaign.repeater.mask(campaign.pairs[number]).notes(calls)
        reach = campaign.watch.reach(number, campaign.pairs[number], pair.firsts)
        executed = campaign.watch.executed(number, reach)
        result = _result(pair, shown.get(number), ground, executed)
        if result.verdict is Verdict.SAME and ground is not None:
            # Nothing that changed was run: that nothing differs says nothing of it.
            reason = campaign.watch.unreached(number, reach, ground.one_sided)
            if reason:
                result = replace(result, verdict=Verdict.UNDECIDED, reason=reason)
        results.append(replace(result, notes=notes, reach=reach))
    late = {one.pair for one in seen[full:]}
    return results, [number not in late for number in range(len(results))]


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
        tally.traces, len(tally.differing), verdict, shown, reason, tally.evidence, (), unseen,
        declared=tally.declared, kinds=frozenset(tally.kinds),
    )  # fmt: skip


def _blind(tally: PairTally, unseen: Sequence[str], ground: Ground | None) -> Sequence[str]:
    """The functions of which nothing is seen that a verdict would have to rest on."""
    if unseen and not tally.seen:
        return unseen
    return ground.changed(unseen) if ground is not None else ()

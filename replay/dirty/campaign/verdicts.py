"""What a campaign comes to: the verdicts of each lane, and what nothing declares."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from replay.dirty.campaign.corpus import Corpus, for_path
from replay.dirty.campaign.drawing import EPOCH
from replay.dirty.campaign.judging import judged
from replay.dirty.campaign.sums import StepSums
from replay.dirty.campaign.work import CORPUS, Asked
from replay.dirty.language.language import LANGUAGE
from replay.dirty.language.trace import Trace
from replay.dirty.machine.reach import Reach, reach
from replay.series.verdict import CheckResult, Example, Failure


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that nothing declares.

    Attributes:
        lane, step: where.
        failure: what, with the example where one was made.
        finding: how its campaign gets at an example; None for a direct call.

    """

    lane: str
    step: int
    failure: Failure
    finding: Any = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a campaign has come to so far.

    Attributes:
        sums: what it did.
        lanes: the verdicts of each lane; those on the corpus begin with CORPUS.
        differences: what nothing declares, in any of them.
        reach: what its traces reached; None before the first.
        files: the file in the corpus of each example, by its identity.

    """

    sums: StepSums
    lanes: dict[str, CheckResult]
    differences: tuple[Difference, ...]
    reach: Reach | None
    files: dict[int, str] = field(default_factory=dict)

    @property
    def undecided(self) -> list[tuple[str, int, str]]:
        """(lane, step, verdict) of what has not been shown, or not been compared."""
        return [
            (lane, step.step, step.verdict.value)
            for lane, result in self.lanes.items()
            if not lane.startswith(CORPUS)
            for step in result.steps
            if not step.verdict.passes and not step.failures
        ]


def outcome(sums: StepSums) -> Outcome:
    """What a campaign has come to."""
    lanes, differences = {}, []
    for lane, tally in sums.tallies.items():
        lanes[lane], found = judged(sums.asked, lane.removeprefix(CORPUS), tally)
        differences += [Difference(lane, *one) for one in found]
    reached = reach(sums.coverage) if sums.coverage.traces else None
    return Outcome(sums, lanes, tuple(differences), reached)


# --- what is kept of it -----------------------------------------------------------------------


def with_examples(
    found: Outcome,
    asked: Asked,
    corpus: Corpus,
    kept: tuple[Trace, ...],
    budget: int,
    most: int = 10,
) -> Iterator[Difference]:
    """Make the example of each difference, the first few, and keep it in the corpus.

    The failures of ``found`` are given their examples, and each is yielded when it has been.
    """
    sums = found.sums
    for one in found.differences[:most]:
        if one.finding is None:
            continue
        lane = one.lane.removeprefix(CORPUS)
        plan = asked.plan(sums.wanted, kept if lane != one.lane else None)
        campaign: Any = asked.campaign(lane, plan)
        example, text = campaign.example(one.finding, budget)
        assert isinstance(example, Example)
        one.failure.example = example
        one.failure.text = text or one.failure.text
        path = corpus.add(example.trace, f"{lane} {example.trace.name}")
        found.files[id(example)] = path.name
        sums.kept[path.name] = f"{one.lane}: step {one.step}: {one.failure.what}"
        yield one


def keep_rare(sums: StepSums, found: Outcome, corpus: Corpus, budget: int, most: int) -> None:
    """Keep a small trace for each of the rarest paths that the campaign reached."""
    if found.reach is None or sums.asked.copies or sums.end < ENOUGH:
        return
    plan = sums.asked.plan(sums.wanted)
    here = {trace.name for _, trace in corpus.read()}
    reached = found.reach
    rows = [row for row in reached.possible if max(row.counts) and 0 <= (row.least or 0) <= RARE]
    rows.sort(key=lambda row: (row.least, str(row.path)))
    for row in rows[:most]:
        name = f"path: {row.path}"
        number = reached.firsts.get(row.path)
        if name in here or number is None:
            continue
        trace = plan.draw(number).renamed(name)
        small = for_path(plan, trace, row.path, budget)
        if small is not None and LANGUAGE.is_valid(small.trace):
            sums.kept[corpus.add(small.trace).name] = name


RARE: Final = 2
"""How often a path is taken at most, at some step, that a trace is kept for it."""

ENOUGH: Final = 2 * EPOCH
"""Of fewer traces than this most paths are rare, and nothing is kept for that."""

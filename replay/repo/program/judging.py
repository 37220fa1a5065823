"""The verdicts on the programs of commits, each beside the last one that has a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from replay.repo.expecting import patch_ids
from replay.repo.program.campaign import ProgramCampaign
from replay.repo.program.case import Case, quoted
from replay.repo.program.comparing import END, Noise
from replay.repo.program.evidence import Evidence, decide
from replay.repo.program.expecting import declared
from replay.repo.program.language import CaseLanguage
from replay.repo.program.opening import Ready, Work
from replay.repo.program.remembered import Known
from replay.repo.program.results import ProgramReport, Row
from replay.repo.program.tallies import Example, Pair, PairTally, Sighting
from replay.repo.settling import settled, told
from replay.repo.targets import Progress
from replay.search.campaign import examples
from replay.search.verdict import Verdict

SHRUNK: Final = 8
"""Pairs whose example is shortened; of more, the rest show theirs as found."""
TRIED: Final = 6
"""Cases that are asked for an example, where those before gave none."""


def judge(
    work: Work, places: Sequence[int], ready: Sequence[Ready], progress: Progress,
    given: Case | None = None,
) -> ProgramReport:  # fmt: skip
    """Compare each of some commits with the last one before it that has a program.

    Raises:
        ExpectError: a rule of what is declared fails.
        WorkerError: a program cannot be run here at all.

    """
    rows, pairs = _paired(work, places, ready)
    compared = {at: pair for at, pair in pairs.items() if pair.before.key != pair.after.key}
    alone = given is not None or work.sampling.given is not None
    known: dict[int, Known] = {}
    for at, pair in compared.items() if not alone else ():
        remembered = work.memory.known(pair)
        if remembered is not None:
            known[at] = remembered
    _note(work, len(known), len(compared))
    asked = {at: pair for at, pair in compared.items() if at not in known}
    campaign = work.campaign(list(asked.values()), given)
    tally = campaign.run(progress, work.request.seconds)
    progress(0, 0, "shortening examples")
    found = _examples(work, campaign, tally.pairs)
    unsteady: dict[int, str] = {}
    for number, (at, pair) in enumerate(asked.items()):
        one, shown = tally.pairs[number], found.get(number)
        if isinstance(shown, str):
            unsteady[at], shown = shown, None
        rows[at] = replace(rows[at], notes=(*rows[at].notes, *_noise(one.noise)))
        known[at] = Known.of(one, shown)
        if not (alone or at in unsteady or one.noise):
            work.memory.remember(pair, known[at])
    same = Known.of(PairTally(evidence=Evidence(identical=True)), None)
    for at, pair in pairs.items():
        rows[at] = _judged(rows[at], at, pair, known.get(at, same), unsteady.get(at, ""), alone)
    if work.memory.problem:
        work.history = work.history.noting(work.memory.problem)
    return reported(work, rows, campaign.sampling.count)


def _paired(
    work: Work, places: Sequence[int], ready: Sequence[Ready]
) -> tuple[list[Row], dict[int, Pair]]:
    """What is known of each commit, and what it is to be compared with, by its place here."""
    rows: list[Row] = []
    pairs: dict[int, Pair] = {}
    last: int | None = None
    for at, (place, one) in enumerate(zip(places, ready, strict=True)):
        rows.append(_row(work, at, place, one, last))
        if one.target is None:
            continue
        if last is not None:
            rows[at] = _beside(rows[at], work, places, at, last)
            old = ready[last].target
            assert old is not None
            pairs[at] = Pair(old, one.target, declared(work.expecting, places[last], place))
        last = at
    return rows, pairs


def _note(work: Work, few: int, many: int) -> None:
    """Note where verdicts are an earlier run's."""
    if few:
        work.history = work.history.noting(
            f"{few} of {many} verdicts are those of an earlier run on the same programs; --fresh "
            "judges anew"
        )


def reported(work: Work, rows: Sequence[Row], runs: int) -> ProgramReport:
    """The report of some rows."""
    guilty = [row.commit for row in rows if row.verdict.is_guilty]
    return ProgramReport(
        tuple(rows), work.request.program, work.request.seed, runs, work.history.notes,
        patch_ids(guilty, work.history.store),
    )  # fmt: skip


def _row(work: Work, at: int, place: int, one: Ready, last: int | None) -> Row:
    """What is known of a commit before anything is run."""
    notes = (*work.history.remarks[place], *one.notes)
    row = Row(work.history.commits[place], notes=notes, cached=one.cached)
    if one.obstacle is not None:
        stop = one.obstacle
        return replace(row, verdict=stop.verdict, reason=stop.reason, output=stop.output)
    if last is None and at:
        return replace(row, reason="no commit before it could be built and run")
    return row if at else replace(row, verdict=Verdict.BASE)


def _beside(row: Row, work: Work, places: Sequence[int], at: int, last: int) -> Row:
    """The same, with the commit that it is compared with."""
    commits = [work.history.commits[place] for place in places]
    row = replace(row, against=commits[last])
    if at == last + 1:
        return row
    between = ", ".join(commit.short for commit in commits[last + 1 : at])
    note = f"compared with {commits[last].short}; what is found may have come with {between}"
    return replace(row, notes=(*row.notes, note))


def _examples(
    work: Work, campaign: ProgramCampaign, tallies: Sequence[PairTally]
) -> Mapping[int, Example | str]:
    """An example of each pair that differs; those of the first few are shortened."""
    language = CaseLanguage(campaign.sampling.inputs)
    seen = []
    for number, pair in enumerate(tallies):
        ranked = sorted(pair.differing, key=lambda n: language.size(campaign.sampling.case(n)))
        if ranked:
            seen.append(Sighting(number, tuple(ranked[:TRIED])))
    shown: dict[int, Example | str] = {}
    whole = 0 if work.sampling.given is not None else work.request.budget
    for few, budget in ((seen[:SHRUNK], whole), (seen[SHRUNK:], 0)):
        found = examples(campaign, few, budget, work.threads)
        shown |= zip((one.pair for one in few), found, strict=True)
    return shown


def _judged(row: Row, at: int, pair: Pair, known: Known, unsteady: str, given: bool) -> Row:
    """The verdict on a commit, by what was found; ``unsteady``: why there is no example."""
    evidence, example = known.evidence, known.example
    verdict, reason = decide(evidence, given)
    row = replace(
        row, differing=known.differing, evidence=evidence, declared=told(pair.expected, known),
        kinds=known.kinds,
    )  # fmt: skip
    if unsteady:
        verdict, reason = Verdict.NOT_JUDGED, f"it is not deterministic: {unsteady}"
    elif example is not None:
        verdict, reason = example.divergence.verdict, ""
        name = f"commit-{at}-{verdict.value.rpartition(' ')[2]}"
        row = replace(row, example=example, name=name)
    verdict, reason = settled(verdict, reason, row.declared, evidence.runs, given, "runs")
    return replace(row, verdict=verdict, reason=reason)


def _noise(found: Noise) -> list[str]:
    """What was left out of a comparison, and a guess why."""
    return [
        f"not the same twice, and left out of the comparison: "
        f"{'how it ends' if name == END else name}{f', {kind}' if kind else ''} "
        f"({quoted(one, 40)}, then {quoted(other, 40)})"
        for (name, kind), (one, other) in sorted(found.items())
    ]

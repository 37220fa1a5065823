"""What a campaign has come to: what was run, what nothing declares, what was reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replay.base.jsonlines import printable
from replay.base.style import PLAIN, WIDTH, Style, counted, wrapped
from replay.dirty.campaign.verdicts import Difference, Outcome
from replay.elf.identification import ranges
from replay.repo.campaigning.asked import Row
from replay.repo.campaigning.sums import PairSums
from replay.report.checking import Saved, example_lines, step_json
from replay.report.commits import CommitsView, view_json, view_lines
from replay.report.covering import missed_lines, reached_line
from replay.report.output import shows
from replay.search.verdict import Verdict


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign, where its state and its corpus are, and the command that runs traces."""

    outcome: Outcome
    state: Path
    corpus: Path
    command: str = "replay"
    missed: bool = False
    """Whether the paths that were not reached are listed."""


def campaign_lines(view: CampaignView, style: Style = PLAIN) -> list[str]:
    """The whole report; its last line is the verdict."""
    found = view.outcome
    sums = found.sums
    rate = f", {sums.ops / sums.seconds:,.0f} a second" if sums.seconds else ""
    lines = [
        f"campaign {view.state}",
        f"{counted(sums.end, 'trace')} of {sums.asked.ops} operations, seed {sums.asked.seed}: "
        f"{sums.ops:,} operations at {counted(len(sums.asked.plan().needed), 'step')} in lanes "
        f"{', '.join(sums.asked.lanes)}{rate}",
    ]
    if sums.corpus:
        lines.append(f"{counted(len(sums.corpus), 'trace')} of the corpus ran first")
    if found.reach:
        lines.append(reached_line(found.reach, style))
        lines += missed_lines(found.reach, style) if view.missed else []
    if sums.kept:
        lines.append(f"kept in {view.corpus}:")
        lines += [f"  {name}" for name in sums.kept]
    for one in found.differences:
        lines += ["", *_difference(one, view, style)]
    return [*lines, "", *_verdict(found, style)]


def _difference(one: Difference, view: CampaignView, style: Style) -> list[str]:
    failure = one.failure
    what = f"difference in {', '.join(failure.fields)}" if failure.fields else failure.what
    said = f"step {one.step}, lane {one.lane}: {what}, shown by {counted(failure.count, 'trace')}"
    lines = [style.bad(said), *wrapped(" ".join(failure.text.split()), "  ")]
    if failure.example is None:
        return lines
    files = {key: view.corpus / name for key, name in view.outcome.files.items()}
    saved = Saved(files, view.command)
    return lines + example_lines(failure.example, one.step, saved, style, failure.comparison)


def _verdict(found: Outcome, style: Style) -> list[str]:
    lines = []
    for lane, result in found.lanes.items():
        counts: dict[Verdict, list[int]] = {}
        for step in result.steps:
            counts.setdefault(step.verdict, []).append(step.step)
        if lane.startswith("corpus/"):
            continue
        said = []
        for verdict, steps in counts.items():
            where = "" if verdict.passes else f" ({ranges(steps)})"
            said.append(f"{len(steps)} {verdict.value}{where}")
        lines.append(f"{lane}: {', '.join(said)}")
    if found.differences:
        return [*lines, style.bad(f"{counted(len(found.differences), 'difference')} found")]
    if found.undecided:
        return [*lines, style.new("no difference found; not all is shown yet")]
    return [*lines, style.good("no difference found: all steps as claimed")]


def campaign_json(view: CampaignView) -> dict[str, Any]:
    """The same as plain values; the same for any number of processes but for ``seconds``."""
    found = view.outcome
    sums, reached = found.sums, found.reach
    return {
        "format": "replay-campaign/1",
        "state": str(view.state),
        **sums.asked.to_json(),
        "traces": sums.end,
        "operations": sums.ops,
        "seconds": round(sums.seconds, 3),
        "corpus": len(sums.corpus or ()),
        "kept": dict(sorted(sums.kept.items())),
        "paths": None if reached is None else {
            "possible": len(reached.possible),
            "missed": [{"path": str(p), "steps": list(s)} for p, s in reached.missed()],
        },
        "lanes": {
            lane: [step_json(step) for step in result.steps]
            for lane, result in sorted(found.lanes.items())
        },
        "differences": len(found.differences),
        "passed": not found.differences and not found.undecided,
    }  # fmt: skip


shows(CampaignView, campaign_lines, campaign_json)


# --- campaigns on commits -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LastingView(CommitsView):
    """The commits of a range, judged by a campaign.

    Attributes:
        sums: what it did; None where nothing could be called, and so no campaign began.
        state: its file.
    """

    sums: PairSums | None = None
    state: Path = Path()


def lasting_lines(view: LastingView, style: Style = PLAIN) -> list[str]:
    """What the campaign did, and then the report of a verification."""
    head = [] if view.sums is None else ["", *_head(view.sums, view.state)]
    return [*head, *view_lines(view, style)]


def lasting_json(view: LastingView) -> dict[str, Any]:
    """The report as plain values, with what the campaign did."""
    sums = view.sums
    about = None if sums is None else {"state": str(view.state), **_did(sums)}
    return {**view_json(view), "campaign": about}


def _head(sums: PairSums, state: Path) -> list[str]:
    request = sums.asked["request"]
    rate = f", {sums.ops / sums.seconds:,.0f} a second" if sums.seconds else ""
    lines = [
        f"campaign {state}",
        f"{counted(sums.end, 'trace')} of up to {request['ops']} calls, seed {request['seed']}: "
        f"{sums.ops:,} calls drawn for {counted(len(sums.tallies), 'comparison')}{rate}",
    ]
    return [line for text in lines for line in wrapped(printable(text), "")]


def _did(sums: PairSums) -> dict[str, Any]:
    return {
        "range": sums.asked["request"]["commits"],
        "seed": sums.asked["request"]["seed"],
        "traces": sums.end,
        "calls": sums.ops,
        "seconds": round(sums.seconds, 3),
        "changed_lines": None if sums.lines is None else list(sums.lines),
        "differences": sums.differences(),
    }


@dataclass(frozen=True, slots=True)
class PairsView:
    """How far a campaign on commits is, and where its state is."""

    sums: PairSums
    state: Path


def pairs_lines(view: PairsView, style: Style = PLAIN) -> list[str]:
    """A line a commit; the last line says what it has come to."""
    sums = view.sums
    lines = [*_head(sums, view.state), f"commits {printable(sums.asked['request']['commits'])}"]
    if sums.lines is not None:
        lines.append(f"{sums.lines[0]} of {counted(sums.lines[1], 'changed line')} executed")
    for row in sums.commits:
        lines.append(f"  {row.short}  {_so_far(sums, row):<34}  {printable(row.subject)}"[:WIDTH])
    if sums.learned is None:
        return [*lines, "", "the first round is not done yet"]
    found = sums.differences()
    if found:
        return [*lines, "", style.bad(f"{counted(found, 'commit')} with a difference")]
    return [*lines, "", style.good("no difference so far")]


def _so_far(sums: PairSums, row: Row) -> str:
    if row.pair is None or row.pair >= len(sums.tallies):
        return printable(row.said) if row.pair is None else "not run yet"
    tally = sums.tallies[row.pair]
    if tally.differing:
        return f"differs on {len(tally.differing)} of {tally.traces} traces"
    return f"no difference on {counted(tally.traces, 'trace')}"


def pairs_json(view: PairsView) -> dict[str, Any]:
    """The same as plain values."""
    sums = view.sums
    return {
        "format": "replay-campaign/1",
        "state": str(view.state),
        **_did(sums),
        "commits": [
            {
                "commit": row.id, "subject": row.subject, "said": _so_far(sums, row),
                "traces": _of(sums, row, "traces"), "differing": _of(sums, row, "differing"),
            }
            for row in sums.commits
        ],
    }  # fmt: skip


def _of(sums: PairSums, row: Row, what: str) -> int | None:
    if row.pair is None or row.pair >= len(sums.tallies):
        return None
    tally = sums.tallies[row.pair]
    return tally.traces if what == "traces" else len(tally.differing)


shows(LastingView, lasting_lines, lasting_json)
shows(PairsView, pairs_lines, pairs_json)

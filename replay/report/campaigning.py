"""What a campaign has come to: what was run, what nothing declares, what was reached."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replay.base.style import PLAIN, Style, counted, wrapped
from replay.dirty.campaign.verdicts import Difference, Outcome
from replay.elf.identification import ranges
from replay.report.checking import Saved, example_lines, step_json
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

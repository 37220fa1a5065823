"""What a search over steps found, and what shows it, as text and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from replay.base.style import PLAIN, Style
from replay.report.output import TEXT, render, shows
from replay.report.patching import patch_lines
from replay.search.bisect import Answer, Bisection, Probe
from replay.series.guilty import GuiltyStep
from replay.series.symptoms import Kind, Question


@dataclass(frozen=True, slots=True)
class BisectView:
    """A search: what was asked, what was found, and the titles of the steps found."""

    question: Question
    result: Bisection
    titles: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class TreeJudged:
    """What a test for 'git bisect run' says of one tree."""

    answer: Answer
    note: str


def probe_line(probe: Probe) -> str:
    """One step that was asked."""
    return f"step {probe.step:>2}  {probe.answer.value:<4}  {probe.note}"


def result_lines(view: BisectView, style: Style = PLAIN) -> list[str]:
    """The answer in a few lines."""
    question, result = view.question, view.result
    why = "" if result.method == "binary search" else _why(question)
    lines = [f"{result.method}, {len(result.probes)} probes{why}"]
    for step in result.guilty:
        lines.append(style.bad(f"guilty: step {step}: {view.titles[step]}"))
        note = next((p.note for p in result.probes if p.step == step), "")
        lines += textwrap.wrap(note, 76, initial_indent="  ", subsequent_indent="  ")
    for step in result.mended:
        if not (question.trace and question.against == "before") and not question.api:
            lines.append(style.good(f"mended: step {step}: {view.titles[step]}"))
    if result.suspects:
        steps = ", ".join(map(str, result.suspects))
        lines.append(style.new(f"one of these, some of which could not be judged: {steps}"))
    if not result.guilty and not result.suspects:
        lines.append("no step is guilty")
    return lines


def _why(question: Question) -> str:
    if question.property or question.against not in ("before", "model"):
        return " (asked for)"
    changes = question.api or question.elf or question.against == "before"
    return f" ({(Kind.CHANGE if changes else Kind.FREE).value})"


def guilty_lines(guilty: GuiltyStep, style: Style = PLAIN) -> list[str]:
    """The patch, and the shortest trace before and after, side by side."""
    lines = ["", style.strong(f"==== step {guilty.step} ====")]
    if guilty.patch is not None:
        lines += patch_lines(guilty.patch, guilty.declared, style)
    elif guilty.problem:
        lines.append(f"its patch cannot be shown: {guilty.problem}")
    if guilty.comparison is not None:
        old, new = guilty.comparison.steps
        lines += ["", style.strong(f"The shortest trace, at steps {old} and {new}"), ""]
        lines += render(guilty.comparison, TEXT, style).split("\n")
    return lines


def result_json(view: BisectView) -> dict[str, Any]:
    """The search as plain values."""
    result = view.result
    return {
        "format": "replay-bisect/1",
        "question": view.question.plain(),
        "method": result.method,
        "guilty": list(result.guilty),
        "mended": list(result.mended),
        "suspects": list(result.suspects),
        "probes": [
            {"step": p.step, "answer": p.answer.value, "note": p.note} for p in result.probes
        ],
    }


shows(BisectView, result_lines, result_json)
shows(GuiltyStep, guilty_lines)
shows(Probe, lambda probe, style: [probe_line(probe)])
shows(TreeJudged, lambda judged, style: [f"{judged.answer.value}: {judged.note}"])

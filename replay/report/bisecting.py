"""What a search over steps found, as text and as JSON."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from replay.base.style import PLAIN, Style
from replay.dirty.language import language
from replay.dirty.language.trace import Trace
from replay.dirty.symptoms import (
    Ask,
    Kind,
    Lane,
    Question,
    property_breaks,
    the_traces,
    trace_changes,
)
from replay.report.comparing import compare_runs, comparison_lines
from replay.report.patching import patch_lines
from replay.search.bisect import Answer, Bisection, Probe
from replay.series.declared import load
from replay.series.patches import PatchError, read_patches


def probe_line(probe: Probe) -> str:
    """One step that was asked."""
    return f"step {probe.step:>2}  {probe.answer.value:<4}  {probe.note}"


def result_lines(question: Question, result: Bisection, style: Style = PLAIN) -> list[str]:
    """The answer in a few lines."""
    series = load()
    why = "" if result.method == "binary search" else _why(question)
    lines = [f"{result.method}, {len(result.probes)} probes{why}"]
    for step in result.guilty:
        lines.append(style.bad(f"guilty: step {step}: {series.title(step)}"))
        note = next((p.note for p in result.probes if p.step == step), "")
        lines += textwrap.wrap(note, 76, initial_indent="  ", subsequent_indent="  ")
    for step in result.mended:
        if not (question.trace and question.against == "before") and not question.api:
            lines.append(style.good(f"mended: step {step}: {series.title(step)}"))
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


def guilty_lines(question: Question, step: int, style: Style = PLAIN) -> list[str]:
    """The patch, and the shortest trace before and after, side by side."""
    folder = Path(question.series) if question.series else None
    lines = ["", style.strong(f"==== step {step} ====")]
    try:
        patch = read_patches(folder)[step - 1]
        lines += patch_lines(patch, load().step(step), style)
    except (PatchError, IndexError) as error:
        lines.append(f"its patch cannot be shown: {error}")
    small = shortest(question, step)
    if small is not None:
        lane = Lane(question)
        old, new = lane.run(step - 1, small), lane.run(step, small)
        lines += ["", style.strong(f"The shortest trace, at steps {step - 1} and {step}"), ""]
        lines += comparison_lines(compare_runs(old, new), style)  # type: ignore[arg-type]
    return lines


def shortest(question: Question, step: int, budget: int = 600) -> Trace | None:
    """The shortest trace that shows the symptom at a step and not at the one before."""
    if question.api or question.elf:
        return None
    lane = Lane(question)

    def shows(trace: Trace) -> bool:
        ask: Ask
        if question.property:
            ask = property_breaks(lane, question.property, [trace])
            return ask(step)[0] is Answer.BAD and ask(step - 1)[0] is Answer.GOOD
        ask = trace_changes(lane, trace)
        return ask(step)[0] is Answer.BAD

    found = next((trace for trace in the_traces(question) if shows(trace)), None)
    return None if found is None else language.shrink(found, shows, budget).trace


def result_json(question: Question, result: Bisection) -> dict[str, Any]:
    """The search as plain values."""
    return {
        "format": "replay-bisect/1",
        "question": question.plain(),
        "method": result.method,
        "guilty": list(result.guilty),
        "mended": list(result.mended),
        "suspects": list(result.suspects),
        "probes": [
            {"step": p.step, "answer": p.answer.value, "note": p.note} for p in result.probes
        ],
    }

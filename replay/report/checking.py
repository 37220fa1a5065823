"""What a check found: a row a step, what deviates and how, and what to run to see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replay.base.style import PLAIN, WIDTH, Style, counted, wrapped
from replay.report.output import shows
from replay.search.verdict import Verdict
from replay.series.declared import Deviation
from replay.series.names import before
from replay.series.verdict import (
    CheckResult,
    Comparison,
    DeviationFound,
    Example,
    Failure,
    PropertyFound,
    StepResult,
)

INDENT = " " * 6

MARKS: Mapping[Comparison, tuple[str, str]] = {
    Comparison.MODELS: ("m", "the models"),
    Comparison.C: ("c", "the C"),
    Comparison.C_MODEL: ("=", "C and model"),
}
"""The letter of each comparison in a row, and what it means."""

BETWEEN: Mapping[Comparison, str] = {
    Comparison.MODELS: "",
    Comparison.C: " between the C of the two steps",
    Comparison.C_MODEL: " between the C and its model",
}

SHOWN_AGAIN: Mapping[Comparison, str] = {
    Comparison.C: "bisect --trace {} --lane native",
    Comparison.C_MODEL: "bisect --trace {} --lane native --against model",
}
"""The command that shows again what no run of the models does."""


@dataclass(frozen=True, slots=True)
class Saved:
    """Where examples were saved, by the identity of the Example, and the command for them."""

    paths: Mapping[int, Path] = field(default_factory=dict)
    command: str = "replay"


@dataclass(frozen=True, slots=True)
class CheckView:
    """A check, where its examples were saved, and whether only what is not as claimed counts."""

    result: CheckResult
    saved: Saved = field(default_factory=Saved)
    brief: bool = False


def result_lines(
    result: CheckResult, saved: Saved | None = None, style: Style = PLAIN, brief: bool = False
) -> list[str]:
    """The whole report; ``brief`` leaves out what is as declared.

    The last line sums up: how many steps are as claimed.
    """
    saved = saved or Saved()
    lines = [
        "differ: traces on which the step differs from the one before; from 0: from step 0",
        *_grounds(result),
        style.strong(f"{'step':>4}  {'verdict':<22} {'differ':>6} {'from 0':>6} by  title"),
    ]
    for step in result.steps:
        lines += _row(step, style)
        if not brief or not step.verdict.passes:
            lines += _details(step, saved, style)
    if result.start and not brief:
        lines += ["", style.strong("Broken at step 0 already, before the series:")]
        for prop in result.start:
            lines += _property(prop, 0, saved, style)
    return [*lines, "", *result.reached, *summary(result, style)]


def _grounds(result: CheckResult) -> list[str]:
    """What the letters of the column "by" mean, and on how many traces that rests."""
    said = []
    for comparison, (mark, words) in MARKS.items():
        most = max((step.rests.get(comparison, 0) for step in result.steps), default=0)
        said += [f"{mark} {words} ({most})"] if most else []
    return wrapped(f"by, on so many traces: {', '.join(said)}", "") if said else []


def _row(step: StepResult, style: Style) -> list[str]:
    """One line; two where the step has a long name, that after the last step."""
    paint = style.good if step.verdict is Verdict.SAME else style.new
    if not step.verdict.passes:
        paint = style.bad
    verdict = paint(f"{step.verdict.value:<22}")
    room = WIDTH - 48
    title = step.title if len(step.title) <= room else step.title[: room - 1] + "…"
    name = str(step.step)
    by = "".join(mark for comparison, (mark, _) in MARKS.items() if step.rests.get(comparison))
    row = f"{verdict} {step.differing:>6} {step.from_start:>6} {by:<3} {title}"
    return [f"{name:>4}  {row}"] if len(name) <= 4 else [name, f"{'':>4}  {row}"]


def _details(step: StepResult, saved: Saved, style: Style) -> list[str]:
    lines: list[str] = []
    for failure in step.failures:
        lines += _failure(failure, step.step, saved, style)
    for found in step.deviations:
        lines += _deviation(found, step.step, saved, style)
    for prop in step.properties:
        lines += _property(prop, step.step, saved, style)
    for prop in step.mended:
        lines += _property(prop, step.step, saved, style, "mends")
    return lines


def _wrap(text: str, indent: str = INDENT) -> list[str]:
    return wrapped(" ".join(text.split()), indent)


def _deviation(found: DeviationFound, step: int, saved: Saved, style: Style) -> list[str]:
    deviation = found.deviation
    head = f"{deviation.kind}: {deviation.id}"
    if not found.count:
        lines = [INDENT + style.bad(f"{head}: declared, but nothing showed it")]
        return lines + _wrap(deviation.text, INDENT + "  ")
    by = "direct call" if found.call else "trace"
    lines = [f"{INDENT}{style.new(head)}, shown by {counted(found.count, by)}"]
    lines += _wrap(_text(deviation), INDENT + "  ")
    if found.call:
        lines += _wrap(f"for instance {found.call}", INDENT + "  ")
    return lines + example_lines(found.example, step, saved, style)


def _text(deviation: Deviation) -> str:
    fixed = f" Fixed upstream by {deviation.fixed_by}." if deviation.fixed_by else ""
    return deviation.text + fixed


def _property(
    prop: PropertyFound, step: int, saved: Saved, style: Style, word: str = "breaks"
) -> list[str]:
    head = f"{word} {prop.name}"
    if not prop.count:
        return [INDENT + style.bad(f"{head}: declared, but no trace showed it")]
    paint = style.new if prop.declared else style.bad
    said = "" if prop.declared else ", which nothing declares"
    lines = [f"{INDENT}{paint(head)}{said}, shown by {counted(prop.count, 'trace')}"]
    without = "without it: " if word == "mends" else ""
    lines += _wrap(without + prop.text, INDENT + "  ")
    return lines + example_lines(prop.example, step, saved, style)


def _failure(failure: Failure, step: int, saved: Saved, style: Style) -> list[str]:
    between = BETWEEN[failure.comparison]
    if failure.what == "api":
        lines = [INDENT + style.bad(f"undeclared difference of a direct call{between}")]
        return lines + _wrap(failure.text, INDENT + "  ")
    if failure.what == "difference":
        head = f"undeclared difference{between} in {', '.join(failure.fields)}"
    else:
        head = f"breaks {failure.what}, which nothing declares"
    lines = [*_wrap(head), f"{INDENT}  shown by {counted(failure.count, 'trace')}"]
    lines[0] = style.bad(lines[0])
    lines += _wrap(failure.text, INDENT + "  ")
    return lines + example_lines(failure.example, step, saved, style, failure.comparison)


def example_lines(
    example: Example | None,
    step: int,
    saved: Saved,
    style: Style,
    comparison: Comparison = Comparison.MODELS,
) -> list[str]:
    """The shortest trace, an operation a line, and the command that replays it."""
    if example is None:
        return []
    trace = example.trace
    machine = trace.peculiar()
    limit = "" if example.shrunk else ", not shrunk to the end"
    on = f" on {', '.join(machine)}" if machine else ""
    lines = [
        style.dim(f"{INDENT}  shortest trace ({counted(len(trace.ops), 'operation')}{limit}){on}:")
    ]
    for index, op in enumerate(trace.ops):
        mark = ">" if index == example.index else " "
        lines += (
            _wrap(f"{mark} {op}", INDENT + "  ") if mark == ">" else _wrap(str(op), INDENT + "    ")
        )
    path = saved.paths.get(id(example))
    if path is not None:
        command = f"compare {path} {before(step)} {step}" if step else f"run {path} --step 0"
        if comparison in SHOWN_AGAIN:
            command = SHOWN_AGAIN[comparison].format(path)
        lines.append(f"{INDENT}  {saved.command} {command}")
    return lines


def summary(result: CheckResult, style: Style = PLAIN) -> list[str]:
    """Two lines: what was done, and how many steps are as claimed."""
    counts: dict[Verdict, int] = {}
    for step in result.steps:
        counts[step.verdict] = counts.get(step.verdict, 0) + 1
    shown = ", ".join(f"{counts[v]} {v.value}" for v in Verdict if v in counts)
    failed = [str(s.step) for s in result.steps if not s.verdict.passes]
    first = f"{counted(result.corpus, 'trace')} of the corpus ran first" if result.corpus else ""
    lines = [
        *([first] if first else []),
        f"{result.traces} traces of {result.ops} operations, seed {result.seed}, "
        f"and {sum(step.calls for step in result.steps)} direct calls, in {result.seconds:.1f} s",
        *wrapped(result.left_out, ""),
    ]
    if failed:
        lines.append(style.bad(f"{shown}: not as claimed at step {', '.join(failed)}"))
    elif not result.passed:
        names = ", ".join(p.name for p in result.start if not (p.declared and p.count))
        lines.append(style.bad(f"{shown}; step 0 is not as declared: {names}"))
    else:
        lines.append(style.good(f"{shown}: all {len(result.steps)} steps as claimed"))
    return lines


def result_json(result: CheckResult) -> dict[str, Any]:
    """The report as plain values, the same on every machine but for ``seconds``."""
    return {
        "format": "replay-check/1",
        "seed": result.seed,
        "traces": result.traces,
        "corpus": result.corpus,
        "ops": result.ops,
        "seconds": round(result.seconds, 3),
        "passed": result.passed,
        "left_out": result.left_out or None,
        "start": [_property_json(prop) for prop in result.start],
        "steps": [step_json(step) for step in result.steps],
    }


def step_json(step: StepResult) -> dict[str, Any]:
    """The findings on one step as plain values."""
    return {
        "step": step.step,
        "title": step.title,
        "verdict": step.verdict.value,
        "passes": step.verdict.passes,
        "traces": step.traces,
        "calls": step.calls,
        "differing": step.differing,
        "from_start": step.from_start,
        "through": list(step.through),
        "rests_on": [
            {"comparison": comparison.value, "traces": step.rests[comparison]}
            for comparison in Comparison
            if step.rests.get(comparison)
        ],
        "deviations": [
            {
                "id": found.deviation.id,
                "kind": found.deviation.kind,
                "scope": found.deviation.scope,
                "text": " ".join(found.deviation.text.split()),
                "fixed_by": found.deviation.fixed_by or None,
                "count": found.count,
                "call": found.call or None,
                "example": _example_json(found.example),
            }
            for found in step.deviations
        ],
        "breaks": [_property_json(prop) for prop in step.properties],
        "mends": [_property_json(prop) for prop in step.mended],
        "failures": [_failure_json(failure) for failure in step.failures],
    }


def _failure_json(failure: Failure) -> dict[str, Any]:
    return {
        "what": failure.what,
        "fields": list(failure.fields),
        "text": failure.text,
        "comparison": failure.comparison.value,
        "count": failure.count,
        "example": _example_json(failure.example),
    }


def _property_json(prop: PropertyFound) -> dict[str, Any]:
    return {
        "property": prop.name,
        "declared": prop.declared,
        "count": prop.count,
        "text": prop.text,
        "example": _example_json(prop.example),
    }


def _example_json(example: Example | None) -> Any:
    """An example as plain values."""
    if example is None:
        return None
    return {**example.trace.to_json(), "index": example.index, "shrunk": example.shrunk}


shows(
    CheckView,
    lambda view, style: result_lines(view.result, view.saved, style, view.brief),
    lambda view: result_json(view.result),
)

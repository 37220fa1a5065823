"""A step of the series, its folded source, and the life of a function, as text and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from replay.base.style import PLAIN, Style
from replay.report.output import shows
from replay.series import declared as series
from replay.series.steps import Life, StepSource, Touched, WholeSource

WIDTH = 80


@dataclass(frozen=True, slots=True)
class StepView:
    """A step, to be shown."""

    step: StepSource


def step_lines(step: StepSource, style: Style = PLAIN) -> list[str]:
    """A step as its patch reads: docstring, claim, API delta, and its own source."""
    declared = step.declared
    lines = [style.strong(f"step {step.number}: {step.title}")]
    if declared and step.theme:
        lines.append(style.dim(f"theme {declared.theme}, {step.theme.title}; {declared.kind}"))
    lines += ["", *_body(step.docstring)]
    if declared:
        lines += ["", *_claim(declared)]
    lines += ["", style.strong("What it touches"), *_delta_lines(step)]
    lines += ["", style.strong("API"), *_api_lines(step, style)]
    if not declared:
        return [*lines, "", "The source of step 0 is long: replay show 0 --whole"]
    return [*lines, "", style.strong(f"Source, {step.file}"), "", *step.source.splitlines()]


def step_json(step: StepSource) -> dict[str, Any]:
    """A step as plain values: series.toml's of it, its delta, docstring and source."""
    return {
        "number": step.number,
        "title": step.title,
        "docstring": step.docstring,
        "file": step.file,
        "deltas": [
            {
                "action": entry.action,
                "kind": entry.kind,
                "name": entry.name,
                "file": entry.home,
                "value": entry.value,
            }
            for entry in step.touched
        ],
        "source": step.source,
        "series": series.to_json(step.declared) if step.declared else {},
        "api": list(step.api),
    }


@dataclass(frozen=True, slots=True)
class WholeView:
    """The folded source of a step, to be shown."""

    whole: WholeSource


def whole_lines(whole: WholeSource, style: Style = PLAIN) -> list[str]:
    """The folded source of a step, line by line."""
    return whole.source.split("\n")


def whole_json(whole: WholeSource) -> dict[str, Any]:
    """The folded source of a step as plain values."""
    return {"number": whole.number, "source": whole.source}


def _body(docstring: str) -> list[str]:
    """The docstring without its first line, which is the title; paragraphs are filled anew."""
    lines = docstring.splitlines()
    body = lines[2:] if len(lines) > 2 and not lines[1] else lines
    filled: list[str] = []
    for plain, group in groupby(body, lambda line: bool(line) and not line[0].isspace()):
        paragraph = list(group)
        filled += textwrap.wrap(" ".join(paragraph), WIDTH) if plain else paragraph
    return filled


def _claim(step: series.StepData) -> list[str]:
    lines = _wrapped(f"Claim: {step.claim}")
    if step.needs:
        lines.append("Needs " + ", ".join(f"step {need}" for need in step.needs))
    for deviation in step.deviations:
        lines += _wrapped(f"Deviation {deviation.id} ({deviation.kind}): {deviation.text}")
    for name in step.breaks:
        lines.append(f"Breaks the property {name}")
    if step.domain:
        lines += _wrapped(f"Domain: {step.domain}")
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(" ".join(text.split()), WIDTH, subsequent_indent="  ")


def _delta_lines(step: StepSource) -> list[str]:
    if step.number == 0:
        kinds = [entry.kind for entry in step.touched]
        return [
            f"  {kinds.count('function')} functions, {kinds.count('constant')} constants, "
            f"{kinds.count('field')} field of ram_list, in "
            f"{len({entry.home for entry in step.touched})} files"
        ]
    return [f"  {entry.action:8} {_entry_text(entry)}" for entry in step.touched] or ["  nothing"]


def _entry_text(entry: Touched) -> str:
    text = entry.name
    if entry.kind == "constant":
        text = f"constant {entry.name}"
        if entry.action != "removes":
            text += f" = {entry.value}"
    elif entry.kind == "field":
        text = f"field {entry.owner}{entry.name}"
    if entry.action in ("moves", "declares"):
        return f"{text} -> {entry.home}"
    return text


def _api_lines(step: StepSource, style: Style) -> list[str]:
    declared = step.declared
    if declared is None:
        return [f"  {prototype};" for prototype in step.start]
    lines = [style.bad(f"  - {prototype};") for prototype in declared.removes]
    for old, new in declared.changes:
        lines += [style.bad(f"  - {old};"), style.good(f"  + {new};")]
    lines += [style.good(f"  + {prototype};") for prototype in declared.adds]
    lines += [f"  moved: {move}" for move in declared.moves]
    return lines or ["  no prototype changes"]


@dataclass(frozen=True, slots=True)
class LifeView:
    """The life of a function, to be shown."""

    life: Life


def life_lines(life: Life, style: Style = PLAIN) -> list[str]:
    """When a name came, changed, moved and went, and its source at a step if that was read."""
    lines = [style.strong(life.name)]
    for step, action, title in life.events:
        lines.append(f"  step {step:2}  {action:8}  {title}")
    last, action, _ = life.events[-1]
    lines.append(f"  gone since step {last}" if action == "removes" else "  there at the end")
    if life.at is not None:
        lines += ["", style.strong(f"at step {life.at.number}, {life.at.file}"), ""]
        lines += life.at.source.splitlines()
    return lines


def life_json(life: Life) -> dict[str, Any]:
    """The life of a name as plain values."""
    found: dict[str, Any] = {
        "name": life.name,
        "life": [{"step": step, "action": action} for step, action, _ in life.events],
    }
    if life.at is not None:
        found["step"] = life.at.number
        found["file"] = life.at.file
        found["source"] = life.at.source
    return found


shows(
    StepView,
    lambda view, style: step_lines(view.step, style),
    lambda view: step_json(view.step),
)
shows(
    WholeView,
    lambda view, style: whole_lines(view.whole, style),
    lambda view: whole_json(view.whole),
)
shows(
    LifeView,
    lambda view, style: life_lines(view.life, style),
    lambda view: life_json(view.life),
)

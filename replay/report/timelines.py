"""Where a property broke and where it healed, as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from replay.base.style import PLAIN, Style, counted, wrapped
from replay.report.output import shows
from replay.series.timeline import Point, Timeline

INDENT = " " * 6


def timeline_lines(line: Timeline, style: Style = PLAIN) -> list[str]:
    """A line for each run of steps at which nothing changes, and for each that changes it."""
    first, last = line.points[0], line.points[-1]
    what = counted(line.traces, "trace")
    lines = [style.strong(f"{line.name} on {what}, from step {first.step} to {last.step}"), ""]
    still: list[Point] = []
    for point in line.points:
        if point is first and point.broken:
            still.append(point)
        elif point.broke or point.healed or point.unbuilt:
            lines += _still(still, style)
            lines += _changes(point, style)
            still = []
        else:
            still.append(point)
    return [*lines, *_still(still, style), "", *_summary(line, style)]


def _still(points: list[Point], style: Style) -> Iterator[str]:
    if not points:
        return
    first, last = points[0], points[-1]
    steps = f"{first.step}" if first is last else f"{first.step}-{last.step}"
    if last.broken:
        yield f"  {steps:<6}  {style.new(f'broken on {last.broken}')}"
    else:
        yield f"  {steps:<6}  {style.good('holds')}"


def _changes(point: Point, style: Style) -> Iterator[str]:
    words = []
    if point.broke:
        words.append(style.bad(f"breaks on {point.broke}"))
    if point.healed:
        words.append(style.good(f"heals on {point.healed}"))
    if point.unbuilt:
        words.append(style.new("could not be run"))
    else:
        words.append(f"broken on {point.broken}" if point.broken else "holds")
    yield f"  {point.step!s:<6}  {', '.join(words)}"
    yield from wrapped(point.title, INDENT + "    ")
    if point.unbuilt:
        yield from wrapped(point.unbuilt.partition("\n")[0], INDENT + "    ")
    elif point.example:
        name, index, text = point.example
        yield from wrapped(f"{name} operation {index}: {text}", INDENT + "    ")


def _summary(line: Timeline, style: Style) -> list[str]:
    left = {point.step: point.broken for point in line.points}
    healed = [step for step in line.healed if not left[step]]
    fewer = [step for step in line.healed if left[step]]
    words = [
        f"{word} at {', '.join(map(str, steps)) or 'no step'}"
        for word, steps in (("broke", line.broke), ("healed", healed), ("fewer", fewer))
        if steps or word != "fewer"
    ]
    end = line.points[-1]
    lines = wrapped("; ".join(words), "")
    if end.unbuilt:
        return [*lines, style.new(f"step {end.step} could not be run")]
    if end.broken:
        return [*lines, style.bad(f"at step {end.step} it is broken on {end.broken}")]
    return [*lines, style.good(f"at step {end.step} it holds on all of them")]


def timeline_json(line: Timeline) -> dict[str, Any]:
    """The time line as plain values."""
    return {
        "format": "replay-timeline/1",
        "property": line.name,
        "traces": line.traces,
        "decided": line.decided,
        "broke": list(line.broke),
        "healed": list(line.healed),
        "steps": [
            {
                "step": point.step,
                "title": point.title,
                "broken": None if point.unbuilt else point.broken,
                "broke": point.broke,
                "healed": point.healed,
                "unbuilt": point.unbuilt or None,
                "example": _example(point),
            }
            for point in line.points
        ],
    }


def _example(point: Point) -> Any:
    if point.example is None:
        return None
    name, index, text = point.example
    return {"trace": name, "operation": index, "text": text}


shows(Timeline, timeline_lines, timeline_json)

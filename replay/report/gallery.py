"""The gallery of defects, as text and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replay.base.style import PLAIN, Style, counted, wrapped
from replay.dirty.gallery.defects import Defect, explore_command
from replay.dirty.machine.model import Run
from replay.dirty.rules.comparison import RunComparison
from replay.report.comparing import comparison_lines
from replay.report.exploring import scope_text
from replay.report.output import shows
from replay.report.running import run_lines

INDENT = "  "


@dataclass(frozen=True, slots=True)
class GalleryView:
    """All defects."""

    defects: Sequence[Defect]


@dataclass(frozen=True, slots=True)
class DefectView:
    """One defect, played.

    Attributes:
        run: its trace at the step that shows it; ``beside``: at the step before and there,
            where there is a step before.
        said: what breaks, in words.
        searched: operations of the shortest trace that a search found just now, if it was
            asked for.

    """

    defect: Defect
    run: Run
    beside: RunComparison | None
    said: str
    searched: int | None = None


def gallery_lines(view: GalleryView, style: Style = PLAIN) -> list[str]:
    """A row a defect, by the step that brought it."""
    lines: list[str] = []
    before = None
    for defect in view.defects:
        step = defect.data.step
        if step != before:
            head = "before the series" if step == "0" else f"step {step}"
            lines += [""] if lines else []
            lines += [style.strong(head)]
            before = step
        lines += [f"{INDENT}{defect.name}", *wrapped(defect.data.title, INDENT * 3)]
        lines += wrapped(_facts(defect), INDENT * 3)
    return [*lines, "", f"{counted(len(view.defects), 'defect')}; replay gallery NAME plays one"]


def _facts(defect: Defect) -> str:
    without = ", no fewer at its scope" if defect.data.scope.without else ""
    facts = [f"shown by {counted(len(defect.trace.ops), 'operation')}{without}"]
    if defect.data.found is not None:
        many = counted(defect.data.found.median, "random one")
        facts.append(f"found after {many} (median of {defect.data.found.seeds} seeds)")
    facts.append("mended by: " + (defect.data.fix or "nothing"))
    return "; ".join(facts)


def defect_lines(view: DefectView, style: Style = PLAIN) -> list[str]:
    """What it is, what one would see, and its trace step beside step."""
    defect, data = view.defect, view.defect.data
    brought = "there before the series" if data.step == "0" else f"brought by step {data.step}"
    lines = [style.strong(data.title), f"{defect.name}, {brought}", ""]
    lines += wrapped(" ".join(data.cause.split()), "")
    lines += ["", style.strong("What one would see"), *wrapped(" ".join(data.seen.split()), "")]
    lines += ["", style.strong("What shows it")]
    name = data.property or data.deviation
    lines += wrapped(f"{name}: " + " ".join(defect.text.split()), "")
    lines += ["", *wrapped(_shortest(view), ""), f"{INDENT}{explore_command(defect)}", ""]
    if view.beside is not None:
        lines += comparison_lines(view.beside, style)
    else:
        lines += run_lines(view.run, defect.subject.series.title(defect.step), None, style)
    if view.said:
        lines += ["", *wrapped(f"{name} is broken: {view.said}", "")]
    return [*lines, "", *wrapped(_facts(defect), "")]


def _shortest(view: DefectView) -> str:
    ops = counted(len(view.defect.trace.ops), "operation")
    scope = scope_text(view.defect.scope)
    if view.searched is None:
        return f"No trace shorter than {ops} shows it ({scope}). Searched for again by --prove, or:"
    return (
        f"Searched for just now, through all states: the shortest trace that shows it has "
        f"{counted(view.searched, 'operation')}, the one here {ops} ({scope})."
    )


def _defect_json(defect: Defect) -> dict[str, Any]:
    data = defect.data
    return {
        "name": defect.name, "title": data.title, "step": data.step,
        "shown": data.shown or data.step, "property": data.property or None,
        "deviation": data.deviation or None, "healed": data.healed or None,
        "fix": data.fix or None, "cause": " ".join(data.cause.split()),
        "seen": " ".join(data.seen.split()), "explore": explore_command(defect),
        "found": None if data.found is None
        else {"median": data.found.median, "seeds": data.found.seeds},
        "trace": defect.trace.to_json(),
    }  # fmt: skip


def gallery_json(view: GalleryView) -> dict[str, Any]:
    """The same as plain values."""
    return {"defects": [_defect_json(defect) for defect in view.defects]}


def defect_json(view: DefectView) -> dict[str, Any]:
    """The same as plain values."""
    return {**_defect_json(view.defect), "said": view.said or None, "searched": view.searched}


shows(GalleryView, gallery_lines, gallery_json)
shows(DefectView, defect_lines, defect_json)

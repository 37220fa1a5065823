"""A patch of the series, as text and as JSON. Patch text is data: nothing of it acts."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replay.base.style import PLAIN, Style
from replay.report.output import shows
from replay.series import declared as series
from replay.series.patches import Patch

WIDTH = 79


@dataclass(frozen=True, slots=True)
class PatchesView:
    """The patches of a series, each with what is declared of its step, if anything is."""

    rows: Sequence[tuple[Patch, series.StepData | None]]


@dataclass(frozen=True, slots=True)
class PatchView:
    """A patch, what is declared of its step, and the verdict on it.

    Attributes:
        patch: the patch.
        step: None where nothing is declared.
        verdict: None where the step was not checked.
        traces: on how many random traces it was.
    """

    patch: Patch
    step: series.StepData | None
    verdict: str | None = None
    traces: int = 0


def row_of(patch: Patch, step: series.StepData | None) -> dict[str, Any]:
    """What the list of patches says of one."""
    return {
        "number": patch.number,
        "title": patch.title,
        "theme": step.theme if step else None,
        "kind": step.kind if step else None,
        "patch": patch.name,
        "files": [change.path for change in patch.files],
        "added": patch.added,
        "removed": patch.removed,
    }


def table_lines(view: PatchesView, style: Style = PLAIN) -> list[str]:
    """The list of patches, a line each, and their sum."""
    rows = [row_of(patch, step) for patch, step in view.rows]
    lines = [style.strong(" no  theme  kind          files      +/-  title")]
    for row in rows:
        size = f"+{row['added']}/-{row['removed']}"
        lines.append(
            f"{row['number']:3}  {row['theme'] or '-':5}  {row['kind'] or '-':12}  "
            f"{len(row['files']):5}  {size:>7}  {plain(row['title'])}"
        )
    added, removed = (sum(row[key] for row in rows) for key in ("added", "removed"))
    lines.append(style.dim(f"{len(rows)} patches, {added} lines added, {removed} removed"))
    return lines


def patch_json(patch: Patch, step: series.StepData | None) -> dict[str, Any]:
    """A patch and what is declared of its step, as plain values."""
    return {
        **row_of(patch, step),
        "author": patch.author,
        "email": patch.email,
        "date": patch.date.isoformat(),
        "message": patch.message,
        "changes": [
            {
                "old": change.old,
                "new": change.new,
                "mode": None if change.new_mode is None else f"{change.new_mode:o}",
                "added": change.added,
                "removed": change.removed,
            }
            for change in patch.files
        ],
        "declared": series.to_json(step) if step else None,
        "diff": patch.diff.decode("utf-8", "backslashreplace"),
    }


def patch_lines(patch: Patch, step: series.StepData | None, style: Style = PLAIN) -> list[str]:
    """A patch: message, claim, API delta, files, diff."""
    lines = [
        style.strong(f"patch {patch.number}: {plain(patch.title)}"),
        style.dim(f"{plain(patch.author)} <{plain(patch.email)}>, {patch.date.isoformat()}"),
    ]
    if patch.message:
        lines += ["", *(f"    {plain(line)}".rstrip() for line in patch.message.split("\n"))]
    if step is not None:
        lines += ["", *_claims(step), "", style.strong("API"), *_api(step, style)]
    lines += ["", style.strong("Files")]
    for change in patch.files:
        old = f" (from {plain(change.old)})" if change.old not in (None, change.path) else ""
        lines.append(f"  {plain(change.path)}{old}  +{change.added}/-{change.removed}")
    lines += ["", style.strong("Diff"), ""]
    text = patch.diff.decode("utf-8", "backslashreplace").rstrip("\n")
    return lines + [_diff_line(line, style) for line in text.split("\n")]


def view_lines(view: PatchView, style: Style = PLAIN) -> list[str]:
    """A patch, after the verdict on it where there is one."""
    lines = patch_lines(view.patch, view.step, style)
    if view.verdict is None:
        return lines
    return [f"Verdict on {view.traces} random traces: {view.verdict}", "", *lines]


def view_json(view: PatchView) -> dict[str, Any]:
    """A patch and the verdict on it as plain values."""
    return {**patch_json(view.patch, view.step), "verdict": view.verdict}


def _claims(step: series.StepData) -> list[str]:
    lines = _wrapped(f"Claim: {step.claim}")
    if step.needs:
        lines.append("Needs " + ", ".join(f"step {need}" for need in step.needs))
    for deviation in step.deviations:
        lines += _wrapped(f"Deviation {deviation.id} ({deviation.kind}): {deviation.text}")
    lines += [f"Breaks the property {name}" for name in step.breaks]
    return lines + (_wrapped(f"Domain: {step.domain}") if step.domain else [])


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(plain(" ".join(text.split())), WIDTH, subsequent_indent="  ")


def _api(step: series.StepData, style: Style) -> list[str]:
    lines = [style.bad(f"  - {plain(prototype)};") for prototype in step.removes]
    for old, new in step.changes:
        lines += [style.bad(f"  - {plain(old)};"), style.good(f"  + {plain(new)};")]
    lines += [style.good(f"  + {plain(prototype)};") for prototype in step.adds]
    lines += [f"  moved: {plain(move)}" for move in step.moves]
    return lines or ["  no prototype changes"]


def _diff_line(line: str, style: Style) -> str:
    text = plain(line)
    if line.startswith("+") and not line.startswith("+++ "):
        return style.good(text)
    if line.startswith("-") and not line.startswith("--- "):
        return style.bad(text)
    return style.dim(text) if line.startswith("@@") else text


def plain(text: str) -> str:
    """One line of somebody's text: what a terminal could take for a command is escaped."""
    return "".join(c if c.isprintable() or c == "\t" else ascii(c)[1:-1] for c in text)


shows(
    PatchesView,
    table_lines,
    lambda view: {"steps": [row_of(patch, step) for patch, step in view.rows]},
    ascii_only=True,
)
shows(PatchView, view_lines, view_json, ascii_only=True)

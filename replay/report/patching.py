"""A patch of the series, as text and as JSON. Patch text is data: nothing of it acts."""

from __future__ import annotations

import textwrap
from typing import Any

from replay.base.style import PLAIN, Style
from replay.series import declared as series
from replay.series.patches import Patch

WIDTH = 79


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


def table_lines(rows: list[dict[str, Any]], style: Style) -> list[str]:
    """The list of patches, a line each, and their sum."""
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

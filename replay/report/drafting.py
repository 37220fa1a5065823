"""A binding that was drafted from a library, and tried, as text and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from replay.base.jsonlines import printable
from replay.base.style import PLAIN, Style
from replay.repo.drafting import Drafted
from replay.repo.trying import Row, Trial, totals
from replay.report.output import shows


@dataclass(frozen=True, slots=True)
class DraftView:
    """A drafted binding, and where it was written, if so; with what a trial of it showed."""

    drafted: Drafted
    output: Path | None = None
    trial: Trial | None = None


def draft_lines(view: DraftView, style: Style = PLAIN) -> list[str]:
    """The text, or where it is; or what came of the trial, a line a function."""
    lines = []
    binding = view.drafted.binding
    if view.output is not None:
        count = len(binding.ops) + len(binding.observers) if binding else 0
        left = len(view.drafted.left_out)
        without = f", {left} left out with the reason" if left else ""
        lines.append(
            f"{view.output}: {count} functions{without}; look through the ranges before you use it"
        )
    elif view.trial is None:
        return [view.drafted.text.rstrip()]
    return lines + ([] if view.trial is None else _trial_lines(view, style))


def _trial_lines(view: DraftView, style: Style) -> list[str]:
    assert view.trial is not None
    rows = view.trial.rows
    if not rows:
        return ["nothing to try: no function can be called by what is known of it"]
    width = max([len(name) for name in rows] + [len("function")])
    lines = [f"{'function':<{width}}  {'calls':>6} {'returned':>8} {'crashed':>7} {'hung':>5}"]
    for name, row in rows.items():
        counts = f"{row.called:>6} {row.returned:>8} {row.crashed:>7} {row.hung:>5}"
        lines.append(f"{name:<{width}}  {counts}")
        lines += [f"    {style.bad(text) if row.edit else text}" for text in _remarks(row)]
    whole = totals(view.trial)
    lines.append(
        f"{whole['returned']} of {whole['called']} calls returned, on {view.trial.traces} traces"
    )
    if view.trial.at_end:
        lines.append(
            f"{view.trial.at_end} traces did not end well when what they left was destroyed: see "
            "whether a function takes over what it is given, or write destroy_at_end = false"
        )
    left = view.drafted.left_out
    if left:
        lines.append(f"left out, {len(left)}: the draft says why of each")
    return lines


def _remarks(row: Row) -> list[str]:
    found = []
    if row.example:
        found.append(f"{printable(row.example)}: {printable(row.detail)}")
    if row.edit:
        found.append(f"edit: {row.edit}")
    return found


def draft_json(view: DraftView) -> dict[str, Any]:
    """The text and the names in it as plain values, and the rows of a trial."""
    binding = view.drafted.binding
    made: dict[str, Any] = {
        "file": str(view.output) if view.output else None,
        "ops": [op.name for op in binding.ops] if binding else [],
        "observers": [op.name for op in binding.observers] if binding else [],
        "left_out": dict(view.drafted.left_out),
        "binding": view.drafted.text,
    }
    if view.trial is not None:
        made["trial"] = {
            "traces": view.trial.traces, "at_end": view.trial.at_end,
            "functions": {name: asdict(row) for name, row in view.trial.rows.items()},
        }  # fmt: skip
    return made


shows(DraftView, draft_lines, draft_json)

"""What traces reached: a row an operation, the paths that were not, and the arguments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from replay.base.style import PLAIN, Style, counted, wrapped
from replay.dirty.machine.reach import Reach, Row
from replay.elf.identification import ranges
from replay.report.output import shows


@dataclass(frozen=True, slots=True)
class ReachView:
    """What was reached, and how much of it is wanted.

    Attributes:
        result: what was reached.
        whole: show every path with its counts, not only a row an operation.
        argued: show why paths cannot be reached.
        seed, ops: of the traces; -1 where they are of no one seed.

    """

    result: Reach
    whole: bool = False
    argued: bool = False
    seed: int = -1
    ops: int = 0


def view_lines(view: ReachView, style: Style = PLAIN) -> list[str]:
    """The table, what was not reached, and a line that sums up."""
    result = view.result
    lines = [
        style.strong(f"{'operation':<28} {'paths':>5} {'reached':>7}  rarest, at its rarest step")
    ]
    for _, group in groupby(result.rows, key=lambda row: row.path.op):
        rows = list(group)
        lines.append(_operation(rows))
        if view.whole:
            lines += [f"    {_labels(row):<40} {_counts(row, result.steps)}" for row in rows]
    lines += missed_lines(result, style)
    if view.argued:
        lines += ["", style.strong("Cannot be reached:"), *_argued(result)]
    return [*lines, "", *summary(view, style)]


def _labels(row: Row) -> str:
    return " ".join(f"{name}={label}" for name, label in row.path.labels)


def _operation(rows: list[Row]) -> str:
    possible = [row for row in rows if row.least is not None]
    reached = [row for row in possible if row.least]
    name = rows[0].path.op
    line = f"{name:<28} {len(possible):>5} {len(reached):>7}"
    if not reached:
        return line
    rarest = min(reached, key=lambda row: row.least or 0)
    return f"{line}  {rarest.least:>6}  {_labels(rarest)}"


def _counts(row: Row, steps: tuple[int, ...]) -> str:
    """How often, by ranges of steps with the same count."""
    parts = []
    each = zip(row.counts, row.argued, steps, strict=True)
    for (count, why), group in groupby(each, key=lambda one: (one[0], bool(one[1]))):
        said = "never" if why and not count else str(count)
        parts.append((said, ranges(step for _, _, step in group)))
    if len(parts) == 1:
        return parts[0][0]
    return ", ".join(f"{said} ({where})" for said, where in parts)


def missed_lines(result: Reach, style: Style = PLAIN) -> list[str]:
    """The paths that no trace took, and those that were taken though they cannot be."""
    lines = []
    for path, steps in result.missed():
        lines.append(f"  {path}  at step {ranges(steps)}")
    if lines:
        lines = ["", style.strong("Not reached:"), *lines]
    for path, step, why in result.refuted():
        lines += wrapped(f"{path} was reached at step {step}, though it is argued: {why}", "  ")
    return lines


def _argued(result: Reach) -> Iterator[str]:
    texts: dict[str, list[str]] = {}
    for why, text in _reasons(result):
        texts.setdefault(why, []).append(text)
    for why, paths in texts.items():
        yield from wrapped(f"{why}:", "  ")
        yield from (f"    {text}" for text in paths)


def _reasons(result: Reach) -> Iterator[tuple[str, str]]:
    for row in result.rows:
        for why in dict.fromkeys(filter(None, row.argued)):
            at = [s for s, argued in zip(result.steps, row.argued, strict=True) if argued == why]
            where = "" if len(at) == len(result.steps) else f"  at step {ranges(at)}"
            yield why, f"{row.path}{where}"


def summary(view: ReachView, style: Style = PLAIN) -> list[str]:
    """What was run, and how many of the paths were reached."""
    result = view.result
    seed = f", seed {view.seed}" if view.seed >= 0 else ""
    of = f" of {view.ops} operations" if view.ops else ""
    lines = [
        f"{counted(result.traces, 'trace')}{of}{seed}, at {counted(len(result.steps), 'step')}"
    ]
    if result.left_out:
        lines.append(f"{counted(result.left_out, 'trace')} with more than 4096 pages not counted")
    return [*lines, reached_line(result, style)]


def reached_line(result: Reach, style: Style = PLAIN) -> str:
    """How many paths were reached at each step where they can be."""
    total, missed = len(result.possible), len(result.missed())
    cannot = len(result.rows) - total
    text = f"{total - missed} of {total} paths reached at every step; {cannot} more cannot be"
    return style.good(text) if not missed else style.new(text)


def view_json(view: ReachView) -> dict[str, Any]:
    """All paths with their counts by step, as plain values."""
    result = view.result
    return {
        "format": "replay-coverage/1",
        "seed": view.seed if view.seed >= 0 else None,
        "traces": result.traces,
        "left_out": result.left_out,
        "steps": list(result.steps),
        "paths": [
            {
                "operation": row.path.op,
                "labels": dict(row.path.labels),
                "counts": list(row.counts),
                "never": None if not any(row.argued) else [why or None for why in row.argued],
            }
            for row in result.rows
        ],
        "missed": [{"path": str(path), "steps": list(steps)} for path, steps in result.missed()],
        "refuted": [
            {"path": str(path), "step": step, "argument": why}
            for path, step, why in result.refuted()
        ],
    }


shows(ReachView, view_lines, view_json)

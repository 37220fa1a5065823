"""What was measured, as text and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.base.style import PLAIN, Style
from replay.dirty.bench.figures import Table
from replay.dirty.bench.sections import Report
from replay.report.output import shows

FORMAT: Final = "replay-bench/1"
WIDTH: Final = 79


@dataclass(frozen=True, slots=True)
class BenchView:
    """What was measured, to be shown."""

    report: Report


def report_lines(report: Report, style: Style = PLAIN) -> list[str]:
    """Tables, goals and notes of all sections; the last lines are the goals again."""
    known = report.facts
    lines = [
        f"{known['implementation']} {known['python']}, {known['system']} "
        f"{known['architecture']}, {known['cpus']} processors. Times are of the processor; "
        "read the ratios.",
    ]
    for name, result in report.results.items():
        lines += ["", style.strong(f"{name}: {report.title(name)}")]
        for table in result.tables():
            lines += ["", *table_lines(table, style)]
        lines.append("")
        for note in result.notes():
            lines += textwrap.wrap(note, WIDTH, initial_indent="- ", subsequent_indent="  ")
    lines += ["", style.strong("goals")]
    for result in report.results.values():
        for verdict in result.verdicts():
            mark = style.good("met    ") if verdict.met else style.bad("not met")
            lines.append(f"{mark}  {verdict.measured}: {verdict.goal}")
    return lines


def table_lines(table: Table, style: Style = PLAIN) -> list[str]:
    """A table with aligned columns."""
    everything = (table.columns, *table.rows)
    widths = [max(len(row[i]) for row in everything) for i in range(len(table.columns))]
    return [
        "  " + table.title,
        style.dim("  " + _cells(table.columns, widths)),
        *("  " + _cells(row, widths) for row in table.rows),
    ]


def _cells(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = [
        cell.rjust(width) if i else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def report_json(report: Report) -> dict[str, Any]:
    """All raw figures; the unit is in each name."""
    return {
        "format": FORMAT,
        "quick": report.effort.quick,
        "seed": report.effort.seed,
        "machine": report.facts,
        "sections": {
            name: {
                "title": report.title(name),
                "goals": [verdict.to_json() for verdict in result.verdicts()],
                **result.to_json(),
            }
            for name, result in report.results.items()
        },
    }


shows(
    BenchView,
    lambda view, style: report_lines(view.report, style),
    lambda view: report_json(view.report),
)

"""What a survey of faults found, as text and as JSON."""

from __future__ import annotations

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from replay.base.style import PLAIN, Style
from replay.dirty.faults.judge import Judgement
from replay.dirty.faults.survey import Survey
from replay.report.output import shows

WIDTH: Final = 79
LANES: Final = ("python", "native", "both", "calls", "sanitized")


@dataclass(frozen=True, slots=True)
class SurveyView:
    """A survey of faults, and whether the arguments are wanted: why some change nothing."""

    result: Survey
    argued: bool = False


def view_lines(view: SurveyView, style: Style = PLAIN) -> list[str]:
    """The survey and, where that is wanted, the arguments."""
    lines = result_lines(view.result, style)
    # A survey without a survivor leaves an empty line where the arguments would be.
    return [*lines, *(argued_lines(view.result) or [""])] if view.argued else lines


def result_lines(result: Survey, style: Style = PLAIN) -> list[str]:
    """A table for the models and one for the C, the survivors, and the shares."""
    lines: list[str] = []
    for title, in_c in (("Faults in the models", False), ("Faults in the C", True)):
        mine = [j for j in result.judged if j.fault.in_c == in_c]
        if mine:
            lines += [style.strong(title), *_table(result, mine), ""]
    for title, some in (
        ("Found at another step", result.misblamed),
        ("Found, though argued to change nothing", result.refuted),
        ("Survivors without an argument", result.survivors),
    ):
        if some:
            lines.append(style.bad(f"{title}:"))
            for judged in some:
                blamed = f" (blamed on step {judged.blamed})" if judged.blamed is not None else ""
                text = f"line {judged.fault.line} of {judged.fault.name}{blamed}"
                lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="      ")
            lines.append("")
    if result.argued:
        lines += [
            f"{len(result.argued)} survive and are argued to change nothing; see --argued",
            "",
        ]
    return [*lines, *_summary(result, style)]


def _table(result: Survey, mine: list[Judgement]) -> list[str]:
    """A row a step: the faults, and how many each lane found."""
    lanes = [lane for lane in LANES if any(lane in j.lanes for j in mine)]
    columns = ["step", "faults", "found", "here", *lanes, "argued", "alive", "trace"]
    rows = [columns]
    for step in sorted({judged.fault.step for judged in mine}):
        rows.append(_row(result, [j for j in mine if j.fault.step == step], str(step), lanes))
    rows.append(_row(result, mine, "all", lanes))
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def argued_lines(result: Survey) -> list[str]:
    """The survivors that are argued to change nothing, each with its argument."""
    lines = []
    for judged in result.argued:
        lines += ["", judged.fault.name]
        lines += textwrap.wrap(
            result.arguments[judged.fault.name],
            WIDTH,
            initial_indent="    ",
            subsequent_indent="    ",
        )
    return lines


def _row(result: Survey, mine: list[Judgement], name: str, lanes: list[str]) -> list[str]:
    lengths = sorted(j.shortest for j in mine if j.shortest is not None)
    numbers = [
        sum(not j.void for j in mine),
        sum(bool(j.found) for j in mine),
        sum(j.right for j in mine),
        *(sum(lane in j.lanes for j in mine) for lane in lanes),
        sum(j.survives and j.fault.name in result.arguments for j in mine),
        sum(j.survives and j.fault.name not in result.arguments for j in mine),
    ]
    return [name, *map(str, numbers), str(lengths[len(lengths) // 2]) if lengths else "-"]


def _summary(result: Survey, style: Style) -> list[str]:
    found, wanted = len(result.found), result.wanted
    paint = style.good if result.passed else style.bad
    lines = [
        paint(
            f"{found} of {wanted} faults found ({100 * result.share:.1f} %), "
            f"{sum(j.right for j in result.found)} blamed on their step"
        )
    ]
    if result.void:
        counts = Counter(judged.void for judged in result.void)
        said = ", ".join(f"{number} {why}" for why, number in sorted(counts.items()))
        lines.append(f"not counted: {said}")
    by = Counter(f.by for judged in result.judged for f in judged.found[:1])
    lines.append("found by: " + ", ".join(f"{name} {count}" for name, count in sorted(by.items())))
    if result.rival:
        asked = [j for j in result.judged if j.fault.name in result.rival]
        ours = sum("python" in j.lanes for j in asked)
        theirs = sum(result.rival[j.fault.name] for j in asked)
        lines.append(
            f"with at most {result.operations} operations a fault: lane python {ours}, "
            f"a Hypothesis state machine over the same models {theirs} of {len(asked)}"
        )
    return lines


def result_json(result: Survey) -> dict[str, Any]:
    """The survey as plain values."""
    return {
        "format": "replay-faults/2",
        "faults": len(result.real),
        "found": len(result.found),
        "share": result.share,
        "passed": result.passed,
        "operations": result.operations,
        "judged": [_json(result, judged) for judged in result.judged],
    }


def _json(result: Survey, judged: Judgement) -> dict[str, Any]:
    fault = judged.fault
    return {
        "name": fault.name,
        "step": fault.step,
        "file": fault.file or None,
        "function": fault.function,
        "operator": fault.operator,
        "line": fault.line,
        "void": judged.void or None,
        "found": bool(judged.found),
        "blamed": judged.blamed,
        "lanes": [
            {"lane": f.lane, "by": f.by, "traces": f.traces, "shortest": f.shortest}
            for f in judged.found
        ],
        "argued": result.arguments.get(fault.name),
        "hypothesis": result.rival.get(fault.name),
    }


shows(SurveyView, view_lines, lambda view: result_json(view.result))

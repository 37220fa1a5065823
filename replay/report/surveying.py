"""What a survey of faults found, as text and as JSON."""

from __future__ import annotations

import textwrap
from typing import Any

from replay.faults.judge import Judgement
from replay.faults.survey import Survey, equivalents
from replay.report.style import PLAIN, Style

WIDTH = 79


def result_lines(result: Survey, style: Style = PLAIN) -> list[str]:
    """A row a step, the survivors, and the shares."""
    head = "step  faults  found  at its step  argued  survive  shortest trace (median)"
    lines = [style.strong(head)]
    for step in sorted({judged.fault.step for judged in result.judged}):
        lines.append(_row(result, step))
    for title, some in (
        ("Found at another step", result.misblamed),
        ("Found, though argued to change nothing", result.refuted),
        ("Survivors without an argument", result.survivors),
    ):
        if some:
            lines += ["", style.bad(f"{title}:")]
            for judged in some:
                blamed = f" (blamed on step {judged.blamed})" if judged.blamed is not None else ""
                text = f"line {judged.fault.line} of {judged.fault.name}{blamed}"
                lines += textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="      ")
    if result.argued:
        lines += [
            "",
            f"{len(result.argued)} survive and are argued to change nothing; see --argued",
        ]
    return [*lines, "", *_summary(result, style)]


def argued_lines(result: Survey) -> list[str]:
    """The survivors that are argued to change nothing, each with its argument."""
    lines = []
    for judged in result.argued:
        lines += ["", judged.fault.name]
        lines += textwrap.wrap(
            equivalents()[judged.fault.name], WIDTH, initial_indent="    ", subsequent_indent="    "
        )
    return lines


def _row(result: Survey, step: int) -> str:
    mine = [j for j in result.judged if j.fault.step == step]
    lengths = sorted(j.shortest for j in mine if j.shortest is not None)
    middle = str(lengths[len(lengths) // 2]) if lengths else "-"
    found = sum(j.found for j in mine)
    right = sum(j.right for j in mine)
    argued = sum(j.fault.step == step for j in result.argued)
    survive = sum(j.fault.step == step for j in result.survivors)
    return (
        f"{step:>4}  {len(mine):>6}  {found:>5}  {right:>11}  {argued:>6}  {survive:>7}  {middle}"
    )


def _summary(result: Survey, style: Style) -> list[str]:
    found = sum(j.found for j in result.judged)
    wanted = len(result.judged) - len(result.argued)
    paint = style.good if result.passed else style.bad
    lines = [
        paint(
            f"{found} of {wanted} faults found ({100 * result.share:.1f} %), "
            f"{sum(j.right for j in result.judged)} blamed on their step"
        )
    ]
    by: dict[str, int] = {}
    for judged in result.judged:
        if judged.found:
            by[judged.by] = by.get(judged.by, 0) + 1
    lines.append("found by: " + ", ".join(f"{name} {count}" for name, count in sorted(by.items())))
    if result.rival:
        asked = [j for j in result.judged if j.fault.name in result.rival]
        ours = sum(j.found for j in asked)
        theirs = sum(result.rival[j.fault.name] for j in asked)
        lines.append(
            f"with at most {result.operations} operations a fault: this checker {ours}, "
            f"a Hypothesis state machine {theirs} of {len(asked)}"
        )
    return lines


def result_json(result: Survey) -> dict[str, Any]:
    """The survey as plain values."""
    return {
        "format": "replay-faults/1",
        "faults": len(result.judged),
        "found": sum(j.found for j in result.judged),
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
        "function": fault.function,
        "operator": fault.operator,
        "line": fault.line,
        "found": judged.found,
        "blamed": judged.blamed,
        "by": judged.by or None,
        "traces": judged.traces,
        "shortest": judged.shortest,
        "argued": equivalents().get(fault.name),
        "hypothesis": result.rival.get(fault.name),
    }

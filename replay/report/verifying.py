"""The rows of a verified series, as text and as JSON."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

from replay.base.jsonlines import printable
from replay.base.style import PLAIN, Style
from replay.dirty.verify import StepRow, Verification
from replay.report.checking import Saved, example_lines, step_json
from replay.report.output import shows

WIDTH = 79


@dataclass(frozen=True, slots=True)
class VerificationView:
    """A verified series, to be shown."""

    result: Verification


def result_lines(result: Verification, style: Style = PLAIN) -> list[str]:
    """A row a step, the problems, and which step fails first."""
    lines = [style.strong("step  applies  builds  api  code       behaviour             title")]
    for row in result.rows:
        lines += _row(row, style)
    for row in result.rows:
        if row.problem:
            lines += [
                "",
                style.bad(f"step {row.step}: {printable(row.title)}"),
                *_problem(row, style),
            ]
    lines.append("")
    first = result.first_failing
    identical = [str(row.step) for row in result.rows if row.code == "identical"]
    if identical:
        lines += textwrap.wrap(f"Code identical to the step before: {', '.join(identical)}", WIDTH)
    if result.base:
        lines.append(style.bad(f"step 0 fails: {printable(result.base)}"))
    elif first is not None:
        failing = sum(1 for row in result.rows if row.problem)
        lines.append(style.bad(f"{failing} of {len(result.rows)} steps fail; first {first.step}"))
    elif not result.passed:
        lines.append(style.bad("not all steps could be judged"))
    else:
        lines.append(style.good(f"all {len(result.rows)} steps are good"))
    return lines


def _row(row: StepRow, style: Style) -> list[str]:
    """One line; two where the step has a long name, that after the last step."""
    verdicts = [step.verdict.value for step in row.behaviour]
    behaviour = next(
        (v for v in reversed(verdicts) if v != "same"), verdicts[-1] if verdicts else "-"
    )
    builds = {None: "-", False: "no", True: "cached" if row.cached else "yes"}[row.builds]
    title = printable(row.title)
    room = WIDTH - 57
    title = title if len(title) <= room else title[: room - 1] + "…"
    name = str(row.step)
    long = [name] if len(name) > 4 else []
    text = (
        f"{'' if long else name:>4}  {_word(row.applies):<7}  {builds:<6}  {_word(row.api):<3}  "
        f"{row.code or '-':<9}  {behaviour:<20}  {title}"
    )
    return [style.bad(line) if row.problem else line for line in (*long, text)]


def _word(value: bool | None) -> str:
    return {None: "-", True: "yes", False: "no"}[value]


def _problem(row: StepRow, style: Style) -> list[str]:
    lines = [f"  {printable(line)}" for line in row.problem.splitlines()[:30]]
    for found in row.behaviour:
        for failure in found.failures[:1]:
            lines += example_lines(failure.example, row.step, Saved(), style)
    return lines


def result_json(result: Verification) -> dict[str, Any]:
    """The verification as plain values."""
    first = result.first_failing
    return {
        "format": "replay-verify/1",
        "passed": result.passed,
        "base": result.base or None,
        "first_failing": first.step if first else None,
        "steps": [
            {
                "step": row.step,
                "title": row.title,
                "good": row.good,
                "applies": row.applies,
                "builds": row.builds,
                "cached": row.cached,
                "api": row.api,
                "code": row.code or None,
                "problem": row.problem or None,
                "behaviour": [step_json(step) for step in row.behaviour],
            }
            for row in result.rows
        ],
    }


shows(
    VerificationView,
    lambda view, style: result_lines(view.result, style),
    lambda view: result_json(view.result),
)

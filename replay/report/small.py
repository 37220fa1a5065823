"""Runs of a small subject, an operation a line, as text and as JSON."""

from __future__ import annotations

from typing import Any

from replay.base.jsonlines import printable
from replay.base.style import Style
from replay.report.output import shows
from replay.series.small import SmallRecord, SmallRun, SmallSideBySide


def run_lines(run: SmallRun, style: Style) -> list[str]:
    """A trace at one step: each operation, what it returned, and the state after it."""
    lines = [style.strong(f"{printable(run.trace.name) or '(no name)'} at step {run.step}"), ""]
    for index, op in enumerate(run.trace.ops):
        lines.append(f"{index:>4}  {op!s:<24}  {_text(_at(run, index))}")
    return lines


def side_by_side_lines(shown: SmallSideBySide, style: Style) -> list[str]:
    """Each operation at both steps; those of which something else was seen are marked."""
    old, new = shown.steps
    lines = []
    for index, op in enumerate(shown.old.trace.ops):
        a, b = _at(shown.old, index), _at(shown.new, index)
        if a == b:
            lines.append(f"   {index:>4}  {op}: {_text(a)}")
            continue
        lines.append(style.bad(f" > {index:>4}  {op}"))
        lines += [f"          step {old}: {_text(a)}", f"          step {new}: {_text(b)}"]
    word = "the same" if shown.equal else "they differ"
    return [*lines, "", f"steps {old} and {new}: {word}"]


def _at(run: SmallRun, index: int) -> SmallRecord | None:
    return run.records[index] if index < len(run.records) else None


def _text(record: SmallRecord | None) -> str:
    if record is None:
        return "(the run had ended)"
    state = ", ".join(f"{name} {value!r}" for name, value in record.state.items())
    said = f"returns {record.ret!r}" if record.status == "ok" else f"{record.status}: {record.ret}"
    return printable(f"{said}; {state}" if state else said)


def _plain(record: SmallRecord) -> dict[str, Any]:
    return {"ret": record.ret, "status": record.status, "state": dict(record.state)}


def _run_json(run: SmallRun) -> dict[str, Any]:
    records = [_plain(record) for record in run.records]
    return {"format": "replay-run/1", "step": run.step, **run.trace.to_json(), "records": records}


shows(SmallRun, run_lines, _run_json)
shows(
    SmallSideBySide,
    side_by_side_lines,
    lambda shown: {"equal": shown.equal, "runs": [_run_json(r) for r in (shown.old, shown.new)]},
)

"""What the verdicts of a verification rest on, as lines or as plain values."""

from __future__ import annotations

from typing import Any, Final

from replay.base.jsonlines import printable
from replay.base.style import counted, listed, wrapped
from replay.repo.evidence import Evidence
from replay.repo.lines import Line
from replay.repo.reach import Reach
from replay.repo.results import JudgedCommit, Report
from replay.search.verdict import Verdict

LEFT_OUT: Final = 6
"""Functions that are not called which a report names with their reasons; of more, it counts."""


def evidence_text(evidence: Evidence) -> str:
    """In one line, what came back and what did not."""
    if evidence.identical:
        return "identical code: no trace is needed"
    back, total = evidence.calls
    parts = [f"{back} of {total} calls returned on both sides"]
    for cause, said in (("crash", "ended in a crash"), ("hang", "hung")):
        stops = evidence.stopped(cause)
        if stops:
            count = sum(evidence.stops[stop] for stop in stops)
            names = listed([stop.text for stop in stops], 3)
            many = f"{count} of {evidence.traces} traces"
            parts.append(f"{many} {said} on both sides at the same call: {names}")
    if evidence.objectless:
        parts.append(
            f"{evidence.objectless.total()} not made, since a constructor had given no object"
        )
    if evidence.left_out:
        each = [f"{name} ({count})" for name, count in sorted(evidence.left_out.items())]
        parts.append(f"not made, since such calls come back on neither side: {listed(each, 3)}")
    return "; ".join(parts)


def row_line(row: JudgedCommit) -> str:
    """What the verdict on a commit rests on, where that is not just all calls."""
    evidence = row.evidence
    if evidence is None:
        return ""
    back, total = evidence.calls
    matters = evidence.identical or back < total or row.verdict is Verdict.UNDECIDED
    return printable(evidence_text(evidence)) if matters else ""


def reach_line(row: JudgedCommit) -> str:
    """Which of the lines that a commit changed were executed; of equal code, nothing."""
    reach = row.reach
    if reach is None or row.evidence is None or row.evidence.identical:
        return ""
    return printable(reach.text())


def proof_lines(row: JudgedCommit) -> list[str]:
    """What is proved of a commit and how, or why it is not; nothing where it was not asked."""
    return [] if row.proof is None else [printable(line) for line in row.proof.lines()]


def summary_lines(report: Report) -> list[str]:
    """The same of all commits together; how many are not decided; and what is not called."""
    lines = []
    compared = [
        row for row in report.rows if row.evidence is not None and not row.evidence.identical
    ]
    if compared:
        many = f" (in {counted(len(compared), 'comparison')})" if len(compared) > 1 else ""
        lines += wrapped(printable(evidence_text(report.evidence)) + many, "")
    asked = [row for row in report.rows if row.proof is not None]
    if asked:
        proved = sum(row.is_proved for row in asked)
        lines.append(
            f"proved: {proved} of {counted(len(asked), 'commit')} that traces find the same"
        )
    open_rows = [row for row in report.rows if row.verdict in _OPEN]
    if open_rows:
        kinds = [
            f"{sum(row.verdict is kind for row in open_rows)} {kind.value}"
            for kind in _OPEN if any(row.verdict is kind for row in open_rows)
        ]  # fmt: skip
        lines.append(f"open: {', '.join(kinds)}")
    if report.left_out:
        shown = [f"{name} ({why})" for name, why in report.left_out.items()]
        lines += wrapped(printable(f"exported and not called: {listed(shown, LEFT_OUT)}"), "")
    return lines


_OPEN: Final = (Verdict.UNDECIDED, Verdict.NOT_JUDGED, Verdict.NOT_BUILT)


def row_json(row: JudgedCommit) -> dict[str, Any] | None:
    """What the verdict on a commit rests on as plain values."""
    found = evidence_json(row.evidence)
    if found is None or found["identical"]:
        return found
    return {**found, "changed_lines": _reach_json(row.reach)}


def _reach_json(reach: Reach | None) -> dict[str, Any] | None:
    """Which changed lines were executed; None where it was not asked."""
    if reach is None:
        return None
    return {
        "executed": [
            {**_line_json(line), "trace": number} for line, number in sorted(reach.executed.items())
        ],
        "missed": [_line_json(line) for line in reach.missed],
        "unknown": reach.unknown or None,
        "bred": reach.bred,
    }


def _line_json(line: Line) -> dict[str, Any]:
    return {"file": line.file, "line": line.number, "removed": line.removed}


def evidence_json(evidence: Evidence | None) -> dict[str, Any] | None:
    """What was seen as plain values, by function."""
    if evidence is None:
        return None
    if evidence.identical:
        return {"identical": True}
    back, total = evidence.calls
    return {
        "identical": False,
        "traces": evidence.traces,
        "generated": total,
        "reached": evidence.reached.total(),
        "returned": back,
        "functions": {
            name: {
                "generated": evidence.generated[name],
                "reached": evidence.reached[name],
                "returned": evidence.returned[name],
                "observed": evidence.shown[name] > 0,
                "no_object": evidence.objectless[name],
                "left_out": evidence.left_out[name],
            }
            for name in sorted(evidence.generated)
        },
        "observers": sorted(evidence.looked),
        "stopped": [
            {"function": stop.function, "cause": stop.cause, "how": stop.how, "traces": count}
            for stop, count in sorted(evidence.stops.items(), key=lambda one: (-one[1], one[0]))
        ],
    }

"""A verification of programs as text or as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from replay.base.jsonlines import printable
from replay.base.style import PLAIN, WIDTH, Style, counted, listed, wrapped
from replay.repo.program.case import plain
from replay.repo.program.evidence import Evidence, value_text
from replay.repo.program.results import ProgramReport, Row
from replay.repo.program.running import HANG
from replay.repo.program.searching import ProgramSearch
from replay.repo.program.tallies import Example
from replay.report.commits import INDENT, OUTPUT_LINES, search_json, search_lines
from replay.report.output import shows
from replay.report.programsexpecting import declared_json, declared_lines
from replay.search.verdict import Verdict

OPEN: Final = (Verdict.UNDECIDED, Verdict.NOT_JUDGED, Verdict.NOT_BUILT)


@dataclass(frozen=True, slots=True)
class ProgramsView:
    """The programs of a range, judged.

    Attributes:
        searched: the report, and the search that led to it.
        saved: where each example was saved, and the command that runs it again.
        searching: whether a search was asked for.
    """

    searched: ProgramSearch
    saved: Mapping[str, tuple[Path, str]] = field(default_factory=dict)
    searching: bool = False


def view_lines(view: ProgramsView, style: Style = PLAIN) -> list[str]:
    """The search, or an empty line; a row a commit; what was found."""
    searched, report = view.searched, view.searched.report
    lines = search_lines(searched.found, searched.commits, style) or [""]
    lines.append(style.strong(f"{'commit':<12}  {'verdict':<22} {'differ':>6}  subject"))
    for row in report.rows:
        lines += _row(row, style)
    if report.notes:
        lines.append("")
        for note in report.notes:
            lines += wrapped(f"note: {printable(note)}", "")
    for row in report.rows:
        if row.example is not None:
            lines += ["", *_finding(row, row.example, view, style)]
    return [*lines, "", *_summary(report, style)]


def _row(row: Row, style: Style) -> list[str]:
    good = style.good if row.verdict.passes else style.bad
    room = WIDTH - 45
    subject = printable(row.commit.subject)
    subject = subject if len(subject) <= room else subject[: room - 1] + "…"
    compared = row.evidence is not None and not row.evidence.identical
    differ = str(row.differing) if compared else "-"
    verdict = good(f"{row.verdict.value:<22}")
    lines = [f"{row.commit.short}  {verdict} {differ:>6}  {subject}"]
    if row.reason:
        lines += wrapped(printable(row.reason), INDENT)
    if row.evidence is not None:
        lines += wrapped(printable(evidence_text(row.evidence)), INDENT)
    if row.verdict is Verdict.NOT_BUILT and row.output.strip():
        output = [printable(line.expandtabs()) for line in row.output.rstrip().splitlines()]
        lines += [f"{INDENT}| {line[:200]}" for line in output[-OUTPUT_LINES:]]
    for text in (*declared_lines(row), *row.notes):
        lines += wrapped(printable(text), INDENT)
    return lines


def evidence_text(evidence: Evidence) -> str:
    """In one line, how many runs ended, showed something, and failed."""
    if evidence.identical:
        return "identical code: no run is needed"
    every = counted(evidence.runs + evidence.lost, "run")
    ends = [f"{n} with {end}" for end, n in evidence.ends.most_common() if end != HANG]
    how = f" ({listed(ends, 3)})" if ends else ""
    parts = [
        f"{evidence.ended} of {every} ended on both sides{how}",
        f"{evidence.output} gave output",
        counted(len(evidence.shown), "different result"),
        f"given were {evidence.given.text}",
    ]
    if evidence.lost:
        parts.append(f"{evidence.lost} not run, after too many hangs")
    if evidence.ends[HANG]:
        parts.append(f"{evidence.ends[HANG]} hang on both sides")
    failures = [(how.text, count) for how, count in evidence.failures() if how.end != HANG]
    if failures:
        shown = [f"{count} with {said}" for said, count in failures]
        total = sum(count for _, count in failures)
        parts.append(f"{total} failed in the same way on both ({listed(shown, 2)})")
    return "; ".join(parts)


def _finding(row: Row, example: Example, view: ProgramsView, style: Style) -> list[str]:
    report = view.searched.report
    first = "first guilty commit" if row is report.guilty else "commit"
    runs = row.evidence.runs if row.evidence else 0
    perhaps = "" if example.complete else ", perhaps not the shortest"
    lines = [
        style.bad(f"{first} {row.commit.short}: {row.verdict.value}"),
        *wrapped(printable(row.commit.subject), INDENT),
        f"{INDENT}shown by {row.differing} of {counted(runs, 'run')}",
        f"{INDENT}shortest run{perhaps}:",
        *(f"{INDENT}  {printable(line)}" for line in example.case.lines()),
    ]
    for what, before, after in example.divergence.fields:
        both = f"before {value_text(before)}, after {value_text(after)}"
        lines += wrapped(style.new(printable(f"{what}: {both}")), INDENT + "    ")
    if row.name in view.saved:
        path, command = view.saved[row.name]
        lines.append(f"{INDENT}saved as {printable(str(path))}; run it again with")
        lines.append(f"{INDENT}  {printable(command)}")
    return lines


def _summary(report: ProgramReport, style: Style) -> list[str]:
    rows = report.rows[1:]
    good = sum(row.verdict.passes for row in rows)
    counts = sorted({row.evidence.runs for row in rows if row.evidence and row.evidence.runs})
    many = " to ".join(map(str, dict.fromkeys((counts or [0])[:: max(len(counts) - 1, 1)])))
    runs = f"{many} run{'' if counts == [1] else 's'}"
    lines = [f"{good} of {counted(len(rows), 'commit')} as claimed, on {runs} a commit"]
    kinds = [
        f"{sum(row.verdict is kind for row in rows)} {kind.value}"
        for kind in OPEN if any(row.verdict is kind for row in rows)
    ]  # fmt: skip
    if kinds:
        lines.append(f"open: {', '.join(kinds)}")
    if report.guilty is not None:
        commit = report.guilty.commit
        lines.append(style.bad(f"first guilty: {commit.short} {printable(commit.subject)}"))
    return lines


# --- as plain values ------------------------------------------------------------------


def view_json(view: ProgramsView) -> dict[str, Any]:
    """The report as plain values, with the search where one was asked for."""
    report = view.searched.report
    found: dict[str, Any] = {
        "passed": report.passed,
        "guilty": report.guilty.commit.id if report.guilty else None,
        "program": report.program,
        "seed": report.seed,
        "runs": report.runs,
        "notes": report.notes,
        "commits": [_row_json(row, view) for row in report.rows],
    }
    if view.searching:
        searched = view.searched
        changes = ((one.place, one.after, one.words) for one in searched.changes)
        found["search"] = search_json(searched.found, searched.commits, changes)
    return found


def _row_json(row: Row, view: ProgramsView) -> dict[str, Any]:
    return {
        "commit": row.commit.id,
        "tree": row.commit.tree,
        "subject": row.commit.subject,
        "verdict": row.verdict.value,
        "reason": row.reason,
        "output": row.output,
        "cached": row.cached,
        "against": row.against.id if row.against else None,
        "differing": row.differing,
        "notes": row.notes,
        "declared": declared_json(row),
        "evidence": _evidence_json(row.evidence),
        "example": _example_json(row, view),
    }


def _evidence_json(evidence: Evidence | None) -> dict[str, Any] | None:
    if evidence is None or evidence.identical:
        return None if evidence is None else {"identical": True}
    return {
        "identical": False,
        "runs": evidence.runs,
        "ended": evidence.ended,
        "output": evidence.output,
        "different": len(evidence.shown),
        "ends": dict(evidence.ends.most_common()),
        "given": dict(zip(("arguments", "stdin", "files"), evidence.given.counts, strict=True)),
        "not_run": evidence.lost,
        "failed": [
            {"end": how.end, "said": how.said, "runs": count}
            for how, count in evidence.failures()
        ],
    }  # fmt: skip


def _example_json(row: Row, view: ProgramsView) -> dict[str, Any] | None:
    if row.example is None:
        return None
    path, command = view.saved.get(row.name, (None, None))
    return {
        "name": row.name,
        "run": row.example.case.to_json(),
        "differs": [
            [what, *(None if value is None else plain(value) for value in values)]
            for what, *values in row.example.divergence.fields
        ],
        "shortest": row.example.complete,
        "file": str(path) if path else None,
        "command": command,
    }


@dataclass(frozen=True, slots=True)
class InputsView:
    """A drafted inputs file: its text, and where it was written, if so."""

    text: str
    output: Path | None = None


def inputs_lines(view: InputsView, style: Style = PLAIN) -> list[str]:
    """The text, or where it is."""
    if view.output is None:
        return [view.text.rstrip()]
    return [f"{view.output}: say in it what the program takes before you use it"]


def inputs_json(view: InputsView) -> dict[str, Any]:
    """The same as plain values."""
    return {"file": str(view.output) if view.output else None, "inputs": view.text}


shows(ProgramsView, view_lines, view_json)
shows(InputsView, inputs_lines, inputs_json)

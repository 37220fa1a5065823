"""A verification as text or as plain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from replay.base.jsonlines import printable
from replay.base.style import PLAIN, WIDTH, Style, counted, wrapped
from replay.repo.binding import Interface
from replay.repo.git import Commit
from replay.repo.results import Counterexample, JudgedCommit, Report
from replay.repo.runner import Run
from replay.repo.searching import Search
from replay.repo.showing import value_text
from replay.report.evidence import (
    evidence_json,
    proof_lines,
    reach_line,
    row_json,
    row_line,
    summary_lines,
)
from replay.report.expecting import declared_json, declared_lines
from replay.report.output import shows
from replay.search.bisect import Answer, Bisection
from replay.search.verdict import Verdict

INDENT: Final = " " * 4
OUTPUT_LINES: Final = 12
"""Lines of a failed build that are shown, from its end."""

Commands = dict[str, tuple[Path, str]]
"""Where each example was saved, by its name, and the command that replays it."""


@dataclass(frozen=True, slots=True)
class CommitsView:
    """The commits of a range, judged.

    Attributes:
        searched: the report, and the search that led to it.
        saved: where the examples were saved.
        searching: whether a search was asked for, also where nothing was searched.
    """

    searched: Search
    saved: Commands = field(default_factory=dict)
    searching: bool = False


def view_lines(view: CommitsView, style: Style = PLAIN) -> list[str]:
    """The search, or an empty line, and then the report."""
    searched = view.searched
    lines = search_lines(searched.found, searched.commits, style) or [""]
    return [*lines, *report_lines(searched.report, view.saved, style)]


def view_json(view: CommitsView) -> dict[str, Any]:
    """The report as plain values, with the search where one was asked for."""
    searched = view.searched
    found = report_json(searched.report, view.saved)
    if view.searching:
        changes = ((c.place, c.after, [kind.words for kind in c.kinds]) for c in searched.changes)
        found["search"] = search_json(searched.found, searched.commits, changes)
    return found


def report_lines(report: Report, saved: Commands | None = None, style: Style = PLAIN) -> list[str]:
    """The whole report: a row a commit, what was found, and the first guilty commit."""
    saved = saved or {}
    lines = [style.strong(f"{'commit':<12}  {'verdict':<22} {'differ':>6}  subject")]
    for row in report.rows:
        lines.append(_row(row, style))
        lines += _details(row, report.interface, style)
    notes = (*report.notes, *_cached(report))
    if notes:
        lines.append("")
        for note in notes:
            lines += _wrap(f"note: {printable(note)}", "")
    for row in report.rows:
        if row.example is not None:
            lines += ["", *_finding(row, row.example, report, saved, style)]
        if row.model_example is not None and _first_wrong(report) is row:
            lines += ["", *_finding(row, row.model_example, report, saved, style)]
    return [*lines, "", *_summary(report, style)]


def _cached(report: Report) -> list[str]:
    """How many libraries were not built for this report."""
    few = sum(row.cached for row in report.rows)
    every = sum(row.cached or row.verdict is not Verdict.NOT_BUILT for row in report.rows)
    if not few:
        return []
    return [f"{few} of {every} libraries come from the cache of builds; --rebuild makes them anew"]


def search_lines(
    found: Bisection | None, commits: Sequence[Commit], style: Style = PLAIN
) -> list[str]:
    """The probes of a search, and what they leave open."""
    if found is None:
        return []
    total = counted(len(commits) - 1, "commit")
    lines = [style.strong(f"binary search: {len(found.probes)} probes in {total}")]
    for probe in found.probes:
        commit = commits[probe.step]
        paint = {Answer.GOOD: style.good, Answer.BAD: style.bad}.get(probe.answer, str)
        note = f"  {probe.note}" if probe.note else ""
        lines.append(
            f"{INDENT}{commit.short}  {paint(f'{probe.answer.value:<4}')}{printable(note)}"
        )
    if found.suspects:
        names = ", ".join(commits[step].short for step in found.suspects)
        lines += _wrap(f"some could not be judged: the guilty commit is one of {names}")
    return [*lines, ""]


def search_json(
    found: Bisection | None,
    commits: Sequence[Commit],
    changes: Iterable[tuple[int, int, list[str]]],
) -> dict[str, Any] | None:
    """The same as plain values, with what was found.

    ``changes``: the place of the commit, of the one before it that was judged, and in what the
    two differ.
    """
    if found is None:
        return None
    return {
        "commits": len(commits) - 1,
        "probes": [
            {"commit": commits[p.step].id, "answer": p.answer.value, "note": p.note}
            for p in found.probes
        ],
        "suspects": [commits[step].id for step in found.suspects],
        "changes": [
            {"commit": commits[place].id, "after": commits[after].id, "kinds": kinds}
            for place, after, kinds in changes
        ],
    }


def _first_wrong(report: Report) -> JudgedCommit | None:
    """The first row that differs from the model: the others mostly inherit it."""
    return next((row for row in report.rows if row.model), None)


def _row(row: JudgedCommit, style: Style) -> str:
    good = style.good if row.verdict.passes else style.bad
    word = row.verdict.value
    if row.proof is not None and row.is_proved:
        word += " (proved, bounded)" if row.proof.bounded else " (proved)"
    verdict = good(f"{word:<22}")
    room = WIDTH - 45
    subject = printable(row.commit.subject)
    subject = subject if len(subject) <= room else subject[: room - 1] + "…"
    differ = str(row.differing) if row.traces else "-"
    return f"{row.commit.short}  {verdict} {differ:>6}  {subject}"


def _details(row: JudgedCommit, interface: Interface | None, style: Style) -> list[str]:
    lines = []
    if row.reason:
        lines += _wrap(printable(row.reason))
    for basis in filter(None, (*proof_lines(row), row_line(row), reach_line(row))):
        lines += _wrap(basis)
    if row.verdict is Verdict.NOT_BUILT and row.output.strip():
        output = [printable(line.expandtabs()) for line in row.output.rstrip().splitlines()]
        if len(output) > OUTPUT_LINES:
            lines.append(f"{INDENT}| [{len(output) - OUTPUT_LINES} lines before]")
        lines += [f"{INDENT}| {line[:200]}" for line in output[-OUTPUT_LINES:]]
    if row.model:
        lines.append(INDENT + style.bad(f"differs from the model on {counted(row.model, 'trace')}"))
    for line in declared_lines(row, interface):
        lines += _wrap(printable(line))
    for note in row.notes:
        lines += _wrap(printable(note))
    return lines


def _finding(
    row: JudgedCommit, example: Counterexample, report: Report, saved: Commands, style: Style
) -> list[str]:
    assert report.interface is not None
    what = "differs from the model" if example.sides[0] == "model" else row.verdict.value
    first = row is report.guilty and example is row.example
    head = f"{'first guilty commit' if first else 'commit'} {row.commit.short}: {what}"
    lines = [style.bad(head), *_wrap(printable(row.commit.subject))]
    count = row.model if example.sides[0] == "model" else row.differing
    total = f" of {row.traces}" if row.traces else ""
    lines.append(f"{INDENT}shown by {count}{total} trace{'' if total == ' of 1' else 's'}")
    limit = "" if example.complete else ", perhaps not the shortest"
    lines.append(f"{INDENT}shortest trace ({counted(len(example.trace), 'call')}{limit}):")
    lines += _calls(example, report.interface, style)
    if example.name in saved:
        path, command = saved[example.name]
        lines.append(f"{INDENT}saved as {printable(str(path))}; run it again with")
        lines.append(f"{INDENT}  {printable(command)}")
    return lines


def _calls(example: Counterexample, interface: Interface, style: Style) -> list[str]:
    """The calls, each with what it returned, and the one at which the two sides part."""
    lines = []
    for index, call in enumerate(example.trace):
        text = printable(call.text(interface))
        if index == example.divergence.index:
            lines.append(style.new(f"{INDENT}> {text}"))
            break
        lines.append(f"{INDENT}  {text}{_returned(example.before, index)}")
    else:
        lines.append(style.new(f"{INDENT}> (the end, where what is left is destroyed)"))
    old, new = example.sides
    for what, before, after in example.divergence.fields:
        both = f"{old} {value_text(before)}, {new} {value_text(after)}"
        lines += _wrap(f"{printable(what)}: {both}", INDENT + "    ")
    return lines


def _returned(run: Run, index: int) -> str:
    record = run.record(index) or {}
    ret = record.get("ret")
    if record.get("skipped"):
        return "   # not called: there is no object"
    return f"   # {value_text(ret)}" if ret not in (None, "not NULL") else ""


def _summary(report: Report, style: Style) -> list[str]:
    rows = report.rows[1:]
    good = sum(row.verdict.passes and not row.model for row in rows)
    counts = sorted(
        {row.evidence.calls[1] for row in rows if row.evidence and not row.evidence.identical}
        or {sum(report.calls.values())}
    )
    calls = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    ops = report.interface.ops if report.interface else {}
    called = {name: ops[name].draft.like for name, count in report.calls.items() if count}
    # Of a drafted function that changes, one way to call it is enough.
    again = {ops[name].draft.functions for name, like in called.items() if like}
    never = [n for n, op in ops.items() if n not in called and op.draft.functions not in again]
    some = f"{calls} call{'' if counts == [1] else 's'} a commit"
    lines = [f"{good} of {counted(len(rows), 'commit')} as claimed, on {some}"]
    lines += summary_lines(report)
    if report.traces > 1 and report.calls and never:
        lines += _wrap(f"never called: {', '.join(never)}", "")
    guilty = report.guilty
    if guilty is not None:
        subject = printable(guilty.commit.subject)
        lines.append(style.bad(f"first guilty: {guilty.commit.short} {subject}"))
    return lines


def _wrap(text: str, indent: str = INDENT) -> list[str]:
    return wrapped(text, indent)


# --- as plain values ------------------------------------------------------------------


def report_json(report: Report, saved: Commands | None = None) -> dict[str, Any]:
    """The report as plain values; what a build printed is not cut further."""
    guilty = report.guilty
    return {
        "passed": report.passed,
        "guilty": guilty.commit.id if guilty else None,
        "seed": report.seed,
        "traces": report.traces,
        "ops": report.ops,
        "calls": dict(sorted(report.calls.items())),
        "notes": report.notes,
        "evidence": evidence_json(report.evidence),
        "left_out": dict(report.left_out),
        "commits": [_row_json(row, report.interface, saved or {}) for row in report.rows],
    }


def _row_json(row: JudgedCommit, interface: Interface | None, saved: Commands) -> dict[str, Any]:
    return {
        "commit": row.commit.id,
        "tree": row.commit.tree,
        "subject": row.commit.subject,
        "verdict": row.verdict.value,
        "reason": row.reason,
        "output": row.output,
        "cached": row.cached,
        "against": row.against.id if row.against else None,
        "traces": row.traces,
        "differing": row.differing,
        "model_differing": row.model,
        "notes": row.notes,
        "declared": declared_json(row, interface),
        "evidence": row_json(row),
        "proof": row.proof.to_json() if row.proof is not None else None,
        "example": _example_json(row.example, interface, saved),
        "model_example": _example_json(row.model_example, interface, saved),
    }


def _example_json(
    example: Counterexample | None, interface: Interface | None, saved: Commands
) -> Any:
    if example is None or interface is None:
        return None
    path, command = saved.get(example.name, (None, None))
    return {
        "name": example.name,
        "trace": [call.to_json(interface) for call in example.trace],
        "text": [call.text(interface) for call in example.trace],
        "index": example.divergence.index,
        "differs": [list(field) for field in example.divergence.fields],
        "shortest": example.complete,
        "file": str(path) if path else None,
        "command": command,
    }


shows(CommitsView, view_lines, view_json)

"""Declared differences of programs in a report, and a draft of the file that declares them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from replay.base.jsonlines import printable
from replay.repo.expectfile import FORMAT
from replay.repo.program.case import Case, plain
from replay.repo.program.evidence import value_text
from replay.repo.program.expecting import CRASH
from replay.repo.program.results import ProgramReport, Row
from replay.repo.program.running import HANG
from replay.repo.settling import Told
from replay.report.expecting import naming, quoted

HEAD: Final = f"""\
# Differences that are intended, for replay verify --program --expect. Drafted from what was
# found: look at each, drop what is a fault, and write the reason of what is not.
#
# patch_id = "…" instead of the subject names the commit by its change, as git patch-id
# --stable does. fields: what differs, all else still counts: stdout, stderr, status, crash,
# hang, "file NAME", files. Closer than "any other text there":
#   rule = "rules.py:fits"       fits(operation, values, before, after) -> bool, beside this file:
#                                values {{"args": […], "stdin": "…", "files": {{…}}}}, of which what
#                                is empty is left out; before, after
#                                {{"status": 0, "stdout": "…", "stderr": "…", "file NAME": "…"}}

format = "{FORMAT}"
"""


# --- in a report ------------------------------------------------------------------------


def declared_lines(row: Row) -> Iterator[str]:
    """What is declared of a commit, each with what runs show of it."""
    runs = row.evidence.runs if row.evidence else 0
    for one in row.declared:
        entry, shown = one.entry, one.shown
        said = f"{entry.key} ({entry.kind}: {entry.reason}) "
        if not shown.traces:
            yield f"{said}never shown: {entry.text}"
            continue
        parts = ", ".join(sorted(shown.parts))
        yield (
            f"{said}shown by {shown.traces} of {runs} runs: {parts}; for instance "
            f"{'; '.join(_given(one))}: {shown.what}: before {value_text(shown.before)}, now "
            f"{value_text(shown.after)}"
        )


def _given(one: Told) -> list[str]:
    """The run at which a declared difference was seen first."""
    return one.shown.call.lines() if isinstance(one.shown.call, Case) else []


def declared_json(row: Row) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [_told_json(one) for one in row.declared]


def _told_json(one: Told) -> dict[str, Any]:
    entry, shown = one.entry, one.shown
    case = shown.call if isinstance(shown.call, Case) else Case()
    sides = [None if value is None else plain(value) for value in (shown.before, shown.after)]
    instance = {"run": case.to_json(), "what": shown.what, "before": sides[0], "after": sides[1]}
    return {
        "entry": entry.key,
        "file": str(entry.path),
        "line": entry.line,
        "fields": entry.fields,
        "kind": entry.kind,
        "reason": entry.reason,
        "shown": one.is_shown,
        "runs": shown.traces,
        "parts": sorted(shown.parts),
        "instance": instance if shown.traces else None,
    }


# --- a draft ----------------------------------------------------------------------------


def draft(report: ProgramReport) -> str:
    """The text of a file that declares what a report found: an entry a commit."""
    subjects = Counter(row.commit.subject for row in report.rows[1:])
    parts = [HEAD]
    for row in report.rows[1:]:
        if row.verdict.is_guilty:
            ids = report.patches.get(row.commit.id, ())
            parts.append(_entry(row, subjects[row.commit.subject] == 1, next(iter(ids), "")))
    if len(parts) == 1:
        parts.append("# Nothing differs that is not declared.\n")
    return "\n".join(parts)


def _entry(row: Row, once: bool, patch: str) -> str:
    """The entry of one commit; the subject names it where it stands there ``once``."""
    fields = sorted(row.kinds)
    return "\n".join(
        [
            f"# commit {row.commit.short}: {row.verdict.value}",
            *(f"# {printable(line)}" for line in _example(row)),
            "[[expect]]",
            *naming(row.commit.subject, patch, once),
            f"fields = [{', '.join(map(quoted, fields))}]",
            f'kind = "{_kind(fields)}"', 'reason = ""', "",
        ]
    )  # fmt: skip


def _kind(fields: Iterable[str]) -> str:
    few = set(fields)
    if few & {CRASH, HANG}:
        return "ends otherwise"
    return "other output" if few <= {"stdout", "stderr"} else "new result"


def _example(row: Row) -> Iterator[str]:
    """The shortest run, and what differs."""
    if row.example is None:
        return
    for line in row.example.case.lines():
        yield f"  {line}"
    for what, before, after in row.example.divergence.fields:
        yield f"    {what}: before {value_text(before)}, after {value_text(after)}"

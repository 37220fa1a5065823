"""Declared differences in a report, and a draft of the file that declares them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from replay.base.atomic import replace_file
from replay.base.jsonlines import printable
from replay.errors import UsageError
from replay.repo.binding import Interface
from replay.repo.calls import Call
from replay.repo.expected import ENDS, Declared
from replay.repo.expectfile import FORMAT
from replay.repo.results import Counterexample, JudgedCommit, Report
from replay.repo.settling import Told
from replay.repo.showing import value_text

HEAD: Final = f"""\
# Differences that are intended, for replay verify --expect. Drafted from what was found: look
# at each, drop what is a fault, and write the reason of what is not.
#
# patch_id = "…" instead of the subject names the commit by its change, as git patch-id
# --stable does. functions, fields: what differs, at calls of what; all else still counts.
# Closer than "anything else there":
#   rule = "rules.py:fits"       fits(operation, values, before, after) -> bool, beside this file
#   results = [{{ call = "f(n=15)", now = 3 }}]

format = "{FORMAT}"
"""


# --- in a report ------------------------------------------------------------------------


def declared_lines(row: JudgedCommit, interface: Interface | None) -> Iterator[str]:
    """What is declared of a commit, each with what traces show of it."""
    for one in row.declared:
        entry = one.entry
        said = f"{entry.key} ({entry.kind}: {entry.reason}) "
        shown = one.shown
        if not shown.traces:
            yield f"{said}never shown: {entry.text}"
            continue
        parts = ", ".join(sorted(shown.parts))
        yield (
            f"{said}shown by {shown.traces} of {row.traces} traces: {parts}; for instance "
            f"{_instance(shown, interface)}"
        )
        if one.unseen:
            yield f"{entry.key} never shown: {', '.join(one.unseen)}"


def _instance(shown: Declared, interface: Interface | None) -> str:
    call = _call(shown, interface)
    return f"{call}: {shown.what}: before {value_text(shown.before)}, now {value_text(shown.after)}"


def _call(shown: Declared, interface: Interface | None) -> str:
    if not isinstance(shown.call, Call) or interface is None:
        return "the end, where what is left is destroyed"
    return shown.call.text(interface)


def declared_json(row: JudgedCommit, interface: Interface | None) -> list[dict[str, Any]]:
    """The same as plain values."""
    return [_told_json(one, interface) for one in row.declared]


def _told_json(one: Told, interface: Interface | None) -> dict[str, Any]:
    entry, shown = one.entry, one.shown
    instance = {
        "call": _call(shown, interface), "what": shown.what, "before": shown.before,
        "after": shown.after,
    }  # fmt: skip
    return {
        "entry": entry.key,
        "file": str(entry.path),
        "line": entry.line,
        "functions": entry.functions,
        "fields": entry.fields,
        "kind": entry.kind,
        "reason": entry.reason,
        "shown": one.is_shown,
        "traces": shown.traces,
        "parts": sorted(shown.parts),
        "never": one.unseen,
        "instance": instance if shown.traces else None,
    }


# --- a draft ----------------------------------------------------------------------------


def write_draft(path: Path, text: str) -> None:
    """Write a file that declares what a report found, given its text.

    Raises:
        UsageError: it cannot be written.

    """
    try:
        replace_file(path, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); name another") from None


def draft(report: Report) -> str:
    """The text of such a file: an entry for each set of fields of a commit."""
    subjects = Counter(row.commit.subject for row in report.rows[1:])
    parts = [HEAD]
    for row in report.rows[1:]:
        if row.verdict.is_guilty:
            once = subjects[row.commit.subject] == 1
            ids = report.patches.get(row.commit.id, ())
            parts += _entries(row, report.interface, once, next(iter(ids), ""))
    if len(parts) == 1:
        parts.append("# Nothing differs that is not declared.\n")
    return "\n".join(parts)


def _entries(
    row: JudgedCommit, interface: Interface | None, once: bool, patch: str
) -> Iterator[str]:
    """The entries of one commit; the subject names it where it stands there ``once``."""
    fields: dict[str, set[str]] = {}
    for kind in row.kinds:
        function, _, what = kind.partition(": ")
        fields.setdefault(function, set()).add(what)
    functions: dict[tuple[str, ...], list[str]] = {}
    for function, few in sorted(fields.items()):
        functions.setdefault(tuple(sorted(few)), []).append(function)
    example = [f"# {line}" for line in _example(row.example, interface)]
    names = naming(row.commit.subject, patch, once)
    for fields_there, named in functions.items():
        yield "\n".join(
            [
                f"# commit {row.commit.short}: {row.verdict.value}", *example, "[[expect]]",
                *names,
                f"functions = [{', '.join(map(quoted, named))}]",
                f"fields = [{', '.join(map(quoted, fields_there))}]",
                f'kind = "{_kind(fields_there)}"', 'reason = ""', "",
            ]
        )  # fmt: skip
        example = []


def naming(subject: str, patch: str, once: bool) -> list[str]:
    """The lines that name a commit, by its subject where that stands there ``once``."""
    names = [f"{'' if once or not patch else '# '}subject = {quoted(subject)}"]
    if patch:
        names.append(f"{'# ' if once else ''}patch_id = {quoted(patch)}")
    return names


def _kind(fields: Iterable[str]) -> str:
    few = set(fields)
    if few & set(ENDS):
        return "ends otherwise"
    return "other output" if few <= {"stdout", "stderr"} else "new result"


def _example(example: Counterexample | None, interface: Interface | None) -> Iterator[str]:
    """The shortest trace, a call a line, and what differs at the last."""
    if example is None or interface is None:
        return
    for call in example.trace[: example.divergence.index + 1]:
        yield printable(f"  {call.text(interface)}")
    for what, before, after in example.divergence.fields:
        yield printable(f"    {what}: before {value_text(before)}, after {value_text(after)}")


def quoted(text: str) -> str:
    """A text as TOML has it."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")

"""A comparison of binaries with what else was asked of it: suppressions, disassemblies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from replay.base.jsonlines import printable
from replay.base.style import Style, counted
from replay.elf.bundles import BundleComparison
from replay.elf.changes import KINDS, Comparison
from replay.elf.disassembly import Disassembly
from replay.elf.findings import Finding
from replay.elf.suppressing import Suppressed
from replay.report.binaries import to_json, to_text
from replay.report.binarychanges import kind_names
from replay.report.binarycode import code_lines, code_values
from replay.report.output import shows


@dataclass(frozen=True, slots=True)
class ComparisonView:
    """A comparison.

    Attributes:
        suppressed: what is accepted of it, if that was asked for.
        code: the functions that differ, if they were asked for; those of a bundle are with
            its members.
        width: columns that two disassemblies have together.
    """

    result: Comparison | BundleComparison
    suppressed: Suppressed | None = None
    code: Disassembly | None = None
    width: int = 120


def _lines(view: ComparisonView, style: Style) -> list[str]:
    lines = [to_text(view.result)]
    for member, code in _codes(view):
        if code.functions or not member:
            head = [style.strong(printable(f"{member}:"))] if member else []
            lines += ["", *head, *code_lines(code, view.width, style)]
    if view.suppressed is not None:
        lines += ["", *suppressed_lines(view.suppressed, style)]
    return lines


def _codes(view: ComparisonView) -> list[tuple[str, Disassembly]]:
    """The disassemblies, each with the name of its member, which a file has not."""
    found = [("", view.code)] if view.code is not None else []
    if isinstance(view.result, BundleComparison):
        found += [(m.name, m.code) for m in view.result.members if m.code is not None]
    return found


def suppressed_lines(found: Suppressed, style: Style) -> list[str]:
    """What was accepted, what is stale, and what is left."""
    path = printable(found.path)
    lines = [f"suppressed by {path}: {counted(len(found.accepted), 'difference')}"]
    for finding, reasons in found.accepted:
        lines.append(style.dim(printable(f"  {finding} ({'; '.join(reasons)})")))
    for stale in found.stale:
        lines.append(style.new(printable(f"stale: {stale} fits no difference; remove it")))
    left = ", ".join(kind_names(found.kinds))
    count = counted(len(found.left), "difference")
    said = f"left: {count} ({left})" if found.left else f"left: {left or 'no difference'}"
    return [*lines, style.bad(said) if left else style.good(said)]


def _values(view: ComparisonView) -> dict[str, Any]:
    values: dict[str, Any] = to_json(view.result)
    if view.code is not None:
        values["code"] = code_values(view.code)
    if view.suppressed is not None:
        values["suppressed"] = _suppressed(view.suppressed)
    return values


def _suppressed(found: Suppressed) -> dict[str, Any]:
    return {
        "file": found.path,
        "accepted": [{**_finding(f), "reasons": list(reasons)} for f, reasons in found.accepted],
        "stale": [
            {
                "kind": KINDS[s.kind], "name": s.name, "member": s.member, "reason": s.reason,
                "number": s.number,
            }
            for s in found.stale
        ],
        "left": [_finding(finding) for finding in found.left],
        "kinds": kind_names(found.kinds),
    }  # fmt: skip


def _finding(finding: Finding) -> dict[str, Any]:
    named = {"member": finding.member} if finding.member else {}
    return {**named, "kind": KINDS[finding.kind], "name": finding.name, "what": finding.what}


shows(ComparisonView, _lines, _values)

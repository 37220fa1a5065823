"""What changed between two archives or folders, as lines of plain text."""

from __future__ import annotations

from collections import Counter

from replay.elf.bundles import BundleComparison, MemberChange
from replay.elf.changes import KINDS, Change
from replay.report.binarychanges import comparison_lines

NOTHING = "no member is in both"


def bundle_lines(found: BundleComparison) -> list[str]:
    """The verdict, what was counted, then each member that is not the same."""
    kinds = [name for kind, name in KINDS.items() if kind in found.kinds]
    head = f"{found.a} -> {found.b}: {found.verdict.value}"
    lines = [f"{head} ({', '.join(kinds)})" if kinds else head]
    what = "members" if found.kind == "archive" else "files"
    count = Counter(member.change for member in found.members)
    told = ", ".join(f"{count[c]} {c.value}" for c in Change if count[c])
    lines.append(f"{what}: {told or 'none'}")
    if not any(m.before and m.after for m in found.members):
        lines.append(f"nothing was compared: {NOTHING}")
    lines += [f"note: {note}" for note in found.notes]
    for member in found.members:
        lines += _member(member)
    return lines


def _member(member: MemberChange) -> list[str]:
    if member.problem:
        return ["", f"unknown {member.name}: {member.problem}"]
    if member.comparison is None:
        return [] if member.change is Change.SAME else [f"{member.change.value} {member.name}"]
    if member.change is Change.SAME:
        return []
    name = member.name if member.name == member.after else f"{member.before} -> {member.after}"
    _, *rest = comparison_lines(member.comparison)
    verdict = member.comparison.verdict.value
    return ["", f"{member.change.value} {name}: {verdict}", *(f"  {line}" for line in rest)]

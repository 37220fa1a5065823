"""What changed between two builds, as lines of plain text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from replay.base.style import counted
from replay.elf.changes import (
    KINDS,
    Change,
    Comparison,
    DataChange,
    FunctionChange,
    Kind,
    LinkageChange,
    Side,
    TypeChange,
    Variable,
)
from replay.elf.code import Code
from replay.elf.referents import Difference

MOST_USERS = 6
"""Functions that are named of those that reach a type."""


def kind_names(kinds: Kind) -> list[str]:
    """The kinds of differences by their names."""
    return [name for kind, name in KINDS.items() if kind in kinds]


def comparison_lines(comparison: Comparison) -> list[str]:
    """A comparison as lines: the verdict, what was counted, then each difference."""
    head = f"{comparison.a} -> {comparison.b}: {comparison.verdict.value}"
    kinds = Kind.INTERFACE | Kind.LAYOUT | Kind.LINKAGE
    also = [name for kind, name in KINDS.items() if kind in kinds and kind in comparison.kinds]
    lines = [f"{head}, different {', '.join(also)}" if also else head]
    lines.append(f"functions: {_counted(f.change for f in comparison.functions)}")
    if comparison.data:
        lines.append(f"data: {_counted(d.change for d in comparison.data)}")
    lines += [f"not compared: {_many(*one)}" for one in comparison.uncompared]
    lines += [f"note: {note}" for note in comparison.notes]
    for change in comparison.functions:
        quiet = change.change is Change.SAME and change.code in (Code.IDENTICAL, Code.NONE)
        if not quiet:
            lines += _function(change)
    for variable in comparison.data:
        lines += _variable(variable)
    for type_ in comparison.types:
        lines += _type(type_)
    lines += [_linked(change) for change in comparison.linkage]
    return lines


def _counted(changes: Iterable[Change]) -> str:
    count = Counter(changes)
    return ", ".join(f"{count[kind]} {kind.value}" for kind in Change if count[kind]) or "none"


def _function(change: FunctionChange) -> list[str]:
    before, after = change.before, change.after
    if before is None or after is None:
        side = before or after
        return [f"{change.change.value} {_side(side)}"] if side else []
    name = before.name if before.name == after.name else f"{before.name} -> {after.name}"
    lines = [f"{change.change.value} {name}: code {change.code.value}"]
    if change.signature_changed:
        lines += [f"  - {before.prototype}", f"  + {after.prototype}"]
    if change.size_changed:
        lines.append(f"  size {_bytes(before.size)} -> {_bytes(after.size)}")
    lines += [f"  refers to {new} instead of {old}" for old, new in change.retargeted]
    lines += [f"  refers to {name}, which holds something else" for name in change.data]
    if change.uncompared:
        lines.append(f"  {counted(change.uncompared, 'reference')} not compared")
    return lines


def _side(side: Side) -> str:
    return f"{side.prototype or side.name} ({_bytes(side.size)})"


def _many(what: str, count: int) -> str:
    """A number of things that were not compared; ``what`` begins with their plural."""
    things, _, rest = what.partition(" ")
    return f"{counted(count, things.removesuffix('s'))} {rest}"


def _bytes(size: int | None) -> str:
    return "no code of its own" if size is None else counted(size, "byte")


def _variable(change: DataChange) -> list[str]:
    before, after = change.before, change.after
    if before is None or after is None:
        side = before or after
        return [f"{change.change.value} {change.name}: data, {_told(side)}"] if side else []
    quiet = change.change is Change.SAME and not change.uncompared and not change.type_changed
    if quiet and not change.size_changed:
        return []
    lines = [f"{change.change.value} {change.name}: data"]
    if change.type_changed or change.size_changed:
        lines.append(f"  {_told(before)} -> {_told(after)}")
    lines += [f"  {_difference(d)}" for d in change.differences]
    if change.uncompared:
        lines.append(f"  {counted(change.uncompared, 'pointer')} not compared")
    return lines


def _told(side: Variable) -> str:
    return f"{side.type}, {counted(side.size, 'byte')}" if side.type else counted(side.size, "byte")


def _difference(difference: Difference) -> str:
    at = f"offset {difference.offset}"
    if difference.member:
        at += f" ({difference.member})"
    return f"{at}: {difference.after} instead of {difference.before}"


def _type(change: TypeChange) -> list[str]:
    head = f"{change.change.value} {change.name}"
    if change.before != change.after:
        sides = (
            "unknown size" if s is None else counted(s, "byte")
            for s in (change.before, change.after)
        )
        head += ": " + " -> ".join(sides)
    if change.users:
        more = len(change.users) - MOST_USERS
        head += f"; reached by {', '.join(change.users[:MOST_USERS])}"
        head += f" and {more} more" if more > 0 else ""
    lines = [head, *(f"  - {text}" for text in change.removed)]
    lines += [f"  + {text}" for text in change.added]
    return lines + [f"  {text}" for text in change.units]


def _linked(change: LinkageChange) -> str:
    what = f"{change.name}: {change.what}" if change.name else change.what
    return f"linkage of {what}: {change.before or 'none'} -> {change.after or 'none'}"

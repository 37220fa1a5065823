"""The single differences of a comparison, each of one kind and with the name it is told by.

All of them together have the kinds of the comparison: what a suppression takes away is
one of these, and never more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from replay.elf.bundles import BundleComparison
from replay.elf.changes import (
    KINDS,
    PARTIAL,
    UNTYPED,
    Change,
    Comparison,
    DataChange,
    FunctionChange,
    Kind,
)
from replay.elf.forms import Code
from replay.elf.names import plain

_OTHER: Final = (Code.DIFFERENT, Code.ONE_SIDE, Code.DATA)
_DECIDED: Final = (*_OTHER, Code.IDENTICAL, Code.NONE)


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference.

    Attributes:
        kind: exactly one.
        name: of the function, variable or type; of a file what is said of it, ``SONAME``;
            empty for what belongs to nothing that has a name.
        what: the difference in words.
        member: of an archive or folder; empty for a file.
    """

    kind: Kind
    name: str
    what: str
    member: str = ""

    def __str__(self) -> str:
        place = f"{self.member}: " if self.member else ""
        name = f"{self.name}: " if self.name else ""
        return f"{place}{KINDS[self.kind]}: {name}{self.what}"


def findings(result: Comparison | BundleComparison) -> tuple[Finding, ...]:
    """All differences of a comparison."""
    if isinstance(result, Comparison):
        return tuple(_all(result))
    found: list[Finding] = []
    for member in result.members:
        if member.comparison is not None:
            found += _all(member.comparison, member.name)
        elif member.change is Change.UNKNOWN:
            found.append(Finding(Kind.UNCOMPARED, member.name, member.problem, member.name))
        elif member.change is not Change.SAME:
            what = f"the {result.kind}'s member was {member.change.value}"
            found.append(Finding(Kind.CODE, member.name, what, member.name))
    return (*found, *_rest(result.kinds, found, result.verdict.value))


def _all(comparison: Comparison, member: str = "") -> Iterator[Finding]:
    found = [Finding(kind, name, what, member) for kind, name, what in _told(comparison)]
    yield from found
    yield from _rest(comparison.kinds, found, comparison.verdict.value, member)


def _rest(kinds: Kind, found: list[Finding], verdict: str, member: str = "") -> Iterator[Finding]:
    """What none of the differences stands for: it has no name, and so stays."""
    for kind in KINDS:
        if kind in kinds and not any(finding.kind is kind for finding in found):
            yield Finding(kind, "", verdict, member)


def _told(comparison: Comparison) -> Iterator[tuple[Kind, str, str]]:
    for function in comparison.functions:
        for kind, what in _function(function):
            yield kind, plain(function.name), what
    for variable in comparison.data:
        for kind, what in _variable(variable):
            yield kind, plain(variable.name), what
    for type_ in comparison.types:
        yield Kind.LAYOUT, type_.name, f"the type {type_.change.value}"
    for linked in comparison.linkage:
        what = f"{linked.what}: {linked.before or 'none'} -> {linked.after or 'none'}"
        yield Kind.LINKAGE, linked.name or linked.what, what
    for text, count in comparison.uncompared:
        if text == UNTYPED:
            yield Kind.UNCOMPARED, "types", f"{count} {text}"
        elif text == PARTIAL or text.startswith("bytes of"):
            yield Kind.UNCOMPARED, "", f"{count} {text}"


def _function(function: FunctionChange) -> Iterator[tuple[Kind, str]]:
    if function.code in _OTHER:
        told = function.change in (Change.ADDED, Change.REMOVED)
        yield Kind.CODE, function.change.value if told else f"code {function.code.value}"
    if function.types_changed and function.before and function.after:
        yield Kind.INTERFACE, f"{function.before.prototype} -> {function.after.prototype}"
    if function.uncompared or function.code not in _DECIDED or function.change is Change.UNKNOWN:
        yield Kind.UNCOMPARED, f"{function.change.value}, code {function.code.value}"


def _variable(variable: DataChange) -> Iterator[tuple[Kind, str]]:
    before, after = variable.before, variable.after
    if variable.change not in (Change.SAME, Change.UNKNOWN):
        yield Kind.CODE, f"data {variable.change.value}"
    if variable.type_changed and before and after:
        yield Kind.INTERFACE, f"{before.type} -> {after.type}"
    if variable.size_changed and before and after:
        yield Kind.LAYOUT, f"{before.size} bytes -> {after.size} bytes"
    if variable.change is Change.UNKNOWN or variable.uncompared:
        yield Kind.UNCOMPARED, "one file does not tell of it, or of what it points to"

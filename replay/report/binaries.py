"""Results as plain text and as values that JSON can hold."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias

from replay.elf.changes import Comparison, FunctionChange
from replay.elf.contents import READ, FunctionInfo, Inspection
from replay.elf.identification import Candidate, Identification, Identity, ranges
from replay.elf.image import Symbol
from replay.elf.layouts import Layout, Member
from replay.report.binarychanges import comparison_lines, kind_names
from replay.report.output import shows

Result: TypeAlias = Inspection | Layout | Comparison | Identification | FunctionInfo


@dataclass(frozen=True, slots=True)
class BinaryView:
    """What a binary says, to be shown."""

    result: Result


def to_json(value: Any) -> Any:
    """A result as dicts, lists, strings, numbers, booleans and None.

    A dict has the attributes of its result under their names; a comparison's functions
    also say whether signature and size changed, a comparison which kinds of differences
    there are, a candidate its distance.
    """
    if is_dataclass(value) and not isinstance(value, type):
        out = {field.name: to_json(getattr(value, field.name)) for field in fields(value)}
        if isinstance(value, FunctionChange):
            out["name"] = value.name
            out["signature_changed"] = value.signature_changed
            out["size_changed"] = value.size_changed
        if isinstance(value, Comparison):
            out["kinds"] = kind_names(value)
        if isinstance(value, Candidate):
            out["distance"] = list(value.distance)
        return out
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    return value


def to_text(result: Result) -> str:
    """A result as lines of plain text, without a final newline."""
    if isinstance(result, Inspection):
        lines = _shown(result)
    elif isinstance(result, Layout):
        lines = _layout(result)
    elif isinstance(result, Comparison):
        lines = comparison_lines(result)
    elif isinstance(result, Identification):
        lines = _identification(result)
    else:
        lines = [_function(result)]
    return "\n".join(_printable(line) for line in lines)


def _printable(line: str) -> str:
    """Names in a damaged file may hold anything."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


def _function(info: FunctionInfo) -> str:
    words = [] if info.external else ["static"]
    if info.inline:
        words.append("inline")
    if info.language not in ("C", ""):
        words.append(info.language)
    if not info.has_code:
        words.append("inlined everywhere")
    said = f"  [{', '.join(words)}]" if words else ""
    place = f"  {info.file}:{info.line}" if info.file else ""
    return f"{info.prototype};{said}{place}"


def _shown(shown: Inspection) -> list[str]:
    order = "little-endian" if shown.little_endian else "big-endian"
    versions = ", ".join(map(str, shown.dwarf))
    lines = [f"{shown.path}: {shown.kind}, {shown.machine}, {shown.bits}-bit {order}"]
    if shown.functions is None:
        lines += ["", f"functions: unknown: {shown.problem}"]
    else:
        lines += ["", f"functions ({len(shown.functions)}, DWARF {versions}):"]
        lines += [f"  {_function(info)}" for info in shown.functions]
        unknown = [info for info in shown.functions if info.prototype.endswith("(?)")]
        if any(info.language in READ for info in unknown):
            lines.append("  (?): prototype unknown, compiled without types (-g1); build it with -g")
        others = sorted({info.language for info in unknown} - set(READ))
        if others:
            lines.append(f"  (?): no prototype in C, it is written in {' or '.join(others)}")
    if any(shown.left_out):
        functions, symbols = shown.left_out
        left = f"{functions} functions and {symbols} symbols were not asked for"
        lines.append(f"left out: {left}; without --api and --function all are shown")
    lines += ["", f"symbols ({len(shown.symbols)}, symbol table: {shown.symbol_table}):"]
    lines += [
        f"  {s.value:#018x} {s.size:>8} {s.type:<8} {_bind(s):<7} {s.place:<20} {s.name}".rstrip()
        for s in shown.symbols
    ]
    lines += ["", f"sections ({len(shown.sections)}):"]
    lines += [
        f"  {s.index:>3} {s.size:>10} {s.type:<18} {s.letters:<5} {s.name}".rstrip()
        for s in shown.sections
    ]
    return lines


def _bind(symbol: Symbol) -> str:
    """How a symbol is bound; unique among all that is loaded is an extension of GNU."""
    return "UNIQUE" if symbol.bind == "LOOS" else symbol.bind


def _layout(layout: Layout) -> list[str]:
    size = "unknown size" if layout.size is None else f"{layout.size} bytes"
    place = f", {layout.file}:{layout.line}" if layout.file else ""
    tagged = layout.kind in ("struct", "union", "class", "enum")
    head = layout.type if tagged else f"{layout.kind} {layout.name}: {layout.type}"
    lines = [f"{head}, {size}{place}"]
    _members(layout.members, 1, lines)
    return lines + [f"  {name} = {value}" for name, value in layout.values]


def _members(members: tuple[Member, ...], depth: int, lines: list[str]) -> None:
    for member in members:
        at = str(member.offset)
        size = "?" if member.size is None else str(member.size)
        if member.bits is not None:
            at, size = f"{member.offset}.{member.bit}", f"{member.bits} bits"
        name = member.name or "(unnamed)"
        lines.append(f"{'  ' * depth}{at:>6} {size:>8}  {name}: {member.type}")
        _members(member.members, depth + 1, lines)


def _identification(found: Identification) -> list[str]:
    head = f"{found.path}: {found.identity.value}"
    if found.steps:
        head += f": {ranges(found.steps)}"
    lines = [head]
    if found.possible and found.possible != found.steps:
        lines.append(
            f"not excluded: {ranges(found.possible)} (functions that are not called leave no trace)"
        )
    if found.identity is not Identity.NO_API:
        for candidate in found.best:
            lines += _candidate(candidate)
    return lines


def _candidate(candidate: Candidate) -> list[str]:
    strong, medium, weak = candidate.distance
    lines = [
        f"step {candidate.step}: {candidate.present} functions of its API found; against it: "
        f"{strong} strong, {medium} medium, {weak} weak"
    ]
    lines += [f"  ! {name} is not in its API" for name in candidate.unknown]
    for declared, there in (*candidate.conflicts, *candidate.renamed):
        lines += [f"  - {declared}", f"  + {there}"]
    lines += [f"  ? {prototype} is missing" for prototype in candidate.missing]
    return lines


shows(
    BinaryView,
    lambda view, style: [to_text(view.result)],
    lambda view: to_json(view.result),
)

"""Two runs of one trace side by side, as text and as JSON: where they part, and in what."""

from __future__ import annotations

import textwrap
from typing import Any, Final

from replay.base.style import PLAIN, Style
from replay.dirty.language.layouts import layouts
from replay.dirty.language.pages import (
    INDENT,
    MAP_LIMIT,
    Blocks,
    Grid,
    block_cell,
    extent,
    label,
    map_line,
    page_mask,
    run_text,
    set_of,
)
from replay.dirty.language.trace import FIELDS, PAGE_SETS, Observation, Op, State
from replay.dirty.language.values import event_texts, field_text, machine_text, op_text, trace_name
from replay.dirty.rules.comparison import RunComparison
from replay.dirty.rules.diff import Difference
from replay.report.output import shows

COLUMN: Final = 38
"""Two columns and the marks between them make 80."""

WIDTH: Final = 80
LONG_NAME: Final = 4
"""A step's name that is longer does not fit beside a map."""

EQUAL_ENDS: Final = 20
"""Equal operations shown at each end of a stretch; none is left out of two times that."""


def comparison_lines(comparison: RunComparison, style: Style = PLAIN) -> list[str]:
    """The operations one a line, the first that differs spread out side by side."""
    trace = comparison.trace
    a, b = comparison.steps
    names = _names(comparison.steps)
    lines = [style.strong(f"trace {trace_name(trace)}: step {a} beside step {b}")]
    if names != (str(a), str(b)):
        lines += [f"{name}: step {step}" for name, step in zip(names, (a, b), strict=True)]
    lines += [machine_text(trace.config), ""]
    parted = {entry.index: entry for entry in comparison.parted}
    first = min(parted, default=None)
    equal: list[str] = []
    for index, (op, blocks) in enumerate(zip(trace.ops, layouts(trace), strict=True)):
        entry = parted.get(index)
        if entry is None:
            equal.append(f"   = {index:4} {op_text(op)}")
            continue
        lines += _folded(equal)
        equal = []
        if index == first:
            lines += [""] if lines[-1] else []
            lines += _named("first difference:", entry, style)
        head = f" {style.bad('!=')} {index:4} {style.strong(op_text(op))}"
        if index != first:
            lines += [head, *_named("        ", entry, style)]
            continue
        lines.append(head)
        lines += [*_side_by_side(entry, op, names, style)]
        lines += [*_maps(entry, comparison, blocks, style), ""]
    lines += _folded(equal)
    if lines[-1]:
        lines.append("")
    return [*lines, _verdict(comparison, len(parted), style)]


def _folded(equal: list[str]) -> list[str]:
    """A stretch of equal operations; of a long one the ends."""
    if len(equal) <= 2 * EQUAL_ENDS + 1:
        return equal
    middle = f"   = … {len(equal) - 2 * EQUAL_ENDS} more operations, all equal"
    return [*equal[:EQUAL_ENDS], middle, *equal[-EQUAL_ENDS:]]


def _named(before: str, entry: Difference, style: Style) -> list[str]:
    """The differing fields after some words, as many lines as it takes."""
    lines = textwrap.wrap(", ".join(entry.fields), WIDTH - len(before) - 1)
    rest = " " * len(before)
    return [f"{before if not i else rest} {style.bad(line)}" for i, line in enumerate(lines)]


def _verdict(comparison: RunComparison, count: int, style: Style) -> str:
    a, b = comparison.steps
    total = len(comparison.trace.ops)
    if not count:
        return style.good(f"steps {a} and {b} are equal on all {total} operations")
    return style.bad(
        f"steps {a} and {b} differ at {count} of {total} operations, "
        f"first at operation {comparison.parted[0].index}"
    )


def _names(steps: tuple[int, int]) -> tuple[str, str]:
    """What two steps are called in columns and maps: A and B where their names are long."""
    a, b = map(str, steps)
    return ("A", "B") if max(len(a), len(b)) > LONG_NAME else (a, b)


def _side_by_side(entry: Difference, op: Op, steps: tuple[str, str], style: Style) -> list[str]:
    """Every field that is one line of text, differing ones marked between the columns."""
    lines = [INDENT + style.dim(f"{f'step {steps[0]}':{COLUMN}}  step {steps[1]}")]
    for name in FIELDS:
        differs = name in entry.fields
        if name in PAGE_SETS and not differs:
            continue
        left, right = (_cell(name, seen, op) for seen in (entry.old, entry.new))
        for row in range(max(len(left), len(right))):
            x = left[row] if row < len(left) else ""
            y = right[row] if row < len(right) else ""
            mark = "|" if not differs else style.bad("!")
            lines.append(f"{INDENT}{x:{COLUMN}}{mark} {y}".rstrip())
    return lines


def _cell(name: str, seen: Observation | None, op: Op) -> list[str]:
    """A field in a column: as many lines as it takes."""
    if seen is None:
        return ["(the run had ended)"] if name == "status" else []
    if seen.state is None and name not in ("ret", "status", "events"):
        return []
    value = seen.get(name)
    texts = event_texts(value) if name == "events" else [field_text(name, value, op)]
    lines = []
    for text in texts or ["none"]:
        lines += textwrap.wrap(f"{name} {text}", COLUMN - 1, subsequent_indent="    ")
    return lines


def _maps(
    entry: Difference, comparison: RunComparison, blocks: Blocks, style: Style
) -> list[str]:  # fmt: skip
    """Each differing page set, one step above the other, with marks below where they differ."""
    x = entry.old.state if entry.old else None
    y = entry.new.state if entry.new else None
    if x is None or y is None:
        return []
    lines: list[str] = []
    for name in PAGE_SETS:
        if name in entry.fields:
            lines += ["", INDENT + style.strong(name)]
            if extent(blocks, x, y) > MAP_LIMIT:
                lines += _only(set_of(x, name), set_of(y, name), comparison.steps)
            else:
                lines += _map(name, (x, y), comparison, blocks, style)
    return lines


def _only(x: int, y: int, steps: tuple[int, int]) -> list[str]:
    return [
        f"{INDENT}only at step {step}: {run_text(pages)}"
        for step, pages in zip(steps, (x & ~y, y & ~x), strict=True)
    ]


def _map(
    name: str, states: tuple[State, State], comparison: RunComparison, blocks: Blocks, style: Style
) -> list[str]:
    x, y = (set_of(state, name) for state in states)
    grid = Grid.of(comparison.trace.config.word_bits)
    end = extent(blocks, *states)
    ram = page_mask(blocks)
    lines = []
    for first in range(0, end, grid.per_line):
        if not (x ^ y) >> first & ((1 << grid.per_line) - 1):
            continue
        span = (first, end)
        lines.append(label("page", style) + style.dim(grid.ruler(first, end)))
        lines.append(map_line("blocks", block_cell(blocks), grid, span, style))
        for step, pages in zip(_names(comparison.steps), (x, y), strict=True):
            lines.append(map_line(f"at {step}", _plain(pages, ram), grid, span, style))
        marks = grid.line(first, lambda page: "^" if (x ^ y) >> page & 1 else " ", end)
        lines.append((label("", style) + style.bad(marks)).rstrip())
    return lines


def _plain(pages: int, ram: int) -> Any:
    return lambda page: "#" if pages >> page & 1 else "." if ram >> page & 1 else " "


def comparison_json(comparison: RunComparison) -> dict[str, Any]:
    """A comparison as plain values: every differing operation with both observations."""
    return {
        "trace": comparison.trace.name,
        "config": comparison.trace.config.to_json(),
        "steps": list(comparison.steps),
        "operations": len(comparison.trace.ops),
        "equal": comparison.equal,
        "first_difference": comparison.parted[0].index if comparison.parted else None,
        "differences": [
            {
                "index": entry.index,
                "op": comparison.trace.ops[entry.index].to_json(),
                "fields": list(entry.fields),
                "observations": [
                    None if seen is None else seen.to_json() for seen in (entry.old, entry.new)
                ],
            }
            for entry in comparison.parted
        ],
    }


shows(RunComparison, comparison_lines, comparison_json)

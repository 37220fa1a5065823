"""What takes the bytes of a binary, as lines of plain text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replay.base.jsonlines import printable
from replay.base.style import Style, counted
from replay.elf.sizes import REST, Amount, SizeRow, Sizes, cut
from replay.report.output import shows


@dataclass(frozen=True, slots=True)
class SizesView:
    """Sizes, and how many rows of each table people are shown."""

    sizes: Sizes
    most: int


def _lines(view: SizesView, style: Style) -> list[str]:
    sizes, two = view.sizes, bool(view.sizes.a)
    lines = [style.strong(printable(f"{sizes.a} -> {sizes.b}" if two else sizes.b))]
    for what, rows in (("sections", sizes.sections), ("functions and variables", sizes.symbols)):
        lines += ["", *_table(what, rows, view, two, style)]
    return lines


def _table(
    what: str, rows: Sequence[SizeRow], view: SizesView, two: bool, style: Style
) -> list[str]:
    kept, others, count = cut(rows, view.most)
    heads = ("before", "after", "delta", "in memory", "delta") if two else ("file", "", "in memory")
    widths = (11, 11, 9, 11, 9) if two else (11, 7, 11)
    head = " ".join(h.rjust(w) for h, w in zip(heads, widths, strict=True))
    lines = [style.dim(f"{head}  {what}")]
    whole = view.sizes.total
    told = [(row, printable(_name(row))) for row in kept]
    if others is not None:
        told.append((others, f"[{counted(count, 'other')}]"))
    for row, name in [*told, (whole, "total")]:
        cells = _changed(row) if two else _alone(row.after, whole.after)
        text = " ".join(cell.rjust(w) for cell, w in zip(cells, widths, strict=True))
        line = f"{text}  {name}"
        grown = two and row.delta > 0
        lines.append(style.new(line) if grown else style.good(line) if row.delta < 0 else line)
    return lines


def _changed(row: SizeRow) -> tuple[str, ...]:
    return (
        f"{row.before.file:,}", f"{row.after.file:,}", _signed(row.delta),
        f"{row.after.memory:,}", _signed(row.memory_delta),
    )  # fmt: skip


def _alone(amount: Amount, whole: Amount) -> tuple[str, ...]:
    share = 100 * amount.file / whole.file if whole.file else 0.0
    return f"{amount.file:,}", f"{share:.1f}%", f"{amount.memory:,}"


def _signed(number: int) -> str:
    return f"{number:+,}" if number else "="


def _name(row: SizeRow) -> str:
    if not row.name:
        return row.section
    bracketed = row.section.startswith("[")
    return row.section if bracketed else f"{row.section} {row.name}"


def _values(view: SizesView) -> dict[str, Any]:
    sizes = view.sizes
    return {
        "format": "replay-elf-sizes/1",
        "a": sizes.a or None,
        "b": sizes.b,
        "total": _row(sizes.total),
        "sections": [_row(row) for row in sizes.sections],
        "symbols": [_row(row) for row in sizes.symbols],
    }


def _row(row: SizeRow) -> dict[str, Any]:
    named = {"section": row.section, "name": None if row.name == REST else row.name}
    pairs = {
        side: {"file": amount.file, "memory": amount.memory}
        for side, amount in (("before", row.before), ("after", row.after))
    }
    return {**(named if row.section else {}), **pairs, "delta": row.delta}


shows(SizesView, _lines, _values)

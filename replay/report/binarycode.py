"""Two disassemblies side by side, as lines of plain text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from replay.base.jsonlines import printable
from replay.base.style import Style, counted
from replay.elf.disassembly import CodeRow, Disassembly, FunctionCode, Line

CONTEXT: Final = 4
"""Instructions that are the same and shown before and behind those that are not."""

NARROWEST: Final = 60


def code_lines(found: Disassembly, width: int, style: Style) -> list[str]:
    """Each function in two columns.

    Args:
        found: the functions.
        width: columns of the whole.
        style: how changes are painted.
    """
    lines = [printable(f"note: {note}") for note in found.notes]
    for function in found.functions:
        lines += ["", *_function(function, max(width, NARROWEST), style)]
    return lines


def _function(function: FunctionCode, width: int, style: Style) -> list[str]:
    names = dict.fromkeys((function.before, function.after))
    count = f"{function.changed} of {counted(len(function.rows), 'row')} not the same"
    lines = [style.strong(printable(f"code of {' -> '.join(names)}: {count}"))]
    column = (width - 5) // 2
    last = -1
    places = ["", ""]
    for at in _shown(function.rows):
        if at != last + 1:
            lines.append(style.dim(f"  ... {counted(at - last - 1, 'instruction')} the same"))
        lines += _source(function.rows[at], places, column, style)
        lines.append(_row(function.rows[at], column, style))
        last = at
    rest = len(function.rows) - last - 1
    return [*lines, style.dim(f"  ... {counted(rest, 'instruction')} the same")] if rest else lines


def _shown(rows: Sequence[CodeRow]) -> list[int]:
    """The rows that are not the same, and some around them."""
    found: set[int] = set()
    for at, row in enumerate(rows):
        if row.mark != " ":
            found.update(range(max(0, at - CONTEXT), min(len(rows), at + CONTEXT + 1)))
    return sorted(found)


def _source(row: CodeRow, places: list[str], column: int, style: Style) -> Iterator[str]:
    """The source lines of a row, where they are others than those of the row before."""
    cells = ["", ""]
    for side, line in enumerate((row.before, row.after)):
        if line is not None and line.place and line.place != places[side]:
            places[side] = line.place
            cells[side] = f"{line.place}  {line.source.strip()}".rstrip()
    if any(cells):
        left, right = (_cut(printable(cell), column) for cell in cells)
        yield style.dim(f"  {left:<{column}} | {right}".rstrip())


def _row(row: CodeRow, column: int, style: Style) -> str:
    left, right = (_cut(_cell(line), column) for line in (row.before, row.after))
    text = f"{row.mark} {left:<{column}} | {right}".rstrip()
    paint = {"<": style.bad, ">": style.good, "|": style.new, "?": style.new}.get(row.mark)
    return paint(text) if paint else text


def _cell(line: Line | None) -> str:
    return "" if line is None else printable(f"{line.offset:>6x}  {line.text}")


def _cut(text: str, column: int) -> str:
    return text if len(text) <= column else text[: column - 2] + ".."


def code_values(found: Disassembly) -> dict[str, Any]:
    """The same with all rows, for JSON."""
    functions = [
        {
            "before": function.before,
            "after": function.after,
            "rows": [
                {"mark": row.mark, "before": _line(row.before), "after": _line(row.after)}
                for row in function.rows
            ],
        }
        for function in found.functions
    ]
    return {"notes": list(found.notes), "functions": functions}


def _line(line: Line | None) -> dict[str, Any] | None:
    if line is None:
        return None
    return {
        "offset": line.offset, "bytes": line.code.hex(), "text": line.text, "place": line.place,
        "source": line.source,
    }  # fmt: skip

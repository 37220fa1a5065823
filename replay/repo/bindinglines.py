"""Where the keys of a binding file stand, which a TOML reader does not tell."""

from __future__ import annotations

import re
from collections.abc import Mapping


def lines_of(text: str) -> dict[str, int]:
    """The line of each key, as far as it stands on a line of its own."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.split("\n"), 1):
        if found := re.match(r"\s*\[\[\s*([\w.-]+)\s*\]\]", line):
            counts[found[1]] = counts.get(found[1], 0) + 1
            table = f"{found[1]}[{counts[found[1]]}]"
        elif found := re.match(r"\s*\[\s*([\w.-]+)\s*\]", line):
            head, dot, rest = found[1].partition(".")
            table = f"{head}[{counts[head]}]{dot}{rest}" if head in counts else found[1]
        elif found := re.match(r"\s*([\w-]+(?:\.[\w-]+)*)\s*=", line):
            lines.setdefault(f"{table}.{found[1]}" if table else found[1], number)
            continue
        else:
            continue
        lines.setdefault(table, number)
    return lines


def line_of(lines: Mapping[str, int], key: str) -> int | None:
    """The line of a key, of its first table, or of the nearest key above it; None for none."""
    at = f"{key}[1]" if f"{key}[1]" in lines else key
    while at and at not in lines:
        at = at.rpartition(".")[0]
    return lines.get(at)

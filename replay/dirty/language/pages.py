"""Page sets as text: a map of a character a page, or runs of pages where RAM is large.

The signs of a map, and what they become where a page changed:

=========  ==================================  =====================================
row        as before                           changed by the operation
=========  ==================================  =====================================
page sets  ``#`` in the set, ``.`` not         ``+`` now in it, ``-`` no longer
tlb        ``d`` direct, ``n`` notdirty, ``.`` ``D``, ``N``; ``-`` the entry is gone
=========  ==================================  =====================================

Pages of no block are blank, unless a bit of the migration bitmap is set there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from replay.base.style import PLAIN, Style
from replay.dirty.language.trace import State

Blocks: TypeAlias = tuple[tuple[int, int], ...]
"""(first page, pages) of each block, in order of address."""

Cell: TypeAlias = Callable[[int], str]
"""The character of a page."""

LABEL: Final = 7
INDENT: Final = "  "
"""Indent, label and 64 pages in groups of 8 make 80 columns."""

MAP_LIMIT: Final = 256
"""Pages up to which a machine is drawn as a map; larger ones are told as runs."""

RUNS_SHOWN: Final = 6

SETS: Final = (
    ("vga", "vga"),
    ("code", "code"),
    ("migr", "migration"),
    ("direct", "tlb_direct"),
    ("notdirty", "tlb_notdirty"),
    ("tb", "has_code"),
    ("bitmap", "migration_bitmap"),
)
"""The page sets of a state: a label for people, and the field."""

_ROWS: Final = (*SETS[:3], ("tlb", ""), *SETS[5:])
_ALWAYS: Final = ("vga", "code", "migration")

LEGEND: Final = (
    "# in the set, . not; + now in it, - no longer. tlb: d direct, n notdirty,",
    "capitals where new. tb: pages with translated code. bitmap: migration bitmap.",
)
"""How to read a map."""


def set_of(state: State, name: str) -> int:
    """A page set of a state, empty where there is none."""
    return getattr(state, name) or 0


def runs(pages: int) -> Iterator[tuple[int, int]]:
    """The runs of a page set, (first, last), in order. Costs the set's size for each run."""
    base = 0
    while pages:
        skip = (pages & -pages).bit_length() - 1
        pages >>= skip
        # The lowest clear bit ends the run that now starts at bit 0.
        length = (~pages & (pages + 1)).bit_length() - 1
        yield base + skip, base + skip + length - 1
        pages >>= length
        base += skip + length


def run_text(pages: int, sign: str = "", limit: int = RUNS_SHOWN) -> str:
    """A page set in words: ``0-3 17 (2 more runs)``; ``none`` when empty."""
    if not pages:
        return "none"
    parts = [
        f"{sign}{first}" if first == last else f"{sign}{first}-{last}"
        for first, last in islice(runs(pages), limit)
    ]
    rest = (pages & ~(pages << 1)).bit_count() - len(parts)
    if rest:
        parts.append(f"({sign}{rest} more run{'s' if rest > 1 else ''})")
    return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Grid:
    """How pages are laid out on lines of at most 80 columns, in groups.

    A group is 8 pages, or a word where a word is smaller, so that a gap is where
    a word may end.
    """

    group: int
    per_line: int

    @classmethod
    def of(cls, word_bits: int) -> Grid:
        """The grid for machines with words of so many bits."""
        group = min(8, word_bits)
        return cls(group, 64 if group == 8 else 32)

    def line(self, first: int, cell: Cell, end: int) -> str:
        """One line of cells from page ``first``, up to but without page ``end``."""
        last = min(first + self.per_line, end)
        return " ".join(
            "".join(cell(page) for page in range(start, min(start + self.group, last)))
            for start in range(first, last, self.group)
        )

    def ruler(self, first: int, end: int) -> str:
        """The number of the first page of each group, where there is room for it."""
        line, width = "", self.group + 1
        for column, page in enumerate(range(first, min(first + self.per_line, end), self.group)):
            if len(line) < column * width or not line:
                line = line.ljust(column * width) + str(page)
        return line


def block_cell(blocks: Blocks) -> Cell:
    """Draws where blocks begin and end: ``[----]``, a block of one page ``o``, holes blank."""
    signs: dict[int, str] = {}
    for first, pages in blocks:
        signs |= dict.fromkeys(range(first, first + pages), "-")
        signs[first + pages - 1] = "]"
        signs[first] = "[" if pages > 1 else "o"
    return lambda page: signs.get(page, " ")


def set_cell(before: int, now: int, blocks: Blocks) -> Cell:
    """Draws one page set, and what changed of it."""
    signs = (".", "-", "+", "#")
    ram = page_mask(blocks)

    def cell(page: int) -> str:
        sign = signs[(now >> page & 1) * 2 + (before >> page & 1)]
        return " " if sign == "." and not ram >> page & 1 else sign

    return cell


def tlb_cell(old: State, new: State, blocks: Blocks) -> Cell:
    """Draws the TLB entry of each page, in capitals where it is new."""
    ram = page_mask(blocks)

    def sign(page: int, state: State) -> str:
        if state.tlb_direct >> page & 1:
            return "d"
        return "n" if state.tlb_notdirty >> page & 1 else "."

    def cell(page: int) -> str:
        before, now = sign(page, old), sign(page, new)
        if now == before:
            return " " if now == "." and not ram >> page & 1 else now
        return "-" if now == "." else now.upper()

    return cell


def page_mask(blocks: Blocks) -> int:
    """The pages of all blocks, as a page set."""
    mask = 0
    for first, pages in blocks:
        mask |= ((1 << pages) - 1) << first
    return mask


def touched(old: State, new: State) -> int:
    """The pages for which anything of two states differs."""
    changed = 0
    for _, name in SETS:
        changed |= set_of(old, name) ^ set_of(new, name)
    return changed


def extent(blocks: Blocks, *states: State) -> int:
    """The first page past everything that there is to draw."""
    ends = [first + pages for first, pages in blocks]
    ends += [set_of(state, name).bit_length() for state in states for _, name in SETS]
    return max(ends, default=0)


def label(name: str, style: Style) -> str:
    """The name of a row, indented, as wide as all of them."""
    return INDENT + style.dim(name.ljust(LABEL))


def draw(old: State, new: State, blocks: Blocks, word_bits: int, style: Style = PLAIN) -> list[str]:
    """The lines that show a state where it changed, none if nowhere.

    Up to MAP_LIMIT pages these are the lines of the map with a changed page, whole;
    beyond, the runs of pages that changed.
    """
    changed = touched(old, new)
    if not changed:
        return []
    end = extent(blocks, old, new)
    if end > MAP_LIMIT:
        return _changed_runs(old, new, style)
    grid = Grid.of(word_bits)
    cells: list[tuple[str, Cell]] = [("blocks", block_cell(blocks))]
    for name, field in _ROWS:
        if name == "tlb":
            if old.tlb_direct | old.tlb_notdirty | new.tlb_direct | new.tlb_notdirty:
                cells.append((name, tlb_cell(old, new, blocks)))
        elif field in _ALWAYS or set_of(old, field) | set_of(new, field):
            cells.append((name, set_cell(set_of(old, field), set_of(new, field), blocks)))
    lines = []
    for first in range(0, end, grid.per_line):
        if changed >> first & ((1 << grid.per_line) - 1):
            lines.append(label("page", style) + style.dim(grid.ruler(first, end)))
            lines += [map_line(name, cell, grid, (first, end), style) for name, cell in cells]
    return lines


def map_line(name: str, cell: Cell, grid: Grid, span: tuple[int, int], style: Style) -> str:
    """One row of a map from page ``span[0]``; no page past ``span[1]`` is drawn."""
    return (label(name, style) + _marked(grid.line(span[0], cell, span[1]), name, style)).rstrip()


def _marked(line: str, name: str, style: Style) -> str:
    if not style.color or name == "blocks":
        return line
    return re.sub(r"[-+DN]+", lambda found: style.new(found[0]), line)


def _changed_runs(old: State, new: State, style: Style) -> list[str]:
    lines = []
    for name, field in SETS:
        before, now = set_of(old, field), set_of(new, field)
        if before == now:
            continue
        parts = [run_text(pages, sign) for sign, pages in
                 (("+", now & ~before), ("-", before & ~now)) if pages]  # fmt: skip
        text = style.new(" ".join(parts))
        lines.append(f"{label(name, style)} {text}  ({now.bit_count()} pages)")
    return lines

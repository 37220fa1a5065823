"""A trace on two models, one operation at a time, side by side.

Everything shown is taken from frames, which come from running the models: pages, TLB and
events from the observation, bytes and words from the store itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from replay.dirty.language.pages import (
    Blocks,
    Cell,
    Grid,
    block_cell,
    extent,
    set_cell,
    set_of,
    tlb_cell,
)
from replay.dirty.language.trace import CLIENTS, Observation, Op, State
from replay.dirty.language.values import event_texts, op_text, ret_text
from replay.teach.lessons.frames import Film, Frame, Store, fields_apart
from replay.teach.terminal.text import (
    EMPTY,
    Line,
    Piece,
    clip,
    clip_text,
    line,
    pad,
    plain,
    wrapped,
)

LABEL: Final = 8
BESIDE: Final = 60
"""Columns from which on two steps stand side by side; below, one above the other."""

BYTES_A_ROW: Final = 8
MOST_PAGES: Final = 128
"""Pages drawn of each map; lessons stay well below."""

FIRST: Final = ("   <- first difference", "  <- first")
"""What is put behind the first operation at which two models differ."""

SIGNS: Final = "+ new in a set, - gone, D N new in the TLB; ! where the two differ"


@dataclass(frozen=True, slots=True)
class PageRow:
    """A line of the stage: a label and what each of the two shows.

    ``compared`` is false where the two are different by nature: bytes beside words.
    """

    label: str
    left: Line
    right: Line
    compared: bool = True
    signs: Mapping[int, int] = field(default_factory=dict)
    """Marks of what changed, and what stands there now: only that is compared."""

    @property
    def differs(self) -> bool:
        """Whether the two show different things."""
        left, right = (plain(side).translate(self.signs) for side in (self.left, self.right))
        return self.compared and left != right


MAP_SIGNS: Final = str.maketrans("+-DN", "#.dn")
HEX_SIGNS: Final = str.maketrans("*", " ")


@dataclass(frozen=True, slots=True)
class Stage:
    """Two films of one trace, and where they part."""

    films: tuple[Film, Film]

    @property
    def last(self) -> int:
        """The index of the last operation."""
        return len(self.films[0].trace.ops) - 1

    def apart(self, index: int) -> tuple[str, ...]:
        """The fields in which the two differ after an operation."""
        return fields_apart(self.films[0].frames[index], self.films[1].frames[index])

    @property
    def first(self) -> int | None:
        """The first operation at which they differ."""
        return next((i for i in range(self.last + 1) if self.apart(i)), None)

    def operations(self, index: int, room: int, width: int) -> list[Line]:
        """The operations around one, marked: ``>`` the one just run, ``!`` where they differ."""
        ops = self.films[0].trace.ops
        low = max(0, min(index - (room - 1) // 2, len(ops) - room))
        first = self.first
        made = []
        for number in range(low, min(low + room, len(ops))):
            mark = ">" if number == index else " "
            mark += "!" if self.apart(number) else " "
            text = f"{mark} {number:2} {op_text(ops[number])}"
            if number == first:
                tail = next((t for t in FIRST if len(text) + len(t) <= width), FIRST[-1])
                text = clip_text(text, width - len(tail)) + tail
            style = "strong" if number == index else "" if number < index else "dim"
            made.append(clip(line(text, style), width))
        return made

    def lines(self, index: int, width: int) -> list[Line]:
        """Both machines after an operation."""
        rows = self.rows(index, width)
        heads = tuple(film.label for film in self.films)
        if width >= BESIDE:
            return _beside(rows, heads, width)
        return _stacked(rows, heads, width)

    def columns(self, width: int) -> int:
        """The columns for one step's side of a row."""
        return (width - LABEL - 3) // 2 if width >= BESIDE else width - LABEL

    def rows(self, index: int, width: int) -> list[PageRow]:
        """What is to be shown after an operation."""
        frames = [film.frames[index] for film in self.films]
        before = [film.frames[index - 1] if index else None for film in self.films]
        op = self.films[0].trace.ops[index]
        room = self.columns(width)
        rows = _said(op, frames, room)
        now = [_state(frame) for frame in frames]
        old = [_state(frame) or State() for frame in before]
        if now[0] is None and now[1] is None:
            return rows
        word_bits = self.films[0].trace.config.word_bits
        blocks = (frames[0].blocks, frames[1].blocks)
        rows += _maps(old, now, blocks, word_bits, room)
        rows += _counts(now)
        return rows + _stores(frames, before, room)


def _state(frame: Frame | None) -> State | None:
    return None if frame is None or frame.observation is None else frame.observation.state


# --- what the operation said ------------------------------------------------------------


def _said(op: Op, frames: list[Frame], room: int) -> list[PageRow]:
    left, right = (line(_returned(frame.observation, op)) for frame in frames)
    made = [PageRow("returns", left, right)]
    told = [event_texts(f.observation.events) if f.observation else [] for f in frames]
    folded = [[part for text in texts for part in wrapped(text, room, "", "  ")] for texts in told]
    for number in range(max(map(len, folded), default=0)):
        cells = [side[number] if number < len(side) else EMPTY for side in folded]
        made.append(PageRow("told" if not number else "", cells[0], cells[1]))
    return made


def _returned(seen: Observation | None, op: Op) -> str:
    if seen is None:
        return "(dead: not run)"
    if seen.status != "ok":
        return "ABORT: the process is dead"
    return ret_text(seen.ret, op) if seen.ret is not None else "nothing"


TwoBlocks: TypeAlias = tuple[Blocks, Blocks]
"""The blocks of either side: a mistake may place one elsewhere."""


# --- pages ------------------------------------------------------------------------------


def _maps(
    old: list[State], now: list[State | None], blocks: TwoBlocks, word_bits: int, room: int
) -> list[PageRow]:
    states = [state for state in now if state is not None]
    end = min(max(extent(shape, *states, *old) for shape in blocks), MOST_PAGES)
    group = min(8, word_bits)
    per_line = max((room + 1) // (group + 1), 1) * group
    grid = Grid(group, per_line)
    made: list[PageRow] = []
    for first in range(0, end, per_line):
        ruler = line(grid.ruler(first, end), "dim")
        made.append(PageRow("page", ruler, ruler))
        shapes = [line(grid.line(first, block_cell(b), end).rstrip(), "dim") for b in blocks]
        made.append(PageRow("block", shapes[0], shapes[1]))
        for name, cells in _cells(old, now, blocks):
            sides = [
                _marked(grid.line(first, cell, end)) if cell else line("(dead)") for cell in cells
            ]
            made.append(PageRow(name, sides[0], sides[1], signs=MAP_SIGNS))
    return made


def _cells(
    old: list[State], now: list[State | None], blocks: TwoBlocks
) -> list[tuple[str, list[Cell | None]]]:
    names = [("vga", "vga"), ("code", "code"), ("migr", "migration"), ("tlb", "")]
    for label, name in (("transl.", "has_code"), ("to send", "migration_bitmap")):
        if any(state and set_of(state, name) for state in (*now, *old)):
            names.append((label, name))
    made: list[tuple[str, list[Cell | None]]] = []
    for label, name in names:
        cells: list[Cell | None] = []
        for before, state, shape in zip(old, now, blocks, strict=True):
            if state is None:
                cells.append(None)
            elif name:
                cells.append(set_cell(set_of(before, name), set_of(state, name), shape))
            else:
                cells.append(tlb_cell(before, state, shape))
        made.append((label, cells))
    return made


def _marked(text: str) -> Line:
    """A row of a map with its changed cells in a style of their own."""
    pieces: list[Piece] = []
    for part in re.split(r"([-+DN]+)", text.rstrip()):
        if part:
            pieces.append(("new" if part[0] in "-+DN" else "", part))
    return tuple(pieces)


def _counts(now: list[State | None]) -> list[PageRow]:
    if not any(s and (s.logging or s.migration_dirty_pages) for s in now):
        return []
    texts = [
        f"{s.migration_dirty_pages} pages, logging {'on' if s.logging else 'off'}" if s else ""
        for s in now
    ]
    return [PageRow("counted", line(texts[0]), line(texts[1]))]


# --- the store --------------------------------------------------------------------------


def _stores(frames: list[Frame], before: list[Frame | None], room: int) -> list[PageRow]:
    stores = [frame.store for frame in frames]
    alike = all(s is None or (s.data is None) == (stores[0] is None or stores[0].data is None)
                for s in stores)  # fmt: skip
    sides = [
        store_lines(store, frame.store if frame else None, room)
        for store, frame in zip(stores, before, strict=True)
    ]
    made = []
    for number in range(max(map(len, sides))):
        cells = [side[number] if number < len(side) else EMPTY for side in sides]
        made.append(PageRow("memory" if not number else "", cells[0], cells[1], alike, HEX_SIGNS))
    return made


def store_lines(store: Store | None, before: Store | None, room: int) -> list[Line]:
    """A store as it lies in memory: a heading, then bytes or words in hexadecimal."""
    if store is None:
        return [line("(dead)")]
    if store.data is not None:
        head = f"byte map: {_count(len(store.data), 'byte')}"
        old = list(before.data) if before and before.data is not None else []
        return [line(head, "dim"), *_hex_rows("", list(store.data), old, 2, room)]
    digits = max(store.word_bits // 4, 1)
    words = len(store.words[0]) if store.words else 0
    head = f"3 bitmaps: {_count(words, 'word')} of {store.word_bits} bits each"
    made = [line(head, "dim")]
    for index, name in enumerate(CLIENTS):
        label = f"{name[:4]:5}"
        old = list(before.words[index]) if before and before.words else []
        made += _hex_rows(label, list(store.words[index]), old, digits, room)
    return made


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _hex_rows(label: str, values: list[int], old: list[int], digits: int, room: int) -> list[Line]:
    """Numbers in rows; one that the operation changed has a star behind it."""
    per_row = max(min((room - len(label)) // (digits + 1), BYTES_A_ROW), 1)
    made: list[Line] = []
    for first in range(0, max(len(values), 1), per_row):
        pieces: list[Piece] = [("dim", label if not first else " " * len(label))]
        for index, value in enumerate(values[first : first + per_row], first):
            changed = index >= len(old) or old[index] != value
            pieces.append(("new" if changed else "", f"{value:0{digits}x}"))
            pieces.append(("new", "*") if changed else ("", " "))
        made.append(tuple(pieces) if values else (("dim", label), ("", "no words")))
    return made


# --- on the screen ----------------------------------------------------------------------


def _beside(rows: list[PageRow], heads: tuple[str, ...], width: int) -> list[Line]:
    room = (width - LABEL - 3) // 2
    blank = ("", " " * LABEL)
    made: list[Line] = [
        (blank, *pad(line(heads[0], "title"), room), ("", " | "), *line(heads[1], "title"))
    ]
    for row in rows:
        mark = ("bad", " ! ") if row.differs else ("dim", " | ")
        label = ("bad" if row.differs else "dim", f"{row.label:{LABEL}}")
        made.append((label, *pad(row.left, room), mark, *clip(row.right, room)))
    return made


def _stacked(rows: list[PageRow], heads: tuple[str, ...], width: int) -> list[Line]:
    made: list[Line] = []
    for side, head in enumerate(heads):
        made += [EMPTY, line(head, "title")] if made else [line(head, "title")]
        for row in rows:
            shown = (row.left, row.right)[side]
            mark = "!" if row.differs else " "
            label = ("bad" if row.differs else "dim", f"{row.label[: LABEL - 1]:{LABEL - 1}}{mark}")
            made.append(clip((label, *shown), width))
    return made

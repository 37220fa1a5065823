"""Lines of styled text, and the lessons' Markdown as such lines.

A style is a word; what it looks like is decided where a terminal is known. Without colour
or styles every line still reads the same: nothing is told by style alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from replay.teach.lessons.format import Section
from replay.teach.lessons.markup import Block, blocks, target_kind

Piece: TypeAlias = tuple[str, str]
"""A style and a text without newlines."""

Line: TypeAlias = tuple[Piece, ...]

STYLES: Final = ("", "title", "strong", "dim", "bad", "good", "new", "code", "link", "bar")
"""All styles that occur."""

EMPTY: Final[Line] = ()

MOST_COLUMNS: Final = 92
"""Running text is not wider than this: longer lines are hard to read."""


def line(text: str, style: str = "") -> Line:
    """A line of one style."""
    return ((style, text),) if text else EMPTY


def plain(styled: Line) -> str:
    """A line without its styles."""
    return "".join(text for _, text in styled)


def length(styled: Line) -> int:
    """The columns that a line takes: all texts shown are of single width."""
    return sum(len(text) for _, text in styled)


def clip(styled: Line, width: int) -> Line:
    """As much of a line as fits; a ``>`` in the last column says that there is more."""
    if length(styled) <= width:
        return styled
    made: list[Piece] = []
    left = max(width - 1, 0)
    for style, text in styled:
        made.append((style, text[:left]))
        left -= len(text)
        if left <= 0:
            break
    return (*made, ("dim", ">")) if width > 0 else EMPTY


def clip_text(text: str, width: int) -> str:
    """A text cut to a width."""
    return text if len(text) <= width else text[: max(width - 1, 0)] + ">"


def broken(styled: Line, width: int, indent: str = "    ") -> list[Line]:
    """A line as it stands, cut where the width ends; what follows is indented."""
    made: list[Line] = []
    rest: Sequence[Piece] = styled
    first = True
    while not made or rest:
        room = max(width - (0 if first else len(indent)), 1)
        head, rest = _cut(rest, room)
        made.append(tuple(head) if first else (("dim", indent), *head))
        first = False
    return made


def pad(styled: Line, width: int) -> Line:
    """A line as wide as ``width``, clipped if it is wider."""
    styled = clip(styled, width)
    gap = width - length(styled)
    return (*styled, ("", " " * gap)) if gap > 0 else styled


def wrapped(text: str, width: int, style: str = "", indent: str = "") -> list[Line]:
    """A paragraph of one style, folded."""
    lines = textwrap.wrap(text, max(width, 10), subsequent_indent=indent, break_on_hyphens=False)
    return [line(part, style) for part in lines]


# --- Markdown ---------------------------------------------------------------------------


def section_lines(section: Section, width: int) -> list[Line]:
    """A section under its heading."""
    return [line(section.heading, "strong"), *text_lines(section.text, width)]


def text_lines(text: str, width: int) -> list[Line]:
    """A section's text: its blocks, each with an empty line before it, items close together."""
    width = min(width, MOST_COLUMNS)
    made: list[Line] = []
    last = ""
    for block in blocks(text):
        if made and not (block.kind == "item" and last == "item"):
            made.append(EMPTY)
        made += block_lines(block, width)
        last = block.kind
    return made


def block_lines(block: Block, width: int) -> list[Line]:
    """One block: a paragraph, an item with its dash, or code as it stands."""
    if block.kind == "code":
        return [line("    " + part, "code") for part in block.text.split("\n")]
    if block.kind == "item":
        folded = fold(_pieces(block), width - 2)
        return [((("", "- " if not i else "  "), *part)) for i, part in enumerate(folded)]
    return fold(_pieces(block), width)


def _pieces(block: Block) -> list[Piece]:
    styles = {"code": "code", "emphasis": "strong", "strong": "strong", "link": "link"}
    pieces = []
    for span in block.spans:
        text = span.text
        if span.kind == "emphasis":
            text = f"*{text}*"
        if span.kind == "link" and target_kind(span.target)[0] == "step":
            number = target_kind(span.target)[1]
            text = text if number in text else f"{text} ({number})"
        pieces.append((styles.get(span.kind, ""), text))
    return pieces


def fold(pieces: Iterable[Piece], width: int) -> list[Line]:
    """Styled text folded at spaces; a word longer than a line is cut."""
    width = max(width, 10)
    rows: list[list[Piece]] = [[]]
    used = 0
    for word in _words(pieces):
        size = sum(len(text) for _, text in word)
        if used and used + 1 + size > width:
            rows.append([])
            used = 0
        if used:
            rows[-1].append(("", " "))
            used += 1
        rest: Sequence[Piece] = word
        while size > width:
            head, rest = _cut(rest, width)
            rows[-1] += head
            rows.append([])
            size -= width
        rows[-1] += rest
        used += size
    return [_merged(row) for row in rows]


def _words(pieces: Iterable[Piece]) -> Iterable[list[Piece]]:
    """Words, each of pieces: a word may change its style within."""
    word: list[Piece] = []
    for style, text in pieces:
        for index, part in enumerate(text.split(" ")):
            if index and word:
                yield word
                word = []
            if part:
                word.append((style, part))
    if word:
        yield word


def _cut(word: Sequence[Piece], width: int) -> tuple[list[Piece], list[Piece]]:
    head: list[Piece] = []
    rest: list[Piece] = []
    left = width
    for style, text in word:
        if text[:left]:
            head.append((style, text[:left]))
        if text[left:]:
            rest.append((style, text[left:]))
        left = max(left - len(text), 0)
    return head, rest


def _merged(row: list[Piece]) -> Line:
    """Neighbours of one style as one piece; a space between two of a style takes it."""
    made: list[Piece] = []
    for index, (style, text) in enumerate(row):
        inside = text == " " and 0 < index < len(row) - 1
        kept = row[index - 1][0] if inside and row[index - 1][0] == row[index + 1][0] else style
        if made and made[-1][0] == kept:
            made[-1] = (kept, made[-1][1] + text)
        else:
            made.append((kept, text))
    return tuple(made)

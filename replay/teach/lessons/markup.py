"""The little Markdown of the lessons: paragraphs, lists, code, and four kinds of spans.

A text is cut into blocks; the text of a block into spans. Nothing else is understood, and
what looks like more (a table, a heading inside a section, an image) is refused, so that a
terminal and a page show the same.

=====================  ===========================================================
written                is a link to
=====================  ===========================================================
``[step 16](16)``      the lesson of a step, 1 to 39
``[meat](theme-c)``    the introduction of a theme, theme-a to theme-g
``[ghosts](#ghost-page)``  a term of the glossary, by its slug
``[review](reviewer)`` a page of its own, by the name of its file
=====================  ===========================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

SpanKind = Literal["text", "code", "emphasis", "strong", "link"]
TargetKind = Literal["step", "theme", "term", "page"]
BlockKind = Literal["paragraph", "item", "code"]


@dataclass(frozen=True, slots=True)
class Span:
    """A run of characters of one kind; ``target`` is where a link goes."""

    kind: SpanKind
    text: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, an item of a list, or lines of code.

    ``text`` is one line for a paragraph or an item, and as many as were written for code.
    ``line`` is where it starts, counted from 1 in the section's text.
    """

    kind: BlockKind
    text: str
    line: int

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans of a paragraph or an item; code is one span."""
        if self.kind == "code":
            return (Span("code", self.text),)
        return tuple(spans(self.text))


_SPAN: Final = re.compile(
    r"`(?P<code>[^`]+)`"
    r"|\[(?P<link>[^\]]+)\]\((?P<target>[^)\s]*)\)"
    r"|\*\*(?P<strong>[^*]+)\*\*"
    r"|\*(?P<emphasis>[^*\s](?:[^*]*[^*\s])?)\*"
)

_NUMBERED: Final = re.compile(r"\d+[.)]\s")

_REFUSED: Final = (
    (re.compile(r"#{1,6}\s"), "a heading inside a section"),
    (re.compile(r"\|"), "a table"),
    (re.compile(r">"), "a quotation"),
    (re.compile(r"!\["), "an image"),
    (_NUMBERED, "a numbered list (write it with dashes)"),
    (re.compile(r"[*+]\s"), "a list with another sign than a dash"),
    (re.compile(r"<[a-zA-Z/!]"), "HTML"),
)

Problem: TypeAlias = tuple[int, str]
"""A line of the section's text, counted from 1, and what is wrong there."""


def spans(text: str) -> Iterator[Span]:
    """Cut a line of text into spans."""
    end = 0
    for found in _SPAN.finditer(text):
        if found.start() > end:
            yield Span("text", text[end : found.start()])
        if found["code"]:
            yield Span("code", found["code"])
        elif found["link"]:
            yield Span("link", found["link"], found["target"])
        elif found["strong"]:
            yield Span("strong", found["strong"])
        else:
            yield Span("emphasis", found["emphasis"])
        end = found.end()
    if end < len(text):
        yield Span("text", text[end:])


def blocks(text: str) -> tuple[Block, ...]:
    """Cut a section's text into blocks."""
    made: list[Block] = []
    open_block: tuple[BlockKind, int, list[str]] | None = None

    def close() -> None:
        nonlocal open_block
        if open_block:
            kind, line, lines = open_block
            joiner = "\n" if kind == "code" else " "
            made.append(Block(kind, joiner.join(lines), line))
        open_block = None

    for number, raw in enumerate(text.split("\n"), 1):
        if open_block and open_block[0] == "code":
            if raw.startswith("```"):
                close()
            else:
                open_block[2].append(raw)
        elif raw.startswith("```"):
            close()
            open_block = ("code", number, [])
        elif not raw.strip():
            close()
        elif raw.startswith("- "):
            close()
            open_block = ("item", number, [raw[2:].strip()])
        elif open_block:
            open_block[2].append(raw.strip())
        else:
            open_block = ("paragraph", number, [raw.strip()])
    close()
    return tuple(made)


def plain(text: str) -> str:
    """A line of text without its marks."""
    return "".join(span.text for span in spans(text))


def words(text: str) -> int:
    """The words of a section, code lines left out."""
    return sum(len(plain(b.text).split()) for b in blocks(text) if b.kind != "code")


def links(text: str) -> Iterator[tuple[int, Span]]:
    """The links of a section's text, each with the line its block starts at."""
    for block in blocks(text):
        if block.kind != "code":
            for span in block.spans:
                if span.kind == "link":
                    yield block.line, span


def refused(text: str) -> Iterator[Problem]:
    """What a section's text holds that is not part of the language."""
    fenced = False
    starts = True
    for number, raw in enumerate(text.split("\n"), 1):
        if raw.startswith("```"):
            fenced = not fenced
        elif not fenced:
            for pattern, what in _REFUSED:
                # A line in the middle of a paragraph may begin with "10. " by chance.
                if pattern.match(raw.lstrip()) and (starts or pattern is not _NUMBERED):
                    yield number, f"{what} is not part of the lessons' Markdown"
        starts = not raw.strip()
    if fenced:
        yield 1, "a code block that starts with ``` has no end"


def target_kind(target: str) -> tuple[TargetKind, str]:
    """What kind of thing a link's target names, and its name without the mark."""
    if target.isdecimal() and target.isascii():
        return "step", target
    if re.fullmatch(r"theme-[a-z]", target):
        return "theme", target[-1].upper()
    if target.startswith("#"):
        return "term", target[1:]
    return "page", target


def slug(heading: str) -> str:
    """The name of a term in links: small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", heading.lower()).strip("-")

"""The lessons' words as HTML: the little Markdown of ``teach.lessons``, everything escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from markupsafe import Markup, escape

from replay.teach.lessons import Block, Section, Span, blocks, target_kind

_TAGS: Final = {
    "code": Markup("<code>{}</code>"),
    "emphasis": Markup("<em>{}</em>"),
    "strong": Markup("<strong>{}</strong>"),
}


def step_page(number: int) -> str:
    """Where the page of a step is, from the folder of the site."""
    return f"steps/{number:02d}.html"


def address(target: str, root: str) -> str:
    """Where a link of a lesson leads; ``root`` leads from the page to the folder of the site."""
    kind, name = target_kind(target)
    if kind == "step":
        return root + step_page(int(name))
    if kind == "theme":
        return f"{root}theme-{name.lower()}.html"
    return f"{root}glossary.html#{name}" if kind == "term" else f"{root}{name}.html"


def span_html(span: Span, root: str) -> Markup:
    """A run of characters."""
    if span.kind == "link":
        return Markup('<a href="{}">{}</a>').format(address(span.target, root), span.text)
    return _TAGS[span.kind].format(span.text) if span.kind in _TAGS else escape(span.text)


def code_html(text: str) -> Markup:
    """A sentence of series.toml or of a report: only code between backticks is marked."""
    return Markup("").join(
        _TAGS["code"].format(part) if place % 2 else escape(part)
        for place, part in enumerate(text.split("`"))
    )


def text_html(text: str, root: str) -> Markup:
    """A section's text: paragraphs, lists, code."""
    parts: list[Markup] = []
    items: list[Markup] = []
    for block in blocks(text):
        if block.kind == "item":
            items.append(Markup("<li>{}</li>").format(_block(block, root)))
            continue
        parts += _list(items)
        items = []
        tag = Markup("<p>{}</p>") if block.kind == "paragraph" else Markup("<pre>{}</pre>")
        parts.append(tag.format(_block(block, root)))
    return Markup("\n").join([*parts, *_list(items)])


def _list(items: Sequence[Markup]) -> list[Markup]:
    return [Markup("<ul>{}</ul>").format(Markup("\n").join(items))] if items else []


def _block(block: Block, root: str) -> Markup:
    return Markup("").join(span_html(span, root) for span in block.spans)


def sections_html(sections: Sequence[Section], root: str) -> Markup:
    """Sections with their headings, each with an anchor made of its words."""
    return Markup("\n").join(
        Markup('<h2 id="{}">{}</h2>\n{}').format(s.slug, s.heading, text_html(s.text, root))
        for s in sections
    )

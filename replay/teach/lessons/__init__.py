"""The lessons: 39 steps, seven themes, a glossary and pages, as data that can be checked.

``load_lessons()`` gives them all; ``replay.teach.lessons.check`` tells whether each trace shows
what its lesson says, by running the models; ``replay.teach.lessons.frames`` plays a trace on two
models with the raw store after every operation.
"""

from __future__ import annotations

from replay.teach.lessons.format import (
    HEADINGS,
    Broken,
    Lesson,
    Mistake,
    Page,
    Section,
    ShownDifference,
    Source,
    Text,
    Theme,
)
from replay.teach.lessons.load import Lessons, load_lessons
from replay.teach.lessons.markup import Block, Span, blocks, slug, spans, target_kind

__all__ = [
    "HEADINGS",
    "Block",
    "Broken",
    "Lesson",
    "Lessons",
    "Mistake",
    "Page",
    "Section",
    "ShownDifference",
    "Source",
    "Span",
    "Text",
    "Theme",
    "blocks",
    "load_lessons",
    "slug",
    "spans",
    "target_kind",
]

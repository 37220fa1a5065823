"""The lessons as their pages show them: sections in HTML, the trace, the mistake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from replay.teach.lessons import Lesson, Text
from replay.teach.lessons.frames import mistaken
from replay.teach.page.traces import MOST_PAGES, Playable, record
from replay.teach.page.words import sections_html, text_html

ROOT: Final = "../"
"""From a lesson's page to the folder of the site."""

TRACE: Final = "The trace"
APART: Final = (TRACE, "Question", "Answer")
"""Sections that the page puts in places of their own."""


@dataclass(frozen=True, slots=True)
class Words:
    """A page of words: a theme's introduction, the glossary, a page for reviewers."""

    title: str
    html: Markup
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Taught:
    """One lesson, ready for its page."""

    title: str
    before: tuple[tuple[str, Markup], ...]
    trace: Markup
    question: Markup
    answer: Markup
    sources: tuple[str, ...]
    playable: Playable | None


def sources(text: Text) -> tuple[str, ...]:
    """Where the facts of a text come from, a line each."""
    return tuple(f"{source.kind}: {source.text}" for source in text.sources)


def words_page(text: Text) -> Words:
    """A page of words, at the top of the site."""
    return Words(text.title, sections_html(text.sections, ""), sources(text))


def taught(lesson: Lesson) -> Taught:
    """A lesson for its page.

    Raises:
        SeriesError: its mistake does not fit the step's module.

    """
    html = {section.heading: text_html(section.text, ROOT) for section in lesson.sections}
    trace, question, answer = (html.get(heading, Markup("")) for heading in APART)
    return Taught(
        lesson.title,
        tuple((heading, text) for heading, text in html.items() if heading not in APART),
        trace,
        question,
        answer,
        sources(lesson),
        playable(lesson),
    )


def playable(lesson: Lesson) -> Playable | None:
    """The lesson's trace: at its two steps, or at the right model and the mistaken one."""
    if lesson.trace.most_pages > MOST_PAGES:
        return None
    name = f"lesson-{lesson.number:02d}"
    title = f"lesson {lesson.number}: {lesson.title}"
    if lesson.mistake is None:
        a, b = map(str, lesson.steps)
        return Playable(name, title, "", lesson.trace, a, b)
    at = lesson.mistake.at or lesson.number
    machine = mistaken(lesson.number, lesson.mistake)[at]
    key = f"{lesson.number}!"
    note = "On the right, the step with a plausible mistake: " + lesson.mistake.what.replace(
        "`", ""
    )
    return Playable(
        name, title, note, lesson.trace, str(at), key, record(machine, lesson.trace, key)
    )

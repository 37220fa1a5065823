"""Read the folder of the lessons: lessons, themes, glossary and pages as typed values.

What kind of file it is, its name says: ``16-….md`` a lesson, ``theme-c.md`` a theme,
``glossary.md`` the glossary, any other ``name.md`` a page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from refmodels import FOLD
from replay.dirty.language.files import read_trace
from replay.dirty.language.trace import FIELDS
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.dirty.subject import SUBJECT
from replay.errors import SeriesError, TraceError
from replay.series.declared import data_path
from replay.teach.lessons.format import (
    HEADINGS,
    Lesson,
    LessonFront,
    Page,
    PageFront,
    Section,
    Theme,
    ThemeFront,
    cut,
    fail,
    parse_sources,
)
from replay.teach.lessons.markup import links, target_kind

_LESSON: Final = re.compile(r"(\d\d)-[a-z0-9]+(-[a-z0-9]+)*\.md")
_THEME: Final = re.compile(r"theme-([a-z])\.md")
_PAGE: Final = re.compile(r"([a-z]+(-[a-z]+)*)\.md")
_TRACE: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*\.jsonl")
GLOSSARY: Final = "glossary.md"
README: Final = "README.md"
"""For whoever edits the lessons; not taught."""


@dataclass(frozen=True, slots=True)
class Lessons:
    """All that is taught. Each tuple is in the order of the series, terms alphabetically."""

    folder: Path
    lessons: tuple[Lesson, ...]
    themes: tuple[Theme, ...]
    glossary: Page | None
    pages: tuple[Page, ...]

    def lesson(self, number: int) -> Lesson:
        """The lesson of a step.

        Raises:
            SeriesError: there is none.

        """
        for lesson in self.lessons:
            if lesson.number == number:
                return lesson
        raise SeriesError(f"{self.folder}: no lesson for step {number}; write {number:02d}-….md")

    def theme(self, letter: str) -> Theme:
        """The introduction of a theme.

        Raises:
            SeriesError: there is none.

        """
        for theme in self.themes:
            if theme.letter == letter:
                return theme
        raise SeriesError(f"{self.folder}: no introduction; write theme-{letter.lower()}.md")

    def page(self, name: str) -> Page:
        """A page by its name; ``glossary`` is one.

        Raises:
            SeriesError: there is none.

        """
        for page in (*self.pages, *([self.glossary] if self.glossary else [])):
            if page.name == name:
                return page
        raise SeriesError(f"{self.folder}: no page {name!r}; write {name}.md")

    @property
    def terms(self) -> tuple[Section, ...]:
        """The terms of the glossary; ``slug`` is what links call one."""
        return self.glossary.sections if self.glossary else ()

    def broken_link(self, target: str) -> str | None:
        """What is wrong with a link's target, None if it leads somewhere."""
        kind, name = target_kind(target)
        if kind == "step":
            good = name == str(int(name)) and 1 <= int(name) <= FOLD.last
            return None if good else f"there is no lesson {name}; lessons are 1 to {FOLD.last}"
        if kind == "theme":
            known = {theme.letter for theme in SUBJECT.series.themes}
            return None if name in known else f"there is no theme {name}"
        if kind == "term":
            slugs = {term.slug for term in self.terms}
            return None if name in slugs else f"the glossary has no term {name!r}"
        names = {page.name for page in self.pages} | {"glossary"}
        return None if name in names else f"there is no page {name!r}; pages are {sorted(names)}"


@cache
def load_lessons(folder: Path | None = None) -> Lessons:
    """Read all lessons, by default the built-in ones.

    Raises:
        SeriesError: the first thing that is wrong in a file, with file, line and cure.

    """
    folder = folder or data_path() / "lessons"
    if not folder.is_dir():
        raise SeriesError(f"{folder}: no folder of lessons; is the series installed?")
    lessons: dict[int, Lesson] = {}
    themes: list[Theme] = []
    pages: list[Page] = []
    glossary: Page | None = None
    for path in sorted(folder.glob("*.md")):
        if _LESSON.fullmatch(path.name):
            lesson = read_lesson(path)
            if lesson.number in lessons:
                other = lessons[lesson.number].path.name
                fail(path, None, f"step {lesson.number} has a lesson already: {other}")
            lessons[lesson.number] = lesson
        elif _THEME.fullmatch(path.name):
            themes.append(read_theme(path))
        elif path.name == GLOSSARY:
            glossary = read_page(path)
        elif path.name == README:
            continue
        elif _PAGE.fullmatch(path.name):
            pages.append(read_page(path))
        else:
            fail(path, None, "is not named as a lesson (16-some-words.md) or a page (words.md)")
    made = Lessons(
        folder, tuple(lessons[k] for k in sorted(lessons)), tuple(themes), glossary, tuple(pages)
    )
    _check_links(made)
    return made


def _check_links(lessons: Lessons) -> None:
    texts = [*lessons.lessons, *lessons.themes, *lessons.pages]
    if lessons.glossary:
        texts.append(lessons.glossary)
    for text in texts:
        for section in text.sections:
            for line, span in links(section.text):
                problem = lessons.broken_link(span.target)
                if problem:
                    fail(
                        text.path,
                        section.line + line - 1,
                        f"the link [{span.text}]({span.target}) leads nowhere: {problem}",
                    )


# --- one file ---------------------------------------------------------------------------


def read_lesson(path: Path) -> Lesson:
    """Read one lesson and its trace; links are not followed.

    Raises:
        SeriesError: what is wrong, with file, line and cure.

    """
    front, opening, sections = cut(path, LessonFront)
    if opening:
        fail(path, None, "there is text before the first section; put it under '## Why'")
    _check_front(path, front)
    headings = tuple(section.heading for section in sections)
    if headings != HEADINGS:
        _wrong_headings(path, sections, headings)
    trace_path = path.parent / "traces" / front.trace
    try:
        trace = read_trace(trace_path)
    except TraceError as error:
        fail(path, None, f"its trace is not valid: {error}")
    last = len(trace.ops) - 1
    for what in (front.difference, front.broken, front.mistake):
        if what and not 0 <= what.operation <= last:
            fail(path, None, f"operation {what.operation} is not in the trace; it has 0 to {last}")
    return Lesson(
        path=path,
        title=front.title,
        sources=parse_sources(path, front.sources),
        sections=sections,
        number=front.number,
        steps=front.steps,
        trace=trace,
        trace_path=trace_path,
        difference=front.difference,
        broken=front.broken,
        mistake=front.mistake,
    )


def _check_front(path: Path, front: LessonFront) -> None:
    if int(path.name[:2]) != front.number or not 1 <= front.number <= FOLD.last:
        fail(path, None, f"number is {front.number}, but the file is named {path.name}")
    if not _TRACE.fullmatch(front.trace):
        fail(path, None, f"trace is {front.trace!r}; name a file of traces/, as 16-reuse.jsonl")
    old, new = front.steps
    if not 0 <= old < new <= FOLD.last:
        fail(path, None, f"steps are {old} and {new}; two different ones, the earlier first")
    if not front.sources:
        fail(path, None, "sources is empty; say where the facts come from")
    if not (front.difference or front.broken or front.mistake):
        fail(
            path,
            None,
            "nothing says what the trace shows; add a table [difference], [property] or [mistake]",
        )
    for shown in (front.difference, front.mistake):
        for name in shown.fields if shown else ():
            if name not in FIELDS:
                fail(path, None, f"no field {name!r}; fields are {', '.join(FIELDS)}")
        if shown and not shown.fields:
            fail(path, None, "fields is empty; name those that differ")
    if front.broken and front.broken.name not in RUN_PROPERTIES:
        known = ", ".join(RUN_PROPERTIES)
        fail(path, None, f"no property {front.broken.name!r} of runs; they are {known}")
    if front.mistake and front.difference:
        fail(path, None, "a mistake is for a step that shows no difference; keep one of the two")


def _wrong_headings(path: Path, sections: tuple[Section, ...], got: tuple[str, ...]) -> None:
    for heading in HEADINGS:
        if heading not in got:
            fail(path, None, f"the section '## {heading}' is missing; write it")
    for section in sections:
        if section.heading not in HEADINGS:
            fail(
                path,
                section.line - 1,
                f"no section is called {section.heading!r}; they are {', '.join(HEADINGS)}",
            )
    fail(path, None, f"the sections must come in this order: {', '.join(HEADINGS)}")


def read_theme(path: Path) -> Theme:
    """Read the introduction of a theme.

    Raises:
        SeriesError: what is wrong, with file, line and cure.

    """
    front, opening, sections = cut(path, ThemeFront)
    if f"theme-{front.theme.lower()}.md" != path.name:
        fail(path, None, f"theme is {front.theme!r}, but the file is named {path.name}")
    declared = {theme.letter: theme.title for theme in SUBJECT.series.themes}
    if declared.get(front.theme) != front.title:
        fail(path, None, f"title is {front.title!r}; series.toml has {declared.get(front.theme)!r}")
    sections = _with_opening(path, opening, sections)
    return Theme(path, front.title, parse_sources(path, front.sources), sections, front.theme)


def read_page(path: Path) -> Page:
    """Read the glossary or another page.

    Raises:
        SeriesError: what is wrong, with file, line and cure.

    """
    front, opening, sections = cut(path, PageFront)
    sections = _with_opening(path, opening, sections)
    return Page(path, front.title, parse_sources(path, front.sources), sections, path.stem)


def _with_opening(path: Path, opening: str, sections: tuple[Section, ...]) -> tuple[Section, ...]:
    if opening:
        fail(path, None, "there is text before the first section; give it a heading '## …'")
    if not sections:
        fail(path, None, "there is no section; write one under '## …'")
    return sections

"""Is what the lessons say true? Every check gives problems in words, an empty list if none.

A trace is checked by running the models: the two steps of the lesson, or the right model
and a copy of it with the mistake put in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from refmodels import FOLD
from replay.dirty.machine.run import python_model
from replay.dirty.rules.diff import Difference, first_difference
from replay.dirty.rules.properties import RUN_PROPERTIES
from replay.dirty.subject import SUBJECT
from replay.errors import ReplayError
from replay.teach.lessons.format import Lesson, Section, Source, Text
from replay.teach.lessons.frames import run_mistaken
from replay.teach.lessons.load import Lessons
from replay.teach.lessons.markup import links, target_kind, words

LESSON_WORDS: Final = (120, 350)
THEME_WORDS: Final = (200, 400)
LETTERS: Final = "ABCDEFG"


def problems(lessons: Lessons) -> list[str]:
    """All that is wrong with the lessons."""
    found = incomplete(lessons)
    for lesson in lessons.lessons:
        found += lesson_problems(lesson)
    for theme in lessons.themes:
        found += length_problems(theme, THEME_WORDS)
    for text in (*lessons.themes, *lessons.pages):
        found += source_problems(text)
    return found


def incomplete(lessons: Lessons) -> list[str]:
    """Lessons, themes and pages that are not there."""
    have = {lesson.number for lesson in lessons.lessons}
    missing = [f"step {k} has no lesson" for k in range(1, FOLD.last + 1) if k not in have]
    letters = {theme.letter for theme in lessons.themes}
    missing += [f"theme {x} has no introduction" for x in LETTERS if x not in letters]
    if not lessons.terms:
        missing.append("there is no glossary")
    used = {lesson.trace_path.name for lesson in lessons.lessons}
    for path in sorted((lessons.folder / "traces").glob("*.jsonl")):
        if path.name not in used:
            missing.append(f"{path.name} is the trace of no lesson")
    return missing


def lesson_problems(lesson: Lesson) -> list[str]:
    """All that is wrong with one lesson."""
    return [
        *length_problems(lesson, LESSON_WORDS),
        *source_problems(lesson),
        *link_problems(lesson),
        *shown_problems(lesson),
        *operation_problems(lesson),
    ]


def length_problems(text: Text, limits: tuple[int, int]) -> list[str]:
    """A text that is too short or too long for its kind."""
    count = word_count(text)
    least, most = limits
    if least <= count <= most:
        return []
    return [f"{text.path.name}: {count} words; it should have {least} to {most}"]


def word_count(text: Text) -> int:
    """The words of all sections, code left out."""
    return sum(words(section.text) for section in text.sections)


def source_problems(text: Text) -> list[str]:
    """Sources that name what is not there."""
    found = [_source_problem(source) for source in text.sources]
    return [f"{text.path.name}: {problem}" for problem in found if problem]


def _source_problem(source: Source) -> str | None:
    if source.kind in ("model", "patch", "series"):
        numbers = [int(number) for number in re.findall(r"\bsteps? (\d+)", source.text)]
        if not numbers:
            return f"the source {source.kind!r} names no step; write 'step 16'"
        if any(number > FOLD.last for number in numbers):
            return f"the source {source.kind}: {source.text} names a step past {FOLD.last}"
    if source.kind == "upstream" and not re.search(r"\b[0-9a-f]{10}\b", source.text):
        return f"the source upstream: {source.text} names no commit of ten digits"
    if source.kind == "measured" and "replay " not in source.text:
        return f"the source measured: {source.text} names no replay command that shows it"
    return None


def link_problems(lesson: Lesson) -> list[str]:
    """Steps that a lesson depends on, or that depend on it, and that it does not link to."""
    section = lesson.section("What it needs and gives")
    linked = set(linked_steps(section))
    declared = SUBJECT.series
    wanted = set(declared.step(lesson.number).needs)
    wanted |= {step.number for step in declared.steps if lesson.number in step.needs}
    return [
        f"{lesson.path.name}:{section.line}: series.toml ties it to step {step}; link to it"
        for step in sorted(wanted - linked)
    ]


def linked_steps(section: Section) -> Iterator[int]:
    """The steps that a section links to."""
    for _, span in links(section.text):
        kind, name = target_kind(span.target)
        if kind == "step":
            yield int(name)


def operation_problems(lesson: Lesson) -> list[str]:
    """The section on the trace has to name the operation that shows the point."""
    text = lesson.section("The trace").text
    found = []
    for shown in (lesson.difference, lesson.broken, lesson.mistake):
        if shown and not re.search(rf"\boperations?\s+(\d+ and )?{shown.operation}\b", text, re.I):
            found.append(
                f"{lesson.path.name}: 'The trace' does not name operation {shown.operation}, "
                "where the point shows"
            )
    return found


# --- what the trace shows ---------------------------------------------------------------


def shown_problems(lesson: Lesson) -> list[str]:
    """Whether the trace shows what the lesson says, by running the models."""
    try:
        found = [*_steps_problems(lesson), *_property_problems(lesson), *_mistakes(lesson)]
    except ReplayError as error:
        found = [str(error)]
    return [f"{lesson.path.name}: {problem}" for problem in found]


def _steps_problems(lesson: Lesson) -> Iterator[str]:
    old, new = (python_model(step).run(lesson.trace) for step in lesson.steps)
    parting = first_difference(old, new)
    wanted = lesson.difference
    if wanted:
        what = f"steps {old.step} and {new.step}"
        yield from _parting(parting, wanted.operation, wanted.fields, what)
    elif parting and lesson.mistake:
        yield (
            f"steps {old.step} and {new.step} differ at operation {parting.index} in "
            f"{', '.join(parting.fields)}; declare it in [difference], not a mistake"
        )


def _parting(
    parting: Difference | None, operation: int, fields: tuple[str, ...], what: str
) -> Iterator[str]:
    if parting is None:
        yield f"{what} do not differ on the trace"
    elif parting.index != operation:
        yield f"{what} first differ at operation {parting.index}, not {operation}"
    elif set(parting.fields) != set(fields):
        yield (
            f"{what} differ in {', '.join(parting.fields)} at operation {operation}, "
            f"not in {', '.join(fields)}"
        )


def _property_problems(lesson: Lesson) -> Iterator[str]:
    wanted = lesson.broken
    if wanted is None:
        return
    rule = RUN_PROPERTIES[wanted.name]
    old, new = lesson.steps
    before = rule(lesson.trace, python_model(old).run(lesson.trace).records)
    after = rule(lesson.trace, python_model(new).run(lesson.trace).records)
    if before:
        yield f"step {old} breaks {wanted.name} already, at operation {before.index}"
    if after is None:
        yield f"step {new} does not break {wanted.name} on the trace"
    elif after.index != wanted.operation:
        yield f"step {new} breaks {wanted.name} at operation {after.index}, not {wanted.operation}"


def _mistakes(lesson: Lesson) -> Iterator[str]:
    mistake = lesson.mistake
    if mistake is None:
        return
    if mistake.at is not None and not lesson.number <= mistake.at <= FOLD.last:
        yield f"the mistake is looked at at step {mistake.at}, before it is made"
        return
    parting = first_difference(*run_mistaken(lesson))
    yield from _parting(parting, mistake.operation, mistake.fields, "the right and mistaken models")

"""The lessons: complete, linked, and each trace shows what its lesson says."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from refmodels import FOLD
from replay.dirty.machine.run import python_model
from replay.errors import SeriesError
from replay.series.declared import data_path
from replay.teach.lessons import HEADINGS, Lesson, Lessons, blocks, load_lessons, spans
from replay.teach.lessons.check import (
    incomplete,
    length_problems,
    lesson_problems,
    linked_steps,
    problems,
    shown_problems,
    source_problems,
)
from replay.teach.lessons.format import Broken, Mistake, ShownDifference
from replay.teach.lessons.frames import films, first_parting, play
from replay.teach.lessons.markup import words

NUMBERS = range(1, FOLD.last + 1)
LESSON = "16-resize-only-when-grown.md"


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    return load_lessons()


@pytest.mark.parametrize("number", NUMBERS)
def test_a_lesson_is_whole_and_its_trace_shows_what_it_says(lessons: Lessons, number: int) -> None:
    lesson = lessons.lesson(number)
    assert lesson_problems(lesson) == []
    assert tuple(section.heading for section in lesson.sections) == HEADINGS
    assert all(words(section.text) >= 5 for section in lesson.sections)


def test_nothing_is_missing_and_nothing_else_is_wrong(lessons: Lessons) -> None:
    assert problems(lessons) == []
    assert [lesson.number for lesson in lessons.lessons] == list(NUMBERS)
    assert "".join(theme.letter for theme in lessons.themes) == "ABCDEFG"
    assert {"ghost-page", "re-arm", "tcg", "word-edge", "law", "deviation"} <= {
        term.slug for term in lessons.terms
    }


def test_lessons_show_a_difference_just_where_traces_can(lessons: Lessons) -> None:
    """Traces show four steps to deviate; all others are taught by a mistake."""
    assert {x.number for x in lessons.lessons if x.difference} == {27, 30, 37, 39}
    assert {x.number for x in lessons.lessons if x.broken} == {30, 37, 39}
    assert all(x.mistake for x in lessons.lessons if x.number not in (27, 30, 37, 39))


def test_no_two_lessons_share_a_trace_or_a_title(lessons: Lessons) -> None:
    assert len({x.trace_path for x in lessons.lessons}) == len(lessons.lessons)
    assert len({x.title for x in lessons.lessons}) == len(lessons.lessons)


def test_the_reviewers_page_places_every_step_that_deviates(lessons: Lessons) -> None:
    page = lessons.page("reviewer")
    named = {step for section in page.sections for step in linked_steps(section)}
    assert {9, 11, 14, 15, 20, 23, 27, 30, 37, 39} <= named


def test_films_are_what_the_models_do(lessons: Lessons) -> None:
    for number in (16, 19, 39):
        lesson = lessons.lesson(number)
        for film in films(lesson):
            run = python_model(film.step).run(lesson.trace)
            assert [frame.observation for frame in film.frames] == run.observations()
    assert first_parting(*films(lessons.lesson(39))) == 2


def test_bytes_and_words_hold_the_pages_that_are_observed(lessons: Lessons) -> None:
    trace = lessons.lesson(19).trace
    for frame in play(trace, 18).frames:
        assert frame.store is not None and frame.store.data is not None
        assert frame.observation is not None and frame.observation.state is not None
        marked = [page for page, byte in enumerate(frame.store.data) if byte & 1]
        assert sum(1 << page for page in marked) == frame.observation.state.vga
    for frame in play(trace, 19).frames:
        assert frame.store is not None and frame.store.data is None
        assert frame.observation is not None and frame.observation.state is not None
        vga = sum(word << (8 * i) for i, word in enumerate(frame.store.words[0]))
        assert vga == frame.observation.state.vga


# --- a lesson that says what is not so is found ------------------------------------------


def test_a_difference_at_another_operation_or_in_other_fields_is_found(lessons: Lessons) -> None:
    lesson = lessons.lesson(39)
    wrong = replace(lesson, difference=ShownDifference(fields=("tlb_direct",), operation=2))
    assert "tlb_notdirty" in shown_problems(wrong)[0]
    wrong = replace(lesson, difference=ShownDifference(fields=("tlb_direct",), operation=3))
    assert "first differ at operation 2, not 3" in shown_problems(wrong)[0]
    wrong = replace(lesson, steps=(37, 38), broken=None)
    assert "do not differ" in shown_problems(wrong)[0]


def test_a_property_that_is_not_broken_is_found(lessons: Lessons) -> None:
    lesson = lessons.lesson(39)
    wrong = replace(lesson, broken=Broken(name="no-lost-store", operation=4))
    assert "at operation 5, not 4" in shown_problems(wrong)[0]
    wrong = replace(lesson, broken=Broken(name="no-stale-code", operation=5))
    assert "does not break no-stale-code" in shown_problems(wrong)[0]


def mistaken(lesson: Lesson, **changes: object) -> Lesson:
    assert lesson.mistake is not None
    old = lesson.mistake
    values = {name: getattr(old, name) for name in Mistake.__struct_fields__}
    return replace(lesson, mistake=Mistake(**(values | changes)))


def test_a_mistake_that_does_nothing_or_does_not_fit_is_found(lessons: Lessons) -> None:
    lesson = lessons.lesson(17)
    same = mistaken(lesson, new="mask = (~(1 << client)) & 0xFF")
    assert "do not differ" in shown_problems(same)[0]
    gone = mistaken(lesson, old="no such text")
    assert "does not hold" in shown_problems(gone)[0]
    broken = mistaken(lesson, new="mask = (")
    assert "does not fit" in shown_problems(broken)[0]


def test_a_step_that_differs_cannot_pass_as_one_that_does_not(lessons: Lessons) -> None:
    lesson = replace(lessons.lesson(28), steps=(26, 28))
    assert "declare it in [difference]" in shown_problems(lesson)[0]


def test_texts_of_the_wrong_length_and_false_sources_are_found(lessons: Lessons) -> None:
    lesson = lessons.lesson(5)
    assert "words; it should have" in length_problems(replace(lesson, sections=()), (1, 2))[0]
    source = lesson.sources[1]
    assert source_problems(replace(lesson, sources=(replace(source, text="step 40"),)))
    assert source_problems(replace(lesson, sources=(replace(source, text="somewhere"),)))


def test_a_missing_link_to_a_needed_step_is_found(lessons: Lessons) -> None:
    lesson = lessons.lesson(19)
    sections = tuple(
        replace(section, text=section.text.replace("](13)", "](12)")) for section in lesson.sections
    )
    assert any(
        "ties it to step 13" in p for p in lesson_problems(replace(lesson, sections=sections))
    )


# --- files that are wrong ----------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one lesson, to be damaged."""
    built_in = data_path() / "lessons"
    (tmp_path / "traces").mkdir()
    shutil.copy(built_in / LESSON, tmp_path)
    shutil.copy(built_in / "traces" / "16-reuse.jsonl", tmp_path / "traces")
    shutil.copy(built_in / "glossary.md", tmp_path)
    return tmp_path


def changed(folder: Path, old: str, new: str, name: str = LESSON) -> Path:
    path = folder / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return folder


def test_a_folder_with_few_lessons_loads_and_says_what_is_missing(folder: Path) -> None:
    lessons = load_lessons(folder)
    assert [lesson.number for lesson in lessons.lessons] == [16]
    missing = incomplete(lessons)
    assert "step 15 has no lesson" in missing and "theme A has no introduction" in missing
    with pytest.raises(SeriesError, match="no lesson for step 15"):
        lessons.lesson(15)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("+++\nnumber", "---\nnumber", r":1: the first line must be '\+\+\+'"),
        ("number = 16", "number = 17", "number is 17, but the file is named"),
        ("number = 16", 'number = "16"', r":2: Expected `int`, got `str`"),
        ("number = 16", "number = = 16", r":2: the front matter is no TOML"),
        ("title = ", "titel = ", r":3: .*unknown field `titel`; did you mean 'title'"),
        ("steps = [15, 16]", "steps = [16, 15]", "the earlier first"),
        ("steps = [15, 16]", "steps = [15]", "length 2"),
        ("16-reuse.jsonl", "../16.jsonl", "name a file of traces/"),
        ("16-reuse.jsonl", "16-none.jsonl", "its trace is not valid.*no such file"),
        ('  "model: step 16",\n', '  "model 16",\n', "must be 'KIND: TEXT'"),
        ('  "model: step 16",\n', '  "rumour: step 16",\n', "KIND one of posted"),
        ("operation = 6", "operation = 60", "operation 60 is not in the trace"),
        ('"vga", ', '"vag", ', "no field 'vag'"),
        ("[mistake]", "[mistaken]", "unknown field `mistaken`; did you mean 'mistake'"),
        ("## Why\n", "## Why not\n", "the section '## Why' is missing"),
        ("## Question\n", "## Answer\n", "the section 'Answer' is there twice"),
        ("## Why\n", "Hello.\n\n## Why\n", "text before the first section"),
        ("[Step 19](19)", "[Step 19](40)", r":\d+: the link .* there is no lesson 40"),
        ("[Step 19](19)", "[Step 19](#nothing)", "the glossary has no term 'nothing'"),
        ("[Step 19](19)", "[Step 19](theme-z)", "there is no theme Z"),
        ("[Step 19](19)", "[Step 19](nowhere)", "there is no page 'nowhere'"),
        ("## Why\n\nFor", "## Why\n\n### For", r":\d+: a heading inside a section"),
        ("## Why\n\nFor", "## Why\n\n| For", "a table is not part"),
        ("## Why\n\nFor", "## Why\n\n```\nFor", "has no end"),
        ("## Why\n\nFor", "## Why\n\n\x1b[2JFor", r"holds the character '\\x1b'"),
    ],
)
def test_what_is_wrong_in_a_lesson_is_told_with_place_and_cure(
    folder: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(SeriesError, match=message) as caught:
        load_lessons(changed(folder, old, new))
    assert LESSON in str(caught.value)


def test_an_empty_section_is_refused(folder: Path) -> None:
    path = folder / LESSON
    text = path.read_text(encoding="utf-8")
    start = text.index("## Question") + len("## Question")
    path.write_text(text[:start] + "\n\n" + text[text.index("## Answer") :], encoding="utf-8")
    with pytest.raises(SeriesError, match="the section 'Question' is empty"):
        load_lessons(folder)


def test_sections_out_of_order_are_refused(folder: Path) -> None:
    changed(folder, "## Question\n", "## Swap\n")
    changed(folder, "## Answer\n", "## Question\n")
    changed(folder, "## Swap\n", "## Answer\n")
    with pytest.raises(SeriesError, match="must come in this order"):
        load_lessons(folder)


def test_a_lesson_that_shows_nothing_is_refused(folder: Path) -> None:
    path = folder / LESSON
    text = path.read_text(encoding="utf-8")
    end = text.index("+++", 3)
    path.write_text(text[: text.index("[mistake]")] + text[end:], encoding="utf-8")
    with pytest.raises(SeriesError, match="nothing says what the trace shows"):
        load_lessons(folder)


def test_other_files_are_judged_by_their_names(folder: Path) -> None:
    (folder / "My Page.md").write_text("+++\n+++\n", encoding="utf-8")
    with pytest.raises(SeriesError, match="is not named as a lesson"):
        load_lessons(folder)


def test_a_theme_has_the_title_of_the_series(folder: Path) -> None:
    shutil.copy(data_path() / "lessons" / "theme-b.md", folder)
    changed(folder, 'title = "Make room"', 'title = "Room"', "theme-b.md")
    with pytest.raises(SeriesError, match=r"series\.toml has 'Make room'"):
        load_lessons(folder)


def test_no_folder_and_bytes_that_are_no_text_are_one_clear_error(folder: Path) -> None:
    with pytest.raises(SeriesError, match="no folder of lessons"):
        load_lessons(folder / "none")
    (folder / LESSON).write_bytes(b"+++\n\xff")
    with pytest.raises(SeriesError, match="not UTF-8 at byte 4"):
        load_lessons(folder)


# --- the little Markdown -----------------------------------------------------------------


def test_blocks_are_paragraphs_items_and_code() -> None:
    text = "one\ntwo\n\n- a\n- b\n  c\n\n```\nx  y\n```\nlast"
    assert [(b.kind, b.text) for b in blocks(text)] == [
        ("paragraph", "one two"),
        ("item", "a"),
        ("item", "b c"),
        ("code", "x  y"),
        ("paragraph", "last"),
    ]


def test_spans_are_text_code_stress_and_links() -> None:
    found = list(spans("a `b*c*` *d* **e** [f](#g) 2 * 3 * 4"))
    assert [(s.kind, s.text, s.target) for s in found if s.text.strip()] == [
        ("text", "a ", ""),
        ("code", "b*c*", ""),
        ("emphasis", "d", ""),
        ("strong", "e", ""),
        ("link", "f", "#g"),
        ("text", " 2 * 3 * 4", ""),
    ]

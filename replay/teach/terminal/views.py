"""What a reader can look at. A view gives lines for a width and knows its own keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from replay.dirty.subject import SUBJECT
from replay.teach.lessons import Lessons
from replay.teach.lessons.format import Lesson, Page, Section, Text, Theme
from replay.teach.lessons.frames import films
from replay.teach.lessons.markup import blocks
from replay.teach.lessons.markup import plain as plain_text
from replay.teach.terminal.diffs import model_lines, patch_lines
from replay.teach.terminal.progress import Progress
from replay.teach.terminal.shortest import shortest_lines
from replay.teach.terminal.stage import SIGNS, Stage
from replay.teach.terminal.text import (
    EMPTY,
    Line,
    broken,
    clip,
    clip_text,
    line,
    section_lines,
    text_lines,
    wrapped,
)


class View:
    """Something to look at.

    Attributes:
        name: what it is called in the bar on top.
        hint: its keys, for the line at the bottom; the most important first.
        cursor: the line that has to be in sight, None if there is no such line.

    """

    name: str = ""
    hint: str = ""
    cursor: int | None = None

    def lines(self, width: int, height: int) -> list[Line]:
        """Its lines; they may be more than ``height``, then the reader scrolls."""
        raise NotImplementedError

    def key(self, key: str) -> bool:
        """Do what a key means here; False when it means nothing."""
        return False


READ_HINT: Final = "n next  b back  t trace  m model  c C  a ask  l list  / find  h help  q quit"


class Reading(View):
    """A lesson, an introduction or a page, as running text. The answer is not shown.

    ``start`` is the section to begin at, None for the beginning.
    """

    def __init__(self, text: Text, start: Section | None = None) -> None:
        self.text = text
        self.start = start
        self.name = heading(text)
        self.hint = READ_HINT if isinstance(text, Lesson) else TEXT_HINT

    def lines(self, width: int, height: int) -> list[Line]:
        """Title, sections, and where the facts come from."""
        made = title_lines(self.text, width)[1:]
        self.cursor = None
        for section in self.text.sections:
            if isinstance(self.text, Lesson) and section.heading in ("Question", "Answer"):
                continue
            if section is self.start:
                self.cursor = len(made) + bool(made)
            made += [*([EMPTY] if made else []), *section_lines(section, width)]
        if isinstance(self.text, Lesson):
            made += shortest_lines(self.text.number, width)
            ask = "A question on this step: press a. Its trace, played: press t."
            made += [EMPTY, *wrapped(ask, width, "dim")]
        return made + source_lines(self.text, width)


TEXT_HINT: Final = "n next  b back  l list  j jump  / find  g glossary  r reviewer  h help  q quit"


def heading(text: Text) -> str:
    """What a text is called in one line."""
    if isinstance(text, Lesson):
        return f"{text.number}/{SUBJECT.last} {text.title}"
    if isinstance(text, Theme):
        return f"Theme {text.letter}: {text.title}"
    return text.title


def title_lines(text: Text, width: int) -> list[Line]:
    """The title; of a lesson also the patch's own, and what it is."""
    made = [line(clip_text(heading(text), width), "title")]
    if isinstance(text, Lesson):
        step = SUBJECT.series.step(text.number)
        theme = next(t for t in SUBJECT.series.themes if t.letter == step.theme)
        made += wrapped(
            f"[PATCH {text.number:02d}/{SUBJECT.last}] {step.title}", width, "dim", "  "
        )
        made += wrapped(
            f"theme {theme.letter}, {theme.title}; {verdict(text.number)}", width, "dim"
        )
    return made


def verdict(number: int) -> str:
    """A step's verdict in a word or two, as series.toml declares it and the check finds it."""
    deviations = SUBJECT.series.step(number).deviations
    if not deviations:
        return "same"
    kinds = sorted({deviation.kind for deviation in deviations})
    return f"deviates: {', '.join(kinds)}"


def source_lines(text: Text, width: int) -> list[Line]:
    """Where the facts of a text come from."""
    if not text.sources:
        return []
    made = [EMPTY, line("Sources", "dim")]
    for source in text.sources:
        made += wrapped(f"- {source.kind}: {source.text}", min(width, 92), "dim", "  ")
    return made


# --- diffs ------------------------------------------------------------------------------


class Diff(View):
    """What a step changes, in the model or in C."""

    def __init__(self, lesson: Lesson, kind: Literal["model", "C"]) -> None:
        self.lesson = lesson
        self.kind = kind
        self.hint = "m model  c C  up/down scroll  esc lesson  t trace  h help  q quit"
        self._set_name()

    def _set_name(self) -> None:
        what = "the models' diff" if self.kind == "model" else "the patch in C"
        self.name = f"{self.lesson.number}/{SUBJECT.last} {what}"

    def lines(self, width: int, height: int) -> list[Line]:
        """The diff; a line that is too wide goes on in the next."""
        made = model_lines(self.lesson, width) if self.kind == "model" else None
        return [
            part
            for whole in made or patch_lines(self.lesson.number)
            for part in broken(whole, width)
        ]

    def key(self, key: str) -> bool:
        """Tab goes to the other of the two."""
        if key != "tab":
            return False
        self.kind = "C" if self.kind == "model" else "model"
        self._set_name()
        return True


# --- the trace --------------------------------------------------------------------------


class Playing(View):
    """A lesson's trace, run one operation at a time on two models side by side."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.mistaken = lesson.mistake is not None
        self.index = -1
        self._load()

    def _load(self) -> None:
        self.stage = Stage(films(self.lesson, self.mistaken))
        self.name = f"{self.lesson.number}/{SUBJECT.last} the trace"
        other = "  tab other pair" if self.lesson.mistake else ""
        self.hint = f"right/left step  f first difference{other}  esc lesson  h help  q quit"

    def lines(self, width: int, height: int) -> list[Line]:
        """Before the first operation what to look for, then the operations and both machines."""
        if self.index < 0:
            return self._before(width)
        room = 3 if height < 28 else min(height - 22, self.stage.last + 1)
        made = self.stage.operations(self.index, room, width)
        made += self.stage.lines(self.index, width)
        if width >= len(SIGNS) and height > len(made) + 1:
            made += [EMPTY, line(SIGNS, "dim")]
        return made

    def _before(self, width: int) -> list[Line]:
        left, right = (film.label for film in self.stage.films)
        made = wrapped(f"{left} beside {right}", width, "title")
        if self.lesson.mistake and self.mistaken:
            what = plain_text(f"The mistake: {self.lesson.mistake.what}")
            made += wrapped(what, min(width, 92), "strong")
        made += [EMPTY, *text_lines(self.lesson.section("The trace").text, width), EMPTY]
        made += self.stage.operations(-1, self.stage.last + 1, width)
        tell = "Press right to run the first operation."
        if self.lesson.mistake:
            old, new = self.lesson.steps
            pair = "the mistake" if not self.mistaken else f"step {old} beside step {new}"
            tell += f" Tab shows {pair} instead."
        return [*made, EMPTY, *wrapped(tell, width, "dim")]

    def key(self, key: str) -> bool:
        """Run forwards and backwards."""
        moves: dict[str, int | None] = {
            "right": self.index + 1,
            ">": self.index + 1,
            "space": self.index + 1,
            "enter": self.index + 1,
            "left": self.index - 1,
            "<": self.index - 1,
            "backspace": self.index - 1,
            "home": -1,
            "end": self.stage.last,
            "f": self.stage.first,
        }
        if key == "tab" and self.lesson.mistake:
            self.mistaken = not self.mistaken
            self._load()
        elif key in moves:
            target = moves[key]
            if target is not None:
                self.index = max(-1, min(target, self.stage.last))
        else:
            return False
        return True


# --- the question -----------------------------------------------------------------------


class Asking(View):
    """A lesson's question; its answer when asked for."""

    def __init__(self, lesson: Lesson, progress: Progress) -> None:
        self.lesson = lesson
        self.progress = progress
        self.open = False
        self.name = f"{lesson.number}/{SUBJECT.last} a question"
        self.hint = "enter answer  esc lesson  n next  q quit"

    def lines(self, width: int, height: int) -> list[Line]:
        """The question, then the answer and how the reader did."""
        made = [*section_lines(self.lesson.section("Question"), width), EMPTY]
        if not self.open:
            return [*made, line("Think first. Then press enter for the answer.", "dim")]
        made += [*section_lines(self.lesson.section("Answer"), width), EMPTY]
        knew = self.progress.answered.get(self.lesson.number)
        told = {None: "", True: "You said: I knew it.", False: "You said: not yet."}[knew]
        ask = "Did you have it?  y yes  x not yet"
        return [*made, line(ask, "strong"), line(told, "good" if knew else "dim")]

    def key(self, key: str) -> bool:
        """Open the answer, then note whether the reader knew."""
        if not self.open:
            if key not in ("enter", "space", "a", "right"):
                return False
            self.open = True
            self.hint = "y I knew it  x not yet  esc lesson  n next  q quit"
            return True
        if key not in ("y", "x"):
            return False
        self.progress.answered[self.lesson.number] = key == "y"
        self.progress.save()
        return True


# --- lists ------------------------------------------------------------------------------


@dataclass
class Choice:
    """A line of a list that leads somewhere."""

    place: str
    text: str
    mark: str = ""
    section: Section | None = None


class Listing(View):
    """Lines to choose from with the arrows; ``go`` is called with the one chosen."""

    hint = "up/down choose  enter open  esc back  h help  q quit"

    def __init__(
        self,
        name: str,
        choices: list[Choice],
        go: Callable[[Choice], None],
        selected: int = 0,
        note: str = "",
    ) -> None:
        self.name = name
        self.choices = choices
        self.go = go
        self.selected = selected
        self.note = note

    def lines(self, width: int, height: int) -> list[Line]:
        """A line a choice, ``>`` before the selected one."""
        made = wrapped(self.note, width, "dim") if self.note else []
        self.cursor = len(made) + self.selected
        for number, choice in enumerate(self.choices):
            sign = ">" if number == self.selected else " "
            style = "strong" if number == self.selected else choice.mark
            made.append(clip(line(f"{sign} {choice.text}", style), width))
        return made

    def key(self, key: str) -> bool:
        """Move the selection, or open it."""
        if not self.choices:
            return False
        steps = {"up": -1, "down": 1, "pageup": -10, "pagedown": 10, "home": -1000, "end": 1000}
        if key in steps:
            last = len(self.choices) - 1
            self.selected = max(0, min(self.selected + steps[key], last))
        elif key in ("enter", "right", "space"):
            self.go(self.choices[self.selected])
        else:
            return False
        return True


def contents(lessons: Lessons, progress: Progress) -> list[Choice]:
    """All places in order of reading: themes, their lessons, pages."""
    made: list[Choice] = []
    for theme in SUBJECT.series.themes:
        steps = f"steps {theme.first} to {theme.last}" if theme.first < theme.last else "one step"
        made.append(
            Choice(
                f"theme-{theme.letter.lower()}", f"{theme.letter}  {theme.title}, {steps}", "title"
            )
        )
        for lesson in lessons.lessons:
            if theme.first <= lesson.number <= theme.last:
                made.append(Choice(str(lesson.number), contents_line(lesson, progress)))
    made += [Choice(page.name, f"   {page.title}", "title") for page in lessons.pages]
    if lessons.glossary:
        made.append(Choice("glossary", f"   {lessons.glossary.title}", "title"))
    return made


def contents_line(lesson: Lesson, progress: Progress) -> str:
    """A lesson in the list: read, answered, its title, its verdict."""
    read = "r" if lesson.number in progress.read else "."
    answered = {None: ".", True: "+", False: "-"}[progress.answered.get(lesson.number)]
    found = verdict(lesson.number)
    tail = "" if found == "same" else f"  [{found.partition(':')[0]}]"
    return f"  {lesson.number:2} {read}{answered} {lesson.title}{tail}"


def found_in(lessons: Lessons, query: str) -> list[Choice]:
    """The sections, themes, pages and terms that hold every word of a query."""
    words = query.lower().split()
    made: list[Choice] = []
    texts: list[tuple[str, Text]] = [(str(x.number), x) for x in lessons.lessons]
    texts += [(f"theme-{x.letter.lower()}", x) for x in lessons.themes]
    texts += [(x.name, x) for x in (*lessons.pages, *filter(None, [lessons.glossary]))]
    for place, text in texts if words else []:
        own = SUBJECT.series.title(text.number) if isinstance(text, Lesson) else ""
        title = f"{heading(text)} {own}".lower()
        for section in text.sections:
            whole = f"{title} {section.heading} {section.text}".lower()
            body = f"{section.heading} {section.text}".lower()
            if all(word in whole for word in words) and any(word in body for word in words):
                label = f"{heading(text)} - {section.heading}: {snippet(section.text, words)}"
                made.append(Choice(place, label, section=section))
                if not isinstance(text, Page):
                    break
        else:
            if title.strip() and all(word in title for word in words):
                made.append(Choice(place, heading(text)))
    return made


def snippet(text: str, words: list[str]) -> str:
    """The text around the first word found."""
    flat = " ".join(plain_text(block.text) for block in blocks(text))
    at = min((i for i in (flat.lower().find(word) for word in words) if i >= 0), default=0)
    low = max(0, at - 20)
    return ("..." if low else "") + flat[low : at + 60]

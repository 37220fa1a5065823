"""A session without a screen: plain text for a pipe, and a line at a time for a dumb terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from replay.teach.lessons import Lessons
from replay.teach.lessons.format import Lesson, Text
from replay.teach.terminal.progress import Progress
from replay.teach.terminal.session import Session
from replay.teach.terminal.text import EMPTY, Line, plain, section_lines, wrapped
from replay.teach.terminal.views import contents, source_lines, title_lines

WIDTH: Final = 80

WORDS: Final = {
    "next": "n", "back": "b", "list": "l", "help": "h", "quit": "q", "exit": "q",
    "trace": "t", "model": "m", "start": "s", "question": "a", "glossary": "g",
    "forward": "right", "f": "f", "yes": "y", "escape": "escape", "esc": "escape",
}  # fmt: skip
"""Words that may be typed for keys."""


def text_page(text: Text, width: int = WIDTH) -> list[str]:
    """A lesson, an introduction or a page as plain text, the answer included."""
    made: list[Line] = title_lines(text, width)
    for section in text.sections:
        made += [EMPTY, *section_lines(section, width)]
    if isinstance(text, Lesson) and text.mistake:
        made += [EMPTY, *wrapped(f"The mistake played in the trace: {text.mistake.what}", width)]
    return [plain(part).rstrip() for part in [*made, *source_lines(text, width)]]


def contents_page(lessons: Lessons, progress: Progress) -> list[str]:
    """All lessons by theme, a line each."""
    return [choice.text for choice in contents(lessons, progress)]


def run(
    session: Session,
    ask: Callable[[], str | None],
    show: Callable[[str], None],
    width: int = WIDTH,
) -> None:
    """A session a line at a time: ``ask`` gives what was typed, None at the end of input."""
    show("Type a key and enter, as n or t; > and < run a trace; 27 jumps; h helps; q leaves.")
    while not session.ended:
        for part in _shown(session, width):
            show(part)
        typed = ask()
        if typed is None:
            return
        for key in keys_of(typed):
            session.key(key)


def _shown(session: Session, width: int) -> Iterator[str]:
    lines = session.view.lines(width, 60)
    yield f"== {session.view.name} =="
    for part in lines:
        yield plain(part).rstrip()
    if session.notice:
        yield f"* {session.notice}"
        session.notice = ""


def keys_of(typed: str) -> list[str]:
    """The keys that a typed line stands for: a key, a word, a number, or ``/words``."""
    text = typed.strip()
    if not text:
        return ["enter"]
    if text.startswith("/"):
        return ["/", *_typed(text[1:]), "enter"]
    first, _, rest = text.partition(" ")
    if first in ("j", "jump") and rest.strip():
        return ["j", *_typed(rest.strip()), "enter"]
    if text.isdecimal():
        return ["j", *text, "enter"]
    return [WORDS.get(text.lower(), text.lower())]


def _typed(text: str) -> list[str]:
    return ["space" if character == " " else character for character in text]

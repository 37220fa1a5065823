"""A reader's session: where they are, what a key does, and what is to be seen.

A session knows no terminal. It takes names of keys and gives lines of styled text, so a
whole screen and a line at a time are two ways to look at the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from replay.dirty.subject import SUBJECT
from replay.errors import ReplayError
from replay.teach.lessons import Lessons
from replay.teach.lessons.format import Lesson, Text
from replay.teach.terminal.progress import Progress
from replay.teach.terminal.text import EMPTY, Line, clip, line, pad, wrapped
from replay.teach.terminal.views import (
    Asking,
    Choice,
    Diff,
    Listing,
    Playing,
    Reading,
    View,
    contents,
    found_in,
)

WELCOME: Final = (
    f"{SUBJECT.last} patches of 2013 turned a byte a page into three bitmaps, and then into "
    "whole words. "
    "Each is a lesson here: why it exists, what it changes, what it claims, and a trace that "
    "you can run one operation at a time, on the code before and after it.",
    "Read in order with n. At any time t plays the lesson's trace, m and c show what the step "
    "changes in the models and in C, a asks you a question.",
)

KEYS: Final = (
    ("n, b", "next place, back to the one before"),
    ("s", "start again at the beginning"),
    ("j or a digit", "jump to a step: type its number, then enter; also a theme, A to G"),
    ("/", "find words in all lessons, themes and the glossary"),
    ("l", "list by theme: r read, + knew the answer, - not yet"),
    ("t", "the trace: right and left run it forwards and backwards, f goes to the first"),
    ("", "difference, home and end; tab changes between mistake and step before"),
    ("m, c", "what the step changes: in the models, in C; tab changes"),
    ("a", "a question, and its answer"),
    ("g, r", "the glossary; reading such a series as a reviewer"),
    ("up, down", "scroll; page up, page down or space, home, end"),
    ("esc", "back to the lesson"),
    ("q, Ctrl-C", "leave; where you were is remembered"),
)


class Help(View):
    """What this is, and all keys."""

    name = "help"
    hint = "n or enter begin  l list  esc back  q quit"

    def lines(self, width: int, height: int) -> list[Line]:
        """The welcome, then the keys."""
        made = [line("replay teach", "title")]
        for paragraph in WELCOME:
            made += [EMPTY, *wrapped(paragraph, min(width, 80))]
        made.append(EMPTY)
        for keys, does in KEYS:
            made += wrapped(f"{keys:13} {does}", width, "", " " * 14)
        return made


@dataclass
class Prompt:
    """A line that the reader is typing."""

    label: str
    kind: str
    text: str = ""


class Session:
    """A reader with a place, a view of it, and a way back.

    ``ended`` is true when the reader wants to leave.
    """

    def __init__(self, lessons: Lessons, progress: Progress, place: str = "") -> None:
        self.lessons = lessons
        self.progress = progress
        self.places = [c.place for c in contents(lessons, progress) if c.place != "glossary"]
        self.notice = progress.notice
        self.prompt: Prompt | None = None
        self.ended = False
        self.scroll = 0
        self.page = 10
        self.place = ""
        self.named = ""
        self.left = ("", 0)
        self.view: View = Help()
        if place:
            self.go(place)
        elif progress.at and self.known(progress.at):
            self.go(progress.at)
            self.notice = self.notice or "Welcome back. s starts again, h shows the keys."

    # --- places ---

    def known(self, place: str) -> bool:
        """Whether there is such a place."""
        return place in self.places or place == "glossary"

    def text(self, place: str) -> Text:
        """The text of a place."""
        if place.isdecimal():
            return self.lessons.lesson(int(place))
        if place.startswith("theme-"):
            return self.lessons.theme(place[-1].upper())
        return self.lessons.page(place)

    @property
    def lesson(self) -> Lesson | None:
        """The lesson that the reader is in, whatever is shown of it."""
        return self.lessons.lesson(int(self.place)) if self.place.isdecimal() else None

    def go(self, place: str, choice: Choice | None = None) -> None:
        """Go to a place and remember it."""
        reading = Reading(self.text(place), choice.section if choice else None)
        self.show(reading)
        if place not in self.places:
            # A look at the glossary leaves the reader where they are.
            return
        self.place, self.named = place, reading.name
        self.progress.at = place
        self.save()

    def show(self, view: View) -> None:
        """Look at something from its beginning."""
        if isinstance(self.view, Reading) and self.view.name == self.named:
            self.left = (self.place, self.scroll)
        self.view = view
        self.scroll = 0

    def save(self) -> None:
        """Remember the progress."""
        before = self.progress.notice
        self.progress.save()
        if self.progress.notice != before:
            self.notice = self.progress.notice

    def read(self) -> None:
        """Note that the lesson at hand was read to its end."""
        if self.lesson and self.lesson.number not in self.progress.read:
            self.progress.read.add(self.lesson.number)
            self.save()

    def move(self, by: int) -> None:
        """Go to the next place in order, or back."""
        if by > 0:
            self.read()
        if not self.place:
            self.go(self.places[0])
            return
        target = self.places.index(self.place) + by
        if 0 <= target < len(self.places):
            self.go(self.places[target])
        else:
            self.notice = "This is the last page. l shows the list." if by > 0 else "The beginning."

    def jump(self, text: str) -> None:
        """Go where a number, a letter or a name says."""
        word = text.strip().lower()
        letter = f"theme-{word}"
        place = word.lstrip("0") if word.isdecimal() else letter if self.known(letter) else word
        if self.known(place):
            self.go(place)
        elif word:
            self.notice = (
                f"there is no {text.strip()!r}: steps are 1 to {SUBJECT.last}, themes A to G"
            )

    def find(self, query: str) -> None:
        """Show where words occur."""
        found = found_in(self.lessons, query)
        if not query.strip():
            return
        if not found:
            self.notice = f"nothing holds {query.strip()!r}"
            return
        note = f"{len(found)} found for {query.strip()!r}"
        self.show(Listing("find", found, self._open, note=note))

    def _open(self, choice: Choice) -> None:
        self.go(choice.place, choice)

    def contents(self) -> None:
        """Show all places by theme."""
        choices = contents(self.lessons, self.progress)
        at = next((i for i, c in enumerate(choices) if c.place == self.place), 0)
        note = "r read   + knew the answer   - not yet   [deviates] differs from the step before"
        self.show(Listing("all lessons", choices, self._open, at, note))

    # --- keys ---

    def key(self, key: str) -> None:
        """Do what a key means. Problems of the lessons' data become the notice."""
        self.notice = ""
        try:
            if self.prompt:
                self._typed(self.prompt, key)
            elif not self.view.key(key):
                self._global(key)
        except ReplayError as error:
            self.notice = str(error)

    def _typed(self, prompt: Prompt, key: str) -> None:
        if key == "enter":
            self.prompt = None
            self.find(prompt.text) if prompt.kind == "find" else self.jump(prompt.text)
        elif key == "escape":
            self.prompt = None
        elif key == "backspace":
            prompt.text = prompt.text[:-1]
        elif key == "space":
            prompt.text += " "
        elif len(key) == 1 and key.isprintable() and len(prompt.text) < 60:
            prompt.text += key

    def _global(self, key: str) -> None:
        lesson = self.lesson
        if key.isdecimal() and len(key) == 1:
            self.prompt = Prompt("jump to step: ", "jump", key)
        elif key in _SCROLLS:
            self._scroll(key)
        elif key in _COMMANDS:
            getattr(self, _COMMANDS[key])()
        elif key in ("t", "m", "c", "a"):
            if lesson is None:
                self.notice = "this needs a lesson: n goes to the next one"
            elif key == "a":
                self.show(Asking(lesson, self.progress))
            elif key == "t":
                self.show(Playing(lesson))
            else:
                self.show(Diff(lesson, "model" if key == "m" else "C"))

    def next(self) -> None:
        """The next place."""
        self.move(1)

    def back(self) -> None:
        """The place before."""
        self.move(-1)

    def begin(self) -> None:
        """The very first place."""
        self.go(self.places[0])

    def ask_jump(self) -> None:
        """Let the reader type where to go."""
        self.prompt = Prompt("jump to step or theme: ", "jump")

    def ask_find(self) -> None:
        """Let the reader type what to find."""
        self.prompt = Prompt("find: ", "find")

    def glossary(self) -> None:
        """Show the glossary."""
        self.go("glossary")

    def reviewer(self) -> None:
        """Show the page for reviewers."""
        self.show(Reading(self.text("reviewer")))

    def help(self) -> None:
        """Show the keys."""
        self.show(Help())

    def leave(self) -> None:
        """End the session."""
        self.ended = True

    def escape(self) -> None:
        """Back to the text of the place at hand, where it was left."""
        if not self.place:
            self.show(Help())
            return
        place, scroll = self.left
        self.go(self.place)
        if place == self.place:
            self.scroll = scroll

    def enter(self) -> None:
        """On the first screen begin; elsewhere as the space bar."""
        if isinstance(self.view, Help):
            self.escape() if self.place else self.move(1)
        else:
            self._scroll("space")

    def _scroll(self, key: str) -> None:
        steps = {"up": -1, "down": 1, "pageup": -self.page, "pagedown": self.page,
                 "space": self.page, "home": -(10**6), "end": 10**6}  # fmt: skip
        self.scroll = max(0, self.scroll + steps[key])
        if isinstance(self.view, Reading):
            self.view.start = None

    # --- the screen ---

    def screen(self, width: int, height: int) -> list[Line]:
        """Exactly ``height`` lines of at most ``width`` columns."""
        if width < 1 or height < 1:
            return []
        room = height - 3 if height > 5 else max(height - 1, 1)
        body = self._body(width, room)
        if height == 1:
            return body[:1]
        if height <= 5:
            return [*body, self._foot(width)]
        return [
            self._bar(width),
            *body,
            clip(line(self.view.hint, "dim"), width),
            self._foot(width),
        ]

    def _body(self, width: int, room: int) -> list[Line]:
        self.page = max(room - 1, 1)
        lines = self.view.lines(width, room)
        last = max(len(lines) - room, 0)
        cursor = self.view.cursor
        if cursor is not None:
            if isinstance(self.view, Reading):
                self.scroll = cursor
            elif not self.scroll <= cursor < self.scroll + room:
                self.scroll = cursor - (room - 1 if cursor >= self.scroll + room else 0)
        self.scroll = max(0, min(self.scroll, last))
        self._more = len(lines) - room - self.scroll
        if self._more <= 0 and isinstance(self.view, Reading):
            self.read()
        shown = [clip(part, width) for part in lines[self.scroll : self.scroll + room]]
        return shown + [EMPTY] * (room - len(shown))

    def _bar(self, width: int) -> Line:
        right = f" {len(self.progress.read)} of {len(self.lessons.lessons)} read "
        left = f" {self.view.name}"
        gap = width - len(left) - len(right)
        text = left + " " * gap + right if gap > 0 else left
        return (("bar", text[:width].ljust(width)),)

    def _foot(self, width: int) -> Line:
        if self.prompt:
            return clip(line(f"{self.prompt.label}{self.prompt.text}_", "strong"), width)
        if self.notice:
            return clip(line(self.notice, "new"), width)
        if self._more > 0:
            return pad(line(f"-- {self._more} more lines: down or space --", "dim"), width)
        return EMPTY

    _more = 0


_SCROLLS: Final = ("up", "down", "pageup", "pagedown", "space", "home", "end")

_COMMANDS: Final = {
    "n": "next",
    "b": "back",
    "s": "begin",
    "j": "ask_jump",
    "/": "ask_find",
    "l": "contents",
    "g": "glossary",
    "r": "reviewer",
    "h": "help",
    "?": "help",
    "q": "leave",
    "escape": "escape",
    "backspace": "escape",
    "enter": "enter",
}
"""Keys that do the same everywhere, unless the view at hand uses them."""

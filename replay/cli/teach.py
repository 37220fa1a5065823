"""``replay teach``: the lessons in the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click

from replay.cli.common import ExitCode, emit, examples, on_terminal, print_lines, wants_color
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError
from replay.report.fixing import LaterView
from replay.series.latertrees import fixes_by_name
from replay.series.names import Later, parse_step
from replay.teach.lessons import Lessons, load_lessons
from replay.teach.terminal import lines, progress
from replay.teach.terminal.session import Session


@click.command(
    "teach",
    epilog=examples(
        "replay teach                       begin, or go on where you were",
        "replay teach 39                    the lesson of step 39",
        "replay teach 27 --plain | less     as plain text",
        "replay teach --reset               forget what was read and answered",
    ),
)
@click.argument("place", metavar="[WHERE]", required=False)
@click.option("--plain", is_flag=True, help="Print it as text; so also when piped.")
@click.option(
    "--progress", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Where to remember your progress; by default in the state folder of your account.",
)  # fmt: skip
@click.option("--reset", is_flag=True, help="Forget the progress, and begin anew.")
def command(place: str | None, plain: bool, file: Path | None, reset: bool) -> int:
    """Learn the series step by step: 39 lessons with traces to play, and questions.

    WHERE is a step, 1 to 39, a theme, A to G, or glossary or reviewer. It runs on the
    whole terminal, by keys alone; h shows them. On a dumb terminal it asks line by line.
    Of a fix that came later, as 39+sync-length, it prints what is to be known.
    """
    if place is not None and "+" in place:
        emit(later_view(place))
        return ExitCode.OK
    lessons = load_lessons()
    remembered = progress.load(file or progress.default_path(), reset)
    at = "" if place is None else known_place(place, lessons)
    if plain or not (sys.stdin.isatty() and sys.stdout.isatty()):
        print_plain(lessons, remembered, at)
        return ExitCode.OK
    session = Session(lessons, remembered, at)
    if on_terminal(sys.stdout) and os.environ.get("TERM"):
        from replay.teach.terminal import screen

        screen.run(session, wants_color(sys.stdout))
    else:
        columns = shutil.get_terminal_size((lines.WIDTH, 24)).columns
        lines.run(session, read_line, click.echo, max(columns, 20))
    return ExitCode.OK


def later_view(place: str) -> LaterView:
    """What is told of a step after the last one, which has no lesson to play.

    Raises:
        UsageError: there is no such step.

    """
    step = parse_step(place, SUBJECT.names)
    if not isinstance(step, Later):
        raise UsageError(f"{place!r} is step {step}; name it so")
    patches = fixes_by_name()
    return LaterView(step, SUBJECT.series, [patches[part] for part in step.parts])


def known_place(place: str, lessons: Lessons) -> str:
    """The place that an argument names.

    Raises:
        UsageError: there is none.

    """
    word = place.strip().lower()
    number = word.lstrip("0") if word.isdecimal() and word.isascii() else ""
    if number and any(lesson.number == int(number) for lesson in lessons.lessons):
        return number
    if any(theme.letter.lower() == word for theme in lessons.themes):
        return f"theme-{word}"
    names = [page.name for page in lessons.pages] + ["glossary"]
    if word in names:
        return word
    raise UsageError(
        f"{place!r} is nowhere to go; give a step from 1 to {SUBJECT.last}, a theme from A to G, "
        f"one of {', '.join(names)}, or what came later: {SUBJECT.names}"
    )


def print_plain(lessons: Lessons, remembered: progress.Progress, at: str) -> None:
    """Print a place as text, or the list of all of them. Changes no progress."""
    if remembered.notice:
        click.echo(f"replay: {remembered.notice}", err=True)
    if not at:
        print_lines(lines.contents_page(lessons, remembered))
        return
    text = Session(lessons, progress.Progress()).text(at)
    print_lines(lines.text_page(text))


def read_line() -> str | None:
    """What the reader types; None at the end of input."""
    click.echo("teach> ", nl=False)
    sys.stdout.flush()
    typed = sys.stdin.readline()
    return typed if typed else None

"""How both ``python -m replay`` and the command ``replay`` start.

The list of commands is asked for most often, and to import click takes three times as long
as to start the interpreter. So the text of ``replay --help`` is stored, and printed without
it; a test holds it to what click says. ``replay -h --help`` is click's own.
"""

from __future__ import annotations

import os
import sys
from typing import Final

HELP: Final = os.path.join(os.path.dirname(__file__), "cli", "help.txt")  # noqa: PTH118, PTH120
WIDTH: Final = 80
"""Columns that the stored text is made for; click breaks its lines for fewer."""


def start() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] in (["--help"], ["-h"]) and _as_stored():
        try:
            with open(HELP, encoding="utf-8") as stored:  # noqa: PTH123
                sys.stdout.write(stored.read())
            sys.stdout.flush()
        except OSError:
            pass  # no reader, no room: the command line knows what to say
        else:
            return
    from replay.cli import main

    main()


def _as_stored() -> bool:
    """Whether click would print the stored text: nothing completes, and the lines have room."""
    if "_REPLAY_COMPLETE" in os.environ:
        return False
    try:
        columns = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        columns = 0
    if columns <= 0:
        try:
            columns = os.get_terminal_size(sys.__stdout__.fileno()).columns  # type: ignore[union-attr]
        except (AttributeError, ValueError, OSError):
            columns = 0
    return not columns or columns >= WIDTH


if __name__ == "__main__":
    start()

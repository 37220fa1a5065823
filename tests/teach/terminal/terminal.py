"""``replay teach`` in a pseudo terminal, seen through a terminal emulator."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pyte

PROGRAM = (
    "import replay.cli as c;"
    "c.COMMANDS.setdefault('teach', c.Entry('replay.cli.teach:command', 'Learn.'));"
    "c.main()"
)
"""The command, also where it is not entered into the list of commands yet."""

KEYS = {
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "home": "\x1b[H",
    "end": "\x1b[F",
    "pagedown": "\x1b[6~",
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "backspace": "\x7f",
    "ctrl-c": "\x03",
}
PATIENCE = 30.0


class Terminal:
    """A running command with its screen."""

    def __init__(self, arguments: list[str], columns: int, rows: int, env: dict[str, str]) -> None:
        self.child = pexpect.spawn(
            sys.executable,
            ["-c", PROGRAM, "teach", *arguments],
            dimensions=(rows, columns),
            env=env,
            timeout=PATIENCE,
        )
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def look(self, seconds: float = 0.05) -> None:
        """Take in what the command has written."""
        try:
            while True:
                data = self.child.read_nonblocking(65536, seconds)
                self.raw += data
                self.stream.feed(data)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def until(self, holds: Callable[[str], bool], what: str) -> str:
        """Wait until the screen shows something."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.look()
            if holds(self.text):
                return self.text
            if not self.child.isalive():
                self.look()
                if holds(self.text):
                    return self.text
                break
        raise AssertionError(f"never showed {what}:\n{self.text}")

    def see(self, *words: str) -> str:
        """Wait until all words are on the screen."""
        return self.until(lambda text: all(word in text for word in words), repr(words))

    def hear(self, *words: str) -> None:
        """Wait until all words were written, wherever they are by now."""
        self.until(lambda _: all(word.encode() in self.raw for word in words), repr(words))

    def gone(self, word: str) -> str:
        """Wait until a word is no longer on the screen."""
        return self.until(lambda text: word not in text, f"a screen without {word!r}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.child.send(KEYS.get(key, key))

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def leave(self) -> int:
        """The exit code, once the command has ended."""
        self.child.expect(pexpect.EOF)
        self.raw += self.child.before or b""
        self.stream.feed(self.child.before or b"")
        self.child.close()
        assert self.child.exitstatus is not None, f"ended by signal {self.child.signalstatus}"
        return int(self.child.exitstatus)


@contextmanager
def teach(
    progress: Path,
    *arguments: str,
    columns: int = 80,
    rows: int = 24,
    env: dict[str, str] | None = None,
) -> Iterator[Terminal]:
    """Run ``replay teach`` on a terminal; it is ended at the end if it has not ended itself."""
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    terminal = Terminal(
        ["--progress", str(progress), *arguments],
        columns,
        rows,
        plain | {"TERM": "xterm-256color"} | (env or {}),
    )
    try:
        yield terminal
    finally:
        terminal.child.close(force=True)

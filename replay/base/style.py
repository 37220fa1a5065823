"""How reports look. Colour, or none: a mark is a character first, and colour repeats it."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

WIDTH: Final = 79
"""Columns of a report."""

_RESET: Final = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Style:
    """How texts are painted; without ``color`` every method gives its text back."""

    color: bool = False

    def _paint(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}{_RESET}" if self.color and text else text

    def strong(self, text: str) -> str:
        """A heading."""
        return self._paint("1", text)

    def dim(self, text: str) -> str:
        """What only helps to find one's way: rulers, labels."""
        return self._paint("2", text)

    def bad(self, text: str) -> str:
        """A difference or an error."""
        return self._paint("1;31", text)

    def good(self, text: str) -> str:
        """What is as it should be."""
        return self._paint("32", text)

    def new(self, text: str) -> str:
        """What was not so before."""
        return self._paint("1;33", text)


PLAIN: Final = Style()


def wrapped(text: str, indent: str) -> list[str]:
    """A text in lines of a report, each indented; long words and names stay whole."""
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def counted(number: int, what: str) -> str:
    """A number of things, in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Sequence[str], most: int = 8) -> str:
    """Names with commas; of too many, the first and how many more."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")

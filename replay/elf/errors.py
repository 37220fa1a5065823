"""The one error of the package, and the border behind which pyelftools may fail as it likes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from elftools.common.exceptions import DWARFError, ELFError
from elftools.construct import ConstructError

from replay.errors import ReplayError


class ElfError(ReplayError):
    """A file that is no readable ELF file, or lacks what was asked of it.

    The text reads ``file: place: problem; cure``.

    Args:
        path: the file.
        problem: what is wrong.
        cure: what to do about it.
        place: where in the file: a section, a unit, an offset.
    """

    def __init__(self, path: Path | str, problem: str, cure: str, place: str = "") -> None:
        self.path = str(path)
        self.problem = problem
        self.cure = cure
        self.place = place
        where = f"{self.path}: {place}" if place else self.path
        super().__init__(f"{where}: {problem}; {cure}")


class AbsentError(ElfError):
    """Debug information that is not in the file, or is there in a form that is not read here.

    The file itself is whole: its symbols can be read.
    """


REBUILD: Final = "build the file again, or copy it again if it came from elsewhere"

_READER_FAILS_WITH: Final = (
    ELFError,
    DWARFError,
    ConstructError,
    struct.error,
    zlib.error,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    NotImplementedError,
    RecursionError,
    MemoryError,
    EOFError,
)
"""Met while reading damaged files: pyelftools checks little of what a file says."""


@contextmanager
def reading(path: Path | str, place: str) -> Iterator[None]:
    """Turn whatever the reader raises on a damaged file into an :class:`ElfError`.

    Put it only around calls of pyelftools, so that no error of our own hides behind it.

    Args:
        path: the file.
        place: what is being read, for the message.
    """
    try:
        yield
    except OSError as error:
        raise ElfError(
            path, f"cannot be read: {error.strerror or error}", "check the file and its disk", place
        ) from error
    except _READER_FAILS_WITH as error:
        said = str(error).strip() or type(error).__name__
        raise ElfError(path, f"truncated or corrupt ({_one_line(said)})", REBUILD, place) from error


def _one_line(text: str) -> str:
    """Text fit for a message: no control characters, and not longer than a line."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= 120 else shown[:117] + "..."

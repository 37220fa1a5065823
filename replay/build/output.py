"""What a command printed: kept within bounds, and made fit to be shown."""

from __future__ import annotations

import contextlib
import os
import re
from typing import IO, Final

_CONTROL: Final = re.compile(
    r"[^\t\n\x20-\x7e\u00a1-\ud7ff\ue000-\ufdcf]|[\u200b-\u202e\u2060-\u206f]"
)


def neutral(text: str) -> str:
    """A text with everything that could steer a terminal written as an escape."""
    return _CONTROL.sub(lambda match: ascii(match.group())[1:-1], text)


def telling_line(output: str) -> str:
    """The line of a failed build that says why: the first error, else the first line."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line.lower()), (lines or [""])[0])[:300]


class Kept:
    """The start and the end of what a command prints, however much it is.

    Args:
        start: bytes of the start that are kept.
        end: bytes of the end; 0 keeps the start alone, without a word of what is left out.

    """

    def __init__(self, start: int, end: int = 0) -> None:
        self.start = start
        self.end = end
        self.head = bytearray()
        self.tail = bytearray()
        self.dropped = 0

    def drain(self, stream: IO[bytes]) -> None:
        """Read to the end of a stream, or until it is closed."""
        with contextlib.suppress(ValueError, OSError):
            while chunk := os.read(stream.fileno(), 1 << 16):
                room = max(self.start - len(self.head), 0)
                self.head += chunk[:room]
                self.tail += chunk[room:]
                if len(self.tail) > 2 * self.end:
                    self._cut()

    def _cut(self) -> None:
        much = max(len(self.tail) - self.end, 0)
        self.dropped += much
        del self.tail[:much]

    def text(self) -> str:
        """What was kept, with a line in place of what was not."""
        self._cut()
        told = self.dropped and self.end
        gap = f"\n[{self.dropped} bytes left out]\n".encode() if told else b""
        return bytes(self.head + gap + self.tail).decode("utf-8", "replace")

"""What a reader has read and answered, remembered between sessions.

The file is small and replaced as a whole. One that cannot be understood is set aside and a
fresh start made: a lost bookmark is no reason not to teach.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from replay.base.atomic import replace_file

FORMAT: Final = "replay-teach/1"


class _Stored(msgspec.Struct, forbid_unknown_fields=True):
    """The file."""

    format: str
    at: str
    read: list[int]
    answered: dict[str, bool]


@dataclass(slots=True)
class Progress:
    """Where the reader is.

    Attributes:
        path: the file; None to remember nothing.
        at: the place last looked at, as ``16`` or ``theme-b``; empty at the very start.
        read: the steps whose lesson was read to its end.
        answered: step to whether the reader knew the answer.
        notice: what went wrong with the file, for the reader; empty if nothing.

    """

    path: Path | None = None
    at: str = ""
    read: set[int] = field(default_factory=set)
    answered: dict[int, bool] = field(default_factory=dict)
    notice: str = ""

    def save(self) -> None:
        """Write the file, whole or not at all. A failure becomes the notice."""
        if self.path is None:
            return
        stored = _Stored(
            FORMAT,
            self.at,
            sorted(self.read),
            {str(k): self.answered[k] for k in sorted(self.answered)},
        )
        data = msgspec.json.format(msgspec.json.encode(stored), indent=2) + b"\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace_file(self.path, data)
        except OSError as error:
            self.notice = f"progress is not saved: {error.strerror}: {self.path}"
            self.path = None


def default_path() -> Path:
    """Where progress is kept unless told otherwise: in the user's folder for states."""
    folder = os.environ.get("XDG_STATE_HOME", "")
    # The standard says that a relative path here is to be ignored.
    state = Path(folder) if Path(folder).is_absolute() else Path.home() / ".local" / "state"
    return state / "replay" / "teach.json"


def load(path: Path | None, reset: bool = False) -> Progress:
    """What is remembered; a fresh start when there is nothing, or ``reset``."""
    if path is None or reset:
        fresh = Progress(path)
        if reset:
            fresh.save()
        return fresh
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Progress(path)
    except OSError as error:
        # Not ours to overwrite what may not even be read.
        notice = f"progress cannot be read, and is not saved: {error.strerror}: {path}"
        return Progress(None, notice=notice)
    try:
        stored = msgspec.json.decode(data, type=_Stored)
        if stored.format != FORMAT:
            raise ValueError(stored.format)
        answered = {int(step): knew for step, knew in stored.answered.items()}
    except (msgspec.DecodeError, ValueError):
        aside = path.with_name(path.name + ".damaged")
        with contextlib.suppress(OSError):
            path.replace(aside)
        return Progress(
            path, notice=f"the progress file was damaged; starting afresh (kept as {aside.name})"
        )
    return Progress(path, stored.at, set(stored.read), answered)

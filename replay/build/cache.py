"""What was built once: entries named by all that they depend on, believed only if sound.

An entry is a folder that holds one file, and a note with its checksum. It counts only if
the file has that checksum; else it is as if there were none. Both are put in place whole,
the note last, so that it never stands for less.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from replay.build.errors import BuildError

NOTE: Final = "entry.json"


def cache_folder() -> Path:
    """REPLAY_CACHE, or replay in XDG_CACHE_HOME, or ~/.cache/replay."""
    if own := os.environ.get("REPLAY_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "replay"


def key(parts: Iterable[bytes]) -> str:
    """A name for all that an entry depends on; no two lists of parts have the same."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry, there or not.

    Attributes:
        folder: where it is.
        name: the name of its file.
        form: what the note calls the format; part of the key, too.

    """

    folder: Path
    name: str
    form: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.folder / self.name

    def note(self) -> dict[str, Any] | None:
        """The note of an entry that holds what was put there, ``sha256`` among it."""
        try:
            note = json.loads((self.folder / NOTE).read_bytes())
            sound = note["sha256"] == hashlib.sha256(self.path.read_bytes()).hexdigest()
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return dict(note) if sound else None

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One process at a time; the lock goes with the process that has it.

        Raises:
            BuildError: the folder cannot be made or written.

        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.folder / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise BuildError(
                f"{self.folder}: cannot be used as a cache: {error.strerror}; name another "
                "folder in REPLAY_CACHE"
            ) from None

    def enter(self, made: Path, **more: Any) -> str:
        """Put a file into the entry, which is locked; gives its checksum.

        ``more`` goes into the note. Raises OSError, which :meth:`locked` explains.
        """
        data = made.read_bytes()
        checksum = hashlib.sha256(data).hexdigest()
        note = json.dumps({"format": self.form, "sha256": checksum, **more}).encode()
        for name, content in ((self.name, data), (NOTE, note)):
            temporary = self.folder / f".{secrets.token_hex(8)}"
            temporary.write_bytes(content)
            temporary.replace(self.folder / name)
        return checksum

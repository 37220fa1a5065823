"""A commit's tree → its library, by the user's own command; kept in a cache.

The command is executed by the shell, in a work tree of its own, and is the only thing
that is. It has a time limit, and its process group ends with it. What it prints is kept,
from its start and its end. A build that fails is a value: a verdict on the commit.

The cache is keyed by the tree, the command, the library's path, and the variables that
compilers and make obey. A build that failed is not kept: what it lacked may be there the
next time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final, Protocol, TypeAlias

from replay.base.pool import TURN
from replay.build.compile import cache_folder
from replay.repo.errors import RepoError

FORMAT: Final = "replay-repo-build/1"
HEAD: Final = 8 << 10
TAIL: Final = 24 << 10
"""Bytes of a build's output that are kept, of its start and of its end."""
OBEYED: Final = ("CC", "CXX", "CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS", "MAKEFLAGS", "PATH")


@dataclass(frozen=True, slots=True)
class Built:
    """A library: where it is, its checksum, and whether it was in the cache."""

    library: Path
    checksum: str
    cached: bool
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotBuilt:
    """Why there is no library, and what the command printed (bounded, as it came)."""

    reason: str
    output: str
    seconds: float
    notes: tuple[str, ...] = ()


Outcome: TypeAlias = Built | NotBuilt


def check_library(text: str) -> str:
    """The library's path inside the tree.

    Raises:
        RepoError: it is none.

    """
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in text:
        raise RepoError(
            f"--library {text!r}: name the file that the build makes, relative to the top of the "
            "tree, as in build/libring.so"
        )
    return str(path)


class Source(Protocol):
    """Where trees come from: a repository, or memory.

    Attributes:
        place: a temporary folder of the caller's.

    """

    place: Path

    def export(self, tree: str, folder: Path) -> tuple[str, ...]:
        """Write the tree of this id to a folder that does not exist; gives notes."""
        ...


class Builder:
    """Builds trees.

    Args:
        source: where the trees come from.
        command: the user's, for the shell.
        library: the file that it makes, relative to the top of the tree.
        limit: seconds that a build may take.
        rebuild: make libraries anew that are in the cache.

    """

    def __init__(
        self, source: Source, command: str, library: str, limit: float,
        rebuild: bool = False,
    ) -> None:  # fmt: skip
        self.source = source
        self.command = command
        self.library = check_library(library)
        self.limit = limit
        self.rebuild = rebuild
        self.cache = cache_folder() / "repo"
        self._running: set[int] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def build_all(
        self, trees: Iterable[str], jobs: int, progress: Callable[[], None] | None = None
    ) -> dict[str, Outcome]:
        """Build each tree once, ``jobs`` at a time.

        When this is left early, by Ctrl-C say, no process of a build is left running.
        """
        outcomes: dict[str, Outcome] = {}
        executor = ThreadPoolExecutor(jobs)
        try:
            futures = {executor.submit(self.build, tree): tree for tree in dict.fromkeys(trees)}
            waiting = set(futures)
            while waiting:
                # In turns, as replay.base.pool.result_of says.
                done, waiting = wait(waiting, TURN, FIRST_COMPLETED)
                for future in done:
                    outcomes[futures[future]] = future.result()
                    if progress:
                        progress()
        finally:
            self.stop()
            executor.shutdown(wait=True, cancel_futures=True)
            self._stopped = False
        return outcomes

    def stop(self) -> None:
        """End all builds that run, and let none start."""
        with self._lock:
            self._stopped = True
            for group in self._running:
                _kill(group)

    def build(self, tree: str) -> Outcome:
        """Build one tree, or find it in the cache.

        Raises:
            RepoError: the cache cannot be written, or an object of the tree is missing.

        """
        entry = self.cache / self._key(tree)
        began = time.monotonic()
        found = None if self.rebuild else _sound(entry)
        if found is not None:
            return Built(entry / "library.so", found[0], True, 0.0, found[1])
        folder = self.source.place / f"tree-{tree}"
        try:
            notes = self.source.export(tree, folder)
            status, output, in_time = self._execute(folder)
            seconds = time.monotonic() - began
            output = output.replace(str(folder), ".")
            if not in_time:
                reason = f"it did not end within {self.limit:g} s"
                return NotBuilt(reason, output, seconds, notes)
            if status:
                return NotBuilt(_ended(status), output, seconds, notes)
            made = folder / self.library
            if not made.is_file():
                return NotBuilt(
                    f"the command succeeded, but made no {self.library}", output, seconds, notes
                )
            checksum = _enter(made, entry, notes)
            return Built(entry / "library.so", checksum, False, seconds, notes)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _key(self, tree: str) -> str:
        digest = hashlib.sha256()
        values = [os.environ.get(name, "\0") for name in OBEYED]
        for part in (FORMAT, tree, self.command, self.library, *values):
            data = part.encode("utf-8", "surrogateescape")
            digest.update(b"%d:" % len(data) + data)
        return digest.hexdigest()

    def _execute(self, folder: Path) -> tuple[int, str, bool]:
        """(exit status, what it printed, whether it ended in time)."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        # A build that asks git must not find a repository around the temporary folder.
        env["GIT_CEILING_DIRECTORIES"] = str(folder.parent)
        with self._lock:
            if self._stopped:
                return -signal.SIGKILL, "", True
            process = subprocess.Popen(
                ["/bin/sh", "-c", self.command], cwd=folder, env=env, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            self._running.add(process.pid)
        assert process.stdout is not None
        kept = _Kept()
        reader = threading.Thread(target=kept.drain, args=(process.stdout,), daemon=True)
        reader.start()
        in_time = True
        try:
            status = process.wait(self.limit)
        except subprocess.TimeoutExpired:
            in_time, status = False, -1
        finally:
            # Whatever the command started must not outlive it.
            _kill(process.pid)
            process.wait()
            with self._lock:
                self._running.discard(process.pid)
            reader.join(5)
            process.stdout.close()
        return status, kept.text(), in_time


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _ended(status: int) -> str:
    if status < 0:
        return f"the command was ended by {signal.Signals(-status).name}"
    return f"the command ended with status {status}"


class _Kept:
    """The start and the end of what a command prints, however much it is."""

    def __init__(self) -> None:
        self.head = bytearray()
        self.tail = bytearray()
        self.dropped = 0

    def drain(self, stream: IO[bytes]) -> None:
        with contextlib.suppress(ValueError, OSError):
            while chunk := os.read(stream.fileno(), 1 << 16):
                room = HEAD - len(self.head)
                self.head += chunk[:room]
                self.tail += chunk[max(room, 0) :]
                if len(self.tail) > 2 * TAIL:
                    self._cut()

    def _cut(self) -> None:
        self.dropped += max(len(self.tail) - TAIL, 0)
        del self.tail[:-TAIL]

    def text(self) -> str:
        self._cut()
        gap = f"\n[{self.dropped} bytes left out]\n".encode() if self.dropped else b""
        return bytes(self.head + gap + self.tail).decode("utf-8", "replace")


# --- the cache ------------------------------------------------------------------------


def _sound(entry: Path) -> tuple[str, tuple[str, ...]] | None:
    """The checksum and notes of an entry that holds what was put there."""
    try:
        note = json.loads((entry / "entry.json").read_bytes())
        checksum = hashlib.sha256((entry / "library.so").read_bytes()).hexdigest()
        return (checksum, tuple(note["notes"])) if note["sha256"] == checksum else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _enter(made: Path, entry: Path, notes: tuple[str, ...]) -> str:
    """Put a library into its entry, the note last; gives its checksum."""
    try:
        data = made.read_bytes()
        entry.mkdir(mode=0o700, parents=True, exist_ok=True)
        checksum = hashlib.sha256(data).hexdigest()
        note = json.dumps({"format": FORMAT, "sha256": checksum, "notes": notes}).encode()
        for name, content in (("library.so", data), ("entry.json", note)):
            temporary = entry / f".{secrets.token_hex(8)}"
            temporary.write_bytes(content)
            temporary.replace(entry / name)
    except OSError as error:
        raise RepoError(
            f"{entry}: cannot be used as a cache: {error.strerror}; name another folder in "
            "REPLAY_CACHE"
        ) from None
    return checksum

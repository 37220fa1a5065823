"""One folder that holds a commit's files after another's: moving costs what differs.

Between two trees only the entries that differ are removed and written. What a build left
is removed before that, and a file of the tree that it changed is written again: a file is
taken for unchanged only while its inode, size, mode and both times are those it was left
with. All files have one time of modification, so no tree is seen to have been reached from
another one, and no rule of make takes one tracked file for older than another. With *keep*
all of that stays as the build left it, and what differs is written as of now.

A tree may be hostile: a path that leaves the folder, one that git would take for its own, a
name that stands twice and a link on the way to another entry are refused, and files are
made as :mod:`replay.git.beneath` makes them, below an open folder and through no link.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final, NamedTuple

from replay.git.beneath import Beneath, Stamp
from replay.git.paths import shown
from replay.git.runner import GitError, SealedGit
from replay.repo.errors import RepoError
from replay.repo.trees import Changes, File, Held, Trees, ancestors, changes

TICK: Final = 0.02
"""Seconds after which the clock of every file system has moved on."""
BLOCK: Final = 1 << 20


class Mark(NamedTuple):
    """A file as it was written: what of, and its stamp."""

    file: File
    stamp: Stamp


class Worktree:
    """A folder that does not exist yet, and holds one tree after the other.

    Args:
        trees: where they come from.
        folder: the folder.

    """

    def __init__(self, trees: Trees, folder: Path) -> None:
        self.trees = trees
        self.path = folder
        self._sound = False
        self._forget()

    def _forget(self) -> None:
        self.held: Held | None = None
        self.marks: dict[bytes, Mark] = {}
        self.folders: Counter[bytes] = Counter()
        self.modules: dict[bytes, Held | None] = {}
        self.notes: dict[bytes, str] = {}

    def move(self, tree: str, keep: bool = False) -> tuple[str, ...]:
        """Make the folder hold a tree; gives notes on what of it is left out.

        Without ``keep`` it then holds nothing else. A submodule whose commit the user has
        is written too, else its folder is empty.

        Raises:
            RepoError: an object is missing, the tree is not fit to be written, or the
                folder cannot be.

        """
        try:
            try:
                if not self._sound:
                    self._anew()
                self._move(tree, keep)
            except (OSError, RecursionError):
                # The build left what cannot be put right: a folder that nobody may enter.
                self._anew()
                self._move(tree, keep)
        except OSError as error:
            raise RepoError(
                f"{self.path}: a tree cannot be written there ({error.strerror}); is the disk "
                "full? TMPDIR names another place"
            ) from None
        return tuple(self.notes[path] for path in sorted(self.notes))

    def _anew(self) -> None:
        """An empty folder, wherever the old one has gone."""
        if os.path.lexists(self.path):
            aside = Path(tempfile.mkdtemp(prefix="left-", dir=self.path.parent))
            self.path.rename(aside / "tree")
            with contextlib.suppress(RecursionError):
                shutil.rmtree(aside, ignore_errors=True)
        self._forget()
        self.path.mkdir(parents=True)
        self._mode = stat.S_IMODE(self.path.stat().st_mode)
        # In whole seconds, and past: what a build makes is newer.
        self._time = (time.time_ns() // 10**9 - 1) * 10**9

    def _move(self, tree: str, keep: bool) -> None:
        self._sound = False
        changed = changes(self.trees, self, tree)
        below = Beneath(self.path)
        try:
            spoiled = set() if keep or self.held is None else self._tidy(below)
            again = {path: self.marks[path].file for path in spoiled - changed.gone.keys()}
            for path in sorted(changed.gone.keys() | spoiled, reverse=True):
                if path not in spoiled:
                    below.remove(path)
                del self.marks[path]
            self._count(below, changed, keep)
            written = {**again, **changed.came}
            self._write(below, written, keep)
            for path in changed.links:
                if keep:
                    below.clear(path + b"/")
                below.folder(path)
        finally:
            below.close()
        self.held, self.modules, self.notes = changed.held, changed.modules, changed.notes
        if written and not keep:
            # A build that changes a file within the same tick would leave its stamp alone.
            time.sleep(TICK)
        self._sound = True

    def _count(self, below: Beneath, changed: Changes, keep: bool) -> None:
        """Count what stands in each folder; those that hold nothing any more go."""
        touched = Counter[bytes]()
        for path in [*changed.came, *changed.links]:
            touched.update(dict.fromkeys(ancestors(path), 1))
        for path in [*changed.gone, *changed.unlinked]:
            touched.subtract(dict.fromkeys(ancestors(path), 1))
        for path in changed.links:
            touched[path] += 1
        for path in changed.unlinked:
            touched[path] -= 1
        for folder, more in touched.items():
            self.folders[folder] += more
        empty = [folder for folder in touched if not self.folders[folder]]
        for folder in sorted(empty, reverse=True):
            del self.folders[folder]
            if not below.remove_empty(folder) and not keep:
                below.remove(folder)

    # --- what the build left ---------------------------------------------------------

    def _tidy(self, below: Beneath) -> set[bytes]:
        """Remove what is not the tree's; gives the files that are gone or not as written."""
        seen: set[bytes] = set()
        left: list[bytes] = []
        modes: list[bytes] = []
        for path, found in below.walk(self.folders):
            folder = path.endswith(b"/")
            name = path.removesuffix(b"/")
            if folder and name in self.folders:
                if stat.S_IMODE(found.mode) != self._mode:
                    modes.append(name)
            elif not folder and name in self.marks and self.marks[name].stamp == found:
                seen.add(name)
            else:
                left.append(name)
        for name in left:
            below.remove(name)
        for name in modes:
            below.set_mode(name, self._mode)
        if stat.S_IMODE(self.path.stat().st_mode) != self._mode:
            self.path.chmod(self._mode)
        for module in self.modules:
            # As an export leaves it, also where it is empty.
            below.folder(module)
        return self.marks.keys() - seen

    # --- writing ---------------------------------------------------------------------

    def _write(self, below: Beneath, files: dict[bytes, File], keep: bool) -> None:
        """Write files where there are none."""
        stores: dict[Path, list[bytes]] = {}
        for path in sorted(files):
            stores.setdefault(files[path].store, []).append(path)
        for store, paths in stores.items():
            ids = [files[path].id for path in paths]
            with contents(store, ids) as stream:
                for path in paths:
                    if keep:
                        below.clear(path)
                    mark = self._one(below, path, files[path], stream, keep)
                    self.marks[path] = Mark(files[path], mark)

    def _one(self, below: Beneath, path: bytes, file: File, stream: IO[bytes], keep: bool) -> Stamp:
        blocks = _blob(stream, path, file)
        if stat.S_ISLNK(file.mode):
            return below.link(path, b"".join(blocks))
        executable = bool(file.mode & stat.S_IXUSR)
        return below.write(path, executable, blocks, None if keep else self._time)


@contextlib.contextmanager
def contents(store: Path, ids: list[str]) -> Iterator[IO[bytes]]:
    """What ``git cat-file --batch`` writes of these objects, one after the other.

    Raises:
        RepoError: git fails.

    """
    with tempfile.TemporaryFile() as asked:
        asked.write("".join(f"{one}\n" for one in ids).encode())
        asked.seek(0)
        try:
            git = SealedGit(store)
            with git.reading("cat-file", "--batch", "--buffer", stdin=asked) as stream:
                yield stream
        except GitError as error:
            raise RepoError(str(error)) from None


def _blob(stream: IO[bytes], path: bytes, file: File) -> Iterator[bytes]:
    """The blocks of the object that comes next, which must be read to their end."""
    head = stream.readline().split()
    if len(head) != 3 or head[1] != b"blob" or not head[2].isdigit():
        raise RepoError(f"the object {file.id} of {shown(path)} is missing; try git fsck")
    left = int(head[2])
    while left:
        block = stream.read(min(left, BLOCK))
        if not block:
            raise RepoError(f"the object {file.id} of {shown(path)} cannot be read; try git fsck")
        left -= len(block)
        yield block
    stream.read(1)

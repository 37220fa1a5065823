"""Folders that appear whole or not at all, and trees between disk and memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from replay.errors import SeriesError, UsageError
from replay.git.apply import File, Tree
from replay.git.paths import EXECUTABLE, PLAIN, STEERING, path_problem

MAX_FILE: Final = 64 << 20
_PREFIX: Final = ".replay-"


def new_name() -> str:
    """A name that nobody has, for what is not finished yet."""
    return f"{_PREFIX}{secrets.token_hex(8)}.tmp"


def check_absent(folder: Path) -> None:
    """See that a folder can be made: it is absent, or there and empty.

    Raises:
        UsageError: it is something else, or what it should stand in is missing.
    """
    try:
        if folder.is_dir():
            if any(folder.iterdir()):
                raise UsageError(f"{folder}: not empty; name a new folder or an empty one")
        elif folder.exists() or folder.is_symlink():
            raise UsageError(f"{folder}: no folder; name a new folder or an empty one")
        elif not folder.absolute().parent.is_dir():
            raise UsageError(f"{folder}: the folder above it does not exist; make it first")
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: cannot be used: {error}") from None


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which becomes ``folder`` at the end of a block without an exception.

    ``folder`` must be absent or empty. Until the end it stays so; after an exception, also
    a Ctrl-C, nothing is left of what was made. A folder that was there keeps its own
    permissions.

    Raises:
        UsageError: ``folder`` cannot be made, or somebody else filled it in between.
    """
    check_absent(folder)
    there = folder.is_dir()
    # Beside it or in it: a rename works in one file system only.
    whole = folder.absolute()
    filling = (whole if there else whole.parent) / new_name()
    try:
        filling.mkdir()
    except OSError as error:
        raise UsageError(f"{folder}: cannot be made: {error.strerror}") from None
    try:
        yield filling
        if there:
            _move_up(filling, whole)
        else:
            filling.rename(folder)
    except OSError as error:
        if whole.is_dir() and any(item != filling for item in whole.iterdir()):
            raise UsageError(f"{folder}: filled by another program meanwhile") from error
        raise
    finally:
        remove(filling)


def _move_up(filling: Path, folder: Path) -> None:
    moved: list[Path] = []
    try:
        if [item for item in folder.iterdir() if item != filling]:
            raise UsageError(f"{folder}: filled by another program meanwhile; name another")
        for item in sorted(filling.iterdir()):
            target = folder / item.name
            if os.path.lexists(target):
                raise UsageError(f"{folder}: filled by another program meanwhile; name another")
            moved.append(target)
            item.rename(target)
        filling.rmdir()
    except BaseException:
        for target in moved:
            remove(target)
        raise


def remove(path: Path) -> None:
    """Remove a file or folder that we made, if it is there.

    A child of git that Ctrl-C left running may still write for a moment: try again then.
    """
    for _ in range(50):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if not os.path.lexists(path):
            return
        time.sleep(0.02)


def replace_folder(old: Path, fill: Callable[[Path], None]) -> None:
    """Replace a folder by a new one; on any failure the old one is there as it was.

    ``fill`` gets the new folder. A crash of the machine between two renames can leave the
    old folder beside its place, under a name that starts with ``.replay-``.
    """
    fresh, kept = old.parent / new_name(), old.parent / new_name()
    try:
        fresh.mkdir()
        fill(fresh)
        had = old.exists()
        if had:
            old.rename(kept)
        try:
            fresh.rename(old)
        except BaseException:
            if had and not old.exists():
                kept.rename(old)
            raise
    finally:
        if old.exists():
            remove(kept)
        elif kept.exists():
            kept.rename(old)
        remove(fresh)


def write_tree(tree: Tree, folder: Path) -> None:
    """Write the files of a tree into an empty folder. The paths must have been checked."""
    for path, file in tree.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as out:
            out.write(file.data)
        if file.mode == EXECUTABLE:
            mode = target.stat().st_mode
            # Whoever may read it may run it, so that the user's umask has its say.
            target.chmod(mode | (mode & 0o444) >> 2)


def read_tree(folder: Path, checkout: bool = False) -> dict[str, File]:
    """The files below a folder, as plain files whatever their permissions.

    Permissions do not survive every way of installing, so they say nothing here; but a
    ``checkout`` is a work tree of git, in which who may execute a file counts. Of that
    git's own files are left out, and what steers git is as good as any other file.

    Raises:
        SeriesError: the folder is missing or empty, or holds what no tree may hold.
    """
    if not folder.is_dir():
        raise SeriesError(f"{folder}: no such folder; it holds the sources at step 0")
    tree: dict[str, File] = {}
    try:
        for parent, folders, names in os.walk(folder, onerror=_raise):
            if checkout:
                folders[:] = [name for name in folders if name != ".git"]
            folders.sort()
            for name in folders:
                if (Path(parent) / name).is_symlink():
                    raise SeriesError(f"{Path(parent) / name}: a symbolic link; make it a folder")
            for name in sorted(names):
                if checkout and name == ".git":  # a file in a linked worktree
                    continue
                file = Path(parent) / name
                path = _relative(file, folder, checkout)
                tree[path] = File(_plain_bytes(file), _mode(file) if checkout else PLAIN)
    except OSError as error:
        raise SeriesError(f"{error.filename}: cannot be read: {error.strerror}") from None
    if not tree:
        raise SeriesError(f"{folder}: empty; it holds the sources at step 0")
    return tree


def _raise(error: OSError) -> None:
    raise error


def _mode(file: Path) -> int:
    return EXECUTABLE if file.stat().st_mode & stat.S_IXUSR else PLAIN


def _relative(file: Path, folder: Path, checkout: bool) -> str:
    path = file.relative_to(folder).as_posix()
    steering = checkout and file.name in STEERING
    problem = "" if steering else path_problem(path)
    if problem:
        raise SeriesError(f"{folder}: {problem}")
    return path


def _plain_bytes(file: Path) -> bytes:
    info = file.lstat()
    if not stat.S_ISREG(info.st_mode):
        raise SeriesError(f"{file}: a symbolic link or special file; only plain files belong here")
    if info.st_size > MAX_FILE:
        raise SeriesError(f"{file}: larger than {MAX_FILE >> 20} MiB; no source is")
    return file.read_bytes()

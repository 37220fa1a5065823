"""Patches back from an edited repository, a mailbox or a folder of patches.

Whatever the source, it is first brought to one form, commits in memory; those are diffed
by git in a repository of our own, where nothing of the source has a say, and written in
one canonical form. What was materialized and is imported gives the same bytes.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from replay.errors import SeriesError, UsageError
from replay.git.apply import Tree, apply_changes
from replay.git.diff import PatchPlace, parse_diff
from replay.git.folders import new_folder, read_tree, replace_folder, write_tree
from replay.git.mail import file_name, write_mail
from replay.git.objects import Commit, import_stream, tree_id
from replay.git.paths import PatchError, shown
from replay.git.runner import GitError, SealedGit, create
from replay.git.stat import stat_table
from replay.series import declared as series
from replay.series.patches import (
    MAX_PATCHES,
    PATCHES_FOLDER,
    SERIES_FILE,
    Patch,
    parse_patch,
    read_bytes,
    read_mbox,
    read_names,
)
from replay.series.trees import TREE_FOLDER, apply_patches

TOML: Final = "series.toml"
ABBREVIATION: Final = 10

# Every option whose default a version or a setting of git could change.
_DIFF: Final = (
    "diff-tree", "--stdin", "-r", "--patch", "--full-index", "--unified=3",
    "--inter-hunk-context=0", "--diff-algorithm=myers", "--indent-heuristic", "--no-renames",
    "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/",
    "--no-relative", "--ws-error-highlight=none", "--submodule=short", "--ignore-submodules=none",
)  # fmt: skip
_PAIR: Final = re.compile(rb"^[0-9a-f]{40} [0-9a-f]{40}\n", re.MULTILINE)
_INDEX: Final = re.compile(rb"^index ([0-9a-f]{40})\.\.([0-9a-f]{40})", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Imported:
    """Patches that were written: ``patches`` is their folder, ``names`` are in order."""

    patches: Path
    names: tuple[str, ...]
    warnings: tuple[str, ...]


def import_range(source: Path | str, series_dir: Path | str, range: str | None = None) -> Imported:
    """Write the patches of a source into a series, in place of those that are there.

    Args:
        source: a git repository, a mailbox (or one patch), a series, or a folder of patches.
        series_dir: the series to write to. Where it is absent or empty, it becomes a copy
            of the built-in one with the new patches.
        range: the commits, ``A..B``; only for a repository. By default ``step-00..HEAD``.

    All is written, or nothing and the old patches stay. What was written has been read back
    and applied, and gave the trees of the source.

    Raises:
        UsageError: the source or the range makes no sense, or the series cannot be made.
        SeriesError, PatchError: a patch of the source is wrong or does not apply; a commit
            cannot be a patch; the source starts from another tree than the series.
        GitError: the commits are no line, or git fails.
    """
    place, origin = Path(series_dir), Path(source)
    fresh = not place.exists() or (place.is_dir() and not any(place.iterdir()))
    model = series.data_path() if fresh else place
    base = read_tree(model / TREE_FOLDER)
    _check_strangers(model / PATCHES_FOLDER)
    commits = _read_source(origin, base, range)
    _check_base(commits[0].tree, base, model / TREE_FOLDER)
    files = make_patches(commits)
    warnings = _warnings(len(files), model)
    if fresh:
        with new_folder(place) as made:
            (made / TREE_FOLDER).mkdir()
            write_tree(base, made / TREE_FOLDER)
            shutil.copyfile(model / TOML, made / TOML)
            (made / PATCHES_FOLDER).mkdir()
            _write_files(files, made / PATCHES_FOLDER)
    else:
        replace_folder(place / PATCHES_FOLDER, lambda folder: _write_files(files, folder))
    return Imported(place / PATCHES_FOLDER, tuple(files), warnings)


def _warnings(count: int, model: Path) -> tuple[str, ...]:
    file = model / TOML
    declared = len(series.load(file).steps) if file.exists() else count
    if count == declared:
        return ()
    return (f"{count} patches, but {file} declares {declared} steps; make them agree",)


def _write_files(files: dict[str, bytes], folder: Path) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / SERIES_FILE).write_bytes("".join(f"{name}\n" for name in files).encode())


def _check_strangers(patches: Path) -> None:
    """Nothing that we did not write goes away with the old patches."""
    if not patches.is_dir():
        return
    for item in patches.iterdir():
        ours = item.name == SERIES_FILE or item.name.endswith(".patch")
        if not ours or item.is_dir():
            raise SeriesError(f"{item}: no patch; move it away, import replaces the whole folder")


def _check_base(found: Tree, base: Tree, folder: Path) -> None:
    for path in sorted(found.keys() | base.keys()):
        if found.get(path) != base.get(path):
            raise SeriesError(
                f"the source starts from another tree than {folder}: {shown(path)} differs; name "
                "a range that starts at step 0, or put the change into a patch"
            )


# --- sources ------------------------------------------------------------------------


def _read_source(source: Path, base: Tree, text: str | None) -> list[Commit]:
    if source.is_dir() and _is_repository(source):
        # Most commands read no repository, and need not wait for GitPython.
        from replay.git.sealed import opened
        from replay.series.source import read_range

        with opened(source) as repo:
            return read_range(repo, text)
    if text is not None:
        raise UsageError(f"{source}: a range is for a git repository, and this is none")
    patches, folder = _read_patches(source)
    return list(apply_patches(base, patches, folder))


def _is_repository(folder: Path) -> bool:
    return (folder / ".git").exists() or (
        (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    )


def _read_patches(source: Path) -> tuple[Sequence[Patch], Path]:
    if source.is_file():
        return read_mbox(read_bytes(source), source.name), source.parent
    if not source.is_dir():
        raise UsageError(f"{source}: no such repository, mailbox or folder of patches")
    folder = source / PATCHES_FOLDER if (source / PATCHES_FOLDER).is_dir() else source
    if (folder / SERIES_FILE).exists():
        names = read_names(folder, numbered=False)
    else:
        names = sorted(item.name for item in folder.glob("*.patch"))
    if not names:
        raise UsageError(f"{source}: neither a git repository nor a folder of patches")
    # Their order counts here, and their old numbers no longer.
    patches = [parse_patch(read_bytes(folder / name), folder / name) for name in names]
    return patches, folder


# --- patches ------------------------------------------------------------------------


def make_patches(commits: Sequence[Commit]) -> dict[str, bytes]:
    """The patch files, by name and in order, that lead from the first commit to the last.

    Raises:
        PatchError: a commit changes a file that is not text.
        GitError: git fails.
    """
    total = len(commits) - 1
    if total > MAX_PATCHES:
        raise UsageError(f"{total} patches; a series has {MAX_PATCHES} at most")
    files: dict[str, bytes] = {}
    for number, diff in enumerate(_diffs(commits), 1):
        commit = commits[number]
        title, _, message = commit.text.rstrip("\n").partition("\n\n")
        name = file_name(number, title)
        changes, _ = parse_diff(
            diff[:-1].split(b"\n"), 0, PatchPlace(f"commit {shown(title)}", number)
        )
        files[name] = write_mail(
            (number, total, title),
            message,
            (commit.author, commit.email),
            commit.date,
            stat_table(changes),
            diff,
        )
        _check_back(files[name], name, number, commits)
    return files


def _check_back(data: bytes, name: str, number: int, commits: Sequence[Commit]) -> None:
    """What was written must read and apply as the commit it came from."""
    patch = parse_patch(data, name, number)
    commit, before = commits[number], commits[number - 1]
    tree = apply_changes(patch.files, before.tree, PatchPlace(name, number))
    back = Commit(patch.text, patch.author, patch.email, patch.date, tree)
    if back != commit:
        raise PatchError(
            f"the commit {shown(commit.title)} does not survive as a patch; look for unusual "
            "spaces or characters in its message and author", name, None, number,
        )  # fmt: skip


@contextmanager
def _scratch(commits: Sequence[Commit]) -> Iterator[SealedGit]:
    with tempfile.TemporaryDirectory(prefix="replay-", ignore_cleanup_errors=True) as folder:
        git = create(Path(folder), bare=True)
        git.run("fast-import", "--quiet", "--done", stdin=import_stream(commits))
        yield git


def _diffs(commits: Sequence[Commit]) -> list[bytes]:
    """The diff of each commit but the first."""
    ids = [tree_id(commit.tree) for commit in commits]
    pairs = "".join(f"{old} {new}\n" for old, new in pairwise(ids))
    with _scratch(commits) as git:
        out = git.run(*_DIFF, stdin=pairs.encode())
    _, *diffs = _PAIR.split(out)
    if len(diffs) != len(commits) - 1:
        raise GitError(f"git diff-tree gave {len(diffs)} diffs for {len(commits) - 1} commits")
    # Git would choose the length of an id by what else is in its repository.
    return [_INDEX.sub(_short, diff) for diff in diffs]


def _short(match: re.Match[bytes]) -> bytes:
    return b"index " + match[1][:ABBREVIATION] + b".." + match[2][:ABBREVIATION]

"""The series step by step in memory: every patch applied, every tree with git's id of it.

No repository is made and no program is run; see :mod:`replay.series.history` for that.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.git.apply import Tree, apply_changes
from replay.git.diff import PatchPlace
from replay.git.folders import read_tree
from replay.git.objects import COMMITTER, Commit, tree_id
from replay.git.paths import EXECUTABLE
from replay.series.declared import data_path
from replay.series.patches import PATCHES_FOLDER, Patch, read_patches, series_folder

TREE_FOLDER: Final = "tree"
BASE_DATE: Final = datetime.datetime(2013, 11, 6, 12, tzinfo=datetime.timezone.utc)  # noqa: UP017
BASE_FILE: Final = "base.txt"
"""In the folder of a series: what the commit of step 0 says of the tree before the series.

A copy without one has the built-in text, so that its history has the ids it always had."""


@dataclass(frozen=True, slots=True)
class StepTree:
    """The sources at a step: ``id`` is git's id of the tree, ``files`` its files by path."""

    step: int
    id: str
    files: dict[str, bytes]
    executable: frozenset[str]


def history(series_dir: Path | str | None = None) -> Iterator[Commit]:
    """The commits of step 0 and of each patch, applied when it is asked for.

    All patches are read before the first commit is given.

    Raises:
        SeriesError: the folder, the ``series`` file or the tree is wrong.
        PatchError: a patch cannot be read, or (when its turn comes) does not apply; its
            ``step`` says which.
    """
    folder = series_folder(series_dir)
    patches = read_patches(folder)
    return apply_patches(read_tree(folder / TREE_FOLDER), patches, folder / PATCHES_FOLDER)


def apply_patches(base: Tree, patches: Sequence[Patch], folder: Path) -> Iterator[Commit]:
    """Step 0 with this tree, then a commit for each patch.

    Raises:
        PatchError: when its turn comes, a patch does not apply exactly.
    """
    own = folder.parent / BASE_FILE
    text = (own if own.is_file() else data_path() / BASE_FILE).read_text(encoding="utf-8")
    yield Commit(text, *COMMITTER, BASE_DATE, base)
    tree = base
    for patch in patches:
        tree = apply_changes(patch.files, tree, PatchPlace(str(folder / patch.name), patch.number))
        yield Commit(patch.text, patch.author, patch.email, patch.date, tree)


def iter_trees(series_dir: Path | str | None = None) -> Iterator[StepTree]:
    """The sources at step 0, 1 and so on, up to a patch that does not apply.

    Raises:
        SeriesError, PatchError: as :func:`history`.
    """
    for step, commit in enumerate(history(series_dir)):
        yield StepTree(
            step,
            tree_id(commit.tree),
            {path: file.data for path, file in commit.tree.items()},
            frozenset(path for path, file in commit.tree.items() if file.mode == EXECUTABLE),
        )


def trees(series_dir: Path | str | None = None) -> list[StepTree]:
    """The sources at every step, in memory; no repository is made.

    Raises:
        SeriesError, PatchError: as :func:`history`.
    """
    return list(iter_trees(series_dir))

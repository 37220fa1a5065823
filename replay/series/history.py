"""The series as a real git history: step 0 and a commit a patch, with ids that never vary.

The same series gives the same ids on every machine, with every version of git, and
whatever the user's configuration, hooks, environment, clock and locale say. All patches
are read, checked and applied in memory first; git only stores the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.errors import UsageError
from replay.git.folders import new_folder, write_tree
from replay.git.objects import BRANCH, commit_ids, import_stream, tag, tree_id
from replay.git.runner import GitError, SealedGit, create
from replay.series.importing import Imported, import_range
from replay.series.trees import StepTree, history, iter_trees, trees


@dataclass(frozen=True, slots=True)
class Materialized:
    """A repository that was made; the ids of commits and trees are those of step 0 on."""

    path: Path
    commits: tuple[str, ...]
    trees: tuple[str, ...]


def materialize(dest: Path | str, series_dir: Path | str | None = None) -> Materialized:
    """Make a git repository of the series in ``dest``, checked out at the last step.

    Step k is the commit with the tag ``step-KK``; the branch is ``main``. Authors and dates
    are those of the patches; the committer is fixed.

    Args:
        dest: a folder that is absent, or there and empty. After a failure it is as before.
        series_dir: the series, by default the built-in one.

    Raises:
        UsageError: ``dest`` cannot be made.
        SeriesError, PatchError: as :func:`history`; nothing was written.
        GitError: git is missing or fails.
    """
    commits = list(history(series_dir))
    tree_ids = tuple(tree_id(commit.tree) for commit in commits)
    ids = commit_ids(commits, tree_ids)
    with new_folder(Path(dest)) as folder:
        git = create(folder, bare=False)
        git.run("fast-import", "--quiet", "--done", stdin=import_stream(commits))
        _check_stored(git, ids)
        git.run("read-tree", "--reset", "-u", f"refs/heads/{BRANCH}")
    return Materialized(Path(dest), ids, tree_ids)


def _check_stored(git: SealedGit, ids: tuple[str, ...]) -> None:
    """A self-check: git must have stored what was meant, under the ids computed here."""
    wanted = {f"refs/tags/{tag(step)}": commit for step, commit in enumerate(ids)}
    wanted[f"refs/heads/{BRANCH}"] = ids[-1]
    listed = git.run("for-each-ref", "--format=%(refname) %(objectname)").decode().split()
    found = dict(zip(listed[::2], listed[1::2], strict=True))
    if found != wanted:
        raise AssertionError(f"git stored other commits than were meant: {found} for {wanted}")


def export(repo: Path | str, step: int, folder: Path | str) -> None:
    """Write the sources at a step of a materialized repository into a folder.

    Args:
        repo: the repository; the tag of the step is what counts, wherever it was moved.
        step: the step, 0 to the last.
        folder: a folder that is absent, or there and empty. After a failure it is as before.

    Raises:
        UsageError: the folder cannot be made.
        GitError: there is no such repository or step.
        PatchError: the tree holds what no tree of a series may hold.
    """
    if step < 0:
        raise UsageError(f"there is no step {step}; steps count from 0")
    # Most commands read no repository, and need not wait for GitPython.
    from replay.git.sealed import opened
    from replay.series.source import find_commit, read_files

    with opened(Path(repo)) as source:
        tree = read_files(source, find_commit(source, f"refs/tags/{tag(step)}"))
    with new_folder(Path(folder)) as made:
        write_tree(tree, made)


__all__: Final = [
    "GitError", "Imported", "Materialized", "StepTree", "export", "history", "import_range",
    "iter_trees", "materialize", "trees",
]  # fmt: skip

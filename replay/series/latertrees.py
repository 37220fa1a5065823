"""The sources of the steps after the last one: the patches of fixes, put on it together.

The patch of a fix is made on the last step, and lies in ``epilogue/`` beside the patches. Put
on after others, each of its hunks moves by the lines that theirs have added before it: no
line is looked for, and a hunk that meets another one is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from refmodels.later import Later
from replay.errors import SeriesError
from replay.git.apply import File, Tree, apply_changes
from replay.git.diff import FileChange, Hunk, PatchPlace
from replay.git.objects import tree_id
from replay.git.paths import EXECUTABLE, PLAIN, PatchError
from replay.series.declared import EPILOGUE_FOLDER, load
from replay.series.patches import Patch, read_fixes, series_folder
from replay.series.trees import StepTree, trees


def fixes_by_name(folder: Path | str | None = None) -> dict[str, Patch]:
    """The patch of each fix and variant of a series, by its name, in order.

    Raises:
        SeriesError: there are more or fewer patches than the series declares fixes.
        PatchError: a patch cannot be read.

    """
    home = series_folder(folder)
    declared = [fix.name for fix in load(home / "series.toml").fixes]
    patches = read_fixes(home)
    if len(patches) != len(declared):
        raise SeriesError(
            f"{home / EPILOGUE_FOLDER}: {len(patches)} patches, and {len(declared)} fixes are "
            "declared; a patch belongs to each, in the same order"
        )
    return dict(zip(declared, patches, strict=True))


def later_tree(step: Later, last: StepTree, folder: Path | str | None = None) -> StepTree:
    """The sources of a step after the last, given those of the last.

    Raises:
        SeriesError, PatchError: a patch cannot be read or does not apply.

    """
    patches = fixes_by_name(folder)
    home = series_folder(folder) / EPILOGUE_FOLDER
    tree: Tree = {
        path: File(data, EXECUTABLE if path in last.executable else PLAIN)
        for path, data in last.files.items()
    }
    done: dict[str, list[Hunk]] = {}
    for part in step.parts:
        if part not in patches:
            raise SeriesError(f"{home}: there is no patch for {part!r}")
        patch = patches[part]
        place = PatchPlace(str(home / patch.name), step)
        tree = apply_changes(_moved(patch.files, done, place), tree, place)
        for change in patch.files:
            done.setdefault(change.path, []).extend(change.hunks)
    return StepTree(
        step,
        tree_id(tree),
        {path: file.data for path, file in tree.items()},
        frozenset(path for path, file in tree.items() if file.mode == EXECUTABLE),
    )


def trees_of(
    steps: Sequence[int], folder: Path | str | None = None, every: bool = True
) -> dict[int, StepTree]:
    """The sources of all steps of a series, and of some after the last.

    Args:
        steps: those wanted after the last; others may be among them.
        folder: of the series; the built-in one by default.
        every: whether all steps of the series are given, or only those of ``steps``.

    Raises:
        SeriesError, PatchError: a patch cannot be read or does not apply.

    """
    found = {tree.step: tree for tree in trees(folder)}
    last = found[max(found)]
    later = {step: later_tree(step, last, folder) for step in steps if isinstance(step, Later)}
    return {s: tree for s, tree in found.items() if every or s in steps} | later


def _moved(
    changes: Sequence[FileChange], done: Mapping[str, Sequence[Hunk]], place: PatchPlace
) -> list[FileChange]:
    """The changes as they are to be made after others, made on the same tree, are done."""
    moved = []
    for change in changes:
        hunks = tuple(_move(hunk, done.get(change.path, ()), place) for hunk in change.hunks)
        moved.append(replace(change, hunks=hunks))
    return moved


def _move(hunk: Hunk, others: Sequence[Hunk], place: PatchPlace) -> Hunk:
    by = 0
    for other in others:
        if _changed(other)[0] < _changed(hunk)[1] and _changed(hunk)[0] < _changed(other)[1]:
            raise PatchError(
                "it changes lines that another fix changes, too", place.path, hunk.line, place.step
            )
        if _changed(other)[0] < _changed(hunk)[0]:
            by += other.new_count - other.old_count
    return hunk._replace(old_start=hunk.old_start + by, new_start=hunk.new_start + by)


def _changed(hunk: Hunk) -> tuple[int, int]:
    """The lines of the old file [first, end) between which a hunk changes something."""
    signs = [sign for sign, _ in hunk.lines]
    ahead = next(i for i, sign in enumerate(signs) if sign != " ")
    behind = next(i for i, sign in enumerate(reversed(signs)) if sign != " ")
    return hunk.old_start + ahead, hunk.old_start + hunk.old_count - behind

"""Two versions of a series on one tree: after which patches do the trees differ, and how.

The patches are applied in memory by ``replay.gitapply``, exactly, after
``replay.gitdiff`` has read them, which refuses hostile paths and modes. What two trees
that differ *do* differently is asked of a judge, which the caller gives: it builds and
runs them, or does not. Nothing is executed here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from replay.gitapply import Tree, apply_changes
from replay.gitdiff import Place, parse_diff
from replay.gitobjects import tree_id
from replay.gitpaths import PatchError
from replay.mail.comparing import compare_series
from replay.mail.reading import MailPatch, MailSeries

Judge: TypeAlias = Callable[[Tree, Tree], str]
"""Given the trees after a patch in the old and the new series: how they behave
differently, in words; empty where they behave the same."""


@dataclass(frozen=True, slots=True)
class StepBehaviour:
    """A patch in both series.

    Attributes:
        old_place, new_place: its places, counted from 1.
        title: in the new series.
        same_tree: the trees after it are equal; so is what they do.
        differs: what the judge says; None where none was asked.
        problem: why one of the two could not be applied; empty if both could.

    """

    old_place: int
    new_place: int
    title: str
    same_tree: bool
    differs: str | None = None
    problem: str = ""


def compare_behaviour(
    series_v1: MailSeries, series_v2: MailSeries, base: Tree, judge: Judge | None = None
) -> list[StepBehaviour]:
    """Compare two versions of a series patch by patch, by the trees that they make.

    Args:
        series_v1: the old version.
        series_v2: the new one.
        base: the tree that both start from.
        judge: asked about trees that differ; see ``Judge``.

    A patch that cannot be read or applied is told, and so are all after it.

    """
    old, old_problem = _trees(series_v1, base)
    new, new_problem = _trees(series_v2, base)
    rows = []
    for row in compare_series(series_v1, series_v2):
        if row.old is None or row.new is None:
            continue
        places = row.old_place, row.new_place
        if row.old_place >= len(old) or row.new_place >= len(new):
            problem = old_problem if row.old_place >= len(old) else new_problem
            rows.append(StepBehaviour(*places, row.new.title, False, problem=problem))
            continue
        before, after = old[row.old_place], new[row.new_place]
        same = tree_id(before) == tree_id(after)
        differs = None if judge is None else "" if same else judge(before, after)
        rows.append(StepBehaviour(*places, row.new.title, same, differs))
    return rows


def _trees(series: MailSeries, base: Tree) -> tuple[list[Tree], str]:
    """The tree before the series and after each patch, as far as they apply; and why no further."""
    trees: list[Tree] = [base]
    for number, patch in enumerate(series.patches, 1):
        try:
            trees.append(_applied(patch, trees[-1], number))
        except PatchError as error:
            return trees, str(error)
    return trees, ""


def _applied(patch: MailPatch, tree: Tree, number: int) -> Tree:
    place = Place(patch.place, number)
    lines = patch.diff.encode("utf-8", "surrogateescape").removesuffix(b"\n").split(b"\n")
    changes, end = parse_diff(lines, 0, place)
    if end != len(lines):
        place.fail(None, "lines stand after the end of the diff; was the mail wrapped?")
    return apply_changes(changes, tree, place)

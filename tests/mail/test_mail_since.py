"""Since which patch there is a difference: asked of a judge that says what it is told to."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

from boxes import series

from replay.git.apply import File
from replay.mail.behaviour import (
    Contrast,
    Likeness,
    Ruling,
    StepBehaviour,
    Trees,
    compare_behaviour,
)
from replay.mail.comparing import compare_series
from replay.mail.reading import read_series
from replay.report.mailing import comparison_lines

SHOWN = Contrast(("one()", "two()"), 1, (("returns", "1", "2"),), "{}\n", True)


def differs(*traces: int) -> Ruling:
    return Ruling(Likeness.DIFFERS, 9, frozenset(traces))


SAME = Ruling(Likeness.NO_DIFFERENCE, 9)
BROKEN = Ruling(Likeness.NOT_BUILT, problems=(("new", "x.c:1: error"),))


class Scripted:
    """A judge with its rulings in a list, which notes what examples it was asked for."""

    def __init__(self, *rulings: Ruling, example: Contrast | str = SHOWN) -> None:
        self.rulings = rulings
        self.said = example
        self.asked: list[tuple[int, frozenset[Hashable], int | None]] = []

    def judge(self, pairs: Sequence[Trees]) -> Sequence[Ruling]:
        assert len(pairs) == len(self.rulings)
        return self.rulings

    def example(
        self, pair: int, traces: frozenset[Hashable], unlike: int | None, shorten: bool
    ) -> Contrast | str:
        self.asked.append((pair, traces, unlike))
        return self.said


FILES = "abcdef"


def line_of(*changed: str) -> list[dict[str, str]]:
    """Trees, each with one more file changed to the text that is given as name=text."""
    tree = {name: f"{name}\n" for name in FILES}
    trees = [tree]
    for change in changed:
        name, _, text = change.partition("=")
        tree = {**tree, name: f"{text}\n"}
        trees.append(tree)
    return trees


def look(
    tmp_path: Path, judge: Scripted, old: Sequence[str], new: Sequence[str]
) -> tuple[list[StepBehaviour], str]:
    base: Mapping[str, str] = line_of()[0]
    before, after = (
        read_series(
            series(
                tmp_path / str(v),
                *line_of(*changes),
                version=v,
                titles=[f"change {change[0]}" for change in changes],
            )
        )
        for v, changes in ((1, old), (2, new))
    )
    steps = compare_behaviour(
        before, after, {name: File(text.encode()) for name, text in base.items()}, judge
    )
    lines = comparison_lines(compare_series(before, after), steps, names=("v1", "v2"))
    return steps, "\n".join(lines)


OLD = ["a=1", "b=1", "c=1", "d=1", "e=1"]


def test_a_difference_that_is_carried_along_is_told_once(tmp_path: Path) -> None:
    judge = Scripted(SAME, differs(3, 4), differs(3, 4), differs(3, 4, 5))
    steps, text = look(tmp_path, judge, OLD, ["a=1", "b=2", "c=1", "d=1", "e=1"])
    assert [step.since for step in steps] == [0, 0, 3, 3, 3]
    assert [step.trees_since for step in steps] == [0, 2, 2, 2, 2]
    assert [step.fresh for step in steps] == [0, 0, 2, 0, 1]
    # The example is one that the pair before does not show.
    assert judge.asked == [(1, frozenset({3, 4}), 0)]
    assert "its own diff is the same in both; the trees differ since patch 2" in text
    assert "on 3 of 9 traces, on 1" in text
    assert "> two()" in text


def test_a_later_patch_that_changed_is_shown_what_is_new_with_it(tmp_path: Path) -> None:
    judge = Scripted(differs(1), differs(1, 2), differs(1, 2), differs(1, 2))
    steps, _ = look(tmp_path, judge, OLD, ["a=1", "b=2", "c=2", "d=1", "e=1"])
    assert [step.since for step in steps] == [0, 2, 2, 2, 2]
    assert judge.asked == [(0, frozenset({1}), None), (1, frozenset({2}), 0)]
    assert [step.example is not None for step in steps] == [False, True, True, False, False]


def test_what_is_the_same_again_is_said_and_may_begin_anew(tmp_path: Path) -> None:
    judge = Scripted(differs(1), SAME, SAME, differs(1))
    steps, text = look(tmp_path, judge, OLD, ["a=1", "b=2", "c=1", "d=1", "e=2"])
    assert [step.again for step in steps] == [False, False, True, False, False]
    assert [step.since for step in steps] == [0, 2, 0, 0, 5]
    assert judge.asked == [(0, frozenset({1}), None), (3, frozenset({1}), 2)]
    assert text.count("no difference in 9 traces: the same again") == 1
    assert "differences begin with patch 2, 5" in text


def test_what_could_not_be_judged_in_between_is_named(tmp_path: Path) -> None:
    judge = Scripted(BROKEN, BROKEN, differs(1), SAME)
    steps, text = look(tmp_path, judge, OLD, ["a=1", "b=2", "c=1", "d=1", "e=1"])
    assert [step.since for step in steps] == [0, 2, 2, 4, 0]
    assert steps[3].perhaps == (("new", 2), ("new", 3))
    assert "it may have come with patch 2 of v2, patch 3 of v2 as well" in text
    assert "v2 does not build: x.c:1: error" in text
    assert "v2 still does not build: x.c:1: error" in text


def test_a_dropped_and_a_new_patch_are_named_as_what_else_may_have_brought_it(
    tmp_path: Path,
) -> None:
    judge = Scripted(differs(1), differs(1), differs(1))
    steps, text = look(tmp_path, judge, OLD, ["a=1", "f=7", "c=1", "d=1", "e=1"])
    assert [(step.old_place, step.new_place) for step in steps] == [(1, 1), (3, 3), (4, 4), (5, 5)]
    assert steps[1].perhaps == (("new", 2), ("old", 2))
    assert "patch 2 of v2, patch 2 of v1 as well" in text
    assert [step.perhaps for step in steps[2:]] == [(), ()]


def test_patches_that_changed_places_are_named_too(tmp_path: Path) -> None:
    judge = Scripted(differs(1), differs(2))
    steps, _ = look(tmp_path, judge, ["a=1", "b=1", "c=1"], ["b=1", "a=1", "c=1"])
    assert [(step.old_place, step.new_place) for step in steps] == [(2, 1), (1, 2), (3, 3)]
    assert steps[0].perhaps == (("old", 1),)
    assert (steps[2].ruling, steps[2].again) == (Ruling(Likeness.SAME_TREE), True)


def test_what_does_not_show_again_cannot_be_judged(tmp_path: Path) -> None:
    judge = Scripted(differs(1), SAME, example="it is not deterministic")
    steps, text = look(tmp_path, judge, ["a=1", "b=1"], ["a=2", "b=1"])
    assert steps[0].ruling is not None
    assert steps[0].ruling.likeness is Likeness.NOT_JUDGED
    assert "cannot be judged: it is not deterministic" in text
    assert not steps[1].again
    assert steps[0].is_same is False

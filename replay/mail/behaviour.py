"""Two versions of a series on one tree: after which patches do the trees differ, and how.

The patches are applied in memory by ``replay.git.apply``, exactly, after
``replay.git.diff`` has read them, which refuses hostile paths and modes. What two trees
that differ *do* differently is asked of a judge, which the caller gives: it builds and
runs them, or does not. Nothing is executed here.

A difference goes with the tree: all patches after the one that brings it have it too. So
it is told once, with an example, at the first patch after which it is seen; the patches
behind it only say since when. A later patch is given an example of its own where its diff
changed between the versions, and traces differ after it that did not before.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

from replay.git.apply import Tree, apply_changes
from replay.git.diff import PatchPlace, parse_diff
from replay.git.objects import tree_id
from replay.git.paths import PatchError
from replay.mail.comparing import Pairing, Status, compare_series
from replay.mail.gitform import git_form
from replay.mail.reading import MailPatch, MailSeries

SHORTENED: Final = 8
"""Examples that are shortened; of more, the rest are shown as they were found."""

Trees: TypeAlias = tuple[Tree, Tree]
"""The trees after a patch in the old and in the new series."""


class Likeness(StrEnum):
    """What two trees do."""

    SAME_TREE = "same tree"
    SAME_CODE = "same code"
    NO_DIFFERENCE = "no difference"
    DIFFERS = "differs"
    NOT_BUILT = "does not build"
    NOT_JUDGED = "cannot be judged"

    @property
    def is_same(self) -> bool:
        """Whether no difference is known, as far as was looked."""
        return self in (Likeness.SAME_TREE, Likeness.SAME_CODE, Likeness.NO_DIFFERENCE)


UNJUDGED: Final = (Likeness.NOT_BUILT, Likeness.NOT_JUDGED)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a judge says of two trees.

    Attributes:
        likeness: on them.
        traces: on how many traces they were compared.
        differing: the traces on which they differ; the same trace has the same key in all
            rulings of a judge.
        left_out: the traces on which they could not be compared.
        problems: why they were not compared: ("old" or "new" or "" for both, the reason).

    """

    likeness: Likeness
    traces: int = 0
    differing: frozenset[Hashable] = frozenset()
    left_out: frozenset[Hashable] = frozenset()
    problems: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Contrast:
    """A trace on which two trees differ.

    Attributes:
        ops: what is done, an operation a text.
        index: the operation at which the two part; as many as there are where it is what
            comes after the last.
        fields: what differs there, (what, in the old tree, in the new), as texts.
        file: the trace as a file holds it.
        shortest: nothing smaller was left to try.

    """

    ops: tuple[str, ...]
    index: int
    fields: tuple[tuple[str, str, str], ...]
    file: str
    shortest: bool = False


class Judge(Protocol):
    """Compares what trees do."""

    def judge(self, pairs: Sequence[Trees]) -> Sequence[Ruling]:
        """A ruling on each pair."""
        ...

    def example(
        self, pair: int, traces: frozenset[Hashable], unlike: int | None, shorten: bool
    ) -> Contrast | str:
        """One of these traces of a pair, given by its place, or a shorter one like it.

        On the trace the pair ``unlike`` does not differ. A text says why there is none: what
        differed does not when it is run again.
        """
        ...


@dataclass(frozen=True, slots=True)
class StepBehaviour:
    """A patch in both series.

    Attributes:
        old_place, new_place: its places, counted from 1.
        title: in the new series.
        same_tree: the trees after it are equal; so is what they do.
        problem: why one of the two could not be applied; empty if both could.
        ruling: what the judge says; None where none was asked.
        since: the new place of the patch with which that began: its own, or an earlier
            one's; 0 where there is nothing to it.
        trees_since: the same for the trees.
        fresh: traces on which it differs, and after the last patch judged did not.
        again: the first after which there is no difference any more.
        example: shows what is new with this patch.
        perhaps: what else may have brought it, ("old" or "new", place): patches that only
            one of the two trees has, and those between that could not be judged.

    """

    old_place: int
    new_place: int
    title: str
    same_tree: bool
    problem: str = ""
    ruling: Ruling | None = None
    since: int = 0
    trees_since: int = 0
    fresh: int = 0
    again: bool = False
    example: Contrast | None = None
    perhaps: tuple[tuple[str, int], ...] = ()

    @property
    def is_same(self) -> bool | None:
        """Whether the two do the same as far as is known; None where that was not asked."""
        if self.problem:
            return False
        return None if self.ruling is None else self.ruling.likeness.is_same


def compare_behaviour(
    series_v1: MailSeries, series_v2: MailSeries, base: Tree, judge: Judge | None = None
) -> list[StepBehaviour]:
    """Compare two versions of a series patch by patch, by the trees that they make.

    Args:
        series_v1: the old version.
        series_v2: the new one.
        base: the tree that both start from.
        judge: asked about trees that differ.

    A patch that cannot be read or applied is told, and so are all after it.

    """
    old, old_problem = _trees(series_v1, base)
    new, new_problem = _trees(series_v2, base)
    steps: list[StepBehaviour] = []
    pairings: list[Pairing] = []
    asked: dict[int, Trees] = {}
    for row in compare_series(series_v1, series_v2):
        if row.old is None or row.new is None:
            continue
        pairings.append(row)
        places = row.old_place, row.new_place
        if row.old_place >= len(old) or row.new_place >= len(new):
            problem = old_problem if row.old_place >= len(old) else new_problem
            steps.append(StepBehaviour(*places, row.new.title, False, problem=problem))
            continue
        before, after = old[row.old_place], new[row.new_place]
        same = tree_id(before) == tree_id(after)
        if not same:
            asked[len(steps)] = before, after
        steps.append(StepBehaviour(*places, row.new.title, same))
    if judge is None:
        return steps
    rulings = dict(zip(asked, judge.judge(list(asked.values())) if asked else (), strict=True))
    return _Attribution(judge, pairings, steps, rulings).run()


class _Attribution:
    """Says since which patch there is what was found, in one walk along the series."""

    def __init__(
        self, judge: Judge, pairings: Sequence[Pairing], steps: Sequence[StepBehaviour],
        rulings: dict[int, Ruling],
    ) -> None:  # fmt: skip
        self.judge = judge
        self.pairings = pairings
        self.steps = steps
        self.rulings = rulings
        self.numbers = {at: number for number, at in enumerate(rulings)}
        self.last = Ruling(Likeness.SAME_TREE)
        self.last_pair: int | None = None
        self.since = self.trees_since = self.shown = 0
        self.alone: frozenset[tuple[str, int]] = frozenset()
        self.gap: list[tuple[str, int]] = []

    def run(self) -> list[StepBehaviour]:
        """All steps, with what was found."""
        done: list[StepBehaviour] = []
        for at, step in enumerate(self.steps):
            self.trees_since = 0 if step.same_tree else self.trees_since or step.new_place
            done.append(self.step(at, step, done[-1] if done else None))
            if done[-1].ruling is None or done[-1].ruling.likeness in UNJUDGED:
                self.gap.append(("new", step.new_place))
        return done

    def step(self, at: int, step: StepBehaviour, before: StepBehaviour | None) -> StepBehaviour:
        """One step, with what was found."""
        if step.problem:
            return step
        ruling = self.rulings.get(at, Ruling(Likeness.SAME_TREE))
        found = replace(step, ruling=ruling, trees_since=self.trees_since)
        if ruling.likeness is Likeness.DIFFERS:
            return self.differing(at, found, ruling)
        if ruling.likeness in UNJUDGED:
            return replace(found, since=_unjudged_since(found, before))
        again = bool(self.since)
        self.judged(at, ruling, 0)
        return replace(found, again=again)

    def differing(self, at: int, step: StepBehaviour, ruling: Ruling) -> StepBehaviour:
        """A step that differs: it begins here, grows here, or is carried along."""
        begins = not self.since
        fresh = ruling.differing - self.last.differing - self.last.left_out
        changed = self.pairings[at].status is Status.CHANGED
        example: Contrast | str | None = None
        if begins or (fresh and changed):
            self.shown += 1
            example = self.judge.example(
                self.numbers[at], fresh or ruling.differing, self.last_pair,
                self.shown <= SHORTENED,
            )  # fmt: skip
        if isinstance(example, str):
            unsure = replace(ruling, likeness=Likeness.NOT_JUDGED, problems=(("", example),))
            return replace(step, ruling=unsure, since=step.new_place)
        perhaps = self.perhaps(step) if example is not None else ()
        self.judged(at, ruling, self.since or step.new_place)
        return replace(
            step, since=self.since, fresh=len(fresh), example=example, perhaps=perhaps
        )  # fmt: skip

    def judged(self, at: int, ruling: Ruling, since: int) -> None:
        """What the next step is compared with."""
        self.last, self.since = ruling, since
        self.last_pair = self.numbers.get(at)
        self.alone = self.alone_at(self.steps[at])
        self.gap = []

    def perhaps(self, step: StepBehaviour) -> tuple[tuple[str, int], ...]:
        """The patches, apart from this one, that came between the last step judged and it."""
        return tuple(sorted({*(self.alone_at(step) ^ self.alone), *self.gap}))

    def alone_at(self, step: StepBehaviour) -> frozenset[tuple[str, int]]:
        """The patches that only one of the two trees after a step has."""
        partners = {row.old_place: row.new_place for row in self.pairings}
        back = {new: old for old, new in partners.items()}
        far = 1 << 30
        old = [p for p in range(1, step.old_place + 1) if partners.get(p, far) > step.new_place]
        new = [p for p in range(1, step.new_place + 1) if back.get(p, far) > step.old_place]
        return frozenset([*(("old", p) for p in old), *(("new", p) for p in new)])


def _unjudged_since(step: StepBehaviour, before: StepBehaviour | None) -> int:
    """Since when trees cannot be compared for want of the same side."""
    if before is None or before.ruling is None or step.ruling is None:
        return step.new_place
    a, b = before.ruling, step.ruling
    alike = a.likeness is b.likeness and [s for s, _ in a.problems] == [s for s, _ in b.problems]
    return before.since if alike else step.new_place


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
    place = PatchPlace(patch.place, number)
    diff = git_form(patch.diff).encode("utf-8", "surrogateescape")
    lines = diff.removesuffix(b"\n").split(b"\n")
    changes, end = parse_diff(lines, 0, place)
    if end != len(lines):
        place.fail(None, "lines stand after the end of the diff; was the mail wrapped?")
    return apply_changes(changes, tree, place)

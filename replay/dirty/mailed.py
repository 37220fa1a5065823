"""A judge of trees of the built-in kind: those with the interface of series/tree's driver.

Each tree is built by our own call of the compiler (``replay.build.compile``), without debug
information, so that a comment that moves no line number leaves the same bytes. What is
built is executed, in a process apart (``replay.dirty.native``): random traces on the libraries
of all trees, compared by digests, in which the whole state enters after every operation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from replay.base.pool import Pool
from replay.build.compile import BuildFailed, Outcome, build_series, read_tree
from replay.build.errors import BuildError
from replay.build.output import telling_line
from replay.dirty.language.language import BUDGET
from replay.dirty.native.pairs import (
    CANDIDATES,
    LibraryPair,
    LibraryPairsTally,
    PairCampaign,
    PairShows,
    Parted,
    Traces,
)
from replay.dirty.native.session import Libraries, Session
from replay.errors import DomainError, UsageError
from replay.git.apply import Tree
from replay.git.objects import tree_id
from replay.mail.behaviour import Contrast, Likeness, Ruling, Trees
from replay.search.campaign import gather

Progress: TypeAlias = Callable[[float, float, str], None]

INTERFACE: Final = "include/driver.h"
NO_DEBUG: Final = ("-g0",)


def check_tree(tree: Tree, folder: object) -> None:
    """See that a tree is of the built-in kind.

    Raises:
        UsageError: it is not; what to do with others.

    """
    if INTERFACE not in tree:
        raise UsageError(
            f"{folder}: it has no {INTERFACE}, by which --run drives a tree of the built-in kind; "
            "for any other project give --build CMD and --library PATH"
        )


@dataclass(slots=True)
class DriverJudge:
    """Builds and runs trees that have the driver's interface.

    Args:
        traces: which to run.
        budget: candidates tried to shorten an example.
        jobs: builds, and worker processes, at a time; the result does not depend on it.
        progress: called with how much is done, of how much, and what that is.

    """

    traces: Traces
    budget: int = BUDGET
    jobs: int = 1
    progress: Progress = lambda done, total, text: None
    libraries: Libraries = field(default=Libraries(()), init=False)
    pairs: list[LibraryPair] = field(default_factory=list, init=False)
    campaign: PairCampaign = field(init=False)
    shown: LibraryPairsTally = field(init=False)

    def judge(self, pairs: Sequence[Trees]) -> list[Ruling]:
        """A finding for each pair of trees; see ``replay.mail.behaviour.Judge``."""
        trees = {tree_id(tree): tree for pair in pairs for tree in pair}
        names = [(tree_id(old), tree_id(new)) for old, new in pairs]
        numbers, problems = self._build(trees)
        self.pairs = [(numbers.get(old, 0), numbers.get(new, 0)) for old, new in names]
        wanted = dict.fromkeys((a, b) for a, b in self.pairs if a and b and a != b)
        self._run(tuple(wanted))
        refused = self.shown.refused
        found = []
        for (old, new), (a, b) in zip(names, self.pairs, strict=True):
            sides = (("old", old, a), ("new", new, b))
            failed = tuple((side, problems[name][1]) for side, name, _ in sides if name in problems)
            odd = tuple((side, refused[n]) for side, _, n in sides if n in refused)
            if failed:
                verdict = problems[old if old in problems else new][0]
                found.append(Ruling(verdict, problems=failed))
            elif a == b:
                found.append(Ruling(Likeness.SAME_CODE))
            elif odd:
                found.append(Ruling(Likeness.NOT_JUDGED, problems=odd))
            else:
                found.append(_finding(self.shown.pairs[a, b], self.traces.count))
        return found

    # --- building ---------------------------------------------------------------------

    def _build(
        self, trees: Mapping[str, Tree]
    ) -> tuple[dict[str, int], dict[str, tuple[Likeness, str]]]:
        """The number of each tree's library, equal for equal bytes; why a tree has none."""
        problems: dict[str, tuple[Likeness, str]] = {}
        files: dict[int, dict[str, bytes]] = {}
        names = list(trees)
        for at, name in enumerate(names):
            try:
                files[at] = read_tree({path: file.data for path, file in trees[name].items()})
            except BuildError as error:
                problems[name] = Likeness.NOT_BUILT, str(error)
        done = 0

        def told(outcome: Outcome) -> None:
            nonlocal done
            done += 1
            self.progress(done, len(files), f"{done} of {len(files)} trees built")

        self.progress(0, len(files), "building")
        outcomes = build_series(files, flags=NO_DEBUG, jobs=self.jobs, progress=told)
        checksums: dict[str, int] = {}
        numbers: dict[str, int] = {}
        paths: list[tuple[int, str]] = []
        for at, outcome in outcomes.items():
            if isinstance(outcome, BuildFailed):
                problems[names[at]] = Likeness.NOT_BUILT, telling_line(outcome.text)
                continue
            checksum = hashlib.sha256(outcome.path.read_bytes()).hexdigest()
            if checksum not in checksums:
                checksums[checksum] = len(checksums) + 1
                paths.append((checksums[checksum], str(outcome.path)))
            numbers[names[at]] = checksums[checksum]
        unsound = _unsound(Libraries(tuple(paths)))
        for name, number in list(numbers.items()):
            if number in unsound:
                problems[name] = Likeness.NOT_JUDGED, unsound[number]
                del numbers[name]
        self.libraries = Libraries(tuple(p for p in paths if p[0] not in unsound))
        return numbers, problems

    # --- running ----------------------------------------------------------------------

    def _run(self, pairs: tuple[LibraryPair, ...]) -> None:
        """Run all traces on the libraries of these pairs."""
        used = {number for pair in pairs for number in pair}
        libraries = Libraries(tuple(p for p in self.libraries.paths if p[0] in used))
        self.campaign = PairCampaign(self.traces, libraries, pairs)
        self.shown = self.campaign.nothing()
        if not pairs:
            return
        done, total = 0, self.traces.count

        def told(count: int) -> None:
            nonlocal done
            done += count
            self.progress(done, total, f"{done} of {total} traces")

        self.progress(0, total, "running traces")
        with Pool(self.jobs, "comparing two versions") as pool:
            self.shown = gather(self.campaign, total, pool, told)

    # --- the example of a difference --------------------------------------------------

    def example(
        self, pair: int, traces: frozenset[Hashable], unlike: int | None, shorten: bool
    ) -> Contrast | str:
        """The shortest trace found that shows a difference; see ``behaviour.Judge``."""
        here = self.pairs[pair]
        other = self.pairs[unlike] if unlike is not None else (0, 0)
        ranks = self.shown.pairs[here].differing
        order = sorted((rank, number) for number, rank in ranks.items() if number in traces)
        parted = Parted(here, tuple(order[:CANDIDATES]), other)
        self.progress(0, 0, "shortening an example")
        budget = self.budget if shorten and self.traces.trace is None else 0
        return self.campaign.example(parted, budget)


def _finding(seen: PairShows, total: int) -> Ruling:
    compared = total - len(seen.left_out)
    if seen.differing:
        verdict = Likeness.DIFFERS
    elif compared:
        verdict = Likeness.NO_DIFFERENCE
    else:
        return Ruling(Likeness.NOT_JUDGED, problems=(("", "no trace could be compared"),))
    return Ruling(verdict, compared, frozenset(seen.differing), frozenset(seen.left_out))


# --- in the worker processes ----------------------------------------------------------


def _unsound(libraries: Libraries) -> dict[int, str]:
    """Why libraries cannot be driven, by number."""
    if not libraries.paths:
        return {}
    try:
        with Session(libraries):
            return {}
    except DomainError as error:
        if len(libraries.paths) == 1:
            ((number, path),) = libraries.paths
            said = str(error).replace(f"{path}: ", "").partition("; build it")[0]
            return {number: f"it no longer has the driver's interface: {said}"}
    unsound: dict[int, str] = {}
    for one in libraries.paths:
        unsound |= _unsound(Libraries((one,)))
    return unsound

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
from replay.dirty.language import language
from replay.dirty.language.files import trace_to_text
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Observation, Trace
from replay.dirty.language.values import field_text, op_text
from replay.dirty.machine.model import Run
from replay.dirty.native.check import HANGING
from replay.dirty.native.compare import (
    DEATHS,
    UNREPEATED_TEXT,
    Departure,
    departure,
    native_profile,
)
from replay.dirty.native.encode import Batch, encode
from replay.dirty.native.session import Digests, Libraries, Session, session
from replay.dirty.rules.diff import first_difference
from replay.errors import DomainError, UsageError
from replay.git.apply import Tree
from replay.git.objects import tree_id
from replay.mail.behaviour import Example, Finding, Trees, Verdict

Progress: TypeAlias = Callable[[float, float, str], None]

INTERFACE: Final = "include/driver.h"
NO_DEBUG: Final = ("-g0",)
SHARE: Final = 50
"""Traces in a share of the work."""
CANDIDATES: Final = 8
"""Traces looked at for the one that is shortened."""


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


@dataclass(frozen=True, slots=True)
class Plan:
    """Which traces to run: one that is given, or random ones."""

    seed: int
    traces: int
    ops: int
    trace: Trace | None = None

    @property
    def count(self) -> int:
        """How many."""
        return 1 if self.trace is not None else self.traces

    def get(self, number: int) -> Trace:
        """The trace of this number."""
        if self.trace is not None:
            return self.trace
        return generate(self.seed, number, native_profile(Profile(ops=self.ops)))


@dataclass(frozen=True, slots=True)
class Share:
    """Some traces on all libraries. Picklable."""

    plan: Plan
    libraries: Libraries
    pairs: tuple[tuple[int, int], ...]
    first: int
    count: int


@dataclass(slots=True)
class Seen:
    """What traces show of a pair: those that differ, and those not run on both.

    ``differing`` maps to a rank, by which examples are chosen: deaths come first.
    """

    differing: dict[int, tuple[bool, int]] = field(default_factory=dict)
    left_out: set[int] = field(default_factory=set)


@dataclass(slots=True)
class DriverJudge:
    """Builds and runs trees that have the driver's interface.

    Args:
        plan: which traces.
        budget: candidates tried to shorten an example.
        jobs: builds, and worker processes, at a time; the result does not depend on it.
        progress: called with how much is done, of how much, and what that is.

    """

    plan: Plan
    budget: int = language.BUDGET
    jobs: int = 1
    progress: Progress = lambda done, total, text: None
    libraries: Libraries = field(default=Libraries(()), init=False)
    pairs: list[tuple[int, int]] = field(default_factory=list, init=False)
    seen: dict[tuple[int, int], Seen] = field(default_factory=dict, init=False)

    def judge(self, pairs: Sequence[Trees]) -> list[Finding]:
        """A finding for each pair of trees; see ``replay.mail.behaviour.Judge``."""
        trees = {tree_id(tree): tree for pair in pairs for tree in pair}
        names = [(tree_id(old), tree_id(new)) for old, new in pairs]
        numbers, problems = self._build(trees)
        self.pairs = [(numbers.get(old, 0), numbers.get(new, 0)) for old, new in names]
        wanted = dict.fromkeys((a, b) for a, b in self.pairs if a and b and a != b)
        refused = self._run(tuple(wanted))
        found = []
        for (old, new), (a, b) in zip(names, self.pairs, strict=True):
            sides = (("old", old, a), ("new", new, b))
            failed = tuple((side, problems[name][1]) for side, name, _ in sides if name in problems)
            odd = tuple((side, refused[n]) for side, _, n in sides if n in refused)
            if failed:
                verdict = problems[old if old in problems else new][0]
                found.append(Finding(verdict, problems=failed))
            elif a == b:
                found.append(Finding(Verdict.SAME_CODE))
            elif odd:
                found.append(Finding(Verdict.NOT_JUDGED, problems=odd))
            else:
                found.append(_finding(self.seen[a, b], self.plan.count))
        return found

    # --- building ---------------------------------------------------------------------

    def _build(
        self, trees: Mapping[str, Tree]
    ) -> tuple[dict[str, int], dict[str, tuple[Verdict, str]]]:
        """The number of each tree's library, equal for equal bytes; why a tree has none."""
        problems: dict[str, tuple[Verdict, str]] = {}
        files: dict[int, dict[str, bytes]] = {}
        names = list(trees)
        for at, name in enumerate(names):
            try:
                files[at] = read_tree({path: file.data for path, file in trees[name].items()})
            except BuildError as error:
                problems[name] = Verdict.NOT_BUILT, str(error)
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
                problems[names[at]] = Verdict.NOT_BUILT, telling_line(outcome.text)
                continue
            checksum = hashlib.sha256(outcome.path.read_bytes()).hexdigest()
            if checksum not in checksums:
                checksums[checksum] = len(checksums) + 1
                paths.append((checksums[checksum], str(outcome.path)))
            numbers[names[at]] = checksums[checksum]
        unsound = _unsound(Libraries(tuple(paths)))
        for name, number in list(numbers.items()):
            if number in unsound:
                problems[name] = Verdict.NOT_JUDGED, unsound[number]
                del numbers[name]
        self.libraries = Libraries(tuple(p for p in paths if p[0] not in unsound))
        return numbers, problems

    # --- running ----------------------------------------------------------------------

    def _run(self, pairs: tuple[tuple[int, int], ...]) -> dict[int, str]:
        """Run all traces on the libraries of these pairs; gives those that refuse a trace."""
        used = {number for pair in pairs for number in pair}
        self.libraries = Libraries(tuple(p for p in self.libraries.paths if p[0] in used))
        self.seen = {pair: Seen() for pair in pairs}
        refused: dict[int, str] = {}
        if not pairs:
            return refused
        total = self.plan.count
        shares = [
            Share(self.plan, self.libraries, pairs, first, min(SHARE, total - first))
            for first in range(0, total, SHARE)
        ]
        self.progress(0, total, "running traces")
        with Pool(self.jobs, "comparing two versions") as pool:
            tasks = [(share, share) for share in shares]
            for share, (seen, odd) in pool.map(_look, tasks, lambda s: f"trace {s.first}"):
                refused |= odd
                for pair, kept in seen.items():
                    self.seen[pair].differing |= kept.differing
                    self.seen[pair].left_out |= kept.left_out
                done = share.first + share.count
                self.progress(done, total, f"{done} of {total} traces")
        return refused

    # --- the example of a difference --------------------------------------------------

    def example(
        self, pair: int, traces: frozenset[Hashable], unlike: int | None, shorten: bool
    ) -> Example | str:
        """The shortest trace found that shows a difference; see ``behaviour.Judge``."""
        here = self.pairs[pair]
        other = self.pairs[unlike] if unlike is not None else (0, 0)
        ranks = self.seen[here].differing
        order = sorted((n for n in ranks if n in traces), key=lambda n: (ranks[n], n))
        shown = [(f, n) for n in order[:CANDIDATES] if (f := self._alone(here, self.plan.get(n)))]
        if not shown:
            return f"traces differ when they run one after the other, {UNREPEATED_TEXT}"
        found, number = min(shown, key=lambda s: (ranks[s[1]][0], s[0].index, s[1]))
        kind = _kind(found)
        budget = self.budget if shorten and self.plan.trace is None else 0
        if kind == "hang":
            budget = min(budget, HANGING)

        def holds(candidate: Trace) -> bool:
            try:
                seen = self._alone(here, candidate)
                if seen is None or _kind(seen) != kind:
                    return False
                return other[0] == other[1] or self._alone(other, candidate) is None
            except DomainError:
                return False

        self.progress(0, 0, "shortening an example")
        shrunk = language.shrink(self.plan.get(number), holds, budget)
        # What differs by chance is shown as it was found.
        for trace in (shrunk.trace, self.plan.get(number)):
            runs = self._runs(here, trace)
            seen = departure(*runs, "")
            if seen is not None:
                complete = shrunk.complete and bool(budget) and trace is shrunk.trace
                return _example(trace, seen, *runs, complete)
        return "a trace that differed does not when it is run again"

    def _runs(self, pair: tuple[int, int], trace: Trace) -> tuple[Run, Run]:
        old, new = session(self.libraries).records(encode([trace]), [(n, 0) for n in pair])
        return old, new

    def _alone(self, pair: tuple[int, int], trace: Trace) -> Departure | None:
        return departure(*self._runs(pair, trace), "")


def _kind(found: Departure) -> str:
    """What must stay so while an example is shortened: a crash must not turn into a hang."""
    return found.text.partition(":")[0] if found.fields == ("status",) else ""


def _example(trace: Trace, found: Departure, old: Run, new: Run, complete: bool) -> Example:
    index = found.index
    seen = first_difference(old, new)
    assert seen is not None
    op = trace.ops[index] if index < len(trace.ops) else trace.ops[-1]
    if "status" in found.fields:
        fields = [("status", _status(seen.old), _status(seen.new))]
    else:
        assert seen.old is not None and seen.new is not None
        fields = [
            (
                name,
                field_text(name, seen.old.get(name), op),
                field_text(name, seen.new.get(name), op),
            )
            for name in found.fields
        ]
    file = trace_to_text(trace)
    return Example(tuple(op_text(o) for o in trace.ops), index, tuple(fields), file, complete)


def _status(seen: Observation | None) -> str:
    """How an operation ended, with the words of what died."""
    if seen is None:
        return "(had ended)"
    return f"{seen.status}: {seen.ret}" if seen.status in DEATHS else str(seen.status)


def _finding(seen: Seen, total: int) -> Finding:
    compared = total - len(seen.left_out)
    if seen.differing:
        verdict = Verdict.DIFFERS
    elif compared:
        verdict = Verdict.NO_DIFFERENCE
    else:
        return Finding(Verdict.NOT_JUDGED, problems=(("", "no trace could be compared"),))
    return Finding(verdict, compared, frozenset(seen.differing), frozenset(seen.left_out))


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


def _look(share: Share) -> tuple[dict[tuple[int, int], Seen], dict[int, str]]:
    """What a share of the traces shows of each pair, and the libraries that refuse one."""
    batch = encode([share.plan.get(share.first + at) for at in range(share.count)])
    digests, refused = _digests(share.libraries, batch)
    found: dict[tuple[int, int], Seen] = {}
    for pair in share.pairs:
        if not refused.keys() & set(pair):
            found[pair] = _pair(share, batch, digests, pair)
    return found, refused


def _digests(libraries: Libraries, batch: Batch) -> tuple[Digests, dict[int, str]]:
    held = session(libraries)
    try:
        return held.digests(batch, libraries.steps), {}
    except DomainError:
        # A patch may change what the driver takes: then that tree alone is not judged.
        whole, refused = Digests(), {}
        for number in libraries.steps:
            try:
                one = held.digests(batch, (number,))
            except DomainError as error:
                refused[number] = "it refuses " + str(error).partition(": ")[2]
                continue
            whole.steps |= one.steps
            whole.deaths |= one.deaths
        return whole, refused


def _pair(share: Share, batch: Batch, digests: Digests, pair: tuple[int, int]) -> Seen:
    seen = Seen()
    a, b = pair
    died: list[int] = []
    for at in range(batch.count):
        x, y = digests.steps[a][at], digests.steps[b][at]
        number = share.first + at
        if x and y:
            if x != y:
                seen.differing[number] = True, 0
        elif all(digests.steps[n][at] or (n, at) in digests.deaths for n in pair):
            died.append(at)
        else:
            # After too many deaths the rest is not run.
            seen.left_out.add(number)
    which = [(n, at) for at in died for n in pair]
    runs = session(share.libraries).records(batch, which)
    for at, old, new in zip(died, runs[::2], runs[1::2], strict=True):
        found = departure(old, new, "")
        if found is not None:
            seen.differing[share.first + at] = not _kind(found), found.index
    return seen

"""What tells the ends of a range apart, followed through its commits.

At the ends many traces may differ, each in its own way: another result of one function, a
crash in another, a crash that comes and goes. The soonest of each kind are witnesses. A
commit is known by what all witnesses show there, in several processes; two commits differ
where a witness never shows at one what it showed at the other, or crashes at one alone.
What differs between two runs at one commit is left out: it tells nothing of others.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from replay.repo.calls import CallTrace
from replay.repo.checking import Checker
from replay.repo.results import Divergence, compare
from replay.repo.runner import Run
from replay.repo.targets import Target
from replay.search.verdict import Verdict

WITNESSES: Final = 6
"""Traces of each kind that are followed."""
SUSPECTED: Final = 40
"""Traces that are run again and again where the ends seem to do the same."""
REPEATS: Final = 2
"""Processes in which each trace is run; of what may come and go, at the ends as many as"""
METHOD: Final = "binary search"
AT_ENDS: Final = 8
"""these, and elsewhere as many as it takes to see it all but certainly, up to"""
MOST_REPEATS: Final = 40
MISSED: Final = 1e-3
"""How likely a commit may be not to show what comes and goes there."""


class Kind(NamedTuple):
    """A kind of difference: at calls of which operation, of what, with which verdict."""

    op: str
    what: str
    verdict: Verdict

    @property
    def words(self) -> str:
        """As people say it."""
        op = self.op or "the end, where what is left is destroyed"
        if self.verdict is Verdict.UNDECLARED:
            return f"{op}: {self.what}"
        return f"{op}: a {self.verdict.value}"


class Witnessed(NamedTuple):
    """A difference of a kind: the trace, its runs on both sides, and where they part."""

    trace: CallTrace
    before: Run
    after: Run
    divergence: Divergence


@dataclass(frozen=True, slots=True)
class Seen:
    """What the witnesses show at a commit: by the number of each its runs.

    Attributes:
        runs: one a process; no entry for a witness that calls what is not there.
        ended: in how many processes each crash or hang was seen, by operation.
        repeats: in how many processes they were run.

    """

    runs: Mapping[int, Sequence[Run]]
    ended: Mapping[Kind, int]
    repeats: int


@dataclass(slots=True)
class Witnesses:
    """Traces that are followed, and in how many processes each is run."""

    checker: Checker
    traces: Sequence[CallTrace]
    repeats: int = REPEATS
    seen: dict[str, Seen] = field(default_factory=dict, repr=False)

    def look(self, target: Target, repeats: int | None = None) -> Seen:
        """What a target shows; the same library, bound alike, is run once.

        It runs all that it has the operations for, unless it did in as many processes.
        """
        known, count = self.seen.get(target.key), repeats or self.repeats
        if known is None or known.repeats < count:
            known = self.seen[target.key] = self._look(target, count)
        return known

    def _look(self, target: Target, count: int) -> Seen:
        numbers = [
            number
            for number, trace in enumerate(self.traces)
            if {call.op for call in trace} <= target.bound.names
        ]
        runs: dict[int, list[Run]] = {number: [] for number in numbers}
        ended = Counter[Kind]()
        for _ in range(count):
            # Each in a process of its own, where other things lie at other addresses.
            few = self.checker.run_all(target, [self.traces[number] for number in numbers])
            now = set()
            for number, run in zip(numbers, few, strict=True):
                if run is not None:
                    runs[number].append(run)
                    kind = ending(self.traces[number], run)
                    if kind is not None:
                        now.add(kind)
            ended.update(now)
        return Seen({n: few for n, few in runs.items() if few}, ended, count)

    def differences(self, before: Seen, after: Seen) -> dict[Kind, Witnessed]:
        """Every kind in which two commits differ, with a witness of each."""
        noise = self._noise(before) | self._noise(after)
        found: dict[Kind, Witnessed] = {}
        for number in sorted(before.runs.keys() & after.runs.keys()):
            trace, one, other = self.traces[number], before.runs[number], after.runs[number]
            parted = [(a, b, compare(a, b)) for a in one for b in other]
            if any(divergence is None for _, _, divergence in parted):
                continue
            for a, b, divergence in parted:
                assert divergence is not None
                if _ended(a, divergence) or _ended(b, divergence):
                    continue
                for kind in kinds(trace, divergence):
                    if kind not in noise:
                        found.setdefault(kind, Witnessed(trace, a, b, divergence))
        return found | self._endings(before, after)

    def _noise(self, seen: Seen) -> set[Kind]:
        """The kinds in which a commit differs from itself."""
        noise: set[Kind] = set()
        for number, runs in seen.runs.items():
            for run in runs[1:]:
                divergence = compare(runs[0], run)
                if divergence is not None and not _ended(run, divergence):
                    noise |= set(kinds(self.traces[number], divergence))
        return noise

    def _endings(self, before: Seen, after: Seen) -> dict[Kind, Witnessed]:
        """Crashes and hangs that were seen at one of two commits, never at the other."""
        found = {}
        common = before.runs.keys() & after.runs.keys()
        for kind in {**before.ended, **after.ended}:
            if bool(before.ended.get(kind)) == bool(after.ended.get(kind)):
                continue
            pairs = (
                (self.traces[number], a, b)
                for number in sorted(common)
                for a in before.runs[number]
                for b in after.runs[number]
                if kind in (ending(self.traces[number], a), ending(self.traces[number], b))
            )
            for trace, a, b in pairs:
                divergence = compare(a, b)
                if divergence is not None:
                    found[kind] = Witnessed(trace, a, b, divergence)
                    break
        return found

    def settle(self, ends: tuple[Seen, Seen]) -> bool:
        """Choose the number of repeats by how often the ends crash or hang.

        Gives whether that is now known well enough to tell a commit that never does.
        """
        known = True
        for one, other in (ends, ends[::-1]):
            for kind, count in one.ended.items():
                if other.ended.get(kind):
                    continue
                # Cautiously: it was seen often perhaps by chance.
                often = max(count - math.sqrt(count), 0.5) / one.repeats
                needed = math.ceil(math.log(MISSED) / math.log(max(1 - often, MISSED)))
                self.repeats = max(self.repeats, min(needed, MOST_REPEATS))
                known = known and needed <= min(other.repeats, MOST_REPEATS)
        return known


def ending(trace: CallTrace, run: Run) -> Kind | None:
    """The kind of a run that did not come to its end."""
    verdicts = {"crash": Verdict.CRASH, "hang": Verdict.HANG}
    if run.end not in verdicts:
        return None
    return Kind(_op(trace, len(run.records)), run.end, verdicts[run.end])


def kinds(trace: CallTrace, divergence: Divergence) -> list[Kind]:
    """The kinds of what two runs of a trace show where they part."""
    op = _op(trace, divergence.index)
    return [Kind(op, what, divergence.verdict) for what, _, _ in divergence.fields]


def _op(trace: CallTrace, index: int) -> str:
    return trace[index].op if index < len(trace) else ""


def _ended(run: Run, divergence: Divergence) -> bool:
    """Whether a run had ended where two part."""
    return run.end != "ok" and len(run.records) <= divergence.index


class Choosing:
    """Witnesses, chosen among traces that are run at both ends: of each kind the soonest."""

    def __init__(self) -> None:
        self._of_kind: dict[Kind, list[tuple[int, int, CallTrace]]] = {}
        self._first: list[CallTrace] = []
        self._count = 0

    def add(
        self, traces: Sequence[CallTrace], before: Sequence[Run | None],
        after: Sequence[Run | None],
    ) -> None:  # fmt: skip
        """Look at the runs of the traces that come next."""
        self._first += traces[: SUSPECTED - len(self._first)]
        for trace, a, b in zip(traces, before, after, strict=True):
            self._count += 1
            divergence = compare(a, b) if a is not None and b is not None else None
            if divergence is None:
                continue
            for kind in kinds(trace, divergence):
                few = self._of_kind.setdefault(kind, [])
                few.append((divergence.index, self._count, trace))
                few.sort(key=lambda one: one[:2])
                del few[WITNESSES:]

    def chosen(self) -> list[CallTrace]:
        """The witnesses; the first traces where none tells the ends apart."""
        found = {number: trace for few in self._of_kind.values() for _, number, trace in few}
        return [found[number] for number in sorted(found)] or self._first

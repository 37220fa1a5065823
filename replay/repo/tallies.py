"""What traces of calls show of pairs, as tallies that merge in the order of the traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from replay.repo.agreeing import Agreed
from replay.repo.calls import CallTrace
from replay.repo.evidence import Evidence
from replay.repo.expected import Declared, differing, merged, tallied
from replay.repo.hanging import Tried
from replay.repo.masks import Mask
from replay.repo.pairing import Pair
from replay.repo.results import Divergence
from replay.repo.runner import Run
from replay.repo.watching import Firsts
from replay.search.verdict import Verdict

TOLD: Final = 200
"""Traces that differ which are looked through for all in which they do."""


@dataclass(slots=True)
class PairTally:
    """What traces show of a pair.

    Attributes:
        differing: the numbers of the traces on which the two differ, each with its rank:
            what crashes or hangs is worse than a wrong answer, and comes first; then what
            shows early.
        left_out: the numbers of those that were not compared.
        traces: how many were.
        soonest: the number of the one of least rank, and ``divergence``: what it shows.
        shorter: of those that differ, the traces that were not run as drawn, since calls
            in them hang on both sides, or were bred.
        evidence: what all of them showed, call by call.
        called: the functions that were called, and ``seen``: those of which something is
            observed, see ``replay.repo.observing``.
        own: the traces that were made for this pair alone, by their numbers.
        firsts: by which trace each of the changed lines was reached first.
        declared: what is shown of each declared difference, by its number.
        kinds: in what the two differ: "function: field".

    """

    differing: dict[int, tuple[bool, int]] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)
    traces: int = 0
    soonest: int | None = None
    divergence: Divergence | None = None
    shorter: dict[int, CallTrace] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    called: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    own: dict[int, CallTrace] = field(default_factory=dict)
    firsts: Firsts = field(default_factory=Firsts)
    declared: dict[int, Declared] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)

    def add(self, pair: Pair, number: int, before: Run | None, after: Run | None) -> None:
        """Compare the runs of the trace that comes next."""
        if before is None or after is None:
            self.left_out.append(number)
            return
        self.traces += 1
        found = pair.differs(before, after)
        if found is not None:
            self.differing[number] = (found.verdict is Verdict.UNDECLARED, found.index)
            self._keep(number, found)

    def take(self, pair: Pair, one: Tried, mask: Mask) -> None:
        """Compare the runs of a trace but for what is masked, and count what it showed."""
        self.add(pair, one.number, *mask.applied(one.made, one.before, one.after))
        self.evidence.draw(one.trace)
        if one.before is None or one.after is None:
            return
        self.evidence.add(one.trace, one.made, one.before, one.after)
        self._tell(pair, one, mask, one.before, one.after)
        observers = (op["name"] for op in pair.after.bound.observers)
        self.evidence.look(observers, one.before, one.after)
        if one.number in self.differing and len(one.made) < len(one.trace):
            self.shorter[one.number] = one.made

    def _tell(self, pair: Pair, one: Tried, mask: Mask, before: Run, after: Run) -> None:
        """Note what is declared of a trace, and of what differs in what it does."""
        declared = pair.expected
        if declared is not None:
            before, after = mask.repeatable(one.made, before, after)
            before, after, seen = declared.looked(one.made, before, after)
            self.declared = merged(self.declared, tallied(seen))
        modelled = pair.before.model or pair.after.model
        if one.number in self.differing and len(self.differing) <= TOLD and not modelled:
            self.kinds |= differing(one.made, *mask.repeatable(one.made, before, after))

    def agree(self, same: Agreed, ops: Sequence[str]) -> None:
        """Count a trace on which both sides agree; ``ops`` are those of the later, in order."""
        self.traces += 1
        self.evidence.draw(same.trace)
        made = dict(zip(ops, same.after.made_by, strict=True))
        self.evidence.agree(same.trace, same.made, made)

    def ranked(self) -> list[int]:
        """The numbers of the traces on which the two differ, the soonest first."""
        return sorted(self.differing, key=lambda number: (self.differing[number], number))

    def merge(self, other: PairTally) -> None:
        """Add what the traces that come next show."""
        self.differing |= other.differing
        self.shorter |= other.shorter
        self.evidence.merge(other.evidence)
        self.left_out += other.left_out
        self.traces += other.traces
        self.called |= other.called
        self.seen |= other.seen
        self.own |= other.own
        self.declared = merged(self.declared, other.declared)
        self.kinds |= other.kinds
        self.firsts.merge(other.firsts)
        if other.soonest is not None and other.divergence is not None:
            self._keep(other.soonest, other.divergence)

    def _keep(self, number: int, found: Divergence) -> None:
        rank = self.differing[number], number
        if self.soonest is None or rank < (self.differing[self.soonest], self.soonest):
            self.soonest, self.divergence = number, found


@dataclass(slots=True)
class CallTally:
    """What traces show of each pair."""

    pairs: list[PairTally]

    def merge(self, other: CallTally) -> None:
        """Add the share that comes next."""
        for mine, theirs in zip(self.pairs, other.pairs, strict=True):
            mine.merge(theirs)

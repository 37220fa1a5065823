"""Traces on pairs of libraries with the driver's interface: on which do the two part, and how.

This is the campaign of ``replay mail compare --run``. The libraries are compared by
digests, in which the whole state enters after every operation; what dies is compared by its
records. No model takes part: neither of the two libraries is the right one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, NamedTuple, TypeAlias

from replay.dirty.language.files import trace_to_text
from replay.dirty.language.generate import Profile
from replay.dirty.language.language import LANGUAGE, TraceLanguage
from replay.dirty.language.trace import Observation, Trace
from replay.dirty.language.values import field_text, op_text
from replay.dirty.machine.model import Run
from replay.dirty.native.compare import native_profile
from replay.dirty.native.departure import DEATHS, UNREPEATED_TEXT, Departure, departure
from replay.dirty.native.encode import Batch, encode
from replay.dirty.native.session import Digests, Libraries, session
from replay.dirty.rules.diff import first_difference
from replay.errors import DomainError
from replay.mail.behaviour import Contrast
from replay.search.campaign import shortest, soonest_alone

LibraryPair: TypeAlias = tuple[int, int]
"""The numbers of the libraries of two trees, the old one's first."""

Rank: TypeAlias = tuple[bool, int]
"""By which examples are chosen: deaths come first, as False, and the soonest of these."""

CANDIDATES: Final = 8
"""Traces looked at for the one that is shortened."""


@dataclass(frozen=True, slots=True)
class Traces:
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
        return TraceLanguage(native_profile(Profile(ops=self.ops))).draw(self.seed, number)


@dataclass(slots=True)
class PairShows:
    """The traces on which a pair differs, with their ranks, and those not run on both."""

    differing: dict[int, Rank] = field(default_factory=dict)
    left_out: set[int] = field(default_factory=set)


@dataclass(slots=True)
class LibraryPairsTally:
    """What traces show of each pair, and why libraries refuse one."""

    pairs: dict[LibraryPair, PairShows] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)

    def merge(self, other: LibraryPairsTally) -> None:
        """Add another share."""
        self.refused |= other.refused
        for pair, seen in other.pairs.items():
            kept = self.pairs.setdefault(pair, PairShows())
            kept.differing |= seen.differing
            kept.left_out |= seen.left_out


@dataclass(frozen=True, slots=True)
class Parted:
    """A pair that parts on some traces.

    Attributes:
        pair: the libraries.
        ranked: some of the traces, the likeliest examples first: (rank, number).
        unlike: a pair that does not part on the example; two that are equal never do.

    """

    pair: LibraryPair
    ranked: tuple[tuple[Rank, int], ...]
    unlike: LibraryPair


class Witness(NamedTuple):
    """Where the two part on a trace that runs alone, and what each did."""

    seen: Departure
    old: Run
    new: Run


@dataclass(frozen=True, slots=True)
class PairCampaign:
    """Traces on the libraries of some pairs. Picklable."""

    traces: Traces
    libraries: Libraries
    pairs: tuple[LibraryPair, ...]

    share: ClassVar[int] = 50

    def nothing(self) -> LibraryPairsTally:
        """The tally of no traces."""
        return LibraryPairsTally({pair: PairShows() for pair in self.pairs})

    def look(self, numbers: range) -> LibraryPairsTally:
        """Run the traces of these numbers on all libraries."""
        batch = encode([self.traces.get(number) for number in numbers])
        digests, refused = _digests(self.libraries, batch)
        found = LibraryPairsTally(refused=refused)
        for pair in self.pairs:
            if not refused.keys() & set(pair):
                found.pairs[pair] = self._compare(numbers, batch, digests, pair)
        return found

    def _compare(
        self, numbers: range, batch: Batch, digests: Digests, pair: LibraryPair
    ) -> PairShows:
        seen = PairShows()
        died: list[int] = []
        for at, number in enumerate(numbers):
            x, y = (digests.steps[library][at] for library in pair)
            if x and y:
                if x != y:
                    seen.differing[number] = True, 0
            elif all(digests.steps[n][at] or (n, at) in digests.deaths for n in pair):
                died.append(at)
            else:
                # After too many deaths the rest is not run.
                seen.left_out.add(number)
        which = [(n, at) for at in died for n in pair]
        runs = session(self.libraries).records(batch, which)
        for at, old, new in zip(died, runs[::2], runs[1::2], strict=True):
            found = departure(old, new, "")
            if found is not None:
                seen.differing[numbers[at]] = not found.kind, found.index
        return seen

    def example(self, finding: Parted, budget: int) -> Contrast | str:
        """An example of how a pair parts, or why there is none."""
        chosen = soonest_alone(
            finding.ranked,
            lambda ranked: self._alone(finding.pair, self.traces.get(ranked[1])),
            lambda ranked, found: (ranked[0][0], found.seen.index, ranked[1]),
        )
        if chosen is None:
            return f"traces differ when they run one after the other, {UNREPEATED_TEXT}"
        (_, number), first = chosen

        def shows(candidate: Trace) -> Witness | None:
            try:
                found = self._alone(finding.pair, candidate)
            except DomainError:
                return None
            return found if found and found.seen.kind == first.seen.kind else None

        def holds(candidate: Trace) -> bool:
            a, b = finding.unlike
            if shows(candidate) is None:
                return False
            try:
                return a == b or self._alone(finding.unlike, candidate) is None
            except DomainError:
                return False

        budget = first.seen.affordable(budget)
        shown = shortest(self.traces.get(number), LANGUAGE, shows, budget, holds)
        if shown is None:
            return "a trace that differed does not when it is run again"
        return _example(shown.trace, shown.witness, shown.complete and bool(budget))

    def _alone(self, pair: LibraryPair, trace: Trace) -> Witness | None:
        which = [(library, 0) for library in pair]
        old, new = session(self.libraries).records(encode([trace]), which)
        seen = departure(old, new, "")
        return Witness(seen, old, new) if seen else None


def _example(trace: Trace, shown: Witness, complete: bool) -> Contrast:
    found, index = shown.seen, shown.seen.index
    seen = first_difference(shown.old, shown.new)
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
    return Contrast(tuple(op_text(o) for o in trace.ops), index, tuple(fields), file, complete)


def _status(seen: Observation | None) -> str:
    """How an operation ended, with the words of what died."""
    if seen is None:
        return "(had ended)"
    return f"{seen.status}: {seen.ret}" if seen.status in DEATHS else str(seen.status)


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

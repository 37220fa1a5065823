"""What a campaign on programs is about, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from replay.repo.expected import Declared, merged
from replay.repo.program.case import Case
from replay.repo.program.comparing import Divergence, Noise
from replay.repo.program.evidence import Evidence
from replay.repo.program.expecting import ProgramExpected, word
from replay.repo.program.inputs import Inputs
from replay.repo.program.language import CaseLanguage
from replay.repo.program.packing import Target


@dataclass(frozen=True, slots=True)
class Pair:
    """Two programs to compare, and what is declared of them."""

    before: Target
    after: Target
    expected: ProgramExpected | None = None


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which cases are run: one that is given, or those drawn from the inputs.

    ``deeper``: whether further rounds follow, as long as these show something new.
    """

    inputs: Inputs
    seed: int
    runs: int
    given: Case | None = None
    deeper: bool = False

    @property
    def count(self) -> int:
        """How many."""
        return self.runs if self.given is None else 1

    def case(self, number: int) -> Case:
        """The case of a number."""
        return self.given or CaseLanguage(self.inputs).draw(self.seed, number)


@dataclass(slots=True)
class PairTally:
    """What cases showed of a pair: in what they differ, by number, and what varies.

    ``declared``: what they show of each declared difference, by the number of its entry.
    """

    differing: dict[int, Divergence] = field(default_factory=dict)
    noise: Noise = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    declared: dict[int, Declared] = field(default_factory=dict)

    def merge(self, other: PairTally) -> None:
        """Add what the cases of the next share showed."""
        self.differing |= other.differing
        self.noise = other.noise | self.noise
        self.evidence.merge(other.evidence)
        self.declared = merged(self.declared, other.declared)

    @property
    def kinds(self) -> frozenset[str]:
        """In what they differ, as a file of declared differences names it."""
        return frozenset(
            word(*field) for found in self.differing.values() for field in found.fields
        )


@dataclass(slots=True)
class Tally:
    """The same of all pairs."""

    pairs: list[PairTally]

    def merge(self, other: Tally) -> None:
        """Add the share that comes next."""
        for one, more in zip(self.pairs, other.pairs, strict=True):
            one.merge(more)


@dataclass(frozen=True, slots=True)
class Sighting:
    """Cases on which a pair differs, by number, the simplest first."""

    pair: int
    cases: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A case on which two programs differ, as short as it was found."""

    case: Case
    divergence: Divergence
    complete: bool = True

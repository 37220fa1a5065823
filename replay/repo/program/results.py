"""What a verification of programs found: a row a commit, and the whole report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from replay.repo.git import Commit
from replay.repo.program.evidence import Evidence
from replay.repo.program.tallies import Example
from replay.repo.settling import Told
from replay.search.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Row:
    """What was found about a commit.

    Attributes:
        output: what a build that failed printed.
        against: the commit that it was compared with.
        differing: on how many runs it differs.
        name: of the file of its example.
        declared: what is declared of it, with what runs show of that.
        kinds: in what it differs, as a file of declared differences names it.

    """

    commit: Commit
    verdict: Verdict = Verdict.NOT_JUDGED
    reason: str = ""
    output: str = ""
    against: Commit | None = None
    differing: int = 0
    notes: tuple[str, ...] = ()
    evidence: Evidence | None = None
    example: Example | None = None
    name: str = ""
    cached: bool = False
    declared: tuple[Told, ...] = ()
    kinds: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ProgramReport:
    """The whole result: the base, and a row a commit.

    ``patches`` are the patch ids of the guilty commits, by their ids.
    """

    rows: tuple[Row, ...]
    program: str
    seed: int
    runs: int
    notes: tuple[str, ...] = ()
    patches: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def guilty(self) -> Row | None:
        """The first commit that changes what the program does."""
        return next((row for row in self.rows if row.verdict.is_guilty), None)

    @property
    def passed(self) -> bool:
        """Whether every commit is as claimed."""
        return all(row.verdict.passes for row in self.rows)

    @property
    def differs(self) -> bool:
        """Whether some commit does not do what the one before does."""
        return self.guilty is not None

    @property
    def unshown(self) -> bool:
        """Whether something is declared that no run shows."""
        return any(row.verdict is Verdict.UNSHOWN for row in self.rows)

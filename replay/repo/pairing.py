"""What is compared with what: libraries bound to a plan, and pairs of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from replay.repo.bound import Bound
from replay.repo.results import Difference, Row, Verdict, compare
from replay.repo.runner import Run, Runner, library_head, model_head

Names: TypeAlias = frozenset[str]
Differs: TypeAlias = Callable[[Run, Run], Difference | None]


@dataclass(frozen=True, slots=True)
class Subject:
    """A library as bound to the plan, or (with ``model``) the reference model."""

    bound: Bound
    library: Path
    checksum: str
    preload: str = ""
    model: str = ""

    @property
    def key(self) -> str:
        """Equal for two that must behave the same."""
        return self.checksum + json.dumps(self.bound.to_json())

    def open(self, cpu: float) -> Runner:
        """A worker with it.

        Raises:
            Unbound: it cannot be loaded.

        """
        if self.model:
            return Runner(model_head(self.bound, self.library, self.model), cpu=cpu)
        return Runner(library_head(self.bound, self.library), self.preload, cpu)


@dataclass(slots=True)
class Pair:
    """Two subjects to compare, and what was found so far.

    ``differing`` are the numbers of the traces on which they differ, each with its rank:
    what crashes or hangs is worse than a wrong answer, and comes first; then what shows
    early. ``left_out`` are the numbers of those that were not compared.
    """

    row: Row
    before: Subject
    after: Subject
    names: Names
    differs: Differs = compare
    differing: dict[int, tuple[bool, int]] = field(default_factory=dict)
    left_out: list[int] = field(default_factory=list)
    traces: int = 0
    soonest: int | None = None
    difference: Difference | None = None

    def add(self, number: int, before: Run | None, after: Run | None) -> None:
        """Compare the runs of a trace."""
        if before is None or after is None:
            self.left_out.append(number)
            return
        self.traces += 1
        found = self.differs(before, after)
        if found is not None:
            rank = (found.verdict is Verdict.DIFFERENCE, found.index)
            self.differing[number] = rank
            if self.soonest is None or (rank, number) < (
                self.differing[self.soonest], self.soonest,
            ):  # fmt: skip
                self.soonest, self.difference = number, found


def sides(pair: Pair | None) -> tuple[Subject, ...]:
    """The subjects of a pair, none of None."""
    return () if pair is None else (pair.before, pair.after)


def neighbours(rows: list[Row], subjects: list[Subject | None], wanted: Names) -> list[Pair]:
    """Each row with the last one before it that has a subject."""
    pairs = []
    last: tuple[Row, Subject] | None = None
    skipped: list[Row] = []
    for row, subject in zip(rows, subjects, strict=True):
        if subject is None or not wanted <= subject.bound.names:
            if subject is not None:
                lacking = ", ".join(sorted(wanted - subject.bound.names))
                row.verdict, row.reason = Verdict.NOT_JUDGED, f"it has no {lacking}"
            skipped.append(row)
            continue
        if last is None:
            first = row is rows[0]
            row.verdict = Verdict.BASE if first else Verdict.NOT_JUDGED
            row.reason = "" if first else "no commit before it could be built and called"
        else:
            row.against = last[0].commit
            names = wanted or last[1].bound.names & subject.bound.names
            if skipped:
                row.notes.append(
                    f"compared with {last[0].commit.short}; what is found may have come with "
                    + ", ".join(r.commit.short for r in skipped)
                )
            if names:
                pairs.append(Pair(row, last[1], subject, names))
            else:
                row.verdict, row.reason = Verdict.NOT_JUDGED, "no operation in common"
        last, skipped = (row, subject), []
    return pairs

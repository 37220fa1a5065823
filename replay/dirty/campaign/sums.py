"""What a campaign on the steps has done so far, and what it is led to next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Self

from replay.campaign.sums import Row, Sums
from replay.dirty.campaign.drawing import EPOCH, Wanted
from replay.dirty.campaign.judging import judged
from replay.dirty.campaign.values import tally_of, tally_values
from replay.dirty.campaign.work import CORPUS, SHARE, Asked, StepBatch, Tally
from replay.dirty.language.files import parse_trace, trace_to_text
from replay.dirty.language.paths import Path as TracePath
from replay.dirty.language.trace import Trace
from replay.dirty.machine.coverage import Coverage, Found
from replay.dirty.machine.reach import Reach, reach

STEERED_TO: Final = 40
"""Paths that the generator is steered to at once."""

SELDOM: Final = 2
"""How often a path is taken at most, at some step, that the generator is steered to it."""


@dataclass(slots=True)
class StepSums(Sums):
    """What a campaign on the steps has done so far.

    Attributes:
        asked, made: what it asks, and of what (``work.made_of``).
        end: the traces from 0 to here are done.
        ops: operations made, in all lanes and at all steps.
        seconds: that it ran.
        tallies: by lane; those of the corpus begin with CORPUS.
        coverage: what its traces reached in lane python.
        wanted: what the generator is steered to, epoch by epoch.
        kept: the files in the corpus that it wrote, and why.
        folder: the corpus that it reads and writes.
        corpus: the traces that were run first; None before that is done.

    """

    kind: ClassVar[str] = "the steps"

    asked: Asked
    made: str
    end: int = 0
    ops: int = 0
    seconds: float = 0.0
    tallies: dict[str, Tally] = field(default_factory=dict)
    coverage: Coverage = field(default_factory=lambda: Coverage(()))
    wanted: Wanted = ((), ())
    kept: dict[str, str] = field(default_factory=dict)
    corpus: tuple[Trace, ...] | None = None
    folder: str = ""
    _written: dict[Found, list[int]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.coverage = Coverage(self.asked.plan().needed)

    # --- what stands in the state ----------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What it asks."""
        return self.asked.to_json()

    @classmethod
    def of(cls, about: dict[str, Any], made: str) -> Self:
        """Nothing done yet."""
        return cls(Asked.of(about), made)

    def rows(self) -> Iterator[Row]:
        """All that may have changed; of the coverage what did."""
        yield Row("corpus", "folder", self.folder)
        if self.corpus is not None:
            texts = json.dumps([trace_to_text(trace) for trace in self.corpus])
            yield Row("corpus", "traces", texts)
        for lane, tally in self.tallies.items():
            yield Row("tally", lane, json.dumps(tally_values(tally)))
        coverage = self.coverage
        yield Row("coverage", "", json.dumps([coverage.traces, coverage.left_out]))
        for found, turns in coverage.turns.items():
            if self._written.get(found) is not turns:
                name = " ".join((found[0], *found[1]))
                yield Row("coverage", name, json.dumps([turns, coverage.first[found]]))
        for epoch, paths in enumerate(self.wanted):
            yield Row("steered", f"{epoch:09}", json.dumps(paths))
        for file, why in self.kept.items():
            yield Row("kept", file, why)

    def written(self) -> None:
        """The coverage that is there is in the state."""
        self._written = dict(self.coverage.turns)

    def take(self, rows: Iterable[Row]) -> None:
        """What stands in a state."""
        wanted: list[tuple[TracePath, ...]] = []
        for part, name, value in rows:
            if part == "kept":
                self.kept[name] = value
            elif (part, name) == ("corpus", "folder"):
                self.folder = value
            elif part == "corpus":
                self.corpus = tuple(parse_trace(text) for text in json.loads(value))
            elif part == "tally":
                self.tallies[name] = tally_of(json.loads(value))
            elif part == "steered":
                wanted.append(tuple(_path(one) for one in json.loads(value)))
            elif part == "coverage":
                self._covered(name, json.loads(value))
        self.wanted = tuple(wanted) or self.wanted

    def _covered(self, name: str, values: Any) -> None:
        coverage = self.coverage
        if not name:
            coverage.traces, coverage.left_out = values
            return
        op, *labels = name.split(" ")
        found = (op, tuple(labels))
        coverage.turns[found], coverage.first[found] = values

    # --- the traces ------------------------------------------------------------------------

    def cut(self, first: int) -> int:
        """The end of the share that this trace is in; an epoch is made of whole ones."""
        return (first // SHARE + 1) * SHARE

    def lead(self, first: int) -> Wanted | None:
        """The paths wanted; those of an epoch are known once the one before the last is merged."""
        return self.wanted if first // EPOCH < len(self.wanted) else None

    def merge(self, batch: StepBatch, prefix: str = "") -> None:
        """Add a range: the next one, or with a prefix the corpus."""
        for lane, tally in batch.tallies.items():
            have = self.tallies.get(prefix + lane)
            if have is None:
                self.tallies[prefix + lane] = tally
            else:
                have.merge(tally)  # type: ignore[arg-type]
        self.ops += batch.ops
        if prefix:
            return
        assert batch.numbers.start == self.end, "ranges are merged in their order"
        self.end = batch.numbers.stop
        if batch.coverage is not None:
            self.coverage.merge(batch.coverage)
        if self.end % EPOCH == 0 and len(self.wanted) == self.end // EPOCH + 1:
            self.wanted = (*self.wanted, _wanted(reach(self.coverage)))

    # --- what it comes to ------------------------------------------------------------------

    def differences(self) -> int:
        """How much was found that nothing declares."""
        return sum(
            len(judged(self.asked, lane.removeprefix(CORPUS), tally)[1])
            for lane, tally in self.tallies.items()
        )

    def reached(self) -> str:
        """The paths that were taken, of those that are possible."""
        if not self.coverage.traces:
            return "0/0 paths"
        found = reach(self.coverage)
        return f"{len(found.possible) - len(found.missed())}/{len(found.possible)} paths"


def _wanted(found: Reach) -> tuple[TracePath, ...]:
    """The paths that were taken least, if they were taken seldom."""
    rows = [row for row in found.possible if (row.least or 0) <= SELDOM]
    rows.sort(key=lambda row: (row.least, str(row.path)))
    return tuple(row.path for row in rows[:STEERED_TO])


def _path(values: Any) -> TracePath:
    return TracePath(values[0], tuple((name, label) for name, label in values[1]))

"""What a coverage amounts to: which paths were reached at every step, and which were not."""

from __future__ import annotations

from dataclasses import dataclass, field

from replay.dirty.language.never import never
from replay.dirty.language.paths import Path, shapes
from replay.dirty.machine.coverage import Coverage


@dataclass(frozen=True, slots=True)
class Row:
    """A path: how often it was taken at each step, and why it cannot be at some.

    Attributes:
        path: the path.
        counts: by step.
        argued: by step; "" where it can be reached.

    """

    path: Path
    counts: tuple[int, ...]
    argued: tuple[str, ...]

    @property
    def least(self) -> int | None:
        """The least count of the steps at which it can be reached; None where it never can."""
        return min((n for n, why in zip(self.counts, self.argued, strict=True) if not why),
                   default=None)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reach:
    """All paths of all operations.

    Attributes:
        steps: the steps.
        rows: a row a path, in the order of the table of operations.
        traces: on how many traces.
        left_out: of these, the ones with too many pages to be followed.

    """

    steps: tuple[int, ...]
    rows: tuple[Row, ...]
    traces: int
    left_out: int = 0
    firsts: dict[Path, int] = field(default_factory=dict)

    @property
    def possible(self) -> list[Row]:
        """The paths that can be reached at a step at least."""
        return [row for row in self.rows if row.least is not None]

    def missed(self) -> list[tuple[Path, tuple[int, ...]]]:
        """The paths that no trace took, each with the steps where it could have."""
        found = []
        for row in self.possible:
            if not row.least:
                each = zip(self.steps, row.counts, row.argued, strict=True)
                steps = tuple(step for step, n, why in each if not n and not why)
                found.append((row.path, steps))
        return found

    def refuted(self) -> list[tuple[Path, int, str]]:
        """The paths that were taken though a table says that they cannot be."""
        return [
            (row.path, step, why)
            for row in self.rows
            for step, n, why in zip(self.steps, row.counts, row.argued, strict=True)
            if n and why
        ]

    def rare(self, at_most: int) -> list[Path]:
        """The paths that some trace took, but at a step no more often than that."""
        return [row.path for row in self.possible if max(row.counts) and row.least is not None
                and row.least <= at_most]  # fmt: skip


def reach(coverage: Coverage) -> Reach:
    """What a coverage amounts to."""
    counts = coverage.counts()
    nothing = (0,) * len(coverage.steps)
    rows = tuple(
        Row(
            path,
            tuple(counts.get(path, nothing)),
            tuple(never(path, step) for step in coverage.steps),
        )
        for shape in shapes().values()
        for path in shape.universe
    )
    return Reach(coverage.steps, rows, coverage.traces, coverage.left_out, coverage.firsts())

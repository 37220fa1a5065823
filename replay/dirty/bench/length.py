"""Section ``length``: what an operation costs in traces of 10 to 10,000 operations.

All lengths do the same operations: pieces of about ten, each of which ends with the
migration stopped and all blocks freed, are put together to traces of each length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from refmodels import FOLD
from replay.dirty.bench.figures import (
    Attainment,
    Effort,
    Progress,
    Spread,
    Table,
    clock,
    ratios,
    silent,
)
from replay.dirty.bench.lockstep import check_trace
from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Op, Trace
from replay.dirty.subject import SUBJECT

LENGTHS: Final = (10, 100, 1000, 10_000)
PIECE: Final = Profile(ops=8, small_words=0.0, no_tcg=0.0, large_host_pages=0.0, leaving=0.0)
"""All pieces run on the same machine, and none aborts."""

BASE: Final = 100
"""The length that the longest is compared with: making 40 machines no longer counts."""

GOAL: Final = 1.25
STEPS: Final = tuple(range(FOLD.last + 1))
ENDS: Final = (0, FOLD.last)


@dataclass(frozen=True, slots=True)
class LengthResult:
    """Seconds an operation by trace length, a value a round.

    ``seconds`` are for the lockstep of all steps, ``unshared`` for steps 0 and 39 alone.
    """

    seconds: dict[int, list[float]]
    unshared: dict[int, list[float]]
    operations: int

    @property
    def growth(self) -> Spread:
        """An operation of the longest traces over one of BASE operations."""
        return ratios(self.seconds[max(self.seconds)], self.seconds[BASE])

    def tables(self) -> Sequence[Table]:
        """A row a length."""
        rows = [
            (
                f"{length:,} operations",
                Spread.of(1e6 * cost for cost in self.seconds[length]).text(),
                Spread.of(1e6 * cost for cost in self.unshared[length]).text(),
            )
            for length in self.seconds
        ]
        return [
            Table(
                "an operation, executed and compared (us)",
                ("a trace of", "lockstep, 40 steps", "steps 0 and 39 alone"),
                tuple(rows),
            )
        ]

    def verdicts(self) -> Sequence[Attainment]:
        """Whether the cost is flat."""
        return [
            Attainment(
                f"an operation of a trace of {max(self.seconds):,} costs at most {GOAL} times "
                f"that of one of {BASE:,}",
                f"{self.growth.text(2)} times",
                self.growth.median <= GOAL,
            )
        ]

    def notes(self) -> Sequence[str]:
        """How to read it."""
        return [
            f"The same {self.operations:,} operations at each length, in more traces or fewer; "
            "generating is not in the figures. In a trace of 10 operations, making the machines "
            "of 40 steps counts."
        ]

    def to_json(self) -> dict[str, Any]:
        """All rounds."""
        return {
            "operations_a_round": self.operations,
            "seconds_an_operation": {str(k): v for k, v in self.seconds.items()},
            "seconds_an_operation_steps_0_and_39": {str(k): v for k, v in self.unshared.items()},
            "growth": self.growth.to_json(),
        }


def measure(effort: Effort, progress: Progress = silent) -> LengthResult:
    """Measure all lengths; they take turns, each round with traces of its own."""
    pieces, rounds = (120, 3) if effort.quick else (1080, 3)
    made = pool(effort.seed, pieces)
    operations = sum(map(len, made))
    traces = {length: joined(made, length) for length in LENGTHS if length <= operations}
    shared: dict[int, list[float]] = {length: [] for length in traces}
    alone: dict[int, list[float]] = {length: [] for length in traces}
    for turn in range(rounds):
        for place, length in enumerate(traces):
            progress((turn + place / len(traces)) / rounds, f"traces of {length} operations")
            shared[length].append(cost(traces[length], True, STEPS))
            alone[length].append(cost(traces[length], False, ENDS))
    return LengthResult(shared, alone, operations)


def pool(seed: int, count: int) -> list[list[Op]]:
    """Pieces of a trace, valid one after the other in any order."""
    pieces = []
    for index in range(count):
        ops = list(generate(seed, index, PIECE).ops)
        layout = Layout()
        for op in ops:
            follow(op, layout, Trace(()).config)
        if layout.migrating:
            ops.append(Op("migration_stop"))
        page = Trace(()).config.page_size
        ops += [Op("ram_free", (first * page,)) for first, _ in layout.blocks]
        pieces.append(ops)
    return pieces


def joined(pieces: Sequence[Sequence[Op]], length: int) -> list[Trace]:
    """All pieces, in traces of at least ``length`` operations but the last."""
    traces: list[list[Op]] = [[]]
    for piece in pieces:
        if len(traces[-1]) >= length:
            traces.append([])
        traces[-1] += piece
    made = [Trace(tuple(ops)) for ops in traces]
    for trace in made:
        assert trace.program and trace.most_pages
    return made


def cost(traces: Sequence[Trace], share: bool, steps: Sequence[int]) -> float:
    """Seconds an operation, executed on some steps and compared."""
    classes = SUBJECT.machines()
    began = clock()
    for trace in traces:
        check_trace(classes, trace, steps, share)
    return (clock() - began) / sum(len(trace.ops) for trace in traces)

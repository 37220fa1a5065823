"""Section ``lockstep``: all 40 steps, against Hypothesis driving two of them.

In each round Hypothesis drives a pair of adjacent models that behave the same; what it
did is then done again, operation for operation, by the lockstep. Generating is part of
Hypothesis' time (it cannot be taken out: it chooses as it goes) and not of the
lockstep's; what generating the same number of operations costs here is told beside it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
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
from replay.dirty.language.generate import Profile, generate
from replay.dirty.language.trace import Trace
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.rules.diff import first_difference
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError

PAIRS: Final = ((27, 28), (12, 13))
"""Adjacent steps without a deviation in the trace language; one pair on bitmaps, one on bytes."""

STEPS: Final = tuple(range(FOLD.last + 1))
OPS: Final = 50
GOAL: Final = 150

SIDES: Final = (
    ("hypothesis", "Hypothesis, two models"),
    ("engine", "  of that, Hypothesis alone"),
    ("pair", "lockstep, the same two"),
    ("pair_unshared", "  every step executes all"),
    ("all", "lockstep, 40 steps"),
    ("all_unshared", "  every step executes all"),
    ("generate", "generating, for comparison"),
)


@dataclass(slots=True)
class Rounds:
    """Seconds an operation of each side, a value a round; the sides took turns."""

    pair: tuple[int, int]
    operations: int = 0
    examples: int = 0
    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name, _ in SIDES})
    kinds: dict[str, int] = field(default_factory=dict)

    def add(self, traces: Sequence[Trace], seconds: Mapping[str, float]) -> None:
        """Count a round: the traces that all sides worked on, and the seconds each took."""
        operations = sum(len(trace.ops) for trace in traces)
        self.operations += operations
        self.examples += len(traces)
        for name, spent in seconds.items():
            self.seconds[name].append(spent / operations)
        for trace in traces:
            for op in trace.ops:
                self.kinds[op.name] = self.kinds.get(op.name, 0) + 1

    def ratio(self, side: str, per_operation: float) -> Spread:
        """How many times Hypothesis' rate; ``per_operation``: units a side does in one."""
        spread = ratios(self.seconds["hypothesis"], self.seconds[side])
        return Spread(
            spread.median * per_operation,
            spread.low * per_operation,
            spread.high * per_operation,
            spread.rounds,
        )

    @property
    def checked(self) -> Spread:
        """Operations compared between two adjacent steps a second: 39 against 1."""
        return self.ratio("all", len(STEPS) - 1)

    @property
    def stepped(self) -> Spread:
        """Operations times steps a second: 40 against 2."""
        return self.ratio("all", len(STEPS) / 2)

    @property
    def at_once(self) -> float:
        """The same against Hypothesis driving all 40 models in one machine (computed)."""
        median = {name: Spread.of(values).median for name, values in self.seconds.items()}
        return (median["engine"] + median["all_unshared"]) / median["all"]


@dataclass(frozen=True, slots=True)
class LockstepResult:
    """Both pairs, and the setting."""

    pairs: tuple[Rounds, ...]

    def tables(self) -> Sequence[Table]:
        """One for each pair."""
        return [_table(rounds) for rounds in self.pairs]

    def verdicts(self) -> Sequence[Attainment]:
        """The goal, for each pair."""
        return [
            Attainment(
                f"{GOAL} times Hypothesis' rate of checked operations "
                f"(steps {r.pair[0]} and {r.pair[1]})",
                f"{r.checked.text(0)} times",
                r.checked.median >= GOAL,
            )
            for r in self.pairs
        ]

    def notes(self) -> Sequence[str]:
        """What the columns mean."""
        return [
            f"Both sides did the same operations: those that Hypothesis chose, {OPS} an example.",
            "checked: operations compared between adjacent steps (39 an operation; 1 for a pair).",
            "op x step: operations times the steps they were known for (40; 2 for a pair).",
            "A lockstep step executes what it may do otherwise than the step before, from an "
            "equal state; the rest follows (dirty.machine.lockstep). 'executes all' does without.",
            *(
                f"Against Hypothesis driving all 40 models in one machine (computed from its own "
                f"cost and that of the models, steps {r.pair[0]} and {r.pair[1]}): "
                f"{r.at_once:.1f} times."
                for r in self.pairs
            ),
        ]

    def to_json(self) -> dict[str, Any]:
        """Seconds an operation of every side and round, and the ratios."""
        return {
            "operations_an_example": OPS,
            "steps": len(STEPS),
            "pairs": [
                {
                    "steps": list(r.pair),
                    "operations": r.operations,
                    "examples": r.examples,
                    "kinds": r.kinds,
                    "seconds_an_operation": r.seconds,
                    "ratio_checked_operations": r.checked.to_json(),
                    "ratio_operations_times_steps": r.stepped.to_json(),
                    "ratio_same_two_models": r.ratio("pair_unshared", 1).to_json(),
                    "ratio_same_two_models_shared": r.ratio("pair", 1).to_json(),
                    "ratio_unshared_checked_operations": r.ratio(
                        "all_unshared", len(STEPS) - 1
                    ).to_json(),
                    "ratio_all_at_once_computed": r.at_once,
                }
                for r in self.pairs
            ],
        }


def _table(rounds: Rounds) -> Table:
    units = {"hypothesis": (1, 2), "pair": (1, 2), "pair_unshared": (1, 2),
             "all": (39, 40), "all_unshared": (39, 40)}  # fmt: skip
    rows = []
    for name, label in SIDES:
        cost = Spread.of(rounds.seconds[name])
        cells = [label, f"{cost.median * 1e6:.1f}"]
        if name in units:
            pairs, steps = units[name]
            ratio = rounds.ratio(name, pairs)
            cells += [
                f"{pairs / cost.median:,.0f}",
                f"{steps / cost.median:,.0f}",
                "1" if name == "hypothesis" else ratio.text(0),
                "1" if name == "hypothesis" else f"{ratio.median / pairs * steps / 2:.0f}",
            ]
        rows.append((*cells, *[""] * (6 - len(cells))))
    return Table(
        f"steps {rounds.pair[0]} and {rounds.pair[1]}: {rounds.operations:,} operations in "
        f"{rounds.examples} examples, {len(rounds.seconds['all'])} rounds",
        ("", "us/op", "checked/s", "op x step/s", "ratio of checked", "of op x step"),
        tuple(rows),
    )


def measure(effort: Effort, progress: Progress = silent) -> LockstepResult:
    """Measure both pairs.

    Raises:
        UsageError: Hypothesis is not installed.

    """
    if importlib.util.find_spec("hypothesis") is None:
        raise UsageError(
            "the lockstep section needs Hypothesis: install replay-series[bench], or leave "
            "the section out with --only memory,length,store"
        )
    number, examples = (3, 12) if effort.quick else (9, 60)
    measured = [Rounds(pair) for pair in PAIRS]
    classes = SUBJECT.machines()
    for rounds in measured:  # imports, caches and specialised code, for all sides
        one_round(rounds, classes, 3, effort.seed, keep=False)
    for index in range(number):
        for place, rounds in enumerate(measured):
            done = (index * len(measured) + place) / (number * len(measured))
            progress(done, f"steps {rounds.pair[0]} and {rounds.pair[1]}")
            one_round(rounds, classes, examples, effort.seed * 1000 + index)
    return LockstepResult(tuple(measured))


def one_round(
    rounds: Rounds,
    classes: Sequence[type[Any]],
    examples: int,
    seed: int,
    keep: bool = True,
) -> list[Trace]:
    """Let each side have its turn; gives the traces that all of them worked on."""
    from replay.dirty.bench.stateful import drive, repeat

    old, new = rounds.pair
    began = clock()
    traces = drive(classes[old], classes[new], examples, OPS, seed)
    seconds = {"hypothesis": clock() - began}
    for trace in traces:
        # As the generator hands traces over; both are kept with the trace.
        assert trace.program is not None and trace.most_pages
    began = clock()
    repeat(classes[old], classes[new], traces)
    seconds["engine"] = seconds["hypothesis"] - (clock() - began)
    for name, steps, share in (
        ("all", STEPS, True),
        ("pair", rounds.pair, True),
        ("pair_unshared", rounds.pair, False),
        ("all_unshared", STEPS, False),
    ):
        began = clock()
        for trace in traces:
            check_trace(classes, trace, steps, share)
        seconds[name] = clock() - began
    operations = sum(len(trace.ops) for trace in traces)
    began = clock()
    for index in range(len(traces)):
        generate(seed, index, Profile(ops=operations // len(traces)))
    seconds["generate"] = clock() - began
    if keep:
        rounds.add(traces, seconds)
    return traces


def check_trace(
    classes: Sequence[type[Any]], trace: Trace, steps: Sequence[int], share: bool
) -> list[int]:
    """Run a trace on steps and compare the adjacent ones; gives the steps that differ."""
    runs = run_steps(classes, trace, steps, share)
    found = []
    for before, step in pairwise(steps):
        old, new = runs[before], runs[step]
        if old.records is not new.records and first_difference(old, new):
            found.append(step)
    return found

"""What a check finds that is told nothing: the gallery's defects, and whom it blames wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from replay.dirty.bench.figures import Attainment, Effort, Progress, Spread, Table
from replay.dirty.gallery.recall import Recall, recall

SEEDS: Final = 3
TRACES: Final = 1200
"""As many as a check runs by default."""


@dataclass(frozen=True, slots=True)
class RecallResult:
    """Such a check for each of some seeds."""

    checks: tuple[Recall, ...]

    def tables(self) -> Sequence[Table]:
        """A row a defect: operations until a trace shows it."""
        rows = []
        for place, one in enumerate(self.checks[0].defects):
            took = [check.defects[place].operations for check in self.checks]
            known = [float(count) for count in took if count is not None]
            text = Spread.of(known).text(0) if known else "-"
            rows.append((one.name, str(one.step), f"{len(known)}/{len(took)}", text))
        columns = ("defect", "step", "found", "operations")
        return [Table("Found by a check that is told nothing", columns, tuple(rows))]

    def verdicts(self) -> Sequence[Attainment]:
        """All of them, and nobody else blamed."""
        total = sum(len(check.defects) for check in self.checks)
        found = sum(
            one.operations is not None and one.step not in check.missed
            for check in self.checks for one in check.defects
        )  # fmt: skip
        alarms = sum(len(check.false_alarms) for check in self.checks)
        return [
            Attainment("every defect of the series is found at its step", f"{found} of {total}",
                       found == total),
            Attainment("no other step is blamed", f"{alarms} false alarms", alarms == 0),
        ]  # fmt: skip

    def notes(self) -> Sequence[str]:
        """How it was measured."""
        first = self.checks[0]
        inner = ", ".join(map(str, first.inner))
        return [
            f"{len(self.checks)} checks of {first.traces:,} traces of {first.ops} operations, on "
            "the models, with every declared deviation and every property given up left out.",
            f"Steps {inner} differ inside alone, as they declare: direct calls of their functions "
            "show it, and no defect is behind it.",
            "Changes of later code (6886867e98, f874bf905f, 88c73d16ad, 084140bd49, f70d3451fe) "
            "are in none of the steps: a step blamed for one of them would be a false alarm.",
        ]

    def to_json(self) -> dict[str, Any]:
        """Each check."""
        return {"checks": [_plain(asdict(check)) for check in self.checks]}


def _plain(value: Any) -> Any:
    """Tuples as lists."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def measure(effort: Effort, progress: Progress) -> RecallResult:
    """Run the checks."""
    seeds, traces = (1, TRACES // 6) if effort.quick else (SEEDS, TRACES)
    checks = []
    for number in range(seeds):
        progress(number / seeds, f"check {number + 1} of {seeds}")
        checks.append(recall(effort.seed + number, traces))
    return RecallResult(tuple(checks))

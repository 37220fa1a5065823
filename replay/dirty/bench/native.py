"""The C lane's speed, and what the series gains and loses in C.

Needs a C compiler; the steps are built first, or found in the cache.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from replay.dirty.bench.figures import Attainment, Effort, Progress, Table
from replay.dirty.native.bench import (
    CallFigures,
    EndToEnd,
    LaneFigures,
    measure_calls,
    measure_end_to_end,
    measure_lane,
)
from replay.dirty.native.costs import SHARES, STEPS, Costs, measure_costs, store_bytes
from replay.dirty.native.model import built_series, libraries_of
from replay.dirty.native.twins import twins

LANE_GOALS: Final = (1.2, 1.3, 1.6)
"""What the lane may cost over a bare loop of all steps, in the order of the workloads: the
less an operation does, the more it weighs to look at the state after it."""

END_GOAL: Final = 0.7
CALL_GOAL: Final = 15.0


@dataclass(frozen=True, slots=True)
class LaneResult:
    """The lane against a bare loop, end to end, and against single calls.

    ``codes``: how many steps there are that are not the same code as another.
    """

    lane: list[LaneFigures]
    ends: list[EndToEnd]
    calls: list[CallFigures]
    codes: int

    def tables(self) -> Sequence[Table]:
        """Nanoseconds an operation and step, and ratios."""
        lane = tuple(
            (f.workload, f"{f.bare:.1f}", f"{f.sparse:.1f}", f"{f.sparse_ratio:.2f}",
             f"{f.sound:.1f}", f"{f.sound_ratio:.2f}", f"{f.shared:.1f}", f"{f.shared_ratio:.2f}")
            for f in self.lane
        )  # fmt: skip
        ends = tuple((f"every {e.every}", f"{e.share:.2f}") for e in self.ends)
        calls = tuple(
            (f.workload, f"{f.lane:.0f}", f"{f.ctypes / f.lane:.1f}", f"{f.cffi / f.lane:.1f}",
             f"{f.python / f.lane:.0f}", f"{f.shared / f.lane:.0f}")
            for f in self.calls
        )  # fmt: skip
        return (
            Table(
                "The lane against a bare C loop, ns an operation and step",
                ("workload", "bare", "every 16", "ratio", "every 1", "ratio", "lane", "ratio"),
                lane,
            ),
            Table(
                "Generate, run on 40 steps, compare: the bare loop's share",
                ("state in the digest", "share"),
                ends,
            ),
            Table(
                "Other ways over the lane (state every 16th, the same code once)",
                ("workload", "lane ns", "ctypes", "cffi", "Python", "Python shared"),
                calls,
            ),
        )

    def verdicts(self) -> Sequence[Attainment]:
        """The three goals: the lane's on each workload, the others on their worst."""
        lane = [f.shared_ratio for f in self.lane]
        goals = zip(lane, LANE_GOALS, strict=True)
        share = {e.every: e.share for e in self.ends}
        # Without cffi its figure is no number, and ctypes alone is compared.
        calls = min(
            seconds / f.lane
            for f in self.calls
            for seconds in (f.ctypes, f.cffi)
            if not math.isnan(seconds)
        )
        return (
            Attainment(
                f"the lane within {' / '.join(map(str, LANE_GOALS))} of a bare loop",
                " / ".join(f"{ratio:.2f}" for ratio in lane),
                all(ratio <= goal for ratio, goal in goals),
            ),
            Attainment(
                f"end to end at least {END_GOAL} of the bare loop",
                ", ".join(f"{share[every]:.2f} (every {every})" for every in sorted(share)),
                min(share.values()) >= END_GOAL,
            ),
            Attainment(
                f"at least {CALL_GOAL:.0f} times single calls", f"{calls:.1f}", calls >= CALL_GOAL
            ),
        )

    def notes(self) -> Sequence[str]:
        """What the columns mean."""
        return (
            "The default of the lane is the state in the digest after every operation: with "
            "every 16th, differences that heal in between are missed.",
            f"lane: the same, and of steps that are the same code once loaded one is run, here "
            f"{self.codes} of 40. The bare loop is of all of them.",
        )

    def to_json(self) -> dict[str, Any]:
        """All figures, in nanoseconds."""
        return {
            name: [
                {
                    key: None if isinstance(value, float) and math.isnan(value) else value
                    for key, value in dataclasses.asdict(figure).items()
                }
                for figure in getattr(self, name)
            ]
            for name in ("lane", "ends", "calls")
        }


@dataclass(frozen=True, slots=True)
class CostResult:
    """What a sync and a log merge cost in C at some steps."""

    costs: Costs

    def tables(self) -> Sequence[Table]:
        """Nanoseconds a page, ratios, and the size of the store."""
        tables = []
        for what, title in (("sync", "A migration sync"), ("merge", "A KVM log merge")):
            for aligned in (True, False):
                where = "aligned block" if aligned else "block off a word boundary"
                rows = tuple(
                    (f"{share:.0%}",
                     *(f"{self.costs.of(what, share, step, aligned):.3f}" for step in STEPS))
                    for share in SHARES
                )  # fmt: skip
                columns = ("dirty", *(f"step {step}" for step in STEPS))
                tables.append(Table(f"{title}, ns a page, {where}", columns, rows))
        sizes = (("bytes", *(f"{store_bytes(step)}" for step in (0, 18, 19, 39))),)
        tables.append(Table("Dirty store of a GiB of guest", ("", "0", "18", "19", "39"), sizes))
        return tables

    def verdicts(self) -> Sequence[Attainment]:
        """What the real code is known to do: each ratio within a factor of 2."""
        found = []
        for ratio in self.costs.ratios():
            low, high = ratio.expected or (1.0, math.inf)
            goal = f"{low:g}" if low == high else f"more than {low:g}"
            if low != high and not math.isinf(high):
                goal = f"{low:g} to {high:g}"
            found.append(Attainment(f"{ratio.name}: {goal}", f"{ratio.measured:.1f}", ratio.agrees))
        return found

    def notes(self) -> Sequence[str]:
        """What is measured and what is worked out."""
        return (
            "The bytes of the store follow from its layout. A block off a word boundary, as "
            "VGA memory may be, gains nothing from steps 37 and 39.",
        )

    def to_json(self) -> dict[str, Any]:
        """All figures, in nanoseconds a page."""
        return {
            "pages": self.costs.pages,
            "tcg": self.costs.tcg,
            "nanoseconds_a_page": [dataclasses.asdict(figure) for figure in self.costs.figures],
            "store_bytes_a_gib": {str(step): store_bytes(step) for step in range(40)},
        }


def measure_native(effort: Effort, progress: Progress) -> LaneResult:
    """The lane's own speed."""
    progress(0.0, "building the C steps")
    libraries = libraries_of(built_series())
    rounds = 3 if effort.quick else 9
    progress(0.2, "against a bare loop")
    lane = measure_lane(libraries, effort.seed, rounds)
    progress(0.5, "end to end")
    ends = [measure_end_to_end(libraries, effort.seed, rounds, every) for every in (16, 1)]
    progress(0.7, "against single calls")
    calls = measure_calls(libraries, effort.seed, 3 if effort.quick else 5)
    return LaneResult(lane, ends, calls, len(set(twins(libraries.paths).values())))


def measure_cost(effort: Effort, progress: Progress) -> CostResult:
    """What the series gains and loses."""
    progress(0.0, "building the C steps")
    libraries = libraries_of(built_series())
    progress(0.2, "syncs and merges")
    pages = 1 << (14 if effort.quick else 18)
    return CostResult(measure_costs(libraries, pages=pages, rounds=5 if effort.quick else 15))

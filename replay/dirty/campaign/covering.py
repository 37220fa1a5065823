"""What the traces of a plan reach, without judging them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from replay.base.pool import Pool
from replay.dirty.machine.coverage import Coverage
from replay.dirty.machine.reach import Reach, reach
from replay.search.campaign import Told, gather, untold
from replay.series.check import SHARE, Plan


@dataclass(frozen=True, slots=True)
class Covering:
    """The campaign that only counts. Picklable; see ``search.campaign``."""

    plan: Plan
    share: int = SHARE

    def nothing(self) -> Coverage:
        """The coverage of no traces."""
        return Coverage(self.plan.needed)

    def look(self, numbers: range) -> Coverage:
        """Run the traces of these numbers at every step, and count."""
        plan, found = self.plan, self.nothing()
        machines = plan.machines()
        for number in numbers:
            trace = plan.draw(number)
            found.add(trace, run(plan, machines, trace), number)
        return found

    def example(self, finding: Any, budget: int) -> None:
        """Nothing is shown by an example."""


def run(plan: Plan, machines: Sequence[Any], trace: Any) -> Any:
    """The runs of a trace at all steps of a plan."""
    return plan.subject.lockstep(machines, trace, plan.needed)


def cover(plan: Plan, jobs: int = 1, told: Told = untold) -> Reach:
    """Count what the traces of a plan reach; the result does not depend on ``jobs``.

    Raises:
        WorkerError: a worker process died.

    """
    plan.machines()
    with Pool(jobs, "counting paths") as pool:
        return reach(gather(Covering(plan), plan.traces, pool, told))

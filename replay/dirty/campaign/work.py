"""What a campaign asks, the ranges that it is cut into, and what a worker does with one."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import refmodels
from replay.build.cache import key
from replay.campaign.sums import Task
from replay.dirty.campaign.drawing import Kept, Steering, Wanted
from replay.dirty.language.generate import DEFAULT
from replay.dirty.language.trace import Trace
from replay.dirty.machine.coverage import Coverage
from replay.dirty.native.compare import NativeTally, Work
from replay.dirty.native.model import built_series, libraries_of
from replay.dirty.native.session import Libraries, can_run
from replay.dirty.subject import SUBJECT
from replay.errors import UsageError
from replay.series.check import Check, Plan
from replay.series.declared import data_path
from replay.series.tally import Share

LANES: Final = ("python", "native", "both")
"""The models, the C of the steps against each other, and the C against the models."""

SHARE: Final = 20
"""Traces in a range; an epoch is made of whole ranges."""

CORPUS: Final = "corpus/"
"""How the name of a lane begins in which traces of the corpus were run."""

Tally = Share | NativeTally


@dataclass(frozen=True, slots=True)
class Asked:
    """What a campaign asks. Picklable.

    Attributes:
        seed, ops: of the traces.
        steps: the steps to judge, each against the one before.
        lanes: some of LANES.
        copies: changed copies of step modules, (step, path).
        compiler: that of the C; cc by default.
        libraries: the C, where this process has built it.

    """

    seed: int = 1
    ops: int = DEFAULT.ops
    steps: tuple[int, ...] = SUBJECT.steps
    lanes: tuple[str, ...] = ("python",)
    copies: tuple[tuple[int, str], ...] = ()
    compiler: str | None = None
    libraries: Libraries | None = None

    def plan(self, wanted: Wanted = (), kept: tuple[Trace, ...] | None = None) -> Plan:
        """What to check, on traces that are drawn, or on these."""
        profile = replace(DEFAULT, ops=self.ops)
        language = Steering(profile, wanted) if kept is None else Kept(profile, kept)
        return Plan(SUBJECT, language, self.seed, 0, self.steps, self.copies)

    def campaign(self, lane: str, plan: Plan) -> Check | Work:
        """The campaign of a lane on a plan."""
        if lane == "python":
            return Check(plan, watched=True)
        assert self.libraries is not None, "built before"
        return Work(lane, plan, self.libraries)

    def to_json(self) -> dict[str, Any]:
        """As plain values; what was built is not among them."""
        return {
            "seed": self.seed, "ops": self.ops, "steps": list(self.steps),
            "lanes": list(self.lanes), "copies": [list(copy) for copy in self.copies],
            "compiler": self.compiler,
        }  # fmt: skip

    @classmethod
    def of(cls, values: dict[str, Any]) -> Asked:
        """From plain values."""
        copies = tuple((int(step), str(path)) for step, path in values["copies"])
        steps = tuple(SUBJECT.names.numbered(step) for step in values["steps"])
        return cls(values["seed"], values["ops"], steps, tuple(values["lanes"]), copies,
                   values["compiler"])  # fmt: skip


@dataclass(slots=True)
class StepBatch:
    """What a range of traces showed: a tally a lane, and how many operations were made."""

    numbers: range
    ops: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Lanes:
    """The work: traces run in all lanes. Tasks are led to the paths wanted, epoch by epoch.

    Attributes:
        asked: what is to be run.
        made: :func:`made_of` it.
        kept: all traces that there are, where they are not drawn, and ``fit``: how many of
            them, the first ones, the C can run.

    """

    asked: Asked
    made: str
    kept: tuple[Trace, ...] | None = None
    fit: int = 0

    def run(self, task: Task) -> StepBatch:
        """Run the traces of a task in all lanes.

        Raises:
            UsageError: this process has other models than the campaign.
            BuildError: the C cannot be built here.
            DomainError, WorkerError: the C cannot be run.

        """
        if self.made != made_of(self.asked):
            raise UsageError(
                "this worker has another version of replay, its models or its series than the "
                "campaign; start it with the same"
            )
        here = replace(self, asked=with_libraries(self.asked))
        batch = StepBatch(task.numbers)
        for lane in self.asked.lanes:
            here.run_lane(task, lane, batch)
        return batch

    def packed(self) -> Lanes:
        """The same: the C is built on each machine, once."""
        return self

    def run_lane(self, task: Task, lane: str, batch: StepBatch) -> None:
        """Run the traces of a task in a lane, and put what they show into a batch."""
        asked, numbers, kept = self.asked, task.numbers, self.kept
        if kept is not None and lane != "python":
            numbers = range(numbers.start, min(numbers.stop, self.fit))
        campaign = asked.campaign(lane, asked.plan(task.lead or (), kept))
        tally: Tally = campaign.look(numbers) if numbers else campaign.nothing()
        if isinstance(tally, Share):
            watched, tally.watched = tally.watched, None
            batch.coverage = watched if isinstance(watched, Coverage) else None
        steps = len(campaign.plan.needed)
        batch.ops += steps * (
            len(numbers) * asked.ops
            if kept is None
            else sum(len(kept[number].ops) for number in numbers)
        )
        batch.tallies[lane] = tally


def with_libraries(asked: Asked) -> Asked:
    """The same with the C built on this machine, if a lane needs it and it is not here.

    Raises:
        BuildError: there is no compiler, or a step does not build.

    """
    held = asked.libraries
    if set(asked.lanes) <= {"python"} or (held and Path(held.paths[0][1]).is_file()):
        return asked
    return replace(asked, libraries=_libraries(asked.compiler))


def fits(asked: Asked, trace: Trace) -> bool:
    """Whether the C can run a trace, where a lane has it run any."""
    if set(asked.lanes) <= {"python"}:
        return False
    assert asked.libraries is not None, "built before"
    return can_run(asked.libraries, trace)


@cache
def _libraries(compiler: str | None) -> Libraries:
    return libraries_of(built_series(compiler=compiler, jobs=1))


@cache
def made_of(asked: Asked) -> str:
    """A name for all that verdicts depend on: models, C, laws, language, and the copies."""
    home = Path(__file__).parents[1]
    files = [*Path(refmodels.__file__).parent.rglob("*.py"), *data_path().rglob("*.patch")]
    files += [*data_path().glob("tree/**/*.[ch]"), *data_path().rglob("*.toml")]
    files += [
        path for part in ("language", "machine", "rules") for path in (home / part).glob("*.py")
    ]
    parts = [path.name.encode() + b"\0" + path.read_bytes() for path in sorted(files)]
    copies = [f"{int(step)}".encode() + Path(path).read_bytes() for step, path in asked.copies]
    return key([*parts, *copies])[:16]

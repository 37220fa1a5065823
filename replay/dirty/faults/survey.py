"""All faults of some steps, judged over several processes; and what is argued of survivors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from replay.base.pool import Pool
from replay.dirty.faults.fault import Fault
from replay.dirty.faults.judge import Judgement, Search, judge_fault
from replay.dirty.faults.mutate import faults
from replay.dirty.faults.mutate_c import c_faults
from replay.errors import SeriesError
from replay.series.declared import data_path

STEPS: Final = 50
"""Operations a trace."""

Rival: TypeAlias = Callable[[Fault, int, int], bool]
"""Whether somebody else finds a fault, given so many operations and a seed. Picklable."""


class Equivalent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A fault that changes nothing, and why: ``name`` as :attr:`Fault.name`."""

    name: str
    why: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    equivalent: tuple[Equivalent, ...]


@cache
def equivalents(path: Path | None = None) -> dict[str, str]:
    """The faults that are argued to change nothing: name to argument.

    Raises:
        SeriesError: the file cannot be read, or names a fault twice.
    """
    file = path or data_path() / "equivalent.toml"
    try:
        entries = msgspec.toml.decode(file.read_bytes(), type=_File).equivalent
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise SeriesError(f"{file}: {error}") from None
    found: dict[str, str] = {}
    for entry in entries:
        if entry.name in found:
            raise SeriesError(f"{file}: {entry.name!r} is argued twice")
        if not entry.why.strip():
            raise SeriesError(f"{file}: {entry.name!r} has no argument")
        found[entry.name] = " ".join(entry.why.split())
    return found


@dataclass(slots=True)
class Survey:
    """The judgements of many faults.

    Attributes:
        judged: one judgement a fault.
        rival: fault name to whether the rival found it, as far as it was asked.
        operations: the budget of both, a fault.
        arguments: the faults that are argued to change nothing: name to argument.
    """

    judged: list[Judgement] = field(default_factory=list)
    rival: dict[str, bool] = field(default_factory=dict)
    operations: int = 0
    arguments: dict[str, str] = field(default_factory=equivalents)

    @property
    def void(self) -> list[Judgement]:
        """What turned out to be no fault: it does not compile, or to the same code."""
        return [j for j in self.judged if j.void]

    @property
    def real(self) -> list[Judgement]:
        """All others."""
        return [j for j in self.judged if not j.void]

    @property
    def found(self) -> list[Judgement]:
        """Those that some lane found, at whatever step."""
        return [j for j in self.real if j.found]

    @property
    def argued(self) -> list[Judgement]:
        """Survivors that are argued to change nothing."""
        return [j for j in self.real if j.survives and j.fault.name in self.arguments]

    @property
    def survivors(self) -> list[Judgement]:
        """Survivors without an argument."""
        return [j for j in self.real if j.survives and j.fault.name not in self.arguments]

    @property
    def refuted(self) -> list[Judgement]:
        """Faults that were found although it is argued that they change nothing."""
        return [j for j in self.found if j.fault.name in self.arguments]

    @property
    def misblamed(self) -> list[Judgement]:
        """Found, but at another step."""
        return [j for j in self.found if not j.right]

    @property
    def wanted(self) -> int:
        """How many there are to be found."""
        return len(self.real) - len(self.argued)

    @property
    def share(self) -> float:
        """The share found of those."""
        return len(self.found) / self.wanted if self.wanted else 0.0

    @property
    def passed(self) -> bool:
        """At least 99 in 100 found, each at its step, no argument refuted."""
        return self.share >= 0.99 and not self.misblamed and not self.refuted


SUBJECTS: Final[dict[str, tuple[Callable[[int], list[Fault]], ...]]] = {
    "models": (faults,),
    "c": (c_faults,),
    "all": (faults, c_faults),
}
"""What faults can be put into, and what makes them."""


def chosen(steps: Sequence[int], every: int, subject: str = "models") -> list[Fault]:
    """The faults of some steps, or each ``every``-th of them."""
    made = [fault for step in steps for make in SUBJECTS[subject] for fault in make(step)]
    return made[::every]


def survey(
    wanted: Sequence[Fault],
    search: Search,
    jobs: int = 1,
    rival: Rival | None = None,
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Judge faults.

    Args:
        wanted: the faults.
        search: how each is looked for; the same seed gives the same survey.
        jobs: processes.
        rival: is asked too, with as many operations; only of faults in models.
        progress: called with 1 for each fault judged.
    """
    result = Survey(operations=search.traces * STEPS)
    tasks = [(fault, (fault, search, None if fault.in_c else rival)) for fault in wanted]
    with Pool(jobs, "judging faults") as pool:
        for _, (judged, found) in pool.map(_one, tasks, lambda task: task[0].name):
            result.judged.append(judged)
            if found is not None:
                result.rival[judged.fault.name] = found
            if progress:
                progress(1)
    return result


def _one(task: tuple[Fault, Search, Rival | None]) -> tuple[Judgement, bool | None]:
    fault, search, rival = task
    judged = judge_fault(fault, search)
    return judged, rival(fault, search.traces * STEPS, search.seed) if rival else None

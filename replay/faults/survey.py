"""All faults of some steps, judged over several processes; and what is argued of survivors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import msgspec

from replay.errors import SeriesError
from replay.faults.judge import Judgement, judge_fault
from replay.faults.mutate import Fault, faults
from replay.faults.rival import STEPS, hypothesis_finds
from replay.pool import Pool
from replay.series import data_path


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
        rival: fault name to whether the Hypothesis state machine found it, as far as asked.
        operations: the budget of both, a fault.
    """

    judged: list[Judgement] = field(default_factory=list)
    rival: dict[str, bool] = field(default_factory=dict)
    operations: int = 0

    @property
    def argued(self) -> list[Judgement]:
        """Survivors that are argued to change nothing."""
        return [j for j in self.judged if not j.found and j.fault.name in equivalents()]

    @property
    def survivors(self) -> list[Judgement]:
        """Survivors without an argument."""
        return [j for j in self.judged if not j.found and j.fault.name not in equivalents()]

    @property
    def refuted(self) -> list[Judgement]:
        """Faults that were found although it is argued that they change nothing."""
        return [j for j in self.judged if j.found and j.fault.name in equivalents()]

    @property
    def misblamed(self) -> list[Judgement]:
        """Found, but at another step."""
        return [j for j in self.judged if j.found and not j.right]

    @property
    def share(self) -> float:
        """The share found of those that are not argued away."""
        wanted = len(self.judged) - len(self.argued)
        return sum(j.found for j in self.judged) / wanted if wanted else 0.0

    @property
    def passed(self) -> bool:
        """At least 99 in 100 found, each at its step, no argument refuted."""
        return self.share >= 0.99 and not self.misblamed and not self.refuted


def chosen(steps: Sequence[int], every: int) -> list[Fault]:
    """The faults of some steps, or each ``every``-th of them."""
    return [fault for step in steps for fault in faults(step)][::every]


def survey(
    wanted: Sequence[Fault],
    traces: int,
    seed: int = 1,
    jobs: int = 1,
    budget: int = 0,
    rival: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Survey:
    """Judge faults, each with at most ``traces`` traces of 50 operations.

    Args:
        wanted: the faults.
        traces: how many traces a fault gets at most.
        seed: of the traces; the same seed gives the same survey.
        jobs: processes.
        budget: evaluations for shortening what shows a fault; 0 leaves that out.
        rival: ask the Hypothesis state machine too, with as many operations.
        progress: called with 1 for each fault judged.
    """
    result = Survey(operations=traces * STEPS)
    for judged, found in _every(wanted, traces, seed, jobs, budget, rival):
        result.judged.append(judged)
        if found is not None:
            result.rival[judged.fault.name] = found
        if progress:
            progress(1)
    return result


def _every(
    wanted: Sequence[Fault], traces: int, seed: int, jobs: int, budget: int, rival: bool
) -> Iterator[tuple[Judgement, bool | None]]:
    tasks = [(fault, (fault, traces, seed, budget, rival)) for fault in wanted]
    with Pool(jobs, "judging faults") as pool:
        for _, found in pool.map(_one, tasks, lambda task: task[0].name):
            yield found


def _one(task: tuple[Fault, int, int, int, bool]) -> tuple[Judgement, bool | None]:
    fault, traces, seed, budget, rival = task
    judged = judge_fault(fault, traces, seed, budget)
    return judged, hypothesis_finds(fault, traces * STEPS, seed) if rival else None

"""Traces of which no record is needed: both of a pair gave the same digest of all they showed.

The compiled driver tells a digest a trace, many times faster than a worker tells the records.
A worker runs what the driver cannot tell, what differs, what did not come to its end, and a
few traces of each campaign in any case; where two libraries gave the same digest of a trace,
one of them runs it for both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from replay.repo.calls import Call, CallTrace
from replay.repo.checking import Checker, Runs
from replay.repo.driver.run import Digest
from replay.repo.hanging import Stuck, Tried
from replay.repo.runner import Run
from replay.repo.targets import Target

RECORDED: Final = 24
"""The first traces of a campaign, which are recorded in any case."""
CALLED: Final = 6
"""Traces that call a function which are recorded, where there are as many."""

Told: TypeAlias = "Digest | None"
Key: TypeAlias = tuple[str, Hashable]
"""A target, and which traces it runs."""
Asked: TypeAlias = Mapping[Key, tuple[Target, Sequence[CallTrace]]]


class Agreed(NamedTuple):
    """A trace that both of a pair ran to its end, with equal digests.

    ``before`` and ``after`` tell which places each reached; all else is the same in both.
    """

    number: int
    trace: CallTrace
    made: CallTrace
    before: Digest
    after: Digest


def to_record(numbers: Sequence[int], traces: Mapping[int, CallTrace]) -> frozenset[int]:
    """The traces to record of a share, though both sides agree on them.

    The first ones of all, and of each function some that call it.
    """
    chosen = {number for number in numbers if number < RECORDED}
    enough = Counter(op for number in chosen for op in {call.op for call in traces[number]})
    for number in numbers:
        ops = {call.op for call in traces[number]}
        if number not in chosen and any(enough[op] < CALLED for op in ops):
            chosen.add(number)
            enough.update(ops)
    return frozenset(chosen)


class Settled(NamedTuple):
    """Traces on a pair.

    Attributes:
        tried: those with their runs.
        agreed: those on which both sides agree.
        stuck: those that hang on both sides at one call, and ``waiting``: by their numbers,
            those that have to be run again without what hangs.
        needed: the places of those that a worker has to run.

    """

    tried: list[Tried]
    agreed: list[Agreed]
    stuck: list[Stuck]
    waiting: list[int]
    needed: list[int]

    @classmethod
    def none(cls) -> Settled:
        """Of no trace."""
        return cls([], [], [], [], [])


def sort(
    told: Iterable[tuple[int, Told, Told]], traces: Mapping[int, CallTrace],
    made: Sequence[CallTrace], last: bool, is_twice: Callable[[Call], bool] = lambda call: False,
) -> Settled:  # fmt: skip
    """Which traces a worker has to run of those whose digests are told, and what of the others.

    Args:
        told: the number of each, and its digests before and after.
        traces: as drawn, by their numbers.
        made: as they were run, in the order of what is told.
        last: whether they are run no more, so that it has to be known what hangs.
        is_twice: whether a call is one that is left out also where it crashes on both sides.

    """
    told = list(told)
    found = Settled.none()
    recorded = to_record([number for number, _, _ in told], traces)
    stuck = {
        at for at, (_, before, after) in enumerate(told)
        if not last and stop(before, after, made[at], is_twice)
    }  # fmt: skip
    for at, (number, before, after) in enumerate(told):
        if at in stuck and before is not None:
            found.stuck.append(
                Stuck(number, traces[number], made[at], before.at, before.end == "crash")
            )
            found.waiting.append(number)
        elif stuck and (before is None or after is None):
            found.waiting.append(number)
        elif number in recorded or before is None or after is None or not agree(before, after):
            found.needed.append(at)
        else:
            found.agreed.append(Agreed(number, traces[number], made[at], before, after))
    return found


def stop(
    before: Told, after: Told, made: CallTrace, is_twice: Callable[[Call], bool]
) -> bool:  # fmt: skip
    """Whether both end at the same call, which is left out for that."""
    if before is None or after is None or before.value != after.value or before.at >= len(made):
        return False
    if not before.end == after.end == "crash":
        return before.end == after.end == "hang"
    return is_twice(made[before.at])


def agree(before: Told, after: Told) -> bool:
    """Whether no record can tell the two apart, and both came to their end."""
    if before is None or after is None or before.end != "ok":
        return False
    return before.value == after.value


@dataclass(slots=True)
class Shares:
    """The digests of traces on targets, and the runs of those traces that are to be recorded.

    Attributes:
        checker: runs them.
        asked: the targets with the traces of each; keys whose last part is equal have the
            same traces.

    """

    checker: Checker
    asked: Asked

    def digests(self) -> dict[Key, list[Told]]:
        """What the driver tells of each, by the place of the trace."""
        return dict(self.checker.threads.map(self._digests, self.asked.items()))

    def _digests(self, task: tuple[Target, Sequence[CallTrace]]) -> list[Told]:
        return self.checker.digests(*task)

    def runs(
        self, told: Mapping[Key, Sequence[Told]], needed: Mapping[Key, Iterable[int]]
    ) -> dict[Key, dict[int, Run | None]]:
        """The runs of those traces that are needed, by their places.

        Raises:
            RepoError: the model failed.
            WorkerError: a worker could not be started, or was killed.

        """
        owner: dict[tuple[Hashable, int, int], Key] = {}
        takes: dict[Key, dict[int, Key]] = {}
        own: dict[Key, list[int]] = {}
        for key, places in needed.items():
            takes[key] = {}
            for place in sorted(places):
                digest = told[key][place]
                runs_it = key
                if digest is not None and digest.end == "ok":
                    runs_it = owner.setdefault((key[1], place, digest.value), key)
                takes[key][place] = runs_it
                if runs_it == key:
                    own.setdefault(key, []).append(place)
        tasks = [(key, (key, places, told[key])) for key, places in own.items()]
        ran = dict(self.checker.threads.map(self._run, tasks))
        return {
            key: {place: _as_told(ran[by][place], told[key][place]) for place, by in places.items()}
            for key, places in takes.items()
        }

    def _run(self, task: tuple[Key, Sequence[int], Sequence[Told]]) -> dict[int, Run | None]:
        key, places, told = task
        target, traces = self.asked[key]
        ran: Runs = self.checker.run_all(
            target, [traces[place] for place in places], [told[place] for place in places]
        )
        return dict(zip(places, ran, strict=True))


def _as_told(run: Run | None, digest: Told) -> Run | None:
    """A run with the places that this very library reached."""
    return run if run is None or digest is None else replace(run, reached=digest.reached)

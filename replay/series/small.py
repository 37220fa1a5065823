"""The parts of a subject whose machine is small enough to be looked at whole.

A subject with a machine of a few numbers needs no trace language, lockstep or watcher of
its own: it says which operations there are and which numbers each takes; its machines have
a method an operation and a method ``observe`` that gives all there is to see, as a dict of
plain values. With series.toml, step modules for a ``Fold``, laws and properties that is a
whole subject. :func:`subject` puts the parts together.

A law is given what the machine showed before an operation, the operation, and what the step
before makes of it, (returned, state); it gives what this step must make of it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from refmodels.fold import Fold
from replay.errors import SeriesError
from replay.series.declared import Deviation
from replay.series.small_language import SmallLanguage, SmallOp, SmallTrace, Words
from replay.series.subject import Machine, RunProperty, Subject

State: TypeAlias = Mapping[str, Any]
Made: TypeAlias = tuple[Any, State]
Law: TypeAlias = Callable[[State, "SmallOp", Made], Made]


class SmallRecord(NamedTuple):
    """What was observed of an operation; the state is empty where the machine crashed."""

    ret: Any
    status: str
    state: State


@dataclass(frozen=True, slots=True)
class SmallRun:
    """A trace, executed at one step; shorter than the trace where the machine crashed."""

    trace: SmallTrace
    step: int
    records: Sequence[SmallRecord]


@dataclass(frozen=True, slots=True)
class SmallParting:
    """Where two runs part, and what each shows there."""

    index: int
    fields: tuple[str, ...]
    old: Mapping[str, Any]
    new: Mapping[str, Any]

    def words(self) -> str:
        """What differs, new against old."""
        return "; ".join(
            f"{name} is {self.new.get(name)!r}, was {self.old.get(name)!r}" for name in self.fields
        )


# --- running and comparing --------------------------------------------------------------


def run(step: int, machine: Machine, trace: SmallTrace) -> SmallRun:
    """Execute a trace on a fresh machine; a machine that raises has crashed."""
    vm = machine()
    records = []
    for op in trace.ops:
        records.append(_made(vm, op))
        if records[-1].status != "ok":
            break
    return SmallRun(trace, step, records)


def _made(vm: Any, op: SmallOp) -> SmallRecord:
    try:
        ret = getattr(vm, op.name)(*op.args)
        return SmallRecord(ret, "ok", dict(vm.observe()))
    except Exception as error:
        return SmallRecord(f"{type(error).__name__}: {error}", "crash", {})


def _fields(record: SmallRecord) -> dict[str, Any]:
    return {"ret": record.ret, "status": record.status, **record.state}


def parting(old: SmallRun, new: SmallRun) -> SmallParting | None:
    """Where two runs of one trace part, None where they never do."""
    for index, (a, b) in enumerate(zip(old.records, new.records, strict=False)):
        if a != b:
            return _parting(index, a, b)
    return None  # one that is shorter has crashed, which differs


def _parting(index: int, a: SmallRecord, b: SmallRecord) -> SmallParting:
    old, new = _fields(a), _fields(b)
    names = tuple(name for name in {**old, **new} if old.get(name) != new.get(name))
    return SmallParting(index, ("status",) if "status" in names else names, old, new)


@dataclass(frozen=True, slots=True)
class SmallSideBySide:
    """Two runs of one trace, to be shown beside each other."""

    old: SmallRun
    new: SmallRun

    @property
    def steps(self) -> tuple[int, int]:
        """The two steps."""
        return self.old.step, self.new.step

    @property
    def equal(self) -> bool:
        """Whether every observation is the same."""
        return self.old.records == self.new.records


@dataclass(slots=True)
class SmallLawful:
    """A trace at a step that deviates, operation by operation against the step before."""

    shown: dict[str, int] = field(default_factory=dict)
    parting: SmallParting | None = None

    @property
    def wrong(self) -> tuple[int, tuple[str, ...]] | None:
        """Where the step did not do what its laws say."""
        return (self.parting.index, self.parting.fields) if self.parting else None

    def words(self) -> str:
        """What it did there."""
        return self.parting.words() if self.parting else ""


@dataclass(frozen=True, slots=True)
class _Follow:
    laws: Mapping[str, Law]

    def __call__(
        self, old: Machine, new: Machine, trace: SmallTrace, deviations: Sequence[Deviation]
    ) -> SmallLawful:
        """Both machines enter every operation in the same state, so that nothing hides.

        A step with laws keeps its state in the fields of the step before.
        """
        assert old.FIELDS.keys() == new.FIELDS.keys(), "a step with laws changes no field"
        result = SmallLawful()
        a, b = old(), new()
        for index, op in enumerate(trace.ops):
            before = dict(a.observe())
            expected, got = _made(a, op), _made(b, op)
            for deviation in deviations:
                ret, state = self.laws[deviation.law](before, op, (expected.ret, expected.state))
                stage = SmallRecord(ret, expected.status, state)
                if stage != expected:
                    _within(deviation, _parting(index, expected, stage))
                    result.shown.setdefault(deviation.id, index)
                expected = stage
            if expected != got:
                result.parting = _parting(index, expected, got)
                break
            if got.status != "ok":
                break
            for name in b.FIELDS:
                setattr(a, name, copy.deepcopy(getattr(b, name)))
        return result


def _within(deviation: Deviation, touched: SmallParting) -> None:
    """That a law changes only the fields that its deviation declares.

    Raises:
        SeriesError: it changes another one.

    """
    excess = sorted({*touched.fields} - {*deviation.fields})
    if excess:
        raise SeriesError(
            f"deviation {deviation.id!r}: its law {deviation.law!r} changes {', '.join(excess)}, "
            "which its fields do not name"
        )


def lockstep(
    machines: Sequence[Machine], trace: SmallTrace, steps: Sequence[int]
) -> dict[int, SmallRun]:
    """A trace on several steps; equal runs share their records."""
    runs: dict[int, SmallRun] = {}
    last: Sequence[SmallRecord] = ()
    for step in steps:
        made = run(step, machines[step], trace)
        if made.records == last:
            made = replace(made, records=last)
        runs[step], last = made, made.records
    return runs


def subject(
    folder: Path,
    base: type[Any],
    words: Words,
    laws: Mapping[str, Law],
    properties: Mapping[str, RunProperty],
    ops: int = 12,
) -> Subject:
    """A subject out of a folder: series.toml, ``models/s00_….py`` and on, and these parts.

    Args:
        folder: the subject's.
        base: the class that all machines stand on: it makes the fields in ``FIELDS`` and
            has a method ``observe``.
        words: the operations and the numbers that they take.
        laws: what deviations declare, by name.
        properties: what must hold of a run's records at each step, by name.
        ops: operations a trace.

    """
    return Subject(
        name=str(folder.resolve()),
        file=folder / "series.toml",
        fold=Fold(folder / "models", lambda: base),
        language=SmallLanguage(words, ops),
        run=run,
        lockstep=lockstep,
        parting=parting,
        side_by_side=SmallSideBySide,
        follow=_Follow(laws),
        laws={"trace": frozenset(laws), "api": frozenset()},
        properties=properties,
    )

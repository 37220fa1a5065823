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
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from refmodels.fold import Fold
from replay.base.jsonlines import nearest
from replay.base.patience import Hanging
from replay.errors import SeriesError
from replay.series.asked import asked
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
        seen = vm.observe()
    except (KeyboardInterrupt, Hanging):
        raise
    except BaseException as error:
        # Every step has a class of its own, whose name may be in the text: not compared.
        made = type(vm)
        text = f"{type(error).__name__}: {error}".replace(made.__name__, made.__mro__[1].__name__)
        return SmallRecord(text, "crash", {})
    return SmallRecord(ret, "ok", _dict_of(seen, made=type(vm)))


def _dict_of(seen: Any, made: Machine) -> State:
    """What a machine showed, as it was at that moment.

    Raises:
        SeriesError: it is no dict with names.

    """
    if isinstance(seen, Mapping) and all(isinstance(name, str) for name in seen):
        return dict(seen)
    code = getattr(made.observe, "__code__", None)
    place = f"{code.co_filename}:{code.co_firstlineno}: " if code else ""
    at = f"{place}step {made.STEP_NUMBER}"
    raise SeriesError(
        f"{at}: observe() gives {seen!r:.80}; give a dict of what there is to see, by name"
    )


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
    name: str
    laws: Mapping[str, Law]

    def __call__(
        self, old: Machine, new: Machine, trace: SmallTrace, deviations: Sequence[Deviation]
    ) -> SmallLawful:
        """Both machines enter every operation in the same state, so that nothing hides.

        A step with laws keeps its state in the fields of the step before. No law is asked
        of an operation that crashed there: a step that does otherwise differs.

        Raises:
            SeriesError: the fields are others, a law raises or gives no such answer, or
                touches what its deviation does not declare.

        """
        _same_fields(self.name, old, new)
        result = SmallLawful()
        a, b = old(), new()
        for index, op in enumerate(trace.ops):
            with asked(f"{self.name}: observe() in the state of step {new.STEP_NUMBER}"):
                before = _dict_of(a.observe(), old)
            expected, got = _made(a, op), _made(b, op)
            for deviation in deviations if expected.status == "ok" else ():
                stage = self._lawful(deviation.law, new, before, op, expected)
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

    def _lawful(
        self, law: str, new: Machine, before: State, op: SmallOp, made: SmallRecord
    ) -> SmallRecord:
        """What a law makes of what the step before makes; it gets copies."""
        what = f"{self.name}: step {new.STEP_NUMBER}: law {law!r}, asked of {op},"
        with asked(what):
            answer = self.laws[law](dict(before), op, (made.ret, dict(made.state)))
        pair = isinstance(answer, tuple) and len(answer) == 2
        if not pair or not isinstance(answer[1], Mapping):
            raise SeriesError(f"{what} gives {answer!r:.80}; give (returned, state)")
        return SmallRecord(answer[0], made.status, answer[1])


def _same_fields(name: str, old: Machine, new: Machine) -> None:
    others = sorted(old.FIELDS.keys() ^ new.FIELDS.keys())
    if others:
        raise SeriesError(
            f"{name}: step {new.STEP_NUMBER} has a law and adds or removes the field "
            f"{', '.join(others)}; let a step of its own do that, before or after it"
        )


@dataclass(frozen=True, slots=True)
class _Fits:
    """That every operation can be asked of every step, and every machine be looked at.

    An operation that no step has would crash alike at all of them, and so be equal.
    """

    name: str
    words: Words

    def __call__(self, machines: Sequence[Machine]) -> None:
        for step, machine in enumerate(machines):
            at = f"{self.name}: step {step}"
            if not callable(getattr(machine, "observe", None)):
                raise SeriesError(f"{at}: the machine has no method observe()")
            with asked(f"{at}: observe() of a new machine"):
                _dict_of(machine().observe(), machine)
            for op, parameters in self.words.items():
                self._operation(at, machine, op, tuple(parameters))

    def _operation(self, at: str, machine: Machine, op: str, parameters: Sequence[str]) -> None:
        function = getattr(machine, op, None)
        if not callable(function):
            names = [name for name in dir(machine) if callable(getattr(machine, name))]
            raise SeriesError(f"{at} has no operation {op!r} of its words{nearest(op, names)}")
        try:
            inspect.signature(function).bind(None, *parameters)
        except TypeError as error:
            given = ", ".join(parameters) or "none"
            raise SeriesError(f"{at}: {op} does not take its words ({given}): {error}") from None


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

    Raises:
        SeriesError: no operation, a parameter that takes no number, or traces without
            operations.

    """
    name = str(folder.resolve())
    return Subject(
        name=name,
        file=folder / "series.toml",
        fold=Fold(folder / "models", lambda: base),
        language=SmallLanguage(words, ops),
        run=run,
        lockstep=lockstep,
        parting=parting,
        side_by_side=SmallSideBySide,
        follow=_Follow(name, laws),
        laws={"trace": frozenset(laws), "api": frozenset()},
        properties=properties,
        fits=_Fits(name, words),
    )

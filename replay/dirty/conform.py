"""Recorded vectors × models → how many observations agree.

An *observation* here is one operation at one step. One that the trace did not live to
see counts too: that the run has ended there, and not earlier or later, is compared. A
*mismatch* is one observation that differs, in however many fields. So mismatches never
exceed observations, and both are the same for any number of jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeAlias

from refmodels import FOLD
from replay.base.jsonlines import Line, printable, read_lines
from replay.base.pool import Pool
from replay.dirty.language.trace import Op
from replay.dirty.language.vectors import Expected, Vector, parse_vector
from replay.dirty.machine.model import Model, Record, Run, Visible, alike
from replay.dirty.machine.pagesets import numbers
from replay.dirty.machine.run import Memo, PythonModel, python_model
from replay.dirty.rules.diff import Difference
from replay.errors import DomainError, ReplayError, TraceError, UsageError, WorkerError

ALL_STEPS: Final = tuple(range(FOLD.last + 1))
BATCH: Final = 8
"""Vectors that a worker takes at a time: short enough to show progress and to stop soon."""

Make: TypeAlias = Callable[[int], Model]
"""Gives the model of a step. For several jobs it must be a function of a module."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One observation that is not as recorded: where it stands, and in what it differs."""

    path: str
    line: int
    trace: str
    step: int
    op: Op
    difference: Difference

    @property
    def operation(self) -> int:
        """The index of the operation in its trace."""
        return self.difference.index

    @property
    def field(self) -> str:
        """The first differing field, in the order of ``replay.dirty.language.trace.FIELDS``."""
        return self.difference.fields[0]

    @property
    def expected(self) -> Any:
        """What was recorded of that field."""
        return next(self.difference.values())[1]

    @property
    def got(self) -> Any:
        """What the model gave."""
        return next(self.difference.values())[2]


@dataclass(slots=True)
class Result:
    """What came of some vectors at some steps.

    ``kept`` are the first mismatches, in the order of files, vectors, steps and
    operations; ``by_step`` counts all of them.
    """

    vectors: int = 0
    observations: int = 0
    mismatches: int = 0
    kept: list[Mismatch] = field(default_factory=list)
    by_step: dict[int, int] = field(default_factory=dict)

    @property
    def conforms(self) -> bool:
        """Whether something was compared and all of it was as recorded."""
        return self.observations > 0 and self.mismatches == 0

    def add(self, other: Result, keep: int) -> None:
        """Count another result in, keeping ``keep`` mismatches at most."""
        self.vectors += other.vectors
        self.observations += other.observations
        self.mismatches += other.mismatches
        self.kept += other.kept[: max(keep - len(self.kept), 0)]
        for step, count in other.by_step.items():
            self.by_step[step] = self.by_step.get(step, 0) + count


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it has come: bytes of all files (compressed as they lie), and the counts."""

    done: int
    total: int
    result: Result


def conform(
    paths: Sequence[Path | str],
    steps: Iterable[int] = ALL_STEPS,
    *,
    make: Make = python_model,
    jobs: int = 1,
    keep: int = 100,
    progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Run the vectors of files on the models of ``steps`` and compare every observation.

    Args:
        paths: vector files, plain or compressed, read one line at a time.
        steps: any of 0 to 39; each is run once.
        make: gives the model of a step.
        jobs: processes; 1 runs everything in this one.
        keep: how many mismatches to keep; all are counted.
        progress: called as vectors are done, in this process.

    Raises:
        TraceError: the first malformed vector, whatever the number of jobs.
        DomainError: a step does not support a vector's trace.
        UsageError: a step that does not exist, or fewer than one job.
        WorkerError: a worker died or a model failed; the message says at what.
    """
    chosen = tuple(sorted(set(steps)))
    if wrong := [step for step in chosen if step not in ALL_STEPS]:
        raise UsageError(f"there is no step {wrong[0]}: steps run from 0 to {FOLD.last}")
    if jobs < 1:
        raise UsageError(f"jobs is {jobs}; it must be at least 1")
    total = Result()
    size = sum(_size(path) for path in paths)
    with Pool(jobs, "comparing vectors") as pool:
        for done, outcome in pool.map(_work, _batches(paths, chosen, make, keep), _label):
            if isinstance(outcome, _Failure):
                raise outcome.error()
            total.add(outcome, keep)
            if progress:
                progress(Progress(done, size, total))
    return total


def _size(path: Path | str) -> int:
    try:
        return Path(path).stat().st_size
    except (OSError, ValueError):
        return 0  # the reader tells what is wrong, when its turn comes


# --- batches, as they travel to a worker and back -----------------------------------


@dataclass(frozen=True, slots=True)
class _Batch:
    path: str
    lines: tuple[Line, ...]
    steps: tuple[int, ...]
    make: Make
    keep: int


@dataclass(frozen=True, slots=True)
class _Failure:
    """An error of ours as plain data: exceptions lose their attributes between processes."""

    cause: type[ReplayError]
    arguments: tuple[Any, ...]

    @classmethod
    def of(cls, error: ReplayError) -> _Failure:
        if isinstance(error, TraceError):
            return cls(TraceError, (error.problem, error.path, error.line, error.operation))
        return cls(type(error), error.args)

    def error(self) -> ReplayError:
        return self.cause(*self.arguments)


def _batches(
    paths: Sequence[Path | str], steps: tuple[int, ...], make: Make, keep: int
) -> Iterator[tuple[int, _Batch | _Failure]]:
    """(bytes read so far, batch). An unreadable file comes as a batch, in its turn.

    So a malformed vector before it is found first, however many workers there are.
    """
    before = 0
    for path in paths:
        lines: list[Line] = []
        read = 0
        try:
            for line in read_lines(path):
                lines.append(line)
                read = line.position
                if len(lines) == BATCH:
                    yield before + read, _Batch(str(path), tuple(lines), steps, make, keep)
                    lines = []
        except TraceError as error:
            yield before + read, _Batch(str(path), tuple(lines), steps, make, keep)
            yield before + read, _Failure.of(error)
            return
        before += max(read, _size(path))
        yield before, _Batch(str(path), tuple(lines), steps, make, keep)


def _label(batch: _Batch | _Failure) -> str:
    if isinstance(batch, _Failure) or not batch.lines:
        return "the end of a file"
    return f"{batch.path}:{batch.lines[0].number}"


def _work(batch: _Batch | _Failure) -> Result | _Failure:
    if isinstance(batch, _Failure):
        return batch
    models = [batch.make(step) for step in batch.steps]
    result = Result()
    try:
        for line in batch.lines:
            result.add(compare(parse_vector(line, batch.path), models, batch.keep), batch.keep)
    except ReplayError as error:
        return _Failure.of(error)
    return result


# --- comparing ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """A recorded observation, also in the form that a run's records have."""

    recorded: Expected
    record: Record | None


def compare(vector: Vector, models: Iterable[Model], keep: int = 100) -> Result:
    """Run one vector on models, in the order given, and compare every observation.

    Raises:
        DomainError: a step does not support the trace.
        WorkerError: a model failed in a way of its own; the message says where.
    """
    result = Result(vectors=1)
    memo: Memo = {}
    entries = [_Entry(entry, _record(entry)) for entry in vector.baseline]
    pending = sorted(vector.changes)
    for model in sorted(models, key=lambda model: model.step):
        while pending and pending[0] <= model.step:
            for index, entry in vector.changes[pending.pop(0)].items():
                entries[index] = _Entry(entry, _record(entry))
        found = _compare_run(_run(model, vector, memo), entries)
        result.observations += len(entries)
        result.by_step[model.step] = result.by_step.get(model.step, 0) + len(found)
        result.mismatches += len(found)
        for difference in found[: max(keep - len(result.kept), 0)]:
            op = vector.trace.ops[difference.index]
            result.kept.append(
                Mismatch(
                    str(vector.path), vector.line, vector.trace.name, model.step, op, difference
                )
            )
    return result


def _run(model: Model, vector: Vector, memo: Memo) -> Run:
    trace = vector.trace
    try:
        # Steps that keep equal stores share what was made of them.
        return model.run(trace, memo) if isinstance(model, PythonModel) else model.run(trace)
    except DomainError as error:
        raise DomainError(f"{vector.path}:{vector.line}: {error}") from None
    except ReplayError:
        raise
    except Exception as error:
        raise WorkerError(
            f"{vector.path}:{vector.line}: trace {printable(trace.name)}: the model of step "
            f"{model.step} failed: {type(error).__name__}: {error}"
        ) from error


def _compare_run(run: Run, entries: list[_Entry]) -> list[Difference]:
    # Only a plain run's records hold what is visible; others may tell changes.
    records = run.records if type(run) is Run else ()
    suspects = [
        index
        for index, entry in enumerate(entries)
        if index >= len(records) or not alike(records[index], entry.record)
    ]
    found = []
    if suspects:
        observed = run.observations()
        for index in suspects:
            recorded = entries[index].recorded
            if difference := Difference.between(index, recorded, observed[index]):
                found.append(difference)
    return found


def _record(entry: Expected) -> Record | None:
    """The record that a run has where exactly this is observed; None if none could."""
    if entry is None:
        return None
    events = tuple([(event.kind, event.first, event.second) for event in entry.events])
    state = entry.state
    if state is None:
        return Record(entry.ret, entry.status, events) if entry.status == "abort" else None
    if entry.status != "ok" or state.tlb_direct & state.tlb_notdirty:
        return None
    tlb = dict.fromkeys(numbers(state.tlb_direct), True)
    tlb |= dict.fromkeys(numbers(state.tlb_notdirty), False)
    visible = Visible(
        (state.vga, state.code, state.migration),
        tlb,
        set(numbers(state.has_code)),
        state.migration_bitmap,
        state.migration_dirty_pages,
        state.logging,
    )
    return Record(entry.ret, "ok", events, visible)

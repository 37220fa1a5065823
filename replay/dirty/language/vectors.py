"""Vector files: traces with what the real code did on them at every step.

A vector names the observations of step 0 and, for each later step, those that differ
from the step before. What is recorded is data to compare with: only its form is
checked here, never whether it makes sense. The trace itself must be valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from refmodels import FOLD
from replay.base.jsonlines import (
    Line,
    Place,
    check_keys,
    decode,
    hex_value,
    kind,
    read_lines,
    shown,
)
from replay.dirty.language.domain import Layout
from replay.dirty.language.files import check_in_domain, parse_config, parse_name, parse_op
from replay.dirty.language.trace import PAGE_SETS, STATE_FIELDS, Event, Observation, State, Trace

_KEYS: Final = ("name", "config", "ops", "baseline", "changes")

Expected: TypeAlias = Observation | None
"""What was recorded of one operation; None where the trace had ended before it."""


@dataclass(frozen=True, slots=True)
class Vector:
    """A trace and what was recorded of it.

    Attributes:
        baseline: one entry an operation, as observed at step 0.
        changes: step → operation → what is new there against the step before.
        path, line: where the vector stands.
    """

    trace: Trace
    baseline: tuple[Expected, ...]
    changes: Mapping[int, Mapping[int, Expected]]
    path: Path | str | None = None
    line: int = 1

    def expected(self, step: int) -> tuple[Expected, ...]:
        """What was recorded at a step, one entry an operation.

        Steps without changes give the very same objects as the step before.
        """
        entries = list(self.baseline)
        for changed in sorted(k for k in self.changes if k <= step):
            for index, entry in self.changes[changed].items():
                entries[index] = entry
        return tuple(entries)


def read_vectors(path: Path | str) -> Iterator[Vector]:
    """The vectors of a file, plain or gzip-compressed, one in memory at a time.

    Raises:
        TraceError: the file cannot be read, or the first vector that is malformed.
    """
    for line in read_lines(path):
        yield parse_vector(line, path)


def parse_vector(line: Line, path: Path | str | None = None) -> Vector:
    """The vector of one line. Keys besides those of the format are left alone.

    Raises:
        TraceError: the vector is malformed, or its trace leaves the domain.
    """
    place = Place(path, line.number)
    value = decode(line, place)
    if "format" in value and "ops" not in value:
        place.fail("this is a trace, not a file of recorded vectors; see replay run")
    # A recorder may note more than is compared, but nothing that is compared may lack.
    check_keys({k: v for k, v in value.items() if k in _KEYS}, _KEYS, (), "the vector", place)
    trace = _trace(value, place)
    baseline = value["baseline"]
    if not isinstance(baseline, list):
        place.fail(f"baseline is {kind(baseline)}; it must be a list of observations")
    if len(baseline) != len(trace.ops):
        place.fail(
            f"baseline has {len(baseline)} entries for {len(trace.ops)} operations; "
            "there must be one an operation (null after an abort)"
        )
    entries = tuple([_expected(entry, place.at(i)) for i, entry in enumerate(baseline)])
    return Vector(
        trace, entries, _changes(value["changes"], len(entries), place), path, line.number
    )


def _trace(value: dict[str, Any], place: Place) -> Trace:
    name = parse_name(value["name"], place)
    config = parse_config(value["config"], place)
    if not isinstance(value["ops"], list):
        place.fail(f"ops is {kind(value['ops'])}; it must be a list of operations")
    layout = Layout()
    ops = []
    for index, entry in enumerate(value["ops"]):
        here = place.at(index)
        if not isinstance(entry, dict):
            here.fail(f"the operation is {kind(entry)}; it must be an object")
        op = parse_op(entry, config, here)
        check_in_domain(op, layout, config, here)
        ops.append(op)
    return Trace(tuple(ops), config, name)


def _changes(value: Any, operations: int, place: Place) -> dict[int, dict[int, Expected]]:
    if not isinstance(value, dict):
        place.fail(f"changes is {kind(value)}; it must be an object from step to observations")
    changes = {}
    for key, entries in value.items():
        step = _number(key, 1, FOLD.last, "a step", place)
        if not isinstance(entries, dict):
            place.fail(f"changes of step {step}: {kind(entries)}; it must be an object")
        changes[step] = {
            (index := _number(k, 0, operations - 1, "an operation", place)): _expected(
                entry, place.at(index)
            )
            for k, entry in entries.items()
        }
    return changes


def _number(key: str, low: int, high: int, what: str, place: Place) -> int:
    number = int(key) if key.isascii() and key.isdigit() and len(key) <= 9 else -1
    if str(number) != key or not low <= number <= high:
        place.fail(f"changes: {shown(key)} is not the number of {what}, {low} to {high}")
    return number


# --- observations -----------------------------------------------------------------

_OBSERVATION: Final = ("ret", "status", "events", "state")
_OBSERVATION_KEYS: Final = frozenset(_OBSERVATION)
_STATE_KEYS: Final = frozenset(STATE_FIELDS)


def _expected(value: Any, place: Place) -> Expected:
    if value is None:
        return None
    if not isinstance(value, dict):
        place.fail(f"the observation is {kind(value)}; it must be an object or null")
    if value.keys() != _OBSERVATION_KEYS:
        check_keys(value, _OBSERVATION, (), "the observation", place)
    ret, status = value["ret"], value["status"]
    if isinstance(ret, float | list | dict):
        place.fail(f"ret is {kind(ret)}; it must be null, true, false, an integer or a string")
    if status not in ("ok", "abort"):
        place.fail(f"status is {shown(status)}; it must be 'ok' or 'abort'")
    events = value["events"]
    if not isinstance(events, list):
        place.fail(f"events is {kind(events)}; it must be a list of [name, number, number]")
    return Observation(
        ret,
        status,
        tuple([_event(event, place) for event in events]),
        _state(value["state"], place),
    )


def _event(value: Any, place: Place) -> Event:
    if (
        not isinstance(value, list)
        or [part.__class__ for part in value] != [str, int, int]
        or not value[0].isidentifier()
    ):
        place.fail("an event must be a list of its name and two numbers: [name, number, number]")
    return Event(*value)


def _state(value: Any, place: Place) -> State | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        place.fail(f"state is {kind(value)}; it must be an object, or null after an abort")
    if value.keys() != _STATE_KEYS:
        check_keys(value, STATE_FIELDS, (), "state", place)
    sets = [
        None if value[name] is None and name == "migration_bitmap" else
        hex_value(value[name], name, place)
        for name in PAGE_SETS
    ]  # fmt: skip
    count, logging = value["migration_dirty_pages"], value["logging"]
    if count.__class__ is not int:
        place.fail(f"migration_dirty_pages is {kind(count)}; it must be an integer")
    if not isinstance(logging, bool):
        place.fail(f"logging is {kind(logging)}; it must be true or false")
    return State(*sets, migration_dirty_pages=count, logging=logging)  # type: ignore[arg-type, misc]

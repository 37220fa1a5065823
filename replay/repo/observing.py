"""Of which functions something is observed: a comparison that sees nothing says nothing.

Something is observed of a function where one of these holds, and is the same twice:

- it returns something, writes to an out-parameter, makes or destroys an object;
- an observer is called with an object that it was given, or with no object;
- errno is observed, or the memory behind an object that it was given;
- a call of it changed exported data, called back, or wrote to standard output or error;
- leaving its calls out of a trace changes what is observed of the other calls.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from replay.repo.bound import Bound
from replay.repo.calls import CallTrace
from replay.repo.checking import Checker, Runs
from replay.repo.masks import Field, Mask, fields_of
from replay.repo.pairing import Pair
from replay.repo.results import compare
from replay.repo.runner import Run

_CHANGED: Final = ("data", "said", "called")
TRIED: Final = 12
"""Traces in which the calls of a function are left out."""


def called(traces: Sequence[CallTrace]) -> frozenset[str]:
    """The functions that traces call."""
    return frozenset(call.op for trace in traces for call in trace)


def observed(
    checker: Checker, pair: Pair, traces: Sequence[CallTrace], after: Runs, mask: Mask
) -> frozenset[str]:
    """The functions that traces call of which something is observed, as the module says.

    Args:
        checker: runs traces without the calls of a function.
        pair: of which ``after`` has the runs of the traces on its later side.
        traces: as run.
        after: their runs.
        mask: what is not the same twice, and counts as not observed.

    Raises:
        Unbound: the library cannot be loaded any more.
        WorkerError: a worker could not be started, or was killed.

    """
    names = called(traces)
    bound = pair.after.bound
    seen = {op["name"] for op in bound.ops if op["name"] in names and by_itself(bound, op, mask)}
    for trace, run in zip(traces, after, strict=True):
        if run is not None and seen != names:
            seen.update(_changed(trace, run, mask, names - seen))
    for name in sorted(names - seen):
        if _matters(checker, pair, name, traces, after, mask):
            seen.add(name)
    return frozenset(seen)


def by_itself(bound: Bound, op: dict[str, Any], mask: Mask) -> bool:
    """Whether a function's own signature, or an observer, lets something of it be seen."""
    name = op["name"]
    if op["makes"] or op["destroys"] or bound.errno:
        return True
    if op["returns"]["as"] not in ("void", "ignored") and not mask.hides(Field("ret", name)):
        return True
    for arg in op["args"]:
        role = arg["role"]
        if role in ("makes", "storage"):
            return True
        if role in ("out", "inout") and not mask.hides(Field("out", name, arg["name"])):
            return True
    kinds = {value["kind"] for value in op["values"] if value["role"] == "handle"}
    if any(kind in bound.behind and not mask.hides(Field("behind", "", kind)) for kind in kinds):
        return True
    return any(
        _kinds(observer) <= kinds and not mask.hides(Field("after", "", observer["name"]))
        for observer in bound.observers
    )


def _kinds(observer: dict[str, Any]) -> set[str]:
    return {value["kind"] for value in observer["values"] if value["role"] == "handle"}


def _changed(trace: CallTrace, run: Run, mask: Mask, names: frozenset[str]) -> Iterator[str]:
    """Those of these functions that a call of changed data, or wrote."""
    for call, line in zip(trace, run.records, strict=False):
        if call.op in names and any(f'"{key}":'.encode() in line for key in _CHANGED):
            found = fields_of(call.op, json.loads(line))
            if any(key in _CHANGED and not mask.hides(what) for what, key, _ in found):
                yield call.op


def _matters(
    checker: Checker, pair: Pair, name: str, traces: Sequence[CallTrace], after: Runs, mask: Mask
) -> bool:
    """Whether the rest of a trace is another without the calls of a function."""
    tried = 0
    with checker.opened(pair.after) as runner:
        for trace, run in zip(traces, after, strict=True):
            rest = tuple(call for call in trace if call.op != name)
            if run is None or len(rest) == len(trace) or not rest or run.end == "hang":
                continue
            kept = zip(trace, run.records, strict=False)
            was = Run(tuple(_bare(line) for call, line in kept if call.op != name))
            ran = runner.run(rest)
            now = Run(tuple(_bare(line) for line in ran.records[: len(was.records)]))
            if compare(*mask.applied(rest, was, now)) is not None:
                return True
            tried += 1
            if tried == TRIED:
                break
    return False


def _bare(line: bytes) -> bytes:
    """A record without what only the first one holds."""
    record = json.loads(line)
    record.pop("start", None)
    return json.dumps(record, separators=(",", ":")).encode()

"""A binding tried on one library: which calls come back, and what to edit where they do not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from replay.build.compiler import sanitizer
from replay.repo import naming, relations
from replay.repo.binding import Binding, Interface, Operation
from replay.repo.bound import bind
from replay.repo.calls import Call, CallTrace
from replay.repo.campaign import Sampling
from replay.repo.mining import mine
from replay.repo.resolving import resolve
from replay.repo.runner import Run, Runner
from replay.repo.shapes import LibraryShape
from replay.repo.targets import Progress, Target

TRACES: Final = 100
CALLS: Final = 40
ENOUGH: Final = 3
"""Crashes or hangs of a function after which the rest is tried without it."""

PATIENCE: Final = 4
"""Times as long that a trace may take which seemed to hang."""


@dataclass(slots=True)
class Row:
    """What became of the calls of an operation.

    Attributes:
        called: how many were made.
        returned, crashed, hung: how each of them ended.
        empty: how many gave NULL where an object should be.
        over: the parameters past whose end it wrote.
        example: a call that did not come back; empty if all did.
        edit: what to change in the binding; empty where nothing need be.

    """

    function: str
    called: int = 0
    returned: int = 0
    crashed: int = 0
    hung: int = 0
    empty: int = 0
    over: tuple[str, ...] = ()
    example: str = ""
    detail: str = ""
    edit: str = ""


@dataclass(frozen=True, slots=True)
class Trial:
    """A binding, tried.

    Attributes:
        rows: of each operation, by its name.
        traces: how many were run.
        at_end: how many did not end well when what was left was destroyed.

    """

    rows: Mapping[str, Row]
    traces: int
    at_end: int


@dataclass(slots=True)
class _Trying:
    interface: Interface
    rows: dict[str, Row] = field(default_factory=dict)
    at_end: int = 0
    seen: dict[str, Row] = field(default_factory=dict)

    def take(self, trace: CallTrace, run: Run) -> None:
        """Count what a trace showed."""
        for call, record in zip(trace, run.records, strict=False):
            said: dict[str, Any] = json.loads(record)
            if said.get("skipped"):
                continue
            row = self.rows[call.op]
            row.called += 1
            row.returned += 1
            gave = said.get("made", said.get("ret") != "NULL")
            row.empty += bool(call.makes) and not gave
            over = [name for name, seen in said.get("out", {}).items() if _is_over(seen)]
            row.over = tuple(dict.fromkeys((*row.over, *over)))
        if run.end == "ok":
            return
        at = len(run.records)
        if at >= len(trace):
            self.at_end += 1
            return
        row = self.rows[trace[at].op]
        row.called += 1
        row.crashed += run.end == "crash"
        row.hung += run.end == "hang"
        row.example = row.example or trace[at].text(self.interface)
        row.detail = row.detail or run.detail

    def blame(self, call: Call, run: Run) -> None:
        """Count a crash behind a call that comes back where no observer looks."""
        op = self.interface.ops[call.op]
        kinds = {p.kind for p in op.params if p.kind} | {op.kind_made}
        for observer in self.interface.observers:
            if kinds & {p.kind for p in observer.params}:
                row = self.seen.setdefault(observer.name, Row(observer.draft.functions[0]))
                row.called += 1
                row.crashed += 1
                row.example = row.example or f"behind {call.text(self.interface)}"
                row.detail = row.detail or run.detail

    @property
    def is_blind(self) -> bool:
        """Whether the observers crashed often enough to do without."""
        return any(row.crashed >= ENOUGH for row in self.seen.values())

    def left(self) -> frozenset[str]:
        """The operations that are still worth calling."""
        return frozenset(n for n, r in self.rows.items() if r.crashed + r.hung < ENOUGH)


def _is_over(seen: Any) -> bool:
    return isinstance(seen, str) and seen.endswith("and past its end")


def try_out(
    binding: Binding, shape: LibraryShape, library: Path, checksum: str, seed: int = 1,
    cpu: float = 1.0, progress: Progress = lambda done, total, text: None,
) -> Trial:  # fmt: skip
    """Run random traces of calls on a library, which is loaded and executed, in a worker.

    Args:
        binding: what to call.
        shape: of the library.
        library: the file.
        checksum: of it.
        seed: of the traces.
        cpu: seconds of processor time that a trace may take.
        progress: told of each trace.

    Raises:
        BindingError: the binding does not fit the library.
        Unbound: the library cannot be loaded.

    """
    interface = resolve(binding, [shape], lambda rule, place: False)
    interface = replace(interface, mined=mine((library,)))
    sampling = Sampling(interface, seed, TRACES, CALLS)
    target = Target(bind(interface, shape, {}), library, checksum, sanitizer(shape.needed))
    trying = _Trying(interface, {name: Row(op.draft.functions[0]) for name, op in
                                 interface.ops.items()})  # fmt: skip
    done = 0
    blind = replace(target, bound=replace(target.bound, observers=()))
    with target.open(cpu) as seeing, blind.open(cpu) as unseeing:
        for number in range(TRACES):
            if not trying.left() or trying.at_end >= ENOUGH * 4:
                break
            done += _one(trying, sampling, (seeing, unseeing), number)
            progress(number + 1, TRACES, f"{number + 1} of {TRACES} traces")
    for name, row in trying.rows.items():
        row.edit = _edit(interface.ops[name], row, trying.rows, interface)
    for row in trying.seen.values():
        row.edit = "it looks at objects that are not ready: take the observer out, or make it an op"
    return Trial({**trying.rows, **trying.seen}, done, trying.at_end)


def _one(trying: _Trying, sampling: Sampling, runners: tuple[Runner, Runner], number: int) -> bool:
    """Run a trace, with the observers if they come back; whether there is one to run."""
    trace = sampling.trace(trying.left(), number)
    if not trace:
        return False
    seeing, unseeing = runners
    runner = unseeing if trying.is_blind else seeing
    run = runner.run(trace)
    at = len(run.records)
    if run.end == "hang" and at < len(trace):
        # The time is that of a whole trace: a call may only be the one at which it was up.
        trace = trace[: at + 1]
        run = runner.run(trace, PATIENCE * runner.cpu)
    elif run.end == "crash" and at < len(trace) and runner is seeing:
        again = unseeing.run(trace)
        if len(again.records) > at:
            trying.blame(trace[at], run)
            run = again
    trying.take(trace, run)
    return True


# --- what to edit ---------------------------------------------------------------------


def _edit(op: Operation, row: Row, rows: Mapping[str, Row], interface: Interface) -> str:
    """The line of the binding to look at first; empty if all came back."""
    if row.over:
        return f"wrote past the end of {' and '.join(row.over)}: give {row.over[0]} more room"
    if row.hung:
        return "; ".join([*_ended(op), f"narrow {_ranges(op)}; or take the op out"])
    if row.crashed:
        return _crash(op, interface)
    if not row.called:
        return _never(op, rows, interface)
    if row.empty == row.called:
        return f"it made no {op.kind_made}, NULL each time: narrow {_ranges(op)}"
    return ""


def _crash(op: Operation, interface: Interface) -> str:
    said = _ended(op)
    kinds = [p.kind for p in op.params if p.role == "handle" and p.kind != op.destroys]
    for kind in () if said else kinds[:1]:
        uses = [o for o in interface.ops.values() if any(p.kind == kind for p in o.params)]
        ready = [o.name for o in uses if naming.has(o.name, naming.STARTS) and o is not op]
        if ready:
            said.append(f"it may need {ready[0]} first: let a wrapper make a {kind} that is ready")
        else:
            said.append(f'if it ends the {kind}, write destroys = "{kind}"')
    if any(p.role not in ("handle", "null", "value", "makes", "storage") for p in op.params):
        said.append(f"narrow {_ranges(op)}")
    said += _related(op)
    carried = [p.name for p in op.params if p.role == "int" and p.shape and p.shape.code == "p"]
    said += [f"if it looks into {name}, write {name} = {{ bytes = [64, 64] }}" for name in carried]
    nulls = [p.name for p in op.params if p.role == "null"]
    if nulls:
        said.append(f"{' and '.join(nulls)} may not be NULL")
    return "; ".join(said) or "take the op out, or wrap the function"


def _ended(op: Operation) -> list[str]:
    """What to write if a call ends one of two objects of a kind, or must not be given one twice."""
    handles = [p for p in op.params if p.role == "handle" and not p.consumes]
    for param in reversed(handles):
        if [p.kind for p in handles].count(param.kind) > 1:
            what = f'{param.name} = {{ handle = "{param.kind}", consumes = true }}'
            return [f"if it ends {param.name}, write {what}"]
    return []


def _related(op: Operation) -> list[str]:
    """What to write if a number must not be more than a length."""
    known = relations.measured(op)
    roles = {p.name: p.role for p in op.params}
    numbers = [name for name in known if roles[name] == "int"]
    told = [name for name in known if roles[name] == "length"]
    sized = told or [name for name in known if roles[name] in ("bytes", "inout", "string")]
    if not numbers or not sized:
        return []
    return [f'if {numbers[0]} has an end there, write where = ["{numbers[0]} <= {sized[0]}"]']


def _ranges(op: Operation) -> str:
    """The parameters whose values are drawn, as the edit names them."""
    drawn = [p for p in op.params if p.role in ("int", "float", "bytes", "inout", "string", "out")]
    if not drawn:
        return "what it is given"
    shown = {"int": "range = [0, 9]", "float": "range = [0.0, 1.5]", "string": "string = [0, 8]"}
    first = next((p for p in drawn if p.role == "int"), drawn[0])
    hint = shown.get(first.role, "")
    names = " and ".join(p.name for p in drawn)
    return f"{names}, as in {first.name} = {{ {hint} }}" if hint else names


def _never(op: Operation, rows: Mapping[str, Row], interface: Interface) -> str:
    for kind in (p.kind for p in op.params if p.role == "handle"):
        makers = [o.name for o in interface.ops.values() if o.kind_made == kind]
        bad = [name for name in makers if not rows[name].returned or rows[name].empty]
        if bad:
            return f"never called, for want of a {kind}: first mend {' and '.join(bad)}"
    # What ends an object is called at the end of a trace, too.
    return "" if op.destroys else "never called in so few traces: give it weight = 3"


def totals(trial: Trial) -> Counter[str]:
    """How many calls were made, returned, crashed and hung."""
    found: Counter[str] = Counter()
    for row in trial.rows.values():
        found.update(called=row.called, returned=row.returned, crashed=row.crashed, hung=row.hung)
    return found

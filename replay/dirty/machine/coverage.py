"""Which operations were made on which paths at which steps, counted from runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add
from typing import Any, Final

from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.features import NOTHING_SEEN, Before
from replay.dirty.language.paths import Path, shapes
from replay.dirty.language.trace import Trace
from replay.dirty.machine.model import Run
from replay.dirty.machine.run import is_large

Found = tuple[str, tuple[str, ...]]
"""An operation, and the labels of its features."""

SHOWN: Final = 3
"""Paths that are named of those not reached, where more is not asked for."""


@dataclass(slots=True)
class Coverage:
    """What traces reached at some steps.

    Attributes:
        steps: the steps, in order.
        turns: by operation and labels, how many operations more than at the step before
            were made so; the last is what the count of the last step falls by.
        first: by the same, the number of the first trace that did, at any step.
        traces: how many there were.
        left_out: of these, the ones with more pages than are followed (``run.is_large``).

    """

    steps: tuple[int, ...]
    turns: dict[Found, list[int]] = field(default_factory=dict)
    first: dict[Found, int] = field(default_factory=dict)
    traces: int = 0
    left_out: int = 0

    def add(self, trace: Trace, runs: Mapping[int, Run], number: int) -> None:
        """Count the operations of a trace; ``runs`` has one of each of the steps."""
        self.traces += 1
        if is_large(trace):
            self.left_out += 1
            return
        table, size = shapes(), len(self.steps) + 1
        before = Before(trace.config, Layout())
        layout = before.layout
        spans = _spans([runs[step].records for step in self.steps])
        for index, (op, (name, args)) in enumerate(zip(trace.ops, trace.program, strict=True)):
            shape = table[name]
            for begin, end, visible in _before(spans, index):
                before.see(visible)
                found = (name, shape.look(before, args))
                turns = self.turns.get(found)
                if turns is None:
                    turns = self.turns[found] = [0] * size
                    self.first[found] = number
                turns[begin] += 1
                turns[end] -= 1
            follow(op, layout, trace.config)
            if name == "ram_alloc":
                before.room = layout.end

    def merge(self, other: Coverage) -> None:
        """Add what others counted, at the same steps."""
        self.traces += other.traces
        self.left_out += other.left_out
        for found, turns in other.turns.items():
            mine = self.turns.get(found)
            self.turns[found] = list(map(add, mine, turns)) if mine else turns
            self.first[found] = min(self.first.get(found, other.first[found]), other.first[found])

    def counts(self) -> dict[Path, list[int]]:
        """How often each path was taken at each of the steps; paths never taken are absent."""
        made: dict[Path, list[int]] = {}
        for (name, labels), turns in self.turns.items():
            shape = shapes()[name]
            since = shape.way.since if shape.way else 0
            at = next((i for i, step in enumerate(self.steps) if step >= since), len(self.steps))
            each = list(accumulate(turns[:-1]))
            for part in (range(at), range(at, len(self.steps))):
                if not part:
                    continue
                seen = [0] * part.start + each[part.start : part.stop]
                seen += [0] * (len(self.steps) - part.stop)
                for path in shape.paths(labels, self.steps[part.start]):
                    kept = made.get(path)
                    made[path] = seen if kept is None else list(map(add, kept, seen))
        return made

    def firsts(self) -> dict[Path, int]:
        """The number of the first trace that took each path, at any step."""
        made: dict[Path, int] = {}
        for (name, labels), number in self.first.items():
            for step in {self.steps[0], self.steps[-1]}:
                for path in shapes()[name].paths(labels, step):
                    made[path] = min(made.get(path, number), number)
        return made

    def words(self) -> list[str]:
        """How many paths were reached, and the first few that were not."""
        from replay.dirty.machine.reach import reach  # it needs this module

        found = reach(self)
        missed = [str(path) for path, _ in found.missed()]
        total = len(found.possible)
        lines = [f"{total - len(missed)} of {total} paths reached at every step"]
        if missed:
            more = f" and {len(missed) - SHOWN} more" if len(missed) > SHOWN else ""
            lines[0] += "; see replay coverage; not reached:"
            lines += [f"  {path}" for path in missed[:SHOWN]] + ([f" {more}"] if more else [])
        return lines


def _spans(records: Sequence[Sequence[Any]]) -> list[tuple[int, int, Sequence[Any]]]:
    """(first, end, records) of neighbours that share their records."""
    spans: list[tuple[int, int, Sequence[Any]]] = []
    for index, one in enumerate(records):
        if spans and spans[-1][2] is one:
            spans[-1] = (spans[-1][0], index + 1, one)
        else:
            spans.append((index, index + 1, one))
    return spans


def _before(
    spans: Iterable[tuple[int, int, Sequence[Any]]], index: int
) -> Iterator[tuple[int, int, Any]]:
    """(first, end, visible) before an operation, of neighbours that see the same object.

    A machine that died before it is left out.
    """
    begin = end = -1
    seen: Any = None
    for first, stop, records in spans:
        if index >= len(records):
            continue
        visible = records[index - 1].visible if index else NOTHING_SEEN
        if visible is seen and first == end:
            end = stop
            continue
        if seen is not None:
            yield begin, end, seen
        begin, end, seen = first, stop, visible
    if seen is not None:
        yield begin, end, seen

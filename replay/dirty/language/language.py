"""Traces of operations as a language of the search.

Traces are ordered by length, then by how usual their machine is, then by their operations
and numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from replay.dirty.language import passes
from replay.dirty.language.domain import is_valid
from replay.dirty.language.files import read_trace, trace_to_text
from replay.dirty.language.generate import DEFAULT, Profile, generate
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Op, Trace
from replay.search.language import Pass
from replay.search.shrink import Shrunk, leave_out, shortest_prefix
from replay.search.shrink import shrink as shrink_in

BUDGET: Final = 2000
"""Evaluations of the predicate, unless told otherwise."""

_ORDER = {name: position for position, name in enumerate(OPS)}


def size(trace: Trace) -> tuple[Any, ...]:
    """The order in which traces are smaller or larger: shortlex."""
    config = trace.config
    return (
        len(trace.ops),
        (not config.tcg, config.hpratio, 64 - config.word_bits, config.page_bits),
        sum(_weight(op) for op in trace.ops),
        tuple((_ORDER[op.name], _plain(op)) for op in trace.ops),
    )


def _weight(op: Op) -> int:
    kinds = OPS[op.name].kinds
    return sum(kind.weight(value) for kind, value in zip(kinds, op.args, strict=True))


def _plain(op: Op) -> tuple[Any, ...]:
    kinds = OPS[op.name].kinds
    return tuple(kind.order(value) for kind, value in zip(kinds, op.args, strict=True))


@dataclass(frozen=True, slots=True)
class TraceLanguage:
    """The language of traces of operations, drawn with a profile; see ``search.language``."""

    profile: Profile = DEFAULT

    begin: ClassVar[tuple[Pass, ...]] = (shortest_prefix,)
    passes: ClassVar[tuple[Pass, ...]] = (
        leave_out,
        passes.simpler_machine,
        passes.drop_blocks,
        passes.move_down,
        passes.smaller_numbers,
        passes.shorter_ranges,
    )

    @property
    def ops(self) -> int:
        """Operations a trace."""
        return self.profile.ops

    def drawing(self, ops: int) -> TraceLanguage:
        """The same, with traces of so many operations."""
        return replace(self, profile=replace(self.profile, ops=ops))

    def draw(self, seed: int, number: int) -> Trace:
        """The trace with this number of a seed."""
        return generate(seed, number, self.profile)

    def length(self, trace: Trace) -> int:
        """Its operations."""
        return len(trace.ops)

    def without(self, trace: Trace, gone: AbstractSet[int]) -> Trace:
        """The other operations as they stand; what then makes no sense is not valid."""
        return trace.with_ops(op for index, op in enumerate(trace.ops) if index not in gone)

    def normal(self, trace: Trace) -> Trace:
        """As it is."""
        return trace

    def is_valid(self, trace: Trace) -> bool:
        """Whether it keeps to the domain."""
        return is_valid(trace)

    def size(self, trace: Trace) -> tuple[Any, ...]:
        """Shortlex."""
        return size(trace)

    def to_text(self, trace: Trace, name: str) -> str:
        """As a file of the format ``dirty-trace/1``."""
        return trace_to_text(trace.renamed(name))

    def read(self, path: Path) -> Trace:
        """The trace in a file."""
        return read_trace(path)


@dataclass(frozen=True, slots=True)
class Preceded(TraceLanguage):
    """Traces that were kept, by their place, and behind them those that are drawn."""

    kept: tuple[Trace, ...] = ()

    def draw(self, seed: int, number: int) -> Trace:
        """The trace with this number; the drawn ones are those that a check draws without."""
        first = len(self.kept)
        if number < first:
            return self.kept[number]
        return generate(seed, number - first, self.profile)


LANGUAGE: Final = TraceLanguage()


def shrink(trace: Trace, holds: Callable[[Trace], bool], budget: int = BUDGET) -> Shrunk[Trace]:
    """Reduce a trace on which ``holds`` is true; see ``replay.search.shrink``."""
    return shrink_in(trace, LANGUAGE, holds, budget)

"""Where RAM is while a trace goes on: what follows from its operations alone."""

from __future__ import annotations

from collections.abc import Iterator

from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.pages import Blocks
from replay.dirty.language.trace import Trace


def layouts(trace: Trace) -> Iterator[Blocks]:
    """The blocks of RAM after each operation of a valid trace, in order of address."""
    layout = Layout()
    for op in trace.ops:
        follow(op, layout, trace.config)
        yield tuple(sorted(layout.blocks))

"""What every executable step offers, in Python or in C: a trace goes in, a run comes out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from replay.dirty.language.trace import Event, Observation, State, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

Record: TypeAlias = tuple[Any, ...]
"""What was observed of one operation, in the form that is cheap to make and compare.

(ret, status, events, store, tlb, code, bitmap, count, logging), where store is
(vga, code, migration) as page sets over blocks, tlb maps a page to True (`direct`) or
False, code is the set of pages with translated code, and bitmap the migration bitmap
as an integer or None. After an abort store and all that follows are None. Records are
never changed, so runs may share their parts.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """A trace, executed at one step: a record an operation.

    ``records`` is shorter than the trace when an operation aborted; the last record is
    then that abort.
    """

    trace: Trace
    step: int
    records: Sequence[Record]

    def observation(self, index: int) -> Observation | None:
        """What was observed of operation ``index``; None when the trace had ended before."""
        if index >= len(self.records):
            return None
        return observation(self.records[index])

    def observations(self) -> list[Observation | None]:
        """One observation an operation of the trace."""
        return [self.observation(index) for index in range(len(self.trace.ops))]


class Model(Protocol):
    """One step of a series, executable."""

    @property
    def step(self) -> int:
        """The number of the step."""
        ...

    def run(self, trace: Trace) -> Run:
        """Execute a valid trace on a fresh machine."""
        ...


def observation(record: Record) -> Observation:
    """Render a record as what the trace language says is observed."""
    ret, status, events, store, tlb, code, bitmap, count, logging = record
    shown = tuple(Event(*event) for event in events)
    if status != "ok":
        return Observation(ret, status, shown, None)
    return Observation(
        ret,
        status,
        shown,
        State(
            vga=store[0],
            code=store[1],
            migration=store[2],
            tlb_direct=pages(page for page, direct in tlb.items() if direct),
            tlb_notdirty=pages(page for page, direct in tlb.items() if not direct),
            has_code=pages(code),
            migration_bitmap=bitmap,
            migration_dirty_pages=count,
            logging=logging,
        ),
    )


def pages(numbers: Any) -> int:
    """A page set from page numbers."""
    result = 0
    for number in numbers:
        result |= 1 << number
    return result

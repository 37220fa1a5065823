"""What every executable step offers, in Python or in C: a trace goes in, a run comes out."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from replay.dirty.language.trace import Event, Observation, State, Trace
from replay.dirty.machine.pagesets import pages

if TYPE_CHECKING:
    from collections.abc import Sequence


class Visible(NamedTuple):
    """What an observer sees of a machine, in the form that is cheap to make and compare.

    A :class:`~replay.dirty.language.trace.State` is made of one by :func:`state`. What a
    Visible holds is never changed, so that records may share it, and its parts.

    Attributes:
        dirty: the dirty pages of VGA, CODE and MIGRATION as page sets, over blocks.
        tlb: page to True (`direct`) or False.
        has_code: the pages that hold translated code.
        bitmap: the migration bitmap as a page set; None when there is none.
        migration_dirty_pages: how many pages the migration counts as dirty.
        logging: whether dirty logging is on.

    """

    dirty: tuple[int, int, int]
    tlb: dict[int, bool]
    has_code: AbstractSet[int]
    bitmap: int | None
    migration_dirty_pages: int
    logging: bool


class Record(NamedTuple):
    """What was observed of one operation, cheap to make and compare.

    Attributes:
        ret: what the operation returned; of a crash, its words.
        status: "ok", or how the machine died: then this is the last record.
        events: (kind, first, second) in order.
        visible: what is to be seen of the machine afterwards; None of a dead one. A large
            machine's is told as ``replay.dirty.machine.large.Changed``.

    """

    ret: Any
    status: str
    events: tuple[tuple[str, int, int], ...]
    visible: Any = None


def alike(a: Record, b: Record | None) -> bool:
    """Whether two records tell the same observation: a bool and a count never do."""
    # What language.trace.same asks of equal values, without the calls: runs ask it of every
    # record that they might share.
    return (
        a == b
        and a.ret.__class__ is b.ret.__class__
        and (a.visible is b.visible or a.visible.logging.__class__ is b.visible.logging.__class__)
    )


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
        record = self.records[index]
        return observation(record, state(record.visible))

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


def observation(record: Record, state: State | None) -> Observation:
    """A record as what the trace language says is observed, with the state after it."""
    events = tuple([Event(*event) for event in record.events])
    return Observation(record.ret, record.status, events, state)


def state(visible: Visible | None) -> State | None:
    """What is to be seen of a machine as a state; None of a dead one."""
    if visible is None:
        return None
    vga, code, migration = visible.dirty
    return State(
        vga=vga,
        code=code,
        migration=migration,
        tlb_direct=pages(page for page, direct in visible.tlb.items() if direct),
        tlb_notdirty=pages(page for page, direct in visible.tlb.items() if not direct),
        has_code=pages(visible.has_code),
        migration_bitmap=visible.bitmap,
        migration_dirty_pages=visible.migration_dirty_pages,
        logging=visible.logging,
    )

"""A trace on many steps, where a step executes only what it may do otherwise.

Two adjacent steps share most of their code. Let both be in the same state before an
operation: the same in every part that code can read, hidden bits included. If they
execute the operation by the same code (``machine.samecode``), which depends on nothing
but the machine and the arguments, then the later step returns the same, tells the same
and ends in the same state as the earlier one: it need not be run to know. So a step is
run from the first operation that it may execute by other code, on a machine put into its
neighbour's state, until it is in the neighbour's state again; in between it has the
neighbour's records. Every record that comes from other code, or from another state, comes
from executing the step's own code.

The one thing of a machine that is not followed is the order in which a set of page
numbers is iterated, which no function of the series does; a TLB's order is. A step whose
store is neither a byte map nor three bitmaps, or holds one object twice, is run alone.

With ``share=False`` every step executes everything; the records are equal.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from marshal import dumps
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias

from refmodels.machine import WORD_TYPES, OutOfDomain, RAMBlock
from replay.dirty.language.trace import Trace
from replay.dirty.machine.model import Record, Run, Visible, alike
from replay.dirty.machine.run import (
    ALL_PAGES,
    Memo,
    PythonModel,
    block_mask,
    end_of_ram,
    ended,
    is_large,
    start,
)
from replay.dirty.machine.samecode import differing, same_start
from replay.errors import DomainError


class Snapshot(NamedTuple):
    """All of a machine that code can read, and what is visible of it.

    Parts of a snapshot are never changed; a part that an operation left as it was is the
    same object in both snapshots.

    Attributes:
        store: what the step's fields hold, as bytes.
        blocks: (offset, length) in list order.
        version: ram_list_version.
        mask: the page set that what is visible of the store is cut to.
        page_descs: the pages that have a descriptor.
        bitmap: the migration bitmap's bytes, or None.
        nominal: the page set that what is visible of the bitmap is cut to.
        stray: writes outside of the store.
        entries: the TLB as bytes, its order and the types in it included.
        visible: what a record tells of the machine.

    """

    store: Any
    blocks: tuple[tuple[int, int], ...]
    version: int
    mask: int
    page_descs: Any
    bitmap: bytes | None
    nominal: int
    stray: Any
    entries: bytes
    visible: Visible


_make: Final = tuple.__new__
"""For values made after each operation: what NamedTuple's own constructor, which takes
twice the time, calls as well."""


class NotShared(Exception):
    """A machine's state has a form that is not followed."""


@dataclass(frozen=True, slots=True)
class Track:
    """A run with the state after each operation (but an abort): what a neighbour shares."""

    machine: Any
    records: Sequence[Record]
    states: Sequence[Snapshot]


class Live:
    """A machine, and the last state that it is known to be in."""

    __slots__ = (
        "blocks", "field", "memo", "name", "packed", "pages_of", "program", "state", "vm",
    )  # fmt: skip

    def __init__(self, machine: type[Any], trace: Trace, memo: Memo) -> None:
        self.vm = vm = start(machine, trace)
        self.memo = memo
        self.program = trace.program
        if len(machine.FIELDS) != 1:
            raise NotShared
        (self.name,) = machine.FIELDS
        self.field = attrgetter(self.name)
        self.packed = type(self.field(vm)) is bytearray
        self.pages_of = machine.dirty_pages
        self.blocks: list[RAMBlock] = []
        self.state = Snapshot(
            store=self.store(),
            blocks=(),
            version=0,
            mask=0,
            page_descs=set(),
            bitmap=None,
            nominal=0,
            stray=0,
            entries=dumps({}, 2),
            visible=Visible((0, 0, 0), {}, set(), None, 0, False),
        )

    def store(self) -> Any:
        """The content of the dirty store.

        Raises:
            NotShared: it is not what it was made as.
        """
        held = self.field(self.vm)
        if self.packed:
            return bytes(held)
        bitmap = self.vm.migration_bitmap
        try:
            a, b, c = held
            if a is b or b is c or a is c or bitmap is a or bitmap is b or bitmap is c:
                raise NotShared
            return (a.tobytes(), b.tobytes(), c.tobytes())
        except (AttributeError, TypeError, ValueError):
            raise NotShared from None

    def is_in(self, state: Snapshot) -> bool:
        """Whether the machine is in a state now; it was in the one before it too."""
        vm = self.vm
        visible, blocks, words = state.visible, state.blocks, vm.migration_bitmap
        if (
            self.store() == state.store
            and dumps(vm.tlb, 2) == state.entries
            and vm.has_code == visible.has_code
            and vm.page_descs == state.page_descs
            and vm.migration_dirty_pages == visible.migration_dirty_pages
            and vm.in_migration is visible.logging
            and (state.bitmap is None if words is None else words.tobytes() == state.bitmap)
            and vm.ram_list_version == state.version
            and vm.stray == state.stray
            and ((blocks is self.state.blocks and vm.blocks == self.blocks) or _spans(vm) == blocks)
        ):
            self.state, self.blocks = state, vm.blocks[:]
            return True
        return False

    def look(self) -> Snapshot:
        """The state that the machine is in now, with the parts kept that did not change."""
        vm = self.vm
        # Unpacked at once: most parts are needed, and kept in the new state.
        store, blocks, version, mask, descs, bitmap, nominal, _, entries, visible = self.state
        dirty, tlb, has_code, shown, _, _ = visible
        now = self.store()
        if vm.blocks != self.blocks:
            blocks, self.blocks = _spans(vm), vm.blocks[:]
        if now != store or vm.ram_list_version != version:
            if vm.ram_list_version != version:
                version, mask = vm.ram_list_version, block_mask(vm)
            store, dirty = now, self.page_sets(now, mask)
        packed = dumps(vm.tlb, 2)
        if packed != entries:
            entries, tlb = packed, vm.tlb.copy()
        if vm.has_code != has_code:
            has_code = vm.has_code.copy()
        if vm.page_descs != descs:
            descs = vm.page_descs.copy()
        words = vm.migration_bitmap
        if words is None:
            bitmap = shown = None
        else:
            raw = words.tobytes()
            if bitmap is None:
                nominal = end_of_ram(vm)
            if raw != bitmap:
                bitmap, shown = raw, vm.bits_of(words, 0, ALL_PAGES) & nominal
        visible = _make(
            Visible, (dirty, tlb, has_code, shown, vm.migration_dirty_pages, vm.in_migration)
        )
        self.state = _make(
            Snapshot,
            (store, blocks, version, mask, descs, bitmap, nominal, vm.stray, entries, visible),
        )
        return self.state

    def page_sets(self, store: Any, mask: int) -> tuple[int, int, int]:
        """The dirty pages of each client, of those that belong to a block."""
        vm = self.vm
        key = (self.pages_of, vm.clients, mask, store)
        found = self.memo.get(key)
        if found is None:
            vga, exe, migration = self.pages_of(vm, 0, ALL_PAGES)
            found = self.memo[key] = (vga & mask, exe & mask, migration & mask)
        return found

    def move(self, state: Snapshot) -> None:
        """Put the machine into a state."""
        last = self.state
        if state is last:
            return
        vm = self.vm
        store, bitmap, visible = state.store, state.bitmap, state.visible
        if store is not last.store:
            made = bytearray(store) if self.packed else [self.words(part) for part in store]
            setattr(vm, self.name, made)
        if state.blocks is not last.blocks:
            vm.blocks[:] = [RAMBlock(offset, length) for offset, length in state.blocks]
            self.blocks = vm.blocks[:]
        if state.page_descs is not last.page_descs:
            vm.page_descs = state.page_descs.copy()
        if bitmap is not last.bitmap:
            vm.migration_bitmap = None if bitmap is None else self.words(bitmap)
        if state.entries is not last.entries:
            vm.tlb = visible.tlb.copy()
        if visible.has_code is not last.visible.has_code:
            vm.has_code = set(visible.has_code)
        vm.ram_list_version, vm.stray = state.version, state.stray
        vm.migration_dirty_pages, vm.in_migration = visible.migration_dirty_pages, visible.logging
        self.state = state

    def words(self, content: bytes) -> array[int]:
        """A bitmap with a content."""
        return array(WORD_TYPES[self.vm.BITS_PER_LONG], content)


def _spans(vm: Any) -> tuple[tuple[int, int], ...]:
    return tuple([(block.offset, block.length) for block in vm.blocks])


Places: TypeAlias = dict[str, list[int]]
"""The operations of a trace, by name: their indices, ascending."""


def places(trace: Trace) -> Places:
    """Where a trace has which operation."""
    found: Places = {}
    for index, (name, _) in enumerate(trace.program):
        found.setdefault(name, []).append(index)
    return found


def follow(machine: Any, trace: Trace, where: Places, memo: Memo, before: Track) -> Track:
    """Run a trace at a step, taking from the step before what must be the same.

    Raises:
        NotShared: the machine's state has a form that is not followed.

    """
    records: list[Record] = []
    states: list[Snapshot] = []
    if before.machine is None or not same_start(before.machine, machine):
        alone = Track(None, before.records, ())
        _execute(Live(machine, trace, memo), alone, 0, False, records, states)
        return Track(machine, records, states)
    names = differing(before.machine, machine)
    end = len(before.records)
    own = sorted([i for name in names if name in where for i in where[name] if i < end])
    if before.records and before.records[-1].status == "crash" and end - 1 not in own:
        own.append(end - 1)  # the text of a crash may name the machine's class
    if not own:
        return Track(machine, before.records, before.states)
    live = Live(machine, trace, memo)
    at = 0
    for point in (*own, end):
        if point < at:
            continue
        records += before.records[at:point]
        states += before.states[at:point]
        if point == end:
            break
        if point:
            live.move(states[-1])
        at = _execute(live, before, point, True, records, states)
        if at < 0:
            break
    return Track(machine, records, states)


def _execute(
    live: Live,
    before: Track,
    at: int,
    synced: bool,
    records: list[Record],
    states: list[Snapshot],
) -> int:
    """Execute operations from ``at`` on until the state is the neighbour's again.

    ``synced``: whether the machine is in the neighbour's state to begin with. Gives the
    index after the last one executed, -1 when the trace has ended.
    """
    vm, events, program = live.vm, live.vm.events, live.program
    theirs, known, end = before.records, before.states, len(before.states)
    while at < len(program):
        name, args = program[at]
        try:
            ret = getattr(vm, name)(*args)
        except (Exception, SystemExit) as error:
            records.append(Record(*ended(error), tuple(events)))
            return -1
        told = tuple(events) if events else ()
        events.clear()
        if not (synced and at < end and live.is_in(known[at])):
            state = live.look()
            synced = at < end and state == known[at] and _same_logging(state, known[at])
            if synced:
                live.state = known[at]
        state = live.state
        record = _make(Record, (ret, "ok", told, state.visible))
        if at < len(theirs) and alike(record, theirs[at]):
            record = theirs[at]
        records.append(record)
        states.append(state)
        at += 1
        if synced:
            return at
    return -1


def _same_logging(a: Snapshot, b: Snapshot) -> bool:
    # Equal snapshots may still hold True and 1 here: all other parts are of one type.
    return a.visible.logging is b.visible.logging


def run_steps(
    classes: Sequence[type[Any]], trace: Trace, steps: Sequence[int], share: bool = True
) -> dict[int, Run]:
    """A trace on several steps. Runs with equal records share one list of them.

    Args:
        classes: the machine class of each step, by number.
        trace: a valid trace.
        steps: which steps to run, in order; each shares with the one before it here.
        share: whether to share at all; the records are the same either way.

    Raises:
        DomainError: a step does not support an operation (from 19 on: 8 TiB).
    """
    memo: Memo = {}
    runs: dict[int, Run] = {}
    records: Sequence[Record] = ()
    track: Track | None = None
    share = share and not is_large(trace)
    where = places(trace) if share else {}
    for step in steps:
        model = PythonModel(step, classes[step])
        track = _track(model, trace, where, memo, track) if share else None
        run = model.run(trace, memo) if track is None else Run(trace, step, track.records)
        if run.records == records:
            run = Run(trace, step, records)
        records = run.records
        runs[step] = run
    return runs


NOBODY = Track(None, (), ())


def _track(
    model: PythonModel, trace: Trace, where: Places, memo: Memo, before: Track | None
) -> Track | None:
    """Run a step after another; None where it has to be run alone."""
    try:
        return follow(model.machine, trace, where, memo, before or NOBODY)
    except NotShared:
        return None
    except OutOfDomain as error:
        raise DomainError(f"step {model.step}: {error}") from None

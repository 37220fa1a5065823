"""A trace on many steps, where a step executes only what it may do otherwise.

Two adjacent steps share most of their code. Let both be in the same state before an
operation: the same in every part that code can read, hidden bits included. If they
execute the operation by the same code (:mod:`replay.samecode`), which depends on nothing
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
from operator import attrgetter
from typing import Any, TypeAlias

from refmodels.machine import WORD_TYPES, Aborted, OutOfDomain, RAMBlock
from replay.errors import DomainError
from replay.model import Record, Run
from replay.run import ALL_PAGES, LARGE, Memo, PythonModel, block_mask, end_of_ram, start
from replay.samecode import differing, same_start
from replay.trace import Trace

State: TypeAlias = tuple[Any, ...]
"""(store, blocks, version, mask, page_descs, bitmap, nominal, stray, seen).

store: what the step's fields hold, as bytes; blocks: (offset, length) in list order; mask
and nominal: the page sets that observations are cut to; bitmap: the migration bitmap's
bytes or None; seen: what a record holds after its events. Parts of a state are never
changed; a part that an operation left as it was is the same object in both states.
"""


class NotShared(Exception):
    """A machine's state has a form that is not followed."""


@dataclass(frozen=True, slots=True)
class Track:
    """A run with the state after each operation (but an abort): what a neighbour shares."""

    machine: type[Any]
    records: Sequence[Record]
    states: Sequence[State]


class Live:
    """A machine, and the last state that it is known to be in."""

    __slots__ = ("field", "memo", "packed", "pages_of", "state", "vm")

    def __init__(self, machine: type[Any], trace: Trace, memo: Memo) -> None:
        self.vm = vm = start(machine, trace)
        self.memo = memo
        if len(machine.FIELDS) != 1:
            raise NotShared
        (name,) = machine.FIELDS
        self.field = attrgetter(name)
        self.packed = type(self.field(vm)) is bytearray
        self.pages_of = machine.dirty_pages
        seen = ((0, 0, 0), {}, set(), None, 0, False)
        self.state: State = (self.store(), (), 0, 0, set(), None, 0, 0, seen)

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

    def is_in(self, state: State) -> bool:
        """Whether the machine is in a state, its last state having been the one before."""
        vm = self.vm
        store, blocks, version, _, descs, bitmap, _, stray, seen = state
        _, tlb, code, _, count, logging = seen
        words = vm.migration_bitmap
        if (
            vm.migration_dirty_pages == count
            and vm.tlb == tlb
            and vm.has_code == code
            and self.store() == store
            and vm.in_migration is logging
            and vm.ram_list_version == version
            and vm.page_descs == descs
            and vm.stray == stray
            and (bitmap is None if words is None else words.tobytes() == bitmap)
            and (len(tlb) < 2 or list(vm.tlb) == list(tlb))
            and (blocks is self.state[1] or _spans(vm) == blocks)
        ):
            self.state = state
            return True
        return False

    def look(self) -> State:
        """The state that the machine is in now, with the parts kept that did not change."""
        vm, last = self.vm, self.state
        store, blocks, version, mask, descs, bitmap, nominal, stray, seen = last
        shown, tlb, code, visible, count, logging = seen
        now = self.store()
        changed = now != store
        if changed:
            store = now
        if vm.ram_list_version != version:
            version, changed = vm.ram_list_version, True
            mask, blocks = block_mask(vm), _spans(vm)
        if changed:
            shown = self.page_sets(store, mask)
        if vm.tlb != tlb or list(vm.tlb) != list(tlb):
            tlb, changed = vm.tlb.copy(), True
        if vm.has_code != code:
            code, changed = vm.has_code.copy(), True
        if vm.page_descs != descs:
            descs, changed = vm.page_descs.copy(), True
        words = vm.migration_bitmap
        if words is None:
            raw = visible = None
        else:
            raw = words.tobytes()
            if bitmap is None:
                nominal = end_of_ram(vm)
            visible = (
                visible if raw == bitmap else vm.bits_of(words, 0, ALL_PAGES) & nominal
            )
        if raw != bitmap:
            bitmap, changed = raw, True
        if (
            changed
            or vm.migration_dirty_pages != count
            or vm.in_migration is not logging
            or vm.stray != stray
        ):
            seen = (shown, tlb, code, visible, vm.migration_dirty_pages, vm.in_migration)
            last = (store, blocks, version, mask, descs, bitmap, nominal, vm.stray, seen)
            self.state = last
        return last

    def page_sets(self, store: Any, mask: int) -> tuple[int, int, int]:
        """The dirty pages of each client, of those that belong to a block."""
        vm = self.vm
        key = (self.pages_of, vm.clients, mask, store)
        found = self.memo.get(key)
        if found is None:
            vga, exe, migration = self.pages_of(vm, 0, ALL_PAGES)
            found = self.memo[key] = (vga & mask, exe & mask, migration & mask)
        return found

    def move(self, state: State) -> None:
        """Put the machine into a state."""
        last = self.state
        if state is last:
            return
        vm = self.vm
        store, blocks, version, _, descs, bitmap, _, stray, seen = state
        _, tlb, code, _, count, logging = seen
        _, old_tlb, old_code, *_ = last[8]
        if store is not last[0]:
            self.fill(store)
        if blocks is not last[1]:
            vm.blocks = [RAMBlock(offset, length) for offset, length in blocks]
        if descs is not last[4]:
            vm.page_descs = descs.copy()
        if bitmap is not last[5]:
            vm.migration_bitmap = None if bitmap is None else self.words(bitmap)
        if tlb is not old_tlb:
            vm.tlb = tlb.copy()
        if code is not old_code:
            vm.has_code = code.copy()
        vm.ram_list_version, vm.stray = version, stray
        vm.migration_dirty_pages, vm.in_migration = count, logging
        self.state = state

    def fill(self, store: Any) -> None:
        """Give the dirty store a content."""
        (name,) = self.vm.FIELDS
        made = bytearray(store) if self.packed else [self.words(part) for part in store]
        setattr(self.vm, name, made)

    def words(self, content: bytes) -> array[int]:
        """A bitmap with a content."""
        return array(WORD_TYPES[self.vm.BITS_PER_LONG], content)


def _spans(vm: Any) -> tuple[tuple[int, int], ...]:
    return tuple([(block.offset, block.length) for block in vm.blocks])

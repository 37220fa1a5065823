"""Runs of large machines: after each operation only what was written is looked at.

The record of an operation then holds what changed, as exclusive-ors with the
observation before, in a form that does not depend on how a step keeps its store. Two
runs are equal as long as their records are, and the first differing record is the
first difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from refmodels.machine import Aborted, OutOfDomain
from replay.dirty.language.trace import Event, Observation, State, Trace
from replay.dirty.machine.model import Record, Run, pages
from replay.dirty.machine.run import crash, end_of_ram, start

if TYPE_CHECKING:
    from replay.dirty.machine.run import PythonModel

UNIT = 64
"""Spans are widened to multiples of so many pages: whole words of every word size."""


class LargeRun(Run):
    """A run whose records tell changes; see :func:`Watcher.record`."""

    __slots__ = ()

    def observation(self, index: int) -> Observation | None:
        """What was observed of operation ``index``. Costs the records up to it."""
        if index >= len(self.records):
            return None
        return self.observations(index + 1)[-1]

    def observations(self, count: int | None = None) -> list[Observation | None]:
        """The first ``count`` observations, or one an operation of the trace."""
        wanted = len(self.trace.ops) if count is None else count
        shadow = _Shadow()
        shown: list[Observation | None] = [shadow.follow(r) for r in self.records[:wanted]]
        return shown + [None] * (wanted - len(shown))


class _Shadow:
    """The visible state, brought up to date by one record after the other."""

    def __init__(self) -> None:
        self.sets = [0] * 6
        self.bitmap: int | None = None

    def follow(self, record: Record) -> Observation:
        ret, status, events, store, tlb, code, bitmap, count, logging = record
        shown = tuple(Event(*event) for event in events)
        if status != "ok":
            return Observation(ret, status, shown, None)
        for i, change in enumerate((*store, *tlb, code)):
            if change:
                self.sets[i] ^= change[1] << change[0]
        if bitmap == "dropped":
            self.bitmap = None
        elif bitmap:
            self.bitmap = (self.bitmap or 0) ^ bitmap[1] << bitmap[0]
        vga, exe, migration, direct, notdirty, held = self.sets
        state = State(vga, exe, migration, direct, notdirty, held, self.bitmap, count, logging)
        return Observation(ret, status, shown, state)


Change = tuple[int, int]
"""(offset, xor): the pages offset + i for each bit i of xor changed; bit 0 is set."""


def change(offset: int, xor: int) -> Change | None:
    """A change in the one form that all stores agree on; None for no change."""
    if not xor:
        return None
    low = (xor & -xor).bit_length() - 1
    return offset + low, xor >> low


class BitShadow:
    """One page set, a bit a page, as last seen: 8 pages a byte."""

    __slots__ = ("bits",)

    def __init__(self) -> None:
        self.bits = bytearray()

    def update(self, low: int, high: int, now: int) -> Change | None:
        """Bring pages [low, high), multiples of 8, to ``now``; gives what changed."""
        first, last = low // 8, high // 8
        if len(self.bits) < last:
            self.bits.extend(bytes(last - len(self.bits)))
        old = int.from_bytes(self.bits[first:last], "little")
        if old == now:
            return None
        self.bits[first:last] = now.to_bytes(last - first, "little")
        return change(low, old ^ now)


class Watcher:
    """Observes one large machine."""

    def __init__(self, vm: Any) -> None:
        self.vm = vm
        self.version = -1
        self.blocks = bytearray()
        self.end = 0
        self.clients = (BitShadow(), BitShadow(), BitShadow())
        self.tlb: dict[int, bool] = {}
        self.code: set[int] = set()
        self.bitmap: Any = None
        self.bitmap_shadow = BitShadow()
        self.nominal = 0

    def record(self, ret: Any, events: tuple[Any, ...]) -> Record:
        """What changed since the last record.

        As ``machine.model.Record``, but store is a :data:`Change` a client, tlb one for
        `direct` and one for `notdirty`, code one, and bitmap one, None, or "dropped".
        """
        vm = self.vm
        return (
            ret,
            "ok",
            events,
            self._store(),
            self._tlb(),
            self._code(),
            self._bitmap(),
            vm.migration_dirty_pages,
            vm.in_migration,
        )

    def _store(self) -> tuple[Change | None, ...]:
        vm = self.vm
        low, high = vm.store_span()
        if vm.ram_list_version != self.version:
            self.version = vm.ram_list_version
            old_end = self.end
            self._read_blocks()
            low, high = 0, max(old_end, self.end)
        low = low // UNIT * UNIT
        high = min(-(-high // UNIT) * UNIT, len(self.blocks) * 8)
        if low >= high:
            return (None, None, None)
        mask = int.from_bytes(self.blocks[low // 8 : high // 8], "little")
        now = vm.dirty_pages(low, high)
        return tuple(
            shadow.update(low, high, bits & mask)
            for shadow, bits in zip(self.clients, now, strict=True)
        )

    def _read_blocks(self) -> None:
        """Which pages belong to a block, kept as long as the longest RAM ever seen."""
        vm = self.vm
        bits = vm.TARGET_PAGE_BITS
        self.end = max((b.offset + b.length for b in vm.blocks), default=0) >> bits
        mask = 0
        for block in vm.blocks:
            mask |= ((1 << (block.length >> bits)) - 1) << (block.offset >> bits)
        size = max(-(-self.end // UNIT) * UNIT // 8, len(self.blocks))
        self.blocks = bytearray(mask.to_bytes(size, "little"))

    def _tlb(self) -> tuple[Change | None, Change | None]:
        touched = self.vm.tlb.touched
        if not touched:
            return (None, None)
        flips: tuple[list[int], list[int]] = ([], [])
        for page in touched:
            old, now = self.tlb.get(page), self.vm.tlb.get(page)
            if old is now:
                continue
            for kind in (old, now):
                if kind is not None:
                    flips[0 if kind else 1].append(page)
            if now is None:
                del self.tlb[page]
            else:
                self.tlb[page] = now
        touched.clear()
        return (_flipped(flips[0]), _flipped(flips[1]))

    def _code(self) -> Change | None:
        touched = self.vm.has_code.touched
        if not touched:
            return None
        flips = [page for page in touched if (page in self.code) != (page in self.vm.has_code)]
        self.code.symmetric_difference_update(flips)
        touched.clear()
        return _flipped(flips)

    def _bitmap(self) -> Change | str | None:
        vm = self.vm
        bitmap = vm.migration_bitmap
        if bitmap is None:
            dropped = self.bitmap is not None
            self.bitmap = None
            return "dropped" if dropped else None
        low, high = bitmap.span.take()
        if bitmap is not self.bitmap:
            self.bitmap = bitmap
            self.bitmap_shadow = BitShadow()
            self.nominal = end_of_ram(vm).bit_length()
            low, high = 0, len(bitmap)
        low = low * vm.BITS_PER_LONG // UNIT * UNIT
        high = -(-high * vm.BITS_PER_LONG // UNIT) * UNIT
        if low >= high:
            return None
        now = vm.bits_of(bitmap, low, high)
        if high > self.nominal:
            now &= (1 << max(self.nominal - low, 0)) - 1
        return self.bitmap_shadow.update(low, high, now)


def _flipped(numbers: list[int]) -> Change | None:
    if not numbers:
        return None
    low = min(numbers)
    return low, pages(number - low for number in numbers)


def run_large(model: PythonModel, trace: Trace) -> LargeRun:
    """Execute a trace on a machine with watched stores."""
    vm = start(model.machine, trace, watched=True)
    watcher = Watcher(vm)
    methods = {name: getattr(vm, name) for name, _ in trace.program}
    records: list[Record] = []
    for name, args in trace.program:
        try:
            ret = methods[name](*args)
        except Aborted:
            records.append((None, "abort", tuple(vm.events), *[None] * 6))
            break
        except OutOfDomain:
            raise
        except Exception as error:
            records.append((crash(error), "crash", tuple(vm.events), *[None] * 6))
            break
        records.append(watcher.record(ret, tuple(vm.events)))
        vm.events.clear()
    return LargeRun(trace, model.step, records)

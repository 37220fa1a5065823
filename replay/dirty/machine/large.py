"""Runs of large machines: after each operation only what was written is looked at.

What a record tells of the machine is then :class:`Changed`: what is not as it was after
the operation before, in a form that does not depend on how a step keeps its store. Two
runs are equal as long as their records are, and the first differing record is the
first difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from replay.dirty.language.trace import Observation, State, Trace
from replay.dirty.machine.model import Record, Run, observation
from replay.dirty.machine.pagesets import pages
from replay.dirty.machine.run import end_of_ram, ended, start

if TYPE_CHECKING:
    from replay.dirty.machine.run import PythonModel

UNIT = 64
"""Spans are widened to multiples of so many pages: whole words of every word size."""


class Flips(NamedTuple):
    """Pages that entered or left a set: ``first`` + i for each bit i of ``bits``; bit 0 is set."""

    first: int
    bits: int


def flips(first: int, bits: int) -> Flips | None:
    """Flips in the one form that all stores agree on; None where nothing changed."""
    if not bits:
        return None
    low = (bits & -bits).bit_length() - 1
    return Flips(first + low, bits >> low)


Dropped: TypeAlias = Literal["dropped"]


class Changed(NamedTuple):
    """What is not as it was after the operation before; None for each set that is.

    Attributes:
        dirty: of VGA, CODE and MIGRATION.
        tlb: of the pages that are `direct`, and of those that are `notdirty`.
        has_code: of the pages that hold translated code.
        bitmap: of the migration bitmap, or that it was dropped.
        migration_dirty_pages: as it is, changed or not.
        logging: as it is, changed or not.

    """

    dirty: tuple[Flips | None, Flips | None, Flips | None]
    tlb: tuple[Flips | None, Flips | None]
    has_code: Flips | None
    bitmap: Flips | Dropped | None
    migration_dirty_pages: int
    logging: bool


class LargeRun(Run):
    """A run whose records tell of a machine what changed: see :class:`Changed`."""

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
        shown: list[Observation | None] = [
            observation(record, shadow.follow(record.visible)) for record in self.records[:wanted]
        ]
        return shown + [None] * (wanted - len(shown))


class _Shadow:
    """The visible state, brought up to date by one record after the other."""

    def __init__(self) -> None:
        self.sets = [0] * 6
        self.bitmap: int | None = None

    def follow(self, changed: Changed | None) -> State | None:
        if changed is None:
            return None
        for i, moved in enumerate((*changed.dirty, *changed.tlb, changed.has_code)):
            if moved:
                self.sets[i] ^= moved.bits << moved.first
        if changed.bitmap == "dropped":
            self.bitmap = None
        elif changed.bitmap:
            self.bitmap = (self.bitmap or 0) ^ changed.bitmap.bits << changed.bitmap.first
        vga, code, migration, direct, notdirty, has_code = self.sets
        return State(
            vga=vga,
            code=code,
            migration=migration,
            tlb_direct=direct,
            tlb_notdirty=notdirty,
            has_code=has_code,
            migration_bitmap=self.bitmap,
            migration_dirty_pages=changed.migration_dirty_pages,
            logging=changed.logging,
        )


class BitShadow:
    """One page set, a bit a page, as last seen: 8 pages a byte."""

    __slots__ = ("bits",)

    def __init__(self) -> None:
        self.bits = bytearray()

    def update(self, low: int, high: int, now: int) -> Flips | None:
        """Bring pages [low, high), multiples of 8, to ``now``; gives what changed."""
        first, last = low // 8, high // 8
        if len(self.bits) < last:
            self.bits.extend(bytes(last - len(self.bits)))
        old = int.from_bytes(self.bits[first:last], "little")
        if old == now:
            return None
        self.bits[first:last] = now.to_bytes(last - first, "little")
        return flips(low, old ^ now)


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
        """The record of an operation: what changed since the last one."""
        vm = self.vm
        changed = Changed(
            self._dirty(),
            self._tlb(),
            self._code(),
            self._bitmap(),
            vm.migration_dirty_pages,
            vm.in_migration,
        )
        return Record(ret, "ok", events, changed)

    def _dirty(self) -> tuple[Flips | None, Flips | None, Flips | None]:
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
        vga, code, migration = (
            shadow.update(low, high, bits & mask)
            for shadow, bits in zip(self.clients, now, strict=True)
        )
        return vga, code, migration

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

    def _tlb(self) -> tuple[Flips | None, Flips | None]:
        touched = self.vm.tlb.touched
        if not touched:
            return (None, None)
        direct: list[int] = []
        notdirty: list[int] = []
        for page in touched:
            old, now = self.tlb.get(page), self.vm.tlb.get(page)
            if old is now:
                continue
            for kind in (old, now):
                if kind is not None:
                    (direct if kind else notdirty).append(page)
            if now is None:
                del self.tlb[page]
            else:
                self.tlb[page] = now
        touched.clear()
        return (_flipped(direct), _flipped(notdirty))

    def _code(self) -> Flips | None:
        touched = self.vm.has_code.touched
        if not touched:
            return None
        flipped = [page for page in touched if (page in self.code) != (page in self.vm.has_code)]
        self.code.symmetric_difference_update(flipped)
        touched.clear()
        return _flipped(flipped)

    def _bitmap(self) -> Flips | Dropped | None:
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


def _flipped(numbers: list[int]) -> Flips | None:
    if not numbers:
        return None
    low = min(numbers)
    return Flips(low, pages(number - low for number in numbers))


def run_large(model: PythonModel, trace: Trace) -> LargeRun:
    """Execute a trace on a machine with watched stores."""
    vm = start(model.machine, trace, watched=True)
    watcher = Watcher(vm)
    methods = {name: getattr(vm, name) for name, _ in trace.program}
    records: list[Record] = []
    for name, args in trace.program:
        try:
            ret = methods[name](*args)
        except (Exception, SystemExit) as error:
            records.append(Record(*ended(error), tuple(vm.events)))
            break
        records.append(watcher.record(ret, tuple(vm.events)))
        vm.events.clear()
    return LargeRun(trace, model.step, records)

"""What must hold at a step by itself, apart from equivalence with its neighbours.

Equal observations do not make a step right: both may be wrong. A property looks at one
run and at the trace it ran, keeps its own books of what was stored where, and says at
which operation it was broken. The text of each property, and which steps break it on
purpose or by mistake, stand in series.toml.

``no-lost-store`` keeps, for each client, the pages stored to since that client last
looked. A reset is a look of its client, also when the range was not asked about before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.trace import CLIENTS, Config, Op, Trace
from replay.dirty.machine.model import Record, Visible
from replay.dirty.machine.pagesets import numbers, span
from replay.series.subject import Violation

Check: TypeAlias = Callable[[Trace, Sequence[Record]], Violation | None]
"""A property of a run. Pure: equal records, equal answer."""

RUN_PROPERTIES: Final[dict[str, Check]] = {}


def of_runs(name: str) -> Callable[[Check], Check]:
    """Enter a property of runs under its name."""

    def enter(check: Check) -> Check:
        RUN_PROPERTIES[name] = check
        return check

    return enter


def touched(addr: int, length: int, page: int) -> int:
    """The pages a range covers; length 0 at an unaligned start covers that page."""
    first = addr // page
    return span(first, max(-(-(addr + length) // page) - first, 0))


def live(trace: Trace, records: Sequence[Record]) -> Iterator[tuple[int, Op, Record, int]]:
    """(index, operation, record, pages in blocks after it) while the machine lives."""
    layout = Layout()
    mask = 0
    for index, (op, record) in enumerate(zip(trace.ops, records, strict=False)):
        if record.status != "ok":
            return
        if op.name in ("ram_alloc", "ram_free"):
            follow(op, layout, trace.config)
            mask = 0
            for first, pages in layout.blocks:
                mask |= span(first, pages)
        yield index, op, record, mask


def shown(pages: int) -> str:
    """A few page numbers of a set, for a message."""
    some = [str(page) for _, page in zip(range(6), numbers(pages), strict=False)]
    more = pages.bit_count() - len(some)
    return "page " + ", ".join(some) + (f" and {more} more" if more else "")


# --- stores -------------------------------------------------------------------------


def stored(op: Op, record: Record, config: Config, kinds: frozenset[str]) -> int:
    """The pages whose content an operation changed, as far as its kind is one of ``kinds``.

    Kinds: cpu, device, kvm, logged and quiet (stl_phys_notdirty while someone logs or not).
    """
    a: Any = op.args
    page = config.page_size
    if op.name == "store" and "cpu" in kinds:
        return touched(a[0], a[1], page)
    if op.name == "dma_write" and "device" in kinds:
        return touched(a[0], a[1], page) if a[1] else 0
    if op.name == "store_notdirty":
        kind = "logged" if record.visible.logging else "quiet"
        return touched(a[0], 4, page) if kind in kinds else 0
    if op.name == "kvm_log_sync" and "kvm" in kinds:
        return guest_writes(op, config)
    return 0


def guest_writes(op: Op, config: Config) -> int:
    """The target pages that a log says the guest wrote: those of its section's bits."""
    addr, pages, words = op.args
    assert isinstance(addr, int) and isinstance(pages, int) and isinstance(words, tuple)
    log = 0
    for i, word in enumerate(words):
        log |= word << (i * config.word_bits)
    first = addr // config.page_size
    written = 0
    for bit in numbers(log & span(0, pages)):
        written |= span(first + bit * config.hpratio, config.hpratio)
    return written


class _Books:
    """Who has still to see which stores."""

    def __init__(self, trace: Trace, kinds: frozenset[str]) -> None:
        self.config = trace.config
        self.kinds = kinds
        self.unseen = [0, 0, 0]
        self.unsent = 0
        """Pages whose content at the destination of a running migration is old."""

    def follow(self, op: Op, record: Record, mask: int) -> str | None:
        """Enter one operation; what was lost, None if nothing."""
        looked = _LOOKS.get(op.name)
        lost = looked(self, op, record, mask) if looked else None
        if lost:
            return lost
        written = stored(op, record, self.config, self.kinds)
        self.unseen = [pages & mask | written & mask for pages in self.unseen]
        self.unsent = (self.unsent | written) & mask
        return None

    def range(self, op: Op, record: Record, mask: int) -> str | None:
        """A region operation of one client."""
        addr, length, name = op.args
        assert isinstance(addr, int) and isinstance(length, int)
        client = CLIENTS.index(str(name))
        pages = touched(addr, length, self.config.page_size)
        lost = self.unseen[client] & pages & mask
        if record.ret is False and lost:
            return f"{name} was told that {shown(lost)} is clean after a store to it"
        if op.name != "region_get_dirty" and record.ret is not False:
            self.unseen[client] &= ~pages
            if client == 2:
                # Whoever takes a bit of MIGRATION from under a migration has seen the store.
                self.unsent &= ~pages | (record.visible.bitmap or 0)
        return None

    def flag(self, op: Op, record: Record, mask: int) -> str | None:
        """A page's flag, asked for."""
        addr, name = op.args
        assert isinstance(addr, int)
        lost = self.unseen[CLIENTS.index(str(name))] & span(addr // self.config.page_size, 1)
        if record.ret is False and lost & mask:
            return f"{name} was told that {shown(lost)} is clean after a store to it"
        return None

    def begin(self, op: Op, record: Record, mask: int) -> str | None:
        """A migration starts: nothing has been sent."""
        self.unsent = mask
        return self.sync(op, record, mask)

    def sync(self, op: Op, record: Record, mask: int) -> str | None:
        """A sync: what the destination lacks has to be in the migration bitmap."""
        self.unseen[2] = 0
        lost = self.unsent & mask & ~record.visible.bitmap
        if lost:
            return f"{shown(lost)} differs at the destination and will not be sent"
        return None

    def send(self, op: Op, record: Record, mask: int) -> str | None:
        """A page is taken from the bitmap and sent as it is now."""
        addr: Any = op.args[0]
        self.unsent &= ~span((addr + record.ret) // self.config.page_size, 1)
        return None

    def alloc(self, op: Op, record: Record, mask: int) -> str | None:
        """A new block is new content for everyone."""
        pages: Any = op.args[0]
        self.unsent |= span(record.ret // self.config.page_size, pages)
        return None


_LOOKS: Final[dict[str, Callable[[_Books, Op, Record, int], str | None]]] = {
    "region_get_dirty": _Books.range,
    "region_test_and_clear_dirty": _Books.range,
    "region_reset_dirty": _Books.range,
    "page_get_flag": _Books.flag,
    "migration_start": _Books.begin,
    "migration_sync": _Books.sync,
    "migration_next": _Books.send,
    "ram_alloc": _Books.alloc,
}


def _lost_store(trace: Trace, records: Sequence[Record], kinds: frozenset[str]) -> Violation | None:
    books = _Books(trace, kinds)
    for index, op, record, mask in live(trace, records):
        # CODE is not a reader of stores: see no-stale-code.
        books.unseen[1] = 0
        lost = books.follow(op, record, mask)
        if lost:
            return Violation(index, lost)
    return None


SEEN: Final = frozenset({"device", "logged", "kvm"})


@of_runs("no-lost-store")
def no_lost_store(trace: Trace, records: Sequence[Record]) -> Violation | None:
    """Every store is seen by the client that looks next, and reaches the destination."""
    return _lost_store(trace, records, SEEN | {"cpu"} if trace.config.tcg else SEEN)


@of_runs("no-lost-store-without-tcg")
def no_lost_store_without_tcg(trace: Trace, records: Sequence[Record]) -> Violation | None:
    """The same for CPU stores where a reset does not re-arm the TLB."""
    if trace.config.tcg:
        return None
    return _lost_store(trace, records, frozenset({"cpu"}))


@of_runs("no-lost-quiet-store")
def no_lost_quiet_store(trace: Trace, records: Sequence[Record]) -> Violation | None:
    """The same for stl_phys_notdirty while nobody logs."""
    return _lost_store(trace, records, frozenset({"quiet"}))


@of_runs("no-stale-code")
def no_stale_code(trace: Trace, records: Sequence[Record]) -> Violation | None:
    """After a store its pages hold no translated code."""
    kinds = frozenset({"cpu", "device"} if trace.config.tcg else {"device"})
    for index, op, record, _ in live(trace, records):
        for page in numbers(stored(op, record, trace.config, kinds)):
            if page in record.visible.has_code:
                return Violation(index, f"page {page} keeps the code of before the store")
    return None


# --- counters and the TLB -----------------------------------------------------------


@of_runs("count-is-popcount")
def count_is_popcount(trace: Trace, records: Sequence[Record]) -> Violation | None:
    """migration_dirty_pages is the number of set bits, while there is a bitmap."""
    for index, record in enumerate(records):
        if record.status != "ok":
            return None
        bitmap, count = record.visible.bitmap, record.visible.migration_dirty_pages
        if bitmap is not None and count != bitmap.bit_count():
            return Violation(index, f"{count} pages are counted, {bitmap.bit_count()} bits are set")
    return None


@of_runs("armed-when-dirty")
def armed_when_dirty(trace: Trace, records: Sequence[Record]) -> Violation | None:
    """An entry turns `direct` only while its page is dirty for all."""
    before: dict[int, bool] = {}
    for index, record in enumerate(records):
        if record.status != "ok":
            return None
        tlb = record.visible.tlb
        if tlb is not before:
            vga, code, migration = record.visible.dirty
            for page, direct in tlb.items():
                if direct and not before.get(page) and not (vga & code & migration) >> page & 1:
                    return Violation(index, f"page {page} goes direct while clean for someone")
            before = tlb
    return None


@of_runs("direct-is-dirty")
def direct_is_dirty(trace: Trace, records: Sequence[Record]) -> Violation | None:
    """Under TCG a `direct` page is dirty for all."""
    if not trace.config.tcg:
        return None
    dirty, tlb = None, None
    for index, record in enumerate(records):
        if record.status != "ok":
            return None
        visible: Visible = record.visible
        if visible.dirty is dirty and visible.tlb is tlb:
            continue
        dirty, tlb = visible.dirty, visible.tlb
        vga, code, migration = dirty
        for page, direct in tlb.items():
            if direct and not (vga & code & migration) >> page & 1:
                return Violation(index, f"page {page} is direct and clean for someone")
    return None


@of_runs("fresh-block-marked")
def fresh_block_marked(trace: Trace, records: Sequence[Record]) -> Violation | None:
    """A block just allocated is dirty for all."""
    for index, (op, record) in enumerate(zip(trace.ops, records, strict=False)):
        if op.name == "ram_alloc" and record.status == "ok":
            pages: Any = op.args[0]
            fresh = span(record.ret // trace.config.page_size, pages)
            vga, code, migration = record.visible.dirty
            if fresh & ~(vga & code & migration):
                missing = fresh & ~(vga & code & migration)
                return Violation(index, f"{shown(missing)} of the new block is clean")
    return None

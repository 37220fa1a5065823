"""What must hold at a step by itself, apart from equivalence with its neighbours.

Equal observations do not make a step right: both may be wrong. A property looks at one
run and at the trace it ran, keeps its own books of what was stored where, and says at
which operation it was broken. The text of each property, and which steps break it on
purpose or by mistake, stand in series.toml.

``no-lost-store`` keeps, for each client, the pages stored to since that client last
looked. A reset is a look of its client, also when the range was not asked about before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from replay.dirty.language.trace import Config, Op
from replay.dirty.machine.model import Record, Visible
from replay.dirty.machine.pagesets import numbers, span
from replay.dirty.rules.monitors import MONITORS, RUN_PROPERTIES, Monitor, followed

__all__ = ["MONITORS", "RUN_PROPERTIES"]
"""With all of this module's properties in them."""


def touched(addr: int, length: int, page: int) -> int:
    """The pages a range covers; length 0 at an unaligned start covers that page."""
    first = addr // page
    return span(first, max(-(-(addr + length) // page) - first, 0))


def shown(pages: Any) -> str:
    """A few page numbers of a set, for a message; of one that is not known, no numbers."""
    if not isinstance(pages, int):
        return "a page"
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


STORES: Final = {
    "cpu": "store", "device": "dma_write", "logged": "store_notdirty", "quiet": "store_notdirty",
    "kvm": "kvm_log_sync",
}  # fmt: skip
"""The operation that makes stores of a kind."""
FILLS: Final = frozenset({"tlb_fill", "store"})
"""What gives a page an entry of the TLB."""
READERS: Final = ("vga", "migration")
"""The clients that read stores. CODE is none: see no-stale-code."""


class _Books(Monitor):
    """Who has still to see which stores."""

    BOOKS = ("unseen_vga", "unseen_migration", "unsent")
    """The last: pages whose content at the destination of a running migration is old."""
    KINDS: frozenset[str] = frozenset()

    @classmethod
    def kinds(cls, config: Config) -> frozenset[str]:
        """The stores that it speaks of, on such a machine."""
        return cls.KINDS

    @classmethod
    def needs(cls, config: Config) -> tuple[frozenset[str], ...]:
        """A store, and someone who looks: a migration does so from its start on."""
        looks = frozenset(_LOOKS) - {"migration_sync", "migration_next", "ram_alloc"}
        return frozenset(STORES[kind] for kind in cls.kinds(config)), looks

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """Enter one operation; what was lost, None if nothing."""
        looked = _LOOKS.get(op.name)
        lost = looked(self, op, record, mask) if looked else None
        if lost:
            return lost
        written = stored(op, record, self.config, self.kinds(self.config))
        self.books = [(pages | written) & mask for pages in self.books]
        return None

    def unseen(self, client: str, pages: int) -> Any:
        """Those of some pages with a store that a client has not seen."""
        return self.books[READERS.index(client)] & pages if client in READERS else 0

    def seen(self, client: str, pages: int) -> None:
        """A client has seen these pages."""
        if client in READERS:
            self.books[READERS.index(client)] &= ~pages

    @property
    def unsent(self) -> Any:
        """Pages whose content at the destination is old."""
        return self.books[-1]

    @unsent.setter
    def unsent(self, pages: Any) -> None:
        self.books[-1] = pages

    def range(self, op: Op, record: Record, mask: int) -> str | None:
        """A region operation of one client."""
        addr, length, name = op.args
        assert isinstance(addr, int) and isinstance(length, int)
        pages = touched(addr, length, self.config.page_size)
        lost = self.unseen(str(name), pages & mask)
        if record.ret is False and lost:
            return f"{name} was told that {shown(lost)} is clean after a store to it"
        if op.name != "region_get_dirty" and record.ret is not False:
            self.seen(str(name), pages)
            if name == "migration":
                # Whoever takes a bit of MIGRATION from under a migration has seen the store.
                bitmap = record.visible.bitmap
                self.unsent &= ~pages if bitmap is None else ~pages | bitmap
        return None

    def flag(self, op: Op, record: Record, mask: int) -> str | None:
        """A page's flag, asked for."""
        addr, name = op.args
        assert isinstance(addr, int)
        lost = self.unseen(str(name), span(addr // self.config.page_size, 1) & mask)
        if record.ret is False and lost:
            return f"{name} was told that {shown(lost)} is clean after a store to it"
        return None

    def begin(self, op: Op, record: Record, mask: int) -> str | None:
        """A migration starts: nothing has been sent."""
        self.unsent = mask
        return self.sync(op, record, mask)

    def sync(self, op: Op, record: Record, mask: int) -> str | None:
        """A sync: what the destination lacks has to be in the migration bitmap."""
        self.seen("migration", -1)
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


SEEN: Final = frozenset({"device", "logged", "kvm"})


@followed("no-lost-store")
class NoLostStore(_Books):
    """Every store is seen by the client that looks next, and reaches the destination."""

    @classmethod
    def kinds(cls, config: Config) -> frozenset[str]:
        """Those of the CPU, too, where a reset re-arms the TLB."""
        return SEEN | {"cpu"} if config.tcg else SEEN


@followed("no-lost-store-without-tcg")
class NoLostStoreWithoutTcg(_Books):
    """The same for CPU stores where a reset does not re-arm the TLB."""

    KINDS = frozenset({"cpu"})

    @classmethod
    def asks(cls, config: Config) -> bool:
        """Only of machines without TCG."""
        return not config.tcg


@followed("no-lost-quiet-store")
class NoLostQuietStore(_Books):
    """The same for stl_phys_notdirty while nobody logs."""

    KINDS = frozenset({"quiet"})


@followed("no-stale-code")
class NoStaleCode(Monitor):
    """After a store its pages hold no translated code."""

    @staticmethod
    def kinds(config: Config) -> frozenset[str]:
        """The stores that it speaks of."""
        return frozenset({"cpu", "device"} if config.tcg else {"device"})

    @classmethod
    def needs(cls, config: Config) -> tuple[frozenset[str], ...]:
        """A store, and code."""
        return frozenset(STORES[kind] for kind in cls.kinds(config)), frozenset({"translate"})

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """A page of a store that still holds code."""
        for page in numbers(stored(op, record, self.config, self.kinds(self.config))):
            if page in record.visible.has_code:
                return f"page {page} keeps the code of before the store"
        return None


# --- counters and the TLB -----------------------------------------------------------


@followed("count-is-popcount")
class CountIsPopcount(Monitor):
    """migration_dirty_pages is the number of set bits, while there is a bitmap."""

    SEES = frozenset({"migration_dirty_pages"})

    @classmethod
    def needs(cls, config: Config) -> tuple[frozenset[str], ...]:
        """A migration."""
        return (frozenset({"migration_start"}),)

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """A count that is another one."""
        bitmap, count = record.visible.bitmap, record.visible.migration_dirty_pages
        if bitmap is not None and count != bitmap.bit_count():
            return f"{count} pages are counted, {bitmap.bit_count()} bits are set"
        return None


def _clean(visible: Visible, page: int) -> bool:
    """Whether a page is clean for someone."""
    return not all(pages >> page & 1 for pages in visible.dirty)


@followed("armed-when-dirty")
class ArmedWhenDirty(Monitor):
    """An entry turns `direct` only while its page is dirty for all."""

    SEES = frozenset({"tlb"})

    @classmethod
    def needs(cls, config: Config) -> tuple[frozenset[str], ...]:
        """An entry."""
        return (FILLS,)

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """An entry that is `direct` now, was not before, and whose page is clean."""
        tlb = record.visible.tlb
        if tlb is before.tlb:
            return None
        for page, direct in tlb.items():
            if direct and not before.tlb.get(page) and _clean(record.visible, page):
                return f"page {page} goes direct while clean for someone"
        return None


@followed("direct-is-dirty")
class DirectIsDirty(Monitor):
    """Under TCG a `direct` page is dirty for all."""

    SEES = frozenset({"tlb"})

    @classmethod
    def asks(cls, config: Config) -> bool:
        """Only of machines with TCG."""
        return config.tcg

    @classmethod
    def needs(cls, config: Config) -> tuple[frozenset[str], ...]:
        """An entry."""
        return (FILLS,)

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """A page that is `direct` and clean."""
        visible = record.visible
        if visible.dirty is before.dirty and visible.tlb is before.tlb:
            return None
        for page, direct in visible.tlb.items():
            if direct and _clean(visible, page):
                return f"page {page} is direct and clean for someone"
        return None


@followed("fresh-block-marked")
class FreshBlockMarked(Monitor):
    """A block just allocated is dirty for all."""

    @classmethod
    def needs(cls, config: Config) -> tuple[frozenset[str], ...]:
        """A block."""
        return (frozenset({"ram_alloc"}),)

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """A page of a new block that is clean."""
        if op.name != "ram_alloc":
            return None
        pages: Any = op.args[0]
        fresh = span(record.ret // self.config.page_size, pages)
        vga, code, migration = record.visible.dirty
        missing = fresh & ~(vga & code & migration)
        return f"{shown(missing)} of the new block is clean" if missing else None

"""A machine at one moment, with all there is to know of it: the hidden bits too.

A record holds what an observer sees. A law needs more: what lies in the store outside
every block, and in the migration bitmap past its end. Page sets are integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from refmodels.machine import Aborted, OutOfDomain
from replay.dirty.machine.run import ALL_PAGES, crash


@dataclass(frozen=True, slots=True)
class Moment:
    """What an operation gave, and the whole machine after it.

    Attributes:
        ret: what the operation returned.
        status: "ok" or "abort"; after an abort the machine is dead and the rest is moot.
        events: (kind, first, second) in order.
        dirty: the dirty pages of VGA, CODE and MIGRATION, hidden bits included.
        tlb: page to True (`direct`) or False.
        has_code: the pages that hold translated code.
        bitmap: the migration bitmap, hidden bits included; None when there is none.
        count: migration_dirty_pages.
        logging: whether dirty logging is on.
        blocks: (first page, pages) in list order.

    """

    ret: Any
    status: str
    events: tuple[tuple[str, int, int], ...]
    dirty: tuple[int, int, int]
    tlb: dict[int, bool]
    has_code: frozenset[int]
    bitmap: int | None
    count: int
    logging: bool
    blocks: tuple[tuple[int, int], ...]
    room: int

    @property
    def pages(self) -> int:
        """The pages that belong to a block."""
        mask = 0
        for first, count in self.blocks:
            mask |= span(first, count)
        return mask

    def shown(self) -> dict[str, Any]:
        """The fields of an observation by name, and ``hidden``: bits of no page, a client."""
        mask = self.pages
        vga, code, migration = (pages & mask for pages in self.dirty)
        return {
            "ret": self.ret,
            "status": self.status,
            "events": self.events,
            "vga": vga,
            "code": code,
            "migration": migration,
            "tlb_direct": _set(_kind(self.tlb, True)),
            "tlb_notdirty": _set(_kind(self.tlb, False)),
            "has_code": _set(self.has_code),
            "migration_bitmap": self.bitmap,
            "migration_dirty_pages": self.count,
            "logging": self.logging,
            "hidden": " ".join(f"{pages & ~mask:x}" for pages in self.dirty),
        }

    def differences(self, other: Moment) -> tuple[str, ...]:
        """The fields of an observation, and ``hidden`` for the rest, that differ."""
        if self.status != other.status:
            return ("status",)
        if self.status != "ok":
            return tuple(_named(self, other, ("ret", "events")))
        return tuple(self._differences(other))

    def _differences(self, other: Moment) -> Iterator[str]:
        yield from _named(self, other, ("ret", "events"))
        mask = self.pages
        hidden = self.blocks != other.blocks
        for name, a, b in zip(("vga", "code", "migration"), self.dirty, other.dirty, strict=True):
            if (a ^ b) & mask:
                yield name
            hidden |= bool((a ^ b) & ~mask)
        if self.tlb != other.tlb:
            for name, kind in (("tlb_direct", True), ("tlb_notdirty", False)):
                if _kind(self.tlb, kind) != _kind(other.tlb, kind):
                    yield name
        yield from _named(self, other, ("has_code",))
        if self.bitmap != other.bitmap:
            yield "migration_bitmap"
        if self.count != other.count:
            yield "migration_dirty_pages"
        yield from _named(self, other, ("logging",))
        if hidden:
            yield "hidden"


def _named(a: Moment, b: Moment, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        x, y = getattr(a, name), getattr(b, name)
        if x != y or isinstance(x, bool) != isinstance(y, bool):
            yield name


def _kind(tlb: dict[int, bool], kind: bool) -> set[int]:
    return {page for page, direct in tlb.items() if direct is kind}


def _set(pages: Iterable[int]) -> int:
    result = 0
    for page in pages:
        result |= 1 << page
    return result


def span(first: int, count: int) -> int:
    """The page set of ``count`` pages from ``first``."""
    return ((1 << count) - 1) << first


def numbers(pages: int) -> Iterator[int]:
    """The pages of a set, in ascending order."""
    while pages:
        low = pages & -pages
        yield low.bit_length() - 1
        pages ^= low


def look(vm: Any, ret: Any = None, status: str = "ok", events: Any = ()) -> Moment:
    """Take the moment of a machine."""
    bits = vm.TARGET_PAGE_BITS
    bitmap = vm.migration_bitmap
    return Moment(
        ret,
        status,
        tuple(events),
        vm.dirty_pages(0, ALL_PAGES),
        dict(vm.tlb),
        frozenset(vm.has_code),
        None if bitmap is None else vm.bits_of(bitmap, 0, ALL_PAGES),
        vm.migration_dirty_pages,
        vm.in_migration,
        tuple((block.offset >> bits, block.length >> bits) for block in vm.blocks),
        vm.store_pages(),
    )


def execute(vm: Any, name: str, args: tuple[Any, ...]) -> tuple[Any, str, tuple[Any, ...]]:
    """Call a function of a machine: (ret, status, events). Its notebook is emptied."""
    try:
        ret, status = getattr(vm, name)(*args), "ok"
    except Aborted:
        ret, status = None, "abort"
    except OutOfDomain:
        raise
    except Exception as error:
        ret, status = crash(error), "crash"
    events = tuple(vm.events)
    vm.events.clear()
    return ret, status, events

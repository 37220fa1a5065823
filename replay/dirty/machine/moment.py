"""A machine at one moment, with all there is to know of it: the hidden bits too.

A record holds what an observer sees. A law needs more: what lies in the store outside
every block, and in the migration bitmap past its end. Page sets are integers.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

from replay.dirty.language.trace import Observation, same
from replay.dirty.machine.model import Record, Visible, observation, state
from replay.dirty.machine.pagesets import span
from replay.dirty.machine.run import ALL_PAGES, ended


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
        migration_dirty_pages: how many pages the migration counts as dirty.
        logging: whether dirty logging is on.
        blocks: (first page, pages) in list order.
        room: the pages that the store has room for.

    """

    ret: Any
    status: str
    events: tuple[tuple[str, int, int], ...]
    dirty: tuple[int, int, int]
    tlb: dict[int, bool]
    has_code: frozenset[int]
    bitmap: int | None
    migration_dirty_pages: int
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

    def observation(self, pages: int) -> Observation:
        """What is observed of it where ``pages`` are those that belong to a block."""
        vga, code, migration = self.dirty
        shown = Visible(
            (vga & pages, code & pages, migration & pages),
            self.tlb,
            self.has_code,
            self.bitmap,
            self.migration_dirty_pages,
            self.logging,
        )
        record = Record(self.ret, self.status, self.events)
        return observation(record, state(shown if self.status == "ok" else None))

    def get(self, name: str) -> Any:
        """A field of the observation, or ``hidden``: a client's bits of no page."""
        mask = self.pages
        if name == "hidden":
            return " ".join(f"{pages & ~mask:x}" for pages in self.dirty)
        return self.observation(mask).get(name)

    def differences(self, other: Moment) -> tuple[str, ...]:
        """The fields of an observation, and ``hidden`` for the rest, that differ."""
        if self.status != other.status:
            return ("status",)
        if self == other and same(self.ret, other.ret) and same(self.logging, other.logging):
            return ()  # as it nearly always is: no page set has to be made
        mask = self.pages
        found = self.observation(mask).differences(other.observation(mask))
        if self.status == "ok" and self._hidden(mask) != other._hidden(mask):
            return (*found, "hidden")
        return found

    def _hidden(self, mask: int) -> Any:
        """What no observation tells."""
        return self.blocks, [pages & ~mask for pages in self.dirty]


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


class Reply(NamedTuple):
    """What an operation gave: the first three fields of a record, and of a moment."""

    ret: Any
    status: str
    events: tuple[tuple[str, int, int], ...]

    def equals(self, other: Reply) -> bool:
        """Whether two replies are the same; a bool and a count never are."""
        return self == other and self.ret.__class__ is other.ret.__class__


def execute(vm: Any, name: str, args: tuple[Any, ...]) -> Reply:
    """Call a function of a machine. Its notebook is emptied."""
    try:
        ret, status = getattr(vm, name)(*args), "ok"
    except (Exception, SystemExit) as error:
        ret, status = ended(error)
    events = tuple(vm.events)
    vm.events.clear()
    # NamedTuple's own constructor takes twice the time of what it calls.
    return tuple.__new__(Reply, (ret, status, events))


# --- two machines -----------------------------------------------------------------------

_PARTS: Final = ("tlb", "has_code", "migration_bitmap", "migration_dirty_pages", "in_migration")
_parts: Final = attrgetter(*_PARTS)


def same_state(a: Any, b: Any) -> bool:
    """Whether two machines that keep their store in the same form hold the same.

    What :func:`look` would see of them is then the same, apart from the blocks: this is
    what it costs to know that without looking.
    """
    return bool(a.store_content() == b.store_content() and _parts(a) == _parts(b))


_OWN: Final = ("blocks", "has_code", "migration_bitmap", "page_descs", "tlb")
"""Parts that a machine changes in place: each has its own."""


def adopt(machine: Any, other: Any) -> None:
    """Give a machine another's state. Both keep their store in the same form."""
    for name in _OWN:
        setattr(machine, name, copy.copy(getattr(other, name)))
    for name in machine.FIELDS:
        setattr(machine, name, copy.deepcopy(getattr(other, name)))
    for name in ("ram_list_version", "in_migration", "migration_dirty_pages"):
        setattr(machine, name, getattr(other, name))

"""What ``dirty_record`` wrote → the records that the Python models give, equal to them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Trace
from replay.dirty.machine.large import Changed, LargeRun, flips
from replay.dirty.machine.model import Record, Run, Visible
from replay.dirty.machine.pagesets import numbers
from replay.dirty.machine.run import LARGE


class Head(NamedTuple):
    """The numbers at the head of a record, as the C wrote them, each an unsigned word.

    Attributes:
        length: words of the whole record.
        ret: what the operation returned, as a signed number.
        aborted: not 0 where the machine died of it.
        events: how many follow the head, three words each.
        pages: pages of RAM, which the words of a page set follow from.
        bitmap_pages: the same of the migration bitmap, or NO_BITMAP.
        migration_dirty_pages: how many pages the migration counts as dirty.
        logging: not 0 where dirty logging is on.

    """

    length: int
    ret: int
    aborted: int
    events: int
    pages: int
    bitmap_pages: int
    migration_dirty_pages: int
    logging: int


HEAD: Final = len(Head._fields)

NO_BITMAP: Final = (1 << 64) - 1
EVENTS: Final = {1: "tb_invalidate", 2: "xen_modified"}

MEANING: Final = {name: spec.result.meaning for name, spec in OPS.items()}
"""What an operation's number means; one that is not listed stands for itself."""

VOID: Final[Mapping[int, Any]] = {-1: None}
"""The meaning for an operation that is none of the language: see ``replay.dirty.native.calls``."""


def decode(trace: Trace, step: int, data: bytes, death: str = "", cause: str = "crash") -> Run:
    """The run of a trace; ``death`` says how the library died behind the last record."""
    numbers_ = array("Q")
    numbers_.frombytes(data)
    large = trace.most_pages > LARGE
    view = _LargeView() if large else _View()
    records: list[Record] = []
    at = 0
    while at < len(numbers_):
        end = at + numbers_[at]
        name = trace.ops[len(records)].name
        records.append(view.record(name, numbers_[at:end]))
        at = end
    if death and len(records) < len(trace.ops):
        records.append(Record(death, cause, ()))
    return LargeRun(trace, step, records) if large else Run(trace, step, records)


class _View:
    """What is seen of a machine, brought up to date by one record after the other."""

    def __init__(self) -> None:
        self.pages = 0
        self.bitmap_pages = NO_BITMAP
        self.state = array("Q")
        self.sets = [0] * 6
        self.bitmap: int | None = None
        self.dirty = (0, 0, 0)
        self.tlb: dict[int, bool] = {}
        self.has_code: set[int] = set()

    def record(self, name: str, raw: array[int]) -> Record:
        """The record of an operation."""
        head = Head(*raw[:HEAD])
        ret = head.ret - (1 << 64) if head.ret >> 63 else head.ret
        first = HEAD + 3 * head.events
        events = tuple(
            (EVENTS.get(raw[i], str(raw[i])), raw[i + 1], raw[i + 2]) for i in range(HEAD, first, 3)
        )
        if head.aborted:
            return Record(None, "abort", events)
        before, bitmap = self.sets.copy(), self.bitmap
        sizes = (head.pages, head.bitmap_pages)
        if sizes != (self.pages, self.bitmap_pages) or first < len(raw):
            self.update(*sizes, raw[first:])
        visible = self.look(before, bitmap, head)
        return Record(MEANING.get(name, VOID).get(ret, ret), "ok", events, visible)

    def update(self, pages: int, bitmap_pages: int, changes: array[int]) -> None:
        """Follow the words that changed."""
        words = -(-pages // 64)
        touched = set()
        if (pages, bitmap_pages) != (self.pages, self.bitmap_pages):
            self.pages, self.bitmap_pages = pages, bitmap_pages
            more = 0 if bitmap_pages == NO_BITMAP else -(-bitmap_pages // 64)
            self.state = array("Q", bytes(8 * (6 * words + more)))
            self.sets = [0] * 6
            self.bitmap = None if bitmap_pages == NO_BITMAP else 0
        for i in range(0, len(changes), 2):
            index = changes[i]
            self.state[index] = changes[i + 1]
            touched.add(min(index // words, 6) if words else 6)
        for number in touched:
            end = len(self.state) if number == 6 else (number + 1) * words
            value = int.from_bytes(self.state[number * words : end].tobytes(), "little")
            if number == 6:
                self.bitmap = value
            else:
                self.sets[number] = value

    def look(self, before: list[int], bitmap: int | None, head: Head) -> Visible | Changed:
        """What is visible; parts that are as they were in ``before`` are shared."""
        if self.sets != before:
            self.follow(before)
        return Visible(
            self.dirty,
            self.tlb,
            self.has_code,
            self.bitmap,
            head.migration_dirty_pages,
            bool(head.logging),
        )

    def follow(self, before: list[int]) -> None:
        """Bring the parts of what is visible to the page sets."""
        *dirty, direct, notdirty, has_code = self.sets
        *old_dirty, old_direct, old_notdirty, old_code = before
        if dirty != old_dirty:
            vga, code, migration = dirty
            self.dirty = (vga, code, migration)
        changed = (direct ^ old_direct) | (notdirty ^ old_notdirty)
        if changed:
            self.tlb = self.tlb.copy()
            for page in numbers(changed):
                if (direct | notdirty) >> page & 1:
                    self.tlb[page] = bool(direct >> page & 1)
                else:
                    del self.tlb[page]
        if has_code != old_code:
            self.has_code = set(numbers(has_code))


class _LargeView(_View):
    """The same for a large machine, whose records tell changes (see ``machine.large``)."""

    def look(self, before: list[int], bitmap: int | None, head: Head) -> Visible | Changed:
        """What is not as it was in ``before``, and in the bitmap then."""
        vga, code, migration, direct, notdirty, has_code = (
            flips(0, old ^ now) for old, now in zip(before, self.sets, strict=True)
        )
        moved: Any
        if self.bitmap is None:
            moved = None if bitmap is None else "dropped"
        else:
            moved = flips(0, self.bitmap ^ (bitmap or 0))
        return Changed(
            (vga, code, migration), (direct, notdirty), has_code, moved,
            head.migration_dirty_pages, bool(head.logging),
        )  # fmt: skip

"""What ``dirty_record`` wrote → the records that the Python models give, equal to them."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any, Final

from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Trace
from replay.dirty.machine.large import LargeRun, change
from replay.dirty.machine.model import Record, Run
from replay.dirty.machine.moment import numbers
from replay.dirty.machine.run import LARGE

HEAD: Final = 8
"""Numbers at the head of a record."""

NO_BITMAP: Final = (1 << 64) - 1
EVENTS: Final = {1: "tb_invalidate", 2: "xen_modified"}

MEANING: Final = {name: spec.result.meaning for name, spec in OPS.items()}
"""What an operation's number means; one that is not listed stands for itself."""

VOID: Final[Mapping[int, Any]] = {-1: None}
"""The meaning for an operation that is none of the language: see ``replay.dirty.native.calls``."""

BLANK: Final = (None,) * 6


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
        records.append((death, cause, (), *BLANK))
    return LargeRun(trace, step, records) if large else Run(trace, step, records)


class _View:
    """What is seen of a machine, brought up to date by one record after the other."""

    def __init__(self) -> None:
        self.pages = 0
        self.bitmap_pages = NO_BITMAP
        self.state = array("Q")
        self.sets = [0] * 6
        self.bitmap: int | None = None
        self.store: tuple[Any, ...] = (0, 0, 0)
        self.tlb: dict[int, bool] = {}
        self.code: set[int] = set()

    def record(self, name: str, raw: array[int]) -> Record:
        """The record of an operation."""
        ret = raw[1] - (1 << 64) if raw[1] >> 63 else raw[1]
        first = HEAD + 3 * raw[3]
        events = tuple(
            (EVENTS.get(raw[i], str(raw[i])), raw[i + 1], raw[i + 2]) for i in range(HEAD, first, 3)
        )
        if raw[2]:
            return (None, "abort", events, *BLANK)
        before, bitmap = self.sets.copy(), self.bitmap
        if (raw[4], raw[5]) != (self.pages, self.bitmap_pages) or first < len(raw):
            self.update(raw[4], raw[5], raw[first:])
        seen = self.look(before, bitmap)
        return (MEANING.get(name, VOID).get(ret, ret), "ok", events, *seen, raw[6], bool(raw[7]))

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

    def look(self, before: list[int], bitmap: int | None) -> tuple[Any, ...]:
        """(store, tlb, code, bitmap) of a record; parts that did not change are shared."""
        sets = self.sets
        if sets == before:
            return (self.store, self.tlb, self.code, self.bitmap)
        if sets[:3] != before[:3]:
            self.store = tuple(sets[:3])
        direct, notdirty = sets[3], sets[4]
        changed = (direct ^ before[3]) | (notdirty ^ before[4])
        if changed:
            self.tlb = self.tlb.copy()
            for page in numbers(changed):
                if (direct | notdirty) >> page & 1:
                    self.tlb[page] = bool(direct >> page & 1)
                else:
                    del self.tlb[page]
        if sets[5] != before[5]:
            self.code = set(numbers(sets[5]))
        return (self.store, self.tlb, self.code, self.bitmap)


class _LargeView(_View):
    """The same for a large machine, whose records tell changes (see ``machine.large``)."""

    def look(self, before: list[int], bitmap: int | None) -> tuple[Any, ...]:
        """(store, tlb, code, bitmap) of a large machine's record."""
        parts = [change(0, old ^ now) for old, now in zip(before, self.sets, strict=True)]
        moved: Any
        if self.bitmap is None:
            moved = None if bitmap is None else "dropped"
        else:
            moved = change(0, self.bitmap ^ (bitmap or 0))
        return (tuple(parts[:3]), tuple(parts[3:5]), parts[5], moved)

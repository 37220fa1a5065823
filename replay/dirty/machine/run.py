"""Trace × model → run: the reference models of ``refmodels``, executed and observed.

Observing is the dear part. A small machine's store is compared whole with what it was
after the operation before, which is a few bytes; only when it differs are page sets
made of it, and those are remembered for all steps that keep the same content. A large
machine's store is *watched* instead, see ``replay.dirty.machine.large``.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final

from refmodels import FOLD
from refmodels.machine import Aborted, OutOfDomain
from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.trace import Trace
from replay.dirty.machine.model import Record, Run, Visible
from replay.errors import DomainError

LARGE: Final = 4096
"""Pages from which on a machine's store is watched instead of compared whole."""

ALL_PAGES: Final = 1 << 40
"""As the end of a span of pages: to the end of the store, however it is made."""

Memo = dict[Any, tuple[int, int, int]]
"""Content of a store to its page sets. Share one among the runs of one trace."""


class PythonModel:
    """A reference model as a Model. ``machine`` replaces the step's own class, for faults."""

    __slots__ = ("machine", "step")

    def __init__(self, step: int, machine: type[Any] | None = None) -> None:
        self.step = step
        self.machine = machine or FOLD.build(step)

    def run(self, trace: Trace, memo: Memo | None = None) -> Run:
        """Execute a valid trace on a fresh machine.

        Raises:
            DomainError: the step does not support an operation (from 19 on: 8 TiB).

        """
        try:
            if is_large(trace):
                from replay.dirty.machine.large import run_large

                return run_large(self, trace)
            return Run(trace, self.step, run_small(self.machine, trace, memo))
        except OutOfDomain as error:
            raise DomainError(f"step {self.step}: {error}") from None


def is_large(trace: Trace) -> bool:
    """Whether a valid trace ever has more than LARGE pages of RAM."""
    return trace.most_pages > LARGE and _end(trace) > LARGE


@lru_cache(maxsize=8)
def _end(trace: Trace) -> int:
    """The first page after the last one that a trace ever has.

    ``most_pages`` is more where blocks are freed and their place is used again.
    """
    layout, end = Layout(), 0
    for op in trace.ops:
        follow(op, layout, trace.config)
        end = max(end, layout.end)
    return end


@cache
def python_model(step: int) -> PythonModel:
    """The reference model of a step, made once."""
    return PythonModel(step)


def start(machine: type[Any], trace: Trace, watched: bool = False) -> Any:
    """A fresh machine for a trace."""
    config = trace.config
    return machine(config.page_bits, config.hpratio, config.tcg, config.word_bits, watched)


def run_small(  # noqa: PLR0912, PLR0915  one loop on local names: all runs spend their time here
    machine: type[Any], trace: Trace, memo: Memo | None = None
) -> list[Record]:
    """Execute a trace, recording everything there is to see after each operation."""
    # NamedTuple's own constructor takes twice the time of tuple.__new__, which it calls.
    make = tuple.__new__
    memo = {} if memo is None else memo
    vm = start(machine, trace)
    methods = {name: getattr(vm, name) for name, _ in trace.program}
    content_of, pages_of = vm.store_content, machine.dirty_pages
    layout = (pages_of, vm.clients)
    records: list[Record] = []
    note = records.append
    events = vm.events
    version, mask, nominal = -1, 0, 0
    raw: bytes
    content: Any = None
    dirty: tuple[int, int, int] = (0, 0, 0)
    tlb: dict[int, bool] = {}
    has_code: set[int] = set()
    raw_bitmap: bytes | None = None
    bitmap: int | None = None
    for name, args in trace.program:
        try:
            ret = methods[name](*args)
        except (Exception, SystemExit) as error:
            note(Record(*ended(error), tuple(events)))
            break
        if vm.ram_list_version != version:
            version, content = vm.ram_list_version, None
            mask = block_mask(vm)
        now = content_of()
        if now != content:
            content = now
            key = (layout, mask, now)
            found = memo.get(key)
            if found is None:
                vga, exe, migration = pages_of(vm, 0, ALL_PAGES)
                found = memo[key] = (vga & mask, exe & mask, migration & mask)
            dirty = found
        if vm.tlb != tlb:
            tlb = vm.tlb.copy()
        if vm.has_code != has_code:
            has_code = vm.has_code.copy()
        if vm.migration_bitmap is None:
            raw_bitmap = bitmap = None
        else:
            raw = vm.migration_bitmap.tobytes()
            if raw_bitmap is None:
                nominal = end_of_ram(vm)
            if raw != raw_bitmap:
                raw_bitmap = raw
                bitmap = vm.bits_of(vm.migration_bitmap, 0, ALL_PAGES) & nominal
        visible = make(
            Visible, (dirty, tlb, has_code, bitmap, vm.migration_dirty_pages, vm.in_migration)
        )
        if events:
            note(make(Record, (ret, "ok", tuple(events), visible)))
            events.clear()
        else:
            note(make(Record, (ret, "ok", (), visible)))
    return records


def ended(error: BaseException) -> tuple[str | None, str]:
    """What an operation gave that its machine did not survive: (ret, status).

    Raises:
        OutOfDomain: that was the error: the machine did not take the operation at all.
    """
    if isinstance(error, Aborted):
        return None, "abort"
    if isinstance(error, OutOfDomain):
        raise error
    return crash(error), "crash"


def crash(error: BaseException) -> str:
    """What to show of a model that failed with an error of its own: a finding, no accident."""
    return f"{type(error).__name__}: {error}"


def block_mask(vm: Any) -> int:
    """The pages that belong to a block now."""
    bits = vm.TARGET_PAGE_BITS
    mask = 0
    for block in vm.blocks:
        mask |= ((1 << (block.length >> bits)) - 1) << (block.offset >> bits)
    return mask


def end_of_ram(vm: Any) -> int:
    """All pages up to the end of the last block, as a page set.

    That is the nominal length of a migration bitmap made now; bits past it are hidden.
    """
    last = max((block.offset + block.length for block in vm.blocks), default=0)
    return (1 << (last >> vm.TARGET_PAGE_BITS)) - 1  # type: ignore[no-any-return]

"""From a failing trace to a short one: shortlex, the same failure kept, a stated budget.

Traces are ordered by length, then by how usual their machine is, then by their operations
and numbers. Every candidate is smaller than the best so far and within the domain; it
replaces the best when the predicate still holds. The shrinker knows nothing of models.

Addresses are kept as (block, offset): a block can shrink or go and the operations on the
others still mean the same places, wherever those are put then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from replay.dirty.language.domain import Layout, follow, is_valid
from replay.dirty.language.trace import CLIENTS, OPS, Config, Op, Trace

Predicate: TypeAlias = Callable[[Trace], bool]

BUDGET: Final = 2000
"""Evaluations of the predicate, unless told otherwise."""

_ORDER = {name: position for position, name in enumerate(OPS)}


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shortest trace found. ``complete``: no single reduction makes it smaller."""

    trace: Trace
    evaluations: int
    complete: bool


def size(trace: Trace) -> tuple[Any, ...]:
    """The order in which traces are smaller or larger: shortlex."""
    config = trace.config
    return (
        len(trace.ops),
        (not config.tcg, config.hpratio, 64 - config.word_bits, config.page_bits),
        sum(_weight(op) for op in trace.ops),
        tuple((_ORDER[op.name], _plain(op.args)) for op in trace.ops),
    )


def _weight(op: Op) -> int:
    total = 0
    for name, value in op.named().items():
        if isinstance(value, int):
            # Of two ranges with one end, the shorter is the simpler.
            total += 2 * value if name == "length" else value
        elif isinstance(value, tuple):
            total += sum(word.bit_count() << 12 for word in value) + len(value)
    return total


def _plain(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(CLIENTS.index(a) if isinstance(a, str) else a for a in args)


def shrink(trace: Trace, holds: Predicate, budget: int = BUDGET) -> Shrunk:
    """Reduce a trace on which ``holds`` is true; the result is one too.

    The same trace and predicate give the same result. ``holds`` is called at most
    ``budget`` times, and only with valid traces.
    """
    return _Shrinker(trace, holds, budget).run()


class _OutOfBudget(Exception):
    pass


class _Shrinker:
    def __init__(self, trace: Trace, holds: Predicate, budget: int) -> None:
        self.best = trace
        self.size = size(trace)
        self.holds = holds
        self.left = budget
        self.budget = budget
        self.seen: set[Any] = set()

    def run(self) -> Shrunk:
        complete = True
        try:
            self.prefix()
            while True:
                before = self.size
                self.drop_runs()
                self.simpler_machine()
                self.drop_blocks()
                self.move_down()
                self.smaller_numbers()
                self.shorter_ranges()
                if self.size == before:
                    break
        except _OutOfBudget:
            complete = False
        return Shrunk(self.best, self.budget - self.left, complete)

    def offer(self, candidate: Trace | None) -> bool:
        """Take a candidate if it is smaller, valid, new, and still fails."""
        if candidate is None:
            return False
        measure = size(candidate)
        if measure >= self.size or measure in self.seen:
            return False
        self.seen.add(measure)
        if not is_valid(candidate):
            return False
        if not self.left:
            raise _OutOfBudget
        self.left -= 1
        if not self.holds(candidate):
            return False
        self.best, self.size = candidate, measure
        return True

    def prefix(self) -> None:
        """The shortest failing prefix, by halving: a failure once shown stays shown."""
        low, high = 0, len(self.best.ops)
        whole = self.best
        while low < high:
            middle = (low + high) // 2
            if self.offer(whole.with_ops(whole.ops[:middle])):
                high = middle
            else:
                low = middle + 1

    def drop_runs(self) -> None:
        """Leave out runs of operations: halves, quarters, … single ones."""
        run = max(len(self.best.ops) // 2, 1)
        while run:
            index = len(self.best.ops) - run
            while index >= 0:
                ops = self.best.ops
                self.offer(self.best.with_ops(ops[:index] + ops[index + run :]))
                index -= run
                index = min(index, len(self.best.ops) - run)
            run //= 2
        ops = self.best.ops
        for i in range(len(ops)):
            for j in range(i + 1, len(ops)):
                kept = tuple(op for k, op in enumerate(ops) if k not in (i, j))
                if self.offer(self.best.with_ops(kept)):
                    return

    def simpler_machine(self) -> None:
        config = self.best.config
        for simpler in (
            replace(config, tcg=True),
            replace(config, hpratio=1),
            replace(config, hpratio=2),
        ):
            if simpler != config:
                self.offer(replace(self.best, config=simpler))
        if self.best.config.word_bits < 64:
            self.offer(_widened(self.best, 1))
            self.offer(_widened(self.best, 64 // self.best.config.word_bits))

    def drop_blocks(self) -> None:
        """Leave out a block with all that is done to it, or make it smaller."""
        bound = _Bound.of(self.best)
        block = 0
        while block < bound.blocks:
            if self.offer(bound.without(block)):
                bound = _Bound.of(self.best)
                continue
            pages = bound.pages(block)
            word = self.best.config.word_bits
            edges = sorted({1, 2, 3, word - 1, word, word + 1, 2 * word, pages // 2, pages - 1})
            for fewer in edges:
                if 0 < fewer < pages and self.offer(bound.resized(block, fewer)):
                    bound = _Bound.of(self.best)
                    break
            block += 1

    def move_down(self) -> None:
        """Take pages from the front of a block, and move all that is done to it along."""
        bound = _Bound.of(self.best)
        for block in range(bound.blocks):
            pages = bound.pages(block)
            word = self.best.config.word_bits
            for fewer in sorted({pages - 1, pages // 2, 2 * word, word, 8, 2, 1}, reverse=True):
                while 0 < fewer < bound.pages(block) and self.offer(bound.shifted(block, fewer)):
                    bound = _Bound.of(self.best)

    def shorter_ranges(self) -> None:
        """Move a range's start up to a place nearer its end, the end kept."""
        bound = _Bound.of(self.best)
        page = self.best.config.page_size
        for index in range(len(self.best.ops)):
            name, args = bound.ops[index]
            if "length" not in OPS[name].parameters:
                continue
            (block, offset), length = args[0], args[1]
            end = offset + length
            for start in (end - 1, end // page * page - 1, end // page * page,
                          offset // page * page + page - 1, end // page * page - page):  # fmt: skip
                if offset < start <= end:
                    new = (name, ((block, start), end - start, *args[2:]))
                    ops = (*bound.ops[:index], new, *bound.ops[index + 1 :])
                    if self.offer(bound.free(ops)):
                        bound = _Bound.of(self.best)
                        break

    def smaller_numbers(self) -> None:
        """Make every argument as small as it goes: one operation, one number at a time."""
        bound = _Bound.of(self.best)
        for index in range(len(self.best.ops)):
            for position in range(len(self.best.ops[index].args)):
                for value in _smaller(bound, index, position):
                    if self.offer(bound.changed(index, position, value)):
                        bound = _Bound.of(self.best)
                        break


Place: TypeAlias = tuple[int, int]
"""An address as (index of the block in order of allocation, offset in bytes)."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """A trace whose addresses are places in blocks."""

    trace: Trace
    ops: tuple[tuple[str, tuple[Any, ...]], ...]
    blocks: int

    @classmethod
    def of(cls, trace: Trace) -> _Bound:
        layout, names = Layout(), {}
        page = trace.config.page_size
        ops: list[tuple[str, tuple[Any, ...]]] = []
        count = 0
        for op in trace.ops:
            if op.name == "ram_alloc":
                pages: Any = op.args[0]
                names[layout.place(pages)] = count
                count += 1
            elif op.args and OPS[op.name].parameters[0] == "addr":
                addr: Any = op.args[0]
                block = layout.block_of(addr // page)
                assert block is not None, "a bound trace is valid"
                place = (names[block[0]], addr - block[0] * page)
                ops.append((op.name, (place, *op.args[1:])))
                follow(op, layout, trace.config)
                continue
            ops.append((op.name, op.args))
            follow(op, layout, trace.config)
        return cls(trace, tuple(ops), count)

    def free(self, ops: tuple[tuple[str, tuple[Any, ...]], ...]) -> Trace | None:
        """A trace again, each block where it is put now; None where a place is gone."""
        layout = Layout()
        where: dict[int, int] = {}
        config = self.trace.config
        made: list[Op] = []
        count = 0
        for name, args in ops:
            if name == "ram_alloc":
                if args[0] is not None:
                    where[count] = layout.place(args[0]) * config.page_size
                count += 1
                if args[0] is None:
                    continue
                op = Op(name, args)
            elif args and isinstance(args[0], tuple) and OPS[name].parameters[0] == "addr":
                block, offset = args[0]
                if block not in where:
                    return None
                op = Op(name, (where[block] + offset, *args[1:]))
                if name == "ram_free":
                    del where[block]
            else:
                op = Op(name, args)
            follow(op, layout, config)
            made.append(op)
        return self.trace.with_ops(made)

    def pages(self, block: int) -> int:
        """The pages of a block."""
        sizes = [args[0] for name, args in self.ops if name == "ram_alloc"]
        return int(sizes[block])

    def _rewritten(self, block: int, pages: int | None) -> list[tuple[str, tuple[Any, ...]]]:
        seen = -1
        ops = []
        for name, args in self.ops:
            if name == "ram_alloc":
                seen += 1
                ops.append((name, (pages,) if seen == block else args))
            else:
                ops.append((name, args))
        return ops

    def without(self, block: int) -> Trace | None:
        """Without a block and every operation on it."""
        ops = self._rewritten(block, None)
        kept = tuple(
            (name, args)
            for name, args in ops
            if not (args and isinstance(args[0], tuple) and args[0][0] == block)
        )
        return self.free(kept)

    def resized(self, block: int, pages: int) -> Trace | None:
        """With fewer pages in a block; what lay past its new end moves into its last page."""
        page = self.trace.config.page_size
        ops = []
        for name, args in self._rewritten(block, pages):
            moved = args
            if args and isinstance(args[0], tuple) and args[0][0] == block:
                offset = min(args[0][1], (pages - 1) * page + args[0][1] % page)
                moved = ((block, offset), *args[1:])
                if name in ("region_set_dirty", "region_get_dirty", "dma_write",
                            "region_reset_dirty", "region_test_and_clear_dirty"):  # fmt: skip
                    length = min(args[1], pages * page - offset)
                    moved = (moved[0], length, *args[2:])
                elif name == "kvm_log_sync":
                    room = -(-(pages * page - offset) // (page * self.trace.config.hpratio))
                    moved = (moved[0], *_log(args[1:], min(args[1], room), self.trace.config))
            ops.append((name, moved))
        return self.free(tuple(ops))

    def shifted(self, block: int, fewer: int) -> Trace | None:
        """With ``fewer`` pages less at the front of a block; offsets stop at its start."""
        page = self.trace.config.page_size
        ops = []
        for name, args in self._rewritten(block, self.pages(block) - fewer):
            moved = args
            if args and isinstance(args[0], tuple) and args[0][0] == block:
                offset = args[0][1]
                lower = offset - fewer * page if offset >= fewer * page else offset % page
                moved = ((block, lower), *args[1:])
                if name == "migration_next":
                    start = args[1]
                    start = start - fewer * page if start >= fewer * page else start % page
                    moved = (args[0], start)
            ops.append((name, moved))
        return self.free(tuple(ops))

    def changed(self, index: int, position: int, value: Any) -> Trace | None:
        """With one argument replaced."""
        name, args = self.ops[index]
        if name == "kvm_log_sync" and position == 1:
            new: tuple[Any, ...] = (args[0], *_log(args[1:], value, self.trace.config))
        else:
            new = (*args[:position], value, *args[position + 1 :])
        return self.free((*self.ops[:index], (name, new), *self.ops[index + 1 :]))


def _log(args: tuple[Any, ...], pages: int, config: Config) -> tuple[int, tuple[int, ...]]:
    """(pages, words) of a log cut to fewer pages."""
    return pages, tuple(args[1][: -(-pages // config.word_bits)])


def _smaller(bound: _Bound, index: int, position: int) -> Iterator[Any]:
    """Smaller values for an argument, smallest first."""
    name, args = bound.ops[index]
    value = args[position]
    page = bound.trace.config.page_size
    if isinstance(value, str):
        yield from CLIENTS[: CLIENTS.index(value)]
    elif name == "kvm_log_sync" and position == 2:
        yield from _smaller_words(value)
    elif isinstance(value, tuple):
        block, offset = value
        word = page * bound.trace.config.word_bits
        for smaller in (0, offset % page, offset // page * page, offset % word, 1, page, 100,
                        page - 4, page - 1, offset - page):  # fmt: skip
            if 0 <= smaller < offset:
                yield (block, smaller)
        for other in range(block):
            yield (other, offset)
    elif name != "ram_alloc":
        for smaller in (0, 1, 2, 4, page, page + 1, value // page * page, value - page,
                        value % page, value // 2, value - 1):  # fmt: skip
            if 0 <= smaller < value:
                yield smaller


def _smaller_words(words: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if not any(words):
        return
    zero = (0,) * len(words)
    yield zero
    for i, word in enumerate(words):
        if word:
            yield (*zero[:i], 1, *zero[i + 1 :])
            yield (*zero[:i], word & -word, *zero[i + 1 :])
            yield (*zero[:i], 1 << (word.bit_length() - 1), *zero[i + 1 :])
    for i, word in enumerate(words):
        if word:
            yield (*words[:i], 0, *words[i + 1 :])
            yield (*words[:i], word & (word - 1), *words[i + 1 :])


def _widened(trace: Trace, times: int) -> Trace | None:
    """The trace on a machine with 64-bit words, each block ``times`` as long."""
    config = replace(trace.config, word_bits=64)
    bound = _Bound.of(trace)
    page = config.page_size
    ops: list[tuple[str, tuple[Any, ...]]] = []
    for name, args in bound.ops:
        new = args
        if args and isinstance(args[0], tuple) and OPS[name].parameters[0] == "addr":
            block, offset = args[0]
            new = ((block, offset // page * page * times + offset % page), *args[1:])
        if name == "ram_alloc":
            new = (args[0] * times,)
        elif name == "migration_next":
            new = (new[0], args[1] // page * page * times + args[1] % page)
        elif "length" in OPS[name].parameters:
            new = (new[0], args[1] // page * page * times + args[1] % page, *args[2:])
        elif name == "kvm_log_sync":
            log = sum(word << (i * trace.config.word_bits) for i, word in enumerate(args[2]))
            spread = sum(1 << (bit * times) for bit in range(log.bit_length()) if log >> bit & 1)
            pages = args[1] * times
            words = -(-pages // 64)
            new = (new[0], pages, tuple(spread >> (64 * i) & (1 << 64) - 1 for i in range(words)))
        ops.append((name, new))
    widened = replace(bound, trace=replace(trace, config=config))
    return widened.free(tuple(ops))

"""A trace whose addresses are kept as (block, offset).

A block can shrink, move or go, and the operations on the others still mean the same
places, wherever those are put then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.trace import OPS, Config, Op, Trace

Place: TypeAlias = tuple[int, int]
"""An address as (index of the block in order of allocation, offset in bytes)."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A trace whose addresses are places in blocks."""

    trace: Trace
    ops: tuple[tuple[str, tuple[Any, ...]], ...]
    blocks: int

    @classmethod
    def of(cls, trace: Trace) -> Bound:
        """A valid trace, each address with the block that it lies in."""
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
                    moved = (moved[0], *cut_log(args[1:], min(args[1], room), self.trace.config))
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
            new: tuple[Any, ...] = (args[0], *cut_log(args[1:], value, self.trace.config))
        else:
            new = (*args[:position], value, *args[position + 1 :])
        return self.free((*self.ops[:index], (name, new), *self.ops[index + 1 :]))


def cut_log(args: tuple[Any, ...], pages: int, config: Config) -> tuple[int, tuple[int, ...]]:
    """(pages, words) of a log cut to fewer pages."""
    return pages, tuple(args[1][: -(-pages // config.word_bits)])


def widened(trace: Trace, times: int) -> Trace | None:
    """The trace on a machine with 64-bit words, each block ``times`` as long."""
    config = replace(trace.config, word_bits=64)
    bound = Bound.of(trace)
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

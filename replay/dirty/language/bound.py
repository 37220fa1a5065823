"""A trace whose addresses are kept as (block, offset).

A block can shrink, move or go, and the operations on the others still mean the same
places, wherever those are put then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.kind import Arguments
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Config, Op, Trace

Place: TypeAlias = tuple[int, int]
"""An address as (index of the block in order of allocation, offset in bytes)."""


@dataclass(frozen=True, slots=True)
class BoundTrace:
    """A trace whose addresses are places in blocks."""

    trace: Trace
    ops: tuple[tuple[str, tuple[Any, ...]], ...]
    blocks: int

    @classmethod
    def of(cls, trace: Trace) -> BoundTrace:
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
            elif OPS[op.name].addressed:
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
            elif OPS[name].addressed:
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
            (name, args) for name, args in ops if not (OPS[name].addressed and args[0][0] == block)
        )
        return self.free(kept)

    def _moved(
        self, block: int, pages: int, move: Callable[[str, Arguments], Arguments]
    ) -> Trace | None:
        """With other pages in a block, and the arguments of all that is done to it moved."""
        return self.free(
            tuple(
                (name, move(name, args))
                if OPS[name].addressed and args[0][0] == block
                else (name, args)
                for name, args in self._rewritten(block, pages)
            )
        )

    def resized(self, block: int, pages: int) -> Trace | None:
        """With fewer pages in a block; what lay past its new end moves into its last page."""
        config = self.trace.config
        size = pages * config.page_size

        def cut(name: str, args: Arguments) -> Arguments:
            address, *kinds = OPS[name].kinds
            place = address.cut(args[0], size, config)
            room = size - place[1]
            rest = (k.cut(v, room, config) for k, v in zip(kinds, args[1:], strict=True))
            return settled(name, (place, *rest), config)

        return self._moved(block, pages, cut)

    def shifted(self, block: int, fewer: int) -> Trace | None:
        """With ``fewer`` pages less at the front of a block; offsets stop at its start."""
        page = self.trace.config.page_size

        def lower(name: str, args: Arguments) -> Arguments:
            kinds = OPS[name].kinds
            return tuple(k.lowered(v, fewer * page, page) for k, v in zip(kinds, args, strict=True))

        return self._moved(block, self.pages(block) - fewer, lower)

    def changed(self, index: int, position: int, value: Any) -> Trace | None:
        """With one argument replaced."""
        name, args = self.ops[index]
        new = settled(name, (*args[:position], value, *args[position + 1 :]), self.trace.config)
        return self.free((*self.ops[:index], (name, new), *self.ops[index + 1 :]))


def settled(name: str, args: Arguments, config: Config) -> Arguments:
    """The arguments of an operation, each made to agree with those before it."""
    kinds = OPS[name].kinds
    return tuple(
        k.settled(v, args[:i], config) for i, (k, v) in enumerate(zip(kinds, args, strict=True))
    )


def widened(trace: Trace, times: int) -> Trace | None:
    """The trace on a machine with 64-bit words, each block ``times`` as long."""
    narrow = trace.config
    bound = BoundTrace.of(trace)
    ops = tuple(
        (
            name,
            tuple(
                kind.widened(value, args[:i], narrow, times)
                for i, (kind, value) in enumerate(zip(OPS[name].kinds, args, strict=True))
            ),
        )
        for name, args in bound.ops
    )
    wide = replace(trace, config=replace(narrow, word_bits=64))
    return replace(bound, trace=wide).free(ops)

"""The domain: which traces are valid. The generator keeps to it, a reader refuses the rest.

:class:`Layout` follows the blocks of RAM through a trace. It places them by the rules
of the trace language, independently of the models' own ``find_ram_offset``.
"""

from __future__ import annotations

from typing import Any, Final

from replay.dirty.language.kind import At
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import WORD_SIZES, Config, Op, Trace
from replay.errors import TraceError


class Layout:
    """Where the RAM blocks of a machine are, in pages, as operations come and go."""

    __slots__ = ("bitmap_pages", "blocks", "migrating")

    def __init__(self) -> None:
        self.blocks: list[tuple[int, int]] = []
        """(first page, pages), longest first, equal ones in order of insertion."""
        self.migrating = False
        self.bitmap_pages = 0

    def copy(self) -> Layout:
        """An independent layout in the same state."""
        other = Layout()
        other.blocks = list(self.blocks)
        other.migrating = self.migrating
        other.bitmap_pages = self.bitmap_pages
        return other

    @property
    def end(self) -> int:
        """The first page after the block that ends last."""
        return max((first + pages for first, pages in self.blocks), default=0)

    def place(self, pages: int) -> int:
        """The first page that a new block of ``pages`` would get."""
        best: tuple[int | float, int] | None = None
        for first, length in self.blocks:
            end = first + length
            gap = min((f for f, _ in self.blocks if f >= end), default=float("inf")) - end
            if gap >= pages and (best is None or gap < best[0]):
                best = (gap, end)
        return best[1] if best else 0

    def alloc(self, pages: int) -> int:
        """Place a block; gives its first page."""
        first = self.place(pages)
        index = next((i for i, b in enumerate(self.blocks) if b[1] < pages), len(self.blocks))
        self.blocks.insert(index, (first, pages))
        return first

    def block_of(self, page: int) -> tuple[int, int] | None:
        """The block that holds a page."""
        for block in self.blocks:
            if block[0] <= page < block[0] + block[1]:
                return block
        return None

    def free(self, page: int) -> None:
        """Remove the block that holds a page, if there is one."""
        block = self.block_of(page)
        if block:
            self.blocks.remove(block)

    def start_migration(self) -> None:
        """A migration bitmap for all pages that there are."""
        self.migrating, self.bitmap_pages = True, self.end

    def stop_migration(self) -> None:
        """The bitmap is gone."""
        self.migrating, self.bitmap_pages = False, 0


def check_config(config: Config) -> str | None:
    """What is wrong with a configuration, None if nothing."""
    if not 3 <= config.page_bits <= 30:
        return f"page_bits is {config.page_bits}; it must be 3 to 30 (12 for 4 KiB pages)"
    if config.hpratio < 1 or config.hpratio > 1024 or config.hpratio & (config.hpratio - 1):
        return f"hpratio is {config.hpratio}; it must be a power of two from 1 to 1024"
    if config.word_bits not in WORD_SIZES:
        return f"word_bits is {config.word_bits}; it must be one of {WORD_SIZES}"
    return None


def check_op(op: Op, layout: Layout, config: Config) -> str | None:
    """What puts an operation outside the domain at this point, None if nothing."""
    spec = OPS[op.name]
    for kind, value in zip(spec.kinds, op.args, strict=True):
        if problem := kind.alone(value):
            return problem
    block = None
    if spec.addressed:
        addr: Any = op.args[0]
        block = layout.block_of(addr >> config.page_bits)
        if block is None:
            return f"addr {addr:#x} lies in no RAM block; {_blocks(layout, config.page_bits)}"
    if spec.when and (problem := spec.when.problem(layout)):
        return problem
    at = At(op.named(), layout, config, block or (0, 0))
    for kind, value in zip(spec.kinds, op.args, strict=True):
        if problem := kind.problem(value, at):
            return problem
    return None


def _blocks(layout: Layout, bits: int) -> str:
    if not layout.blocks:
        return "there is none yet, allocate one with ram_alloc"
    spans = [f"{f << bits:#x}..{(f + n) << bits:#x}" for f, n in sorted(layout.blocks)[:8]]
    return "blocks are " + ", ".join(spans)


_MOVES: Final = {name: spec.moves for name, spec in OPS.items() if spec.moves}


def follow(op: Op, layout: Layout, config: Config) -> None:
    """Keep a layout in step with a valid operation."""
    moves = _MOVES.get(op.name)
    if moves:
        moves(layout, op.args, config)


def validate(trace: Trace) -> None:
    """Check that a trace keeps to the domain.

    Raises:
        TraceError: the first operation that does not, with what would.

    """
    problem = check_config(trace.config)
    if problem:
        raise TraceError(problem)
    layout = Layout()
    for index, op in enumerate(trace.ops):
        if op.name not in OPS:
            raise TraceError(f"unknown operation {op.name!r}", operation=index)
        problem = check_op(op, layout, trace.config)
        if problem:
            raise TraceError(f"{op.name}: {problem}", operation=index)
        follow(op, layout, trace.config)


def is_valid(trace: Trace) -> bool:
    """Whether a trace keeps to the domain."""
    layout = Layout()
    for op in trace.ops:
        if check_op(op, layout, trace.config):
            return False
        follow(op, layout, trace.config)
    return True

"""The domain: which traces are valid. The generator keeps to it, a reader refuses the rest.

:class:`Layout` follows the blocks of RAM through a trace. It places them by the rules
of the trace language, independently of the models' own ``find_ram_offset``.
"""

from __future__ import annotations

from typing import Any

from replay.dirty.language.trace import CLIENTS, MAX_PAGES, OPS, WORD_SIZES, Config, Op, Trace
from replay.errors import TraceError

MAX_ADDRESS = 1 << 62


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

    def apply(self, op: Op) -> None:
        """Follow a valid operation."""
        if op.name == "ram_alloc":
            self.alloc(op.args[0])  # type: ignore[arg-type]
        elif op.name == "migration_start":
            self.migrating, self.bitmap_pages = True, self.end
        elif op.name == "migration_stop":
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
    a: dict[str, Any] = op.named()
    bits = config.page_bits
    for name in ("addr", "length", "size", "pages", "start"):
        if name in a and not 0 <= a[name] < MAX_ADDRESS:
            return f"{name} is {a[name]}; it must be from 0 to 2^62 - 1"
    if a.get("client", "vga") not in CLIENTS:
        return f"unknown client {a['client']!r}; clients are {', '.join(CLIENTS)}"
    block = None
    if "addr" in a:
        block = layout.block_of(a["addr"] >> bits)
        if block is None:
            return f"addr {a['addr']:#x} lies in no RAM block; {_blocks(layout, bits)}"
    check = _CHECKS.get(op.name)
    return check(a, layout, config, block) if check else None


def _blocks(layout: Layout, bits: int) -> str:
    if not layout.blocks:
        return "there is none yet, allocate one with ram_alloc"
    spans = [f"{f << bits:#x}..{(f + n) << bits:#x}" for f, n in sorted(layout.blocks)[:8]]
    return "blocks are " + ", ".join(spans)


def _alloc(a: dict[str, Any], layout: Layout, config: Config, _: Any) -> str | None:
    if a["pages"] < 1:
        return "pages is 0; a block has at least one page"
    first = layout.place(a["pages"])
    if first + a["pages"] > MAX_PAGES:
        return (
            f"RAM would end at page {first + a['pages']}; from step 19 on page numbers are "
            f"ints, so 2^31 pages are the most"
        )
    if layout.migrating and first + a["pages"] > layout.bitmap_pages:
        return (
            f"the block would end at page {first + a['pages']}, past the migration bitmap's "
            f"{layout.bitmap_pages}; stop the migration first"
        )
    return None


def _free(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    if block[0] << config.page_bits != a["addr"]:
        return (
            f"addr {a['addr']:#x} is not where a block starts; "
            f"this one starts at {block[0] << config.page_bits:#x}"
        )
    return None


def _inside_block(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    end = (block[0] + block[1]) << config.page_bits
    if a["addr"] + a["length"] > end:
        return f"the write ends at {a['addr'] + a['length']:#x}, past its block's end {end:#x}"
    return None


def _store(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    if a["size"] not in (1, 2, 4):
        return f"size is {a['size']}; a store has 1, 2 or 4 bytes"
    if (a["addr"] & (config.page_size - 1)) + a["size"] > config.page_size:
        return "the store crosses a page boundary; split it in two"
    return None


def _aligned4(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    return "addr must be a multiple of 4" if a["addr"] % 4 else None


def _inside_ram(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    end = layout.end << config.page_bits
    if a["addr"] + a["length"] > end:
        return f"the range ends at {a['addr'] + a['length']:#x}, past the end of RAM {end:#x}"
    return None


def _log(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    words = a["words"]
    if a["pages"] < 1:
        return "pages is 0; a section has at least one host page"
    if a["addr"] & (config.page_size - 1):
        return f"addr {a['addr']:#x} must be a multiple of the page size {config.page_size}"
    wanted = -(-a["pages"] // config.word_bits)
    if len(words) != wanted:
        return f"{len(words)} words for {a['pages']} pages; there must be {wanted}"
    if any(word >> config.word_bits for word in words):
        return f"a word has more than {config.word_bits} bits"
    return None


def _start(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    if layout.migrating:
        return "a migration is running already; put a migration_stop before"
    return None if layout.blocks else "there is no RAM to migrate; put a ram_alloc before"


def _running(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    return None if layout.migrating else "no migration is running; put a migration_start before"


def _next(a: dict[str, Any], layout: Layout, config: Config, block: Any) -> str | None:
    return _running(a, layout, config, block) or _free(a, layout, config, block)


_CHECKS = {
    "ram_alloc": _alloc,
    "ram_free": _free,
    "store": _store,
    "dma_write": _inside_block,
    "store_notdirty": _aligned4,
    "region_set_dirty": _inside_ram,
    "region_get_dirty": _inside_ram,
    "kvm_log_sync": _log,
    "migration_start": _start,
    "migration_sync": _running,
    "migration_next": _next,
    "migration_stop": _running,
}


def follow(op: Op, layout: Layout, config: Config) -> None:
    """Keep a layout in step with a valid operation."""
    if op.name == "ram_free":
        block = layout.block_of(op.args[0] >> config.page_bits)  # type: ignore[operator]
        if block:
            layout.blocks.remove(block)
    else:
        layout.apply(op)


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

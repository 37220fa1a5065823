"""Long traces, made as fast as C runs them: a random machine, then draws from one table.

A stream allocates its blocks first and starts a migration; from then on every operation
of its table is valid at any time, so that drawing one costs next to nothing and encoding
nothing at all. It never frees, stops or aborts: the short traces of ``language.generate``
do that. A stream is a function of (seed, index, operations) alone.
"""

from __future__ import annotations

import random
import struct
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.trace import CLIENTS, Argument, Config, Op, Trace
from replay.dirty.native.encode import Batch, encode

TABLE: Final = 256
"""Operations in the table of a stream: as many as a byte can name."""

LIGHT: Final = (
    ("store", 20), ("tlb_fill", 10), ("store_notdirty", 5), ("page_is_dirty", 10),
    ("page_get_flag", 10), ("region_get_dirty", 5),
)  # fmt: skip
"""What a page alone is asked and told: as little work an operation as there is."""

CHUNK: Final = 4096

KINDS: Final = (
    ("store", 20), ("tlb_fill", 10), ("dma_write", 8), ("store_notdirty", 4), ("translate", 5),
    ("region_set_dirty", 4), ("region_get_dirty", 8), ("region_test_and_clear_dirty", 6),
    ("region_reset_dirty", 8), ("page_is_dirty", 8), ("page_get_flag", 8), ("kvm_log_sync", 3),
    ("migration_sync", 1), ("migration_next", 6), ("tlb_flush", 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stream:
    """The making of one stream: what comes first, and the table that is drawn from."""

    name: str
    config: Config
    first: tuple[Op, ...]
    table: tuple[Op, ...]
    draws: bytes

    def trace(self) -> Trace:
        """As a trace like any other, for shrinking and for the models."""
        ops = (*self.first, *(self.table[draw] for draw in self.draws))
        return Trace(ops, self.config, self.name)


def stream(seed: int, index: int, ops: int, light: bool = False) -> Stream:
    """The stream with this index of a seed, of ``ops`` operations in all.

    ``light``: of the cheapest operations alone, on a block of 64 pages.
    """
    rng = random.Random(f"stream/1/{seed}/{index}")
    config = Config(hpratio=rng.choice((1, 1, 1, 16)), tcg=rng.random() < 0.85)
    layout = Layout()
    sizes = [64] if light else rng.choices((1, 20, 40, 63, 64), k=rng.randint(1, 3))
    first = [Op("ram_alloc", (pages,)) for pages in sizes]
    for op in first:
        follow(op, layout, config)
    first.append(Op("migration_start"))
    kinds = LIGHT if light else KINDS
    names = rng.choices([name for name, _ in kinds], [weight for _, weight in kinds], k=TABLE)
    table = tuple(_an_op(rng, name, layout, config) for name in names)
    draws = rng.randbytes(max(ops - len(first), 0))
    return Stream(f"stream-{seed}-{index}", config, tuple(first), table, draws)


def _an_op(rng: random.Random, name: str, layout: Layout, config: Config) -> Op:
    first, pages = rng.choice(layout.blocks)
    page = config.page_size
    at = first + rng.choice((0, pages - 1, rng.randrange(pages)))
    addr = at * page + rng.choice((0, 0, 0, 1, page - 4))
    length = min(rng.choice((0, 1, page, 3 * page, 70 * page)), (first + pages) * page - addr)
    client = rng.choice(CLIENTS)
    bits = -(-pages // config.hpratio)
    args: dict[str, tuple[Argument, ...]] = {
        "tlb_flush": (),
        "migration_sync": (),
        "store": (addr, rng.choice((1, 2, 4)) if addr % 4 == 0 else 1),
        "store_notdirty": (addr // 4 * 4,),
        "dma_write": (addr, length),
        "region_set_dirty": (addr, length),
        "region_get_dirty": (addr, length, client),
        "region_test_and_clear_dirty": (addr, length, client),
        "region_reset_dirty": (addr, length, client),
        "page_get_flag": (addr, client),
        "migration_next": (first * page, rng.randrange(pages) * page),
        "kvm_log_sync": (first * page, bits, (rng.getrandbits(bits),)),
    }
    return Op(name, args.get(name, (addr,)))


def encode_streams(streams: Sequence[Stream]) -> Batch:
    """The streams as a batch, equal to ``encode`` of their traces, but far sooner.

    Operations stand in rows of four numbers, so that a draw is a copy of 32 bytes.
    """
    table, words = array("q"), array("Q")
    parts: list[bytes] = []
    ops = 0
    for made in streams:
        small = encode([Trace((*made.first, *made.table), made.config)])
        packed = small.rows.tobytes()
        every = [packed[at : at + 32] for at in range(0, len(packed), 32)]
        for number, op in enumerate((*made.first, *made.table)):
            if op.name == "kvm_log_sync":
                code, addr, pages, word = struct.unpack("4q", every[number])
                every[number] = struct.pack("4q", code, addr, pages, word + len(words))
        head = len(made.first)
        count = head + len(made.draws)
        table.extend((ops, count, made.config.hpratio, made.config.tcg))
        ops += count
        parts += every[:head]
        entries = every[head:]
        for at in range(0, len(made.draws), CHUNK):
            # One call for many draws: a loop of our own would cost more than running them.
            parts += itemgetter(*made.draws[at : at + CHUNK], 0)(entries)[:-1]
        words.extend(small.words)
    return Batch((), table, array("q", b"".join(parts)), words, 1.0 + 1e-3 * ops)

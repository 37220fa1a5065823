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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.kind import Spot
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import CLIENTS, Config, Op, Trace
from replay.dirty.native.encode import WORDS_AT, Batch, encode

TABLE: Final = 256
"""Operations in the table of a stream: as many as a byte can name."""

LIGHT: Final = (
    ("store", 20), ("tlb_fill", 10), ("store_notdirty", 5), ("page_is_dirty", 10),
    ("page_get_flag", 10), ("region_get_dirty", 5),
)  # fmt: skip
"""What a page alone is asked and told: as little work an operation as there is."""

CHUNK: Final = 4096

_FIRST: Final = ("store",)
_LAST: Final = ("tlb_flush",)

STEADY: Final = tuple(
    (name, OPS[name].streamed)
    for name in (*_FIRST, *(n for n in OPS if n not in _FIRST + _LAST), *_LAST)
    if OPS[name].streamed
)
"""The operations of a stream and how often each is drawn. Their order is part of a seed's
stream: that of the language, but for the first and the last."""


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
    mix = LIGHT if light else STEADY
    names = rng.choices([name for name, _ in mix], [weight for _, weight in mix], k=TABLE)
    table = tuple(_an_op(rng, name, layout, config) for name in names)
    draws = rng.randbytes(max(ops - len(first), 0))
    return Stream(f"stream-{seed}-{index}", config, tuple(first), table, draws)


def _below(bits: Callable[[int], int], end: int) -> int:
    """What ``Random.randrange(end)`` gives, and ``choice`` of so many, in half the time."""
    size = end.bit_length()
    drawn = bits(size)
    while drawn >= end:
        drawn = bits(size)
    return drawn


def _a_spot(rng: random.Random, layout: Layout, config: Config) -> Spot:
    """What an operation at one place may be given, all of it drawn whatever is then used."""
    draw, page = rng.getrandbits, config.page_size
    first, pages = layout.blocks[_below(draw, len(layout.blocks))]
    inside = _below(draw, pages)
    at = first + (0, pages - 1, inside)[_below(draw, 3)]
    addr = at * page + (0, 0, 0, 1, page - 4)[_below(draw, 5)]
    length = (0, 1, page, 3 * page, 70 * page)[_below(draw, 5)]
    client = CLIENTS[_below(draw, len(CLIENTS))]
    bits = -(-pages // config.hpratio)
    return Spot(
        block=first * page,
        addr=addr,
        length=min(length, (first + pages) * page - addr),
        client=client,
        size=(1, 2, 4)[_below(draw, 3)] if addr % 4 == 0 else 1,
        start=_below(draw, pages) * page,
        pages=bits,
        words=(draw(bits),),
    )


def _an_op(rng: random.Random, name: str, layout: Layout, config: Config) -> Op:
    spot = _a_spot(rng, layout, config)
    return Op(name, tuple(kind.streamed(spot) for kind in OPS[name].kinds))


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
            at = WORDS_AT.get(op.name)
            if at is not None:
                row = list(struct.unpack("4q", every[number]))
                row[1 + at] += len(words)
                every[number] = struct.pack("4q", *row)
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

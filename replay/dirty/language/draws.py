"""What random traces are made of: pages, offsets, lengths, ranges, clients.

Each is drawn with a bias to where such code breaks: edges of blocks and words, unaligned
starts, empty ranges, and pages that were used before.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from replay.dirty.language.domain import Layout
from replay.dirty.language.trace import CLIENTS, Config, Op


class Draws:
    """Draws for one trace, which knows the layout. ``pick`` is far cheaper than randrange.

    ``beyond`` is the chance that a log is of more pages than its block has; usually none.
    ``leaving`` is the chance that a range which nothing keeps in its block may leave it.
    """

    def __init__(self, rng: random.Random, config: Config, leaving: float = 0.0) -> None:
        self.rng = rng
        self.random: Callable[[], float] = rng.random
        self.config = config
        self.leaving = leaving
        self.beyond = 0.0
        self.word = config.word_bits
        self.page = config.page_size
        self.layout = Layout()
        self.hot: list[int] = []
        self.limit = self.word * (2 + self.pick(3)) + self.pick(9)

    def pick(self, n: int) -> int:
        """A number from 0 to n - 1."""
        return int(self.random() * n)

    def a_page(self) -> int:
        """A page of RAM: one used before, an edge of a block or a word, or any."""
        r = self.random()
        if r < 0.45 and self.hot:
            page = self.hot[self.pick(len(self.hot))]
            if self.layout.block_of(page):
                return page
        first, pages = self.layout.blocks[self.pick(len(self.layout.blocks))]
        if r < 0.75:
            edges = (first, first + pages - 1, first + pages // self.word * self.word, first + 1)
            page = edges[self.pick(4)]
        elif r < 0.88:
            page = (first + self.pick(pages)) // self.word * self.word - self.pick(2)
        else:
            page = first + self.pick(pages)
        page = min(max(page, first), first + pages - 1)
        self.hot.append(page)
        if len(self.hot) > 4:
            self.hot.pop(0)
        return page

    def an_offset(self) -> int:
        """A place in a page: mostly its start, else its edges or anywhere."""
        r = self.random()
        if r < 0.55:
            return 0
        if r < 0.8:
            return (1, 100, self.page - 1, self.page - 4)[self.pick(4)]
        return self.pick(self.page)

    def a_length(self, room: int) -> int:
        """A length in bytes of at most ``room``: empty, part of a page, pages, all."""
        r = self.random()
        if r < 0.08:
            return 0
        if r < 0.3:
            length = 1 + self.pick(self.page)
        elif r < 0.55:
            length = self.page * (1 + self.pick(3))
        elif r < 0.75:
            length = self.page * (1 + self.pick(self.word + 2)) + (0, 0, 1, -1)[self.pick(4)]
        elif r < 0.85:
            length = room
        else:
            length = self.pick(room + 1)
        return min(length, room)

    def a_length_from(self, addr: int, past_block: float = 0.0, past_ram: bool = False) -> int:
        """A length from an address on; with chance ``past_block`` it may leave the block."""
        block = self.layout.block_of(addr // self.page)
        assert block is not None
        room = inside = (block[0] + block[1]) * self.page - addr
        if past_block and self.random() < past_block:
            room = self.layout.end * self.page - addr
            if past_ram and self.random() < 0.1:
                room += 3 * self.page
            # Most lengths would stay inside all the same.
            if room > inside and self.random() < 0.3:
                return inside + 1 + self.pick(room - inside)
        return self.a_length(room)

    def a_client(self) -> str:
        """Any client."""
        return CLIENTS[self.pick(3)]

    def a_log(self, pages: int) -> tuple[int, ...]:
        """The words of a log of so many host pages: no bit, one, all, or any."""
        count = -(-pages // self.word)
        full = (1 << self.word) - 1
        r = self.random()
        if r < 0.12:
            return (0,) * count
        if r < 0.5:
            log = 1 << self.pick(pages)
        elif r < 0.62:
            log = (1 << pages) - 1
        else:
            log = self.rng.getrandbits(pages)
        if self.random() < 0.15:
            log |= self.rng.getrandbits(count * self.word)  # bits past the section's pages
        return tuple(log >> (i * self.word) & full for i in range(count))

    def plain(self, name: str) -> Op:
        """An operation without arguments."""
        return Op(name)

    def fits(self, pages: int, more: int = 0) -> bool:
        """Whether a new block of so many pages stays within the limits, or ``more`` past them."""
        most = self.layout.bitmap_pages if self.layout.migrating else self.limit + more
        return self.layout.place(pages) + pages <= most

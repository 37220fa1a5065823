"""The ways to make a trace of operations smaller, beside leaving operations out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from replay.dirty.language.bound import Bound, widened
from replay.dirty.language.trace import CLIENTS, OPS, Trace
from replay.search.shrink import Shrinker


def simpler_machine(s: Shrinker[Trace]) -> None:
    """A machine with TCG, with smaller host pages, with words of 64 bits."""
    config = s.best.config
    for simpler in (
        replace(config, tcg=True),
        replace(config, hpratio=1),
        replace(config, hpratio=2),
    ):
        if simpler != config:
            s.consider(replace(s.best, config=simpler))
    if s.best.config.word_bits < 64:
        s.consider(widened(s.best, 1))
        s.consider(widened(s.best, 64 // s.best.config.word_bits))


def drop_blocks(s: Shrinker[Trace]) -> None:
    """Leave out a block with all that is done to it, or make it smaller."""
    bound = Bound.of(s.best)
    block = 0
    while block < bound.blocks:
        if s.consider(bound.without(block)):
            bound = Bound.of(s.best)
            continue
        pages = bound.pages(block)
        word = s.best.config.word_bits
        edges = sorted({1, 2, 3, word - 1, word, word + 1, 2 * word, pages // 2, pages - 1})
        for fewer in edges:
            if 0 < fewer < pages and s.consider(bound.resized(block, fewer)):
                bound = Bound.of(s.best)
                break
        block += 1


def move_down(s: Shrinker[Trace]) -> None:
    """Take pages from the front of a block, and move all that is done to it along."""
    bound = Bound.of(s.best)
    for block in range(bound.blocks):
        pages = bound.pages(block)
        word = s.best.config.word_bits
        for fewer in sorted({pages - 1, pages // 2, 2 * word, word, 8, 2, 1}, reverse=True):
            while 0 < fewer < bound.pages(block) and s.consider(bound.shifted(block, fewer)):
                bound = Bound.of(s.best)


def shorter_ranges(s: Shrinker[Trace]) -> None:
    """Move a range's start up to a place nearer its end, the end kept."""
    bound = Bound.of(s.best)
    page = s.best.config.page_size
    for index in range(len(s.best.ops)):
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
                if s.consider(bound.free(ops)):
                    bound = Bound.of(s.best)
                    break


def smaller_numbers(s: Shrinker[Trace]) -> None:
    """Make every argument as small as it goes: one operation, one number at a time."""
    bound = Bound.of(s.best)
    for index in range(len(s.best.ops)):
        for position in range(len(s.best.ops[index].args)):
            for value in _smaller(bound, index, position):
                if s.consider(bound.changed(index, position, value)):
                    bound = Bound.of(s.best)
                    break


def _smaller(bound: Bound, index: int, position: int) -> Iterator[Any]:
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

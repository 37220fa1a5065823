"""The ways to make a trace of operations smaller, beside leaving operations out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from replay.dirty.language.bound import BoundTrace, widened
from replay.dirty.language.kinds import Length
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Trace
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
    bound = BoundTrace.of(s.best)
    block = 0
    while block < bound.blocks:
        if s.consider(bound.without(block)):
            bound = BoundTrace.of(s.best)
            continue
        pages = bound.pages(block)
        word = s.best.config.word_bits
        edges = sorted({1, 2, 3, word - 1, word, word + 1, 2 * word, pages // 2, pages - 1})
        for fewer in edges:
            if 0 < fewer < pages and s.consider(bound.resized(block, fewer)):
                bound = BoundTrace.of(s.best)
                break
        block += 1


def move_down(s: Shrinker[Trace]) -> None:
    """Take pages from the front of a block, and move all that is done to it along."""
    bound = BoundTrace.of(s.best)
    for block in range(bound.blocks):
        pages = bound.pages(block)
        word = s.best.config.word_bits
        for fewer in sorted({pages - 1, pages // 2, 2 * word, word, 8, 2, 1}, reverse=True):
            while 0 < fewer < bound.pages(block) and s.consider(bound.shifted(block, fewer)):
                bound = BoundTrace.of(s.best)


def shorter_ranges(s: Shrinker[Trace]) -> None:
    """Move a range's start up to a place nearer its end, the end kept."""
    bound = BoundTrace.of(s.best)
    page = s.best.config.page_size
    for index in range(len(s.best.ops)):
        name, args = bound.ops[index]
        if OPS[name].position(Length) != 1:
            continue
        (block, offset), length = args[0], args[1]
        end = offset + length
        for start in (end - 1, end // page * page - 1, end // page * page,
                      offset // page * page + page - 1, end // page * page - page):  # fmt: skip
            if offset < start <= end:
                new = (name, ((block, start), end - start, *args[2:]))
                ops = (*bound.ops[:index], new, *bound.ops[index + 1 :])
                if s.consider(bound.free(ops)):
                    bound = BoundTrace.of(s.best)
                    break


def smaller_numbers(s: Shrinker[Trace]) -> None:
    """Make every argument as small as it goes: one operation, one number at a time."""
    bound = BoundTrace.of(s.best)
    for index in range(len(s.best.ops)):
        for position in range(len(s.best.ops[index].args)):
            for value in _smaller(bound, index, position):
                if s.consider(bound.changed(index, position, value)):
                    bound = BoundTrace.of(s.best)
                    break


def _smaller(bound: BoundTrace, index: int, position: int) -> Iterator[Any]:
    """Smaller values for an argument, smallest first."""
    name, args = bound.ops[index]
    return OPS[name].kinds[position].smaller(args[position], bound.trace.config)

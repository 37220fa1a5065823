"""Integers of unknown bits: whatever is computed of them is so for each of their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay.dirty.explore.bits import Bits, Count, Entries, Pages, Way, items_of, literal, made
from replay.dirty.explore.tables import ways

WIDTH = 4
NUMBER = st.integers(-20, 20)
STEP: dict[str, Callable[[Any, Any, int], Any]] = {
    "and": lambda a, b, n: a & b,
    "or": lambda a, b, n: a | b,
    "xor": lambda a, b, n: a ^ b,
    "and n": lambda a, b, n: a & n,
    "n or": lambda a, b, n: n | a,
    "xor n": lambda a, b, n: a ^ n,
    "not": lambda a, b, n: ~a,
    "up": lambda a, b, n: a << abs(n) % 5,
    "down": lambda a, b, n: a >> abs(n) % 5,
    "lowest": lambda a, b, n: a & -a,
    "if": lambda a, b, n: b if a else n,
    "same": lambda a, b, n: b if a == n else a,
    "count": lambda a, b, n: (a & 15).bit_count(),
    "length": lambda a, b, n: (a & 15).bit_length(),
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEP)), NUMBER), min_size=1, max_size=6))
def test_each_way_tells_what_integers_give(steps: list[tuple[str, int]]) -> None:
    def compute(a: Any, b: Any) -> Any:
        for name, number in steps:
            a, b = b, STEP[name](a, b, number)
        return b

    way = Way([2] * 2 * WIDTH)
    covered = 0

    def once() -> None:
        nonlocal covered
        cells = [[literal(cell) for cell in range(n * WIDTH, (n + 1) * WIDTH)] for n in (0, 1)]
        found = compute(Bits(way, cells[0]), Bits(way, cells[1]))
        asked = len(way.values)
        covered += 1 << 2 * WIDTH - asked
        # All values of the cells that were not asked for: the outcome is a function of them.
        for free in (0, (1 << 2 * WIDTH) - 1, 0b10110100, 0b01001011):
            values = [way.values.get(cell, free >> cell & 1) for cell in range(2 * WIDTH)]
            whole = sum(value << cell for cell, value in enumerate(values))
            wanted = compute(whole & 15, whole >> WIDTH)
            assert shown(found, values) == wanted

    for _ in ways(way, once):
        pass
    assert covered == 1 << 2 * WIDTH


def shown(value: Any, values: list[int]) -> int:
    """A value with every bit told."""
    if not isinstance(value, Bits):
        return int(value)
    bits = [i if i < 2 else values[(i >> 1) - 1] ^ (i & 1) for i in value.items]
    return sum(bit << place for place, bit in enumerate(bits)) - (value.rest << len(bits))


def test_what_is_only_moved_is_not_asked_for() -> None:
    way = Way([2, 2])
    word = Bits(way, [literal(0), literal(1)])
    assert items_of(made(way, (word << 1 | 1).items), 3) == [1, literal(0), literal(1)]
    assert not way.order


def test_a_word_holds_no_more_than_its_bits() -> None:
    with pytest.raises(OverflowError):
        items_of(4, 2)
    with pytest.raises(OverflowError):
        items_of(~Bits(Way([2]), [literal(0)]), 2)


def test_a_count_can_be_counted_up_but_not_be_read() -> None:
    count = Count() + 2 - 1
    assert count == Count(1)
    for read in (lambda: count == 1, lambda: bool(count), lambda: range(count)):  # type: ignore[call-overload]
        with pytest.raises(TypeError):
            read()


def test_a_tlb_and_a_set_of_pages_ask_only_for_what_is_looked_at() -> None:
    way = Way([3, 3, 2])
    way.begin([2, 1])
    tlb, code = Entries(way, {0: 3, 1: 4}), Pages(way, {0: literal(2)})
    assert tlb.get(0) is True
    assert way.order == [0]
    tlb[1] = True
    assert tlb[1] is True
    code.add(0)
    assert 0 in code
    assert way.order == [0]
    code.discard(0)
    assert 0 not in code
    with pytest.raises(KeyError):
        tlb[2]

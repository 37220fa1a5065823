"""Page sets: integers whose bit p is page p."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def pages(numbers: Iterable[int]) -> int:
    """A page set from page numbers."""
    result = 0
    for number in numbers:
        result |= 1 << number
    return result


def numbers(pages: int) -> Iterator[int]:
    """The pages of a set, in ascending order."""
    while pages:
        low = pages & -pages
        yield low.bit_length() - 1
        pages ^= low


def span(first: int, count: int) -> int:
    """The page set of ``count`` pages from ``first``."""
    return ((1 << count) - 1) << first

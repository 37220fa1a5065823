"""Which count belongs to which buffer, among the parameters of one function.

Counts stand behind the buffers that they count, or one before a single one. Where there are
more of both, names tell: ``src, dst, srcSize, dstCapacity``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from replay.repo import naming

_INWARD: Final = frozenset("src source in input from".split())  # noqa: SIM905
_OUTWARD: Final = frozenset("dst dest destination out output target to".split())  # noqa: SIM905
_SHORTEST: Final = 3
"""Letters at the start of two words that make them one: ``dict`` and ``dictionary``."""


def belonging(
    names: Sequence[str],
    is_buffer: Callable[[int], bool],
    is_count: Callable[[int], bool],
    is_const: Callable[[int], bool],
    is_string: Callable[[int], bool],
) -> dict[int, int]:
    """The count of each buffer that has one, both by their places.

    A string that ends where its NUL is has a count only where that stands right behind it, or
    has its name.
    """
    found: dict[int, int] = {}
    at = 0
    while at < len(names):
        if not is_buffer(at):
            at += 1
            continue
        start = at
        while at < len(names) and is_buffer(at):
            at += 1
        run = list(range(start, at))
        counts = []
        while at < len(names) and is_count(at):
            counts.append(at)
            at += 1
        by_name = _named(names, run, counts)
        found |= by_name
        left = [one for one in counts if one not in by_name.values()]
        free = [b for b in run if b not in by_name and (len(run) == 1 or not is_string(b))]
        if left and free:
            found |= _unnamed(free, left, is_const)
        elif not counts and len(run) == 1 and is_count(start - 1) and not is_string(start):
            alone = start < 2 or not is_buffer(start - 2)
            found |= {start: start - 1} if alone else {}
    return found


def _named(names: Sequence[str], run: list[int], counts: list[int]) -> dict[int, int]:
    """The counts that have the name of a buffer."""
    found: dict[int, int] = {}
    for count in counts:
        for buffer in run:
            if buffer not in found and _is_akin(names[buffer], names[count]):
                found[buffer] = count
                break
    return found


def _unnamed(free: list[int], counts: list[int], is_const: Callable[[int], bool]) -> dict[int, int]:
    """What belongs together by its place: a count of several that are read counts each."""
    if len(counts) > 1:
        return dict(zip(free, counts, strict=False))
    read = [one for one in free if is_const(one)]
    return dict.fromkeys(read or free, counts[0])


def _is_akin(buffer: str, count: str) -> bool:
    left, right = frozenset(naming.words(buffer)), frozenset(naming.words(count))
    right -= naming.COUNTS
    for side in (_INWARD, _OUTWARD):
        if left & side and right & side:
            return True
    return any(
        len(one) >= _SHORTEST and len(other) >= _SHORTEST
        and (one.startswith(other) or other.startswith(one))
        for one in left for other in right
    )  # fmt: skip

"""Floating numbers as traces hold them: text that stands for one number exactly.

A trace holds ``1.75``, ``-0.0``, ``inf`` or ``nan`` as text: NaN equals itself there, and
the two zeroes are two. A ``float`` has the text of the double that is the same number.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

_BEYOND: Final = 1 << 2000
"""Larger than the size of any finite number."""
_A_BIT: Final = 64
"""What a binary digit behind the point costs: a fraction is no simpler than a small integer."""
_DIGITS: Final = 16
"""Binary digits behind the point, of which more make a number no less simple."""
_WHOLE: Final = float(1 << 53)
"""From here on there are no fractions."""
PARTS: Final = {4: ("<f", "<I", 0x7F800000, 1 << 23), 8: ("<d", "<Q", 0x7FF << 52, 1 << 52)}
"""By bytes: how the number and its bits are packed, infinity, and the least normal number."""


def stored(value: float, size: int) -> float:
    """The number nearest to a value that has so many bytes; past the largest it is infinite."""
    if size != 4:
        return float(value)
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def of_bits(bits: int, size: int) -> float:
    """The number that has these bits."""
    number, whole, _, _ = PARTS[size]
    return float(struct.unpack(number, struct.pack(whole, bits & ((1 << 8 * size) - 1)))[0])


def packed(value: float, size: int) -> bytes:
    """A number as it lies in memory."""
    return struct.pack(PARTS[size][0], value)


def nearest(value: float, size: int, least: float, most: float) -> float:
    """The stored number nearest to a value that lies in a range with such numbers."""
    near = stored(value, size)
    return next((v for v in (near, *beside(near, size)) if least <= v <= most), near)


def beside(value: float, size: int) -> tuple[float, ...]:
    """The next lower number and the next higher one."""
    if size != 4 or not math.isfinite(stored(value, 4)):
        return math.nextafter(value, -math.inf), math.nextafter(value, math.inf)
    if not stored(value, 4):
        return of_bits(0x80000001, 4), of_bits(1, 4)
    (bits,) = struct.unpack("<I", struct.pack("<f", stored(value, 4)))
    nearer, farther = of_bits(bits - 1, 4), of_bits(bits + 1, 4)
    return (nearer, farther) if value > 0 else (farther, nearer)


@lru_cache
def edges(size: int) -> tuple[float, ...]:
    """Where floating numbers are special: zeroes, infinities, NaN, the least and the largest."""
    _, _, infinite, normal = PARTS[size]
    whole = 1 << (24 if size == 4 else 53)
    above = (
        0.0, math.inf, of_bits(1, size), of_bits(normal, size), of_bits(normal - 1, size),
        of_bits(infinite - 1, size), 1.0, beside(1.0, size)[0], beside(1.0, size)[1] - 1.0,
        float(whole), float(whole - 1), *(float(1 << bits) for bits in (31, 32, 63, 64)),
    )  # fmt: skip
    return (math.nan, *(number for value in above for number in (value, -value)))


def is_text(text: str, size: int) -> bool:
    """Whether a text is what a trace holds of some number of so many bytes."""
    try:
        return repr(stored(float(text), size)) == text
    except ValueError:
        return False


def size_of(text: str) -> int:
    """How large a number is: integers near 0 are the smallest; see ``order`` for equal ones."""
    value = float(text)
    if not math.isfinite(value):
        return _BEYOND + (2 if math.isnan(value) else value < 0)
    over, under = abs(value).as_integer_ratio()
    negative = math.copysign(1.0, value) < 0
    return 2 * (over // under) + negative + _A_BIT * min(under.bit_length() - 1, _DIGITS)


def order(text: str) -> tuple[int, int, str]:
    """What numbers are ordered by in traces: two that differ are not equal here."""
    return size_of(text), len(text), text


def simpler(value: float, size: int) -> Iterator[float]:
    """Numbers that may do instead, about the simplest first."""
    yield from (0.0, 1.0, -1.0, 2.0, 3.0, 0.5, -0.0)
    if not math.isfinite(value):
        most = of_bits(PARTS[size][2] - 1, size)
        yield from (math.inf, most, -most)
        return
    yield -value
    for digits in range(8):
        for way in (math.floor, math.ceil):
            if abs(value) < _WHOLE:
                yield math.ldexp(way(math.ldexp(value, digits)), -digits)
    yield value / 2
    yield float(math.trunc(value / 2))

"""What types suggest of structs that are values, of enums of bits, and of results."""

from __future__ import annotations

import re
from typing import Final

from replay.repo.bindingroles import combinations
from replay.repo.shapes import Function, Shape

_SIZE: Final = re.compile(
    r"len|size|count|num|cap|used|slots|^n$|(^|_)n(_|$)|(^|[_.])sz($|_)", re.IGNORECASE
)
_SYSTEM: Final = ("FILE", "_IO_FILE", "DIR", "__dirstream", "jmp_buf", "__va_list_tag")
LARGEST: Final = 512
"""Bytes of a struct that is a value and no object."""


def is_passable(shape: Shape) -> bool:
    """Whether a struct can be passed by value, drawn field by field: no pointer is in it."""
    layout = shape.layout
    return shape.code == "s" and layout is not None and not layout.pointers


def is_value(to: Shape, const: bool) -> bool:
    """Whether a struct behind a pointer is a value: complete, small, with nothing behind it."""
    if to.layout is None or to.layout.size > LARGEST or to.name in _SYSTEM:
        return False
    # What it points to would have to be there.
    return not (const and to.layout.pointers)


def without_sizes(to: Shape) -> str:
    """What to say of a struct with pointers, which are NULL: that nothing is there."""
    if to.layout is None or not to.layout.pointers:
        return ""
    said = ", ".join(
        f'"{path}" = {{ value = 0 }}' for path, _, code, count in to.layout.fields
        if code[0] in "iu" and count == 1 and _SIZE.search(path)
    )  # fmt: skip
    return f", fields = {{ {said} }}" if said else ""


def flags(values: tuple[int, ...]) -> tuple[int, ...]:
    """All combinations of the bits of an enum of bits; nothing if it is another."""
    bits = sorted({one for one in values if one})
    single = all(one > 0 and one & (one - 1) == 0 for one in bits)
    return combinations(bits) if single and 3 <= len(bits) <= 8 else ()


def may_point_into(function: Function) -> bool:
    """Whether what a function returns may point into what it is given: it has the same type."""
    to = function.returns.to
    return to is not None and any(
        shape.kind == "pointer" and shape.to is not None
        and (shape.to.kind, shape.to.size, shape.to.name) == (to.kind, to.size, to.name)
        for _, shape in function.params
    ) and not (function.returns.const and to.kind == "int" and to.size == 1)  # fmt: skip

"""What prototypes suggest of functions that are given: callbacks, orders, allocators, formats."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from replay.repo import naming, objects
from replay.repo.shapes import Function, Shape

VARARGS: Final = '[["%d %s", "int", "string"], ["%g", "double"]]'
"""Formats, and what they take, for a function that is called as printf is."""


def role(shape: Shape, function: Function, elements: Iterable[int]) -> str:
    """What to write for a pointer to a function; empty where nothing could be called.

    Args:
        shape: the pointer.
        function: that is given it.
        elements: bytes of an element of each array that it is given, too.

    """
    sizes = set(elements)
    if _compares(shape) and len(sizes) == 1:
        return f"compare = {sizes.pop()}"
    given = [_allocates(other) for _, other in function.params]
    frees = _takes(shape) == ["void", "void *"] and any(given)
    allocates = _allocates(shape) or ("free" if frees else "")
    if allocates:
        return f'function = "{allocates}"'
    returns = shape.to.takes[0] if shape.to is not None and shape.to.takes else None
    if returns is None:
        return ""
    if returns.kind == "void":
        return "callback = true"
    if returns.kind in ("int", "bool") and returns.code:
        return f"callback = {{ returns = [{-1 if _compares(shape) else 0}, 1] }}"
    return "callback = true" if returns.kind in ("pointer", "enum", "float") else ""


def is_format(function: Function) -> bool:
    """Whether a variadic function takes a format as printf does: by the name of its last one."""
    if not function.variadic or not function.params:
        return False
    name, shape = function.params[-1]
    text = objects.is_text(shape) and shape.const
    return text and naming.has(name, naming.FORMATS) and "scan" not in function.name.lower()


def _takes(shape: Shape) -> list[str]:
    """The result and parameters of a function that is pointed to."""
    if not objects.is_callback(shape) or shape.to is None:
        return []
    return ["size_t" if _is_size(one) else one.text for one in shape.to.takes]


def _is_size(shape: Shape) -> bool:
    return shape.kind == "int" and shape.size == 8 and not shape.signed


def _compares(shape: Shape) -> bool:
    """Whether it orders two elements, as qsort wants it."""
    takes = shape.to.takes if shape.to is not None else ()
    return len(takes) == 3 and takes[0].text == "int" and all(
        one.kind == "pointer" and one.const and one.to is not None and one.to.kind == "void"
        for one in takes[1:]
    )  # fmt: skip


def _allocates(shape: Shape) -> str:
    """The function of the C library that a pointer to an allocator may stand for."""
    return {
        ("void *", "size_t"): "malloc", ("void *", "size_t", "size_t"): "calloc",
        ("void *", "void *", "size_t"): "realloc",
    }.get(tuple(_takes(shape)), "")  # fmt: skip

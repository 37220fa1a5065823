"""Pieces of the C that is generated: types, constants, how a value is passed and observed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

TYPES: Final = {
    "i1": "int8_t", "i2": "int16_t", "i4": "int32_t", "i8": "int64_t",
    "u1": "uint8_t", "u2": "uint16_t", "u4": "uint32_t", "u8": "uint64_t",
    "b1": "_Bool", "f4": "float", "f8": "double", "p": "void *", "v": "void",
}  # fmt: skip


class Refused(Exception):
    """What is bound is nothing for the driver; the text says why."""


def key(*words: object) -> str:
    """A constant for something that has a name."""
    text = "\0".join(map(str, words)).encode()
    return f"0x{hashlib.sha256(text).hexdigest()[:16]}u"


def taken(index: int, letter: str) -> Iterator[str]:
    """The statements that read a value of a trace."""
    kinds = {
        "i": ("int64_t", "take64"), "d": ("double", "take_double"), "h": ("uint32_t", "take32"),
        "b": ("struct span", "take_span"), "s": ("struct span", "take_span"),
    }  # fmt: skip
    if letter in kinds:
        kind, take = kinds[letter]
        yield f"    {kind} v{index} = {take}(&in);"
        yield f"    (void)v{index};"


def size(arg: Mapping[str, Any], values: str) -> str:
    """The size of a buffer; ``values`` is how a value is written."""
    if arg["role"] == "inout":
        return values.format(arg["value"]) + ".size"
    if arg["role"] == "out" and arg["value"] is not None:
        return f"{values.format(arg['value'])} * {arg['unit']}"
    return str(int(arg["constant"]))


def cast(kind: str, text: str) -> str:
    """A number as a type takes it, as ctypes would pass it."""
    if kind == "p":
        return f"(void *)(uintptr_t)({text})"
    if kind == "b1":
        return f"({text}) != 0"
    if kind not in TYPES or kind == "v":
        raise Refused(f"a parameter of the type {kind or 'struct'}, which the driver cannot pass")
    return f"({TYPES[kind]})({text})"


def literal(value: int | float, kind: str) -> str:
    """A constant of the binding in C."""
    if kind in ("f4", "f8"):
        if not math.isfinite(value):
            return "__builtin_nan(\"\")" if value != value else (  # noqa: PLR0124
                f"{'-' if value < 0 else ''}__builtin_inf()"
            )  # fmt: skip
        return float(value).hex()
    if isinstance(value, float):
        raise Refused("a float is passed as an integer")
    return f"(int64_t)0x{value & 0xFFFFFFFFFFFFFFFF:x}u"


def result(returns: Mapping[str, Any]) -> Iterator[str]:
    """How what was returned, ``r``, goes into the digest."""
    what, kind = returns["as"], returns["type"]
    wide = kind if kind == "u8" and what == "int" else ""
    if kind != "v":
        yield "(void)r;"
    yield f"mix(t, {key('returns', what, wide, returns['size'], returns['number'])});"
    if what == "int":
        # As ctypes reads a truth value: any byte but 0.
        yield "mix(t, (uint64_t)(r != 0));" if kind == "b1" else "mix(t, (uint64_t)(int64_t)r);"
    elif what == "float":
        yield "mix_double(t, (double)r);"
    elif what in ("void", "ignored"):
        return
    elif what == "struct":
        return  # see ``replay.repo.driver.parts``
    elif kind != "p":
        raise Refused(f"a {what} that is returned as no pointer")
    elif what == "string":
        yield "mix_string(t, r);"
    else:
        yield "mix(t, r != NULL);"
        if what == "bytes":
            yield f"if (r) mix_bytes(t, r, {returns['size']});"


def switch(head: str, on: str, case: str, count: int, rest: str) -> list[str]:
    """A function that calls one of many."""
    lines = [head, "{", f"    switch ({on}) {{"]
    lines += [f"    case {number}: {case.format(number)}" for number in range(count)]
    return [*lines, "    }", f"    {rest}", "}", ""]

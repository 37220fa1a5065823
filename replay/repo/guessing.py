"""What a prototype suggests: roles of parameters, constructors, destructors, observers.

Guesses fill in what a binding leaves out, and are what ``replay init`` writes down. They
go by types first and by names second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from replay.repo.binding import Param, Returns
from replay.repo.shapes import Function, Shape

_MAKES: Final = re.compile(r"new|create|alloc|make|open|init|dup|copy|clone", re.IGNORECASE)
_ENDS: Final = re.compile(
    r"(^|_)(free|destroy|delete|del|close|release|unref|dispose|fini|deinit|cleanup|term)(_|$)",
    re.IGNORECASE,
)
_STARTS: Final = re.compile(
    r"(^|_)(init|initialize|initialise|setup|construct)(_|$)", re.IGNORECASE
)
_LENGTH: Final = re.compile(r"(^|_)(len|length|size|count|n|nbytes|num|cap|capacity|sz)(_|$)",
                            re.IGNORECASE)  # fmt: skip
_CAPACITY: Final = re.compile(
    r"cap|size|len|slots|buckets|order|bits|max|limit|width|height|depth", re.IGNORECASE
)
_PLACE: Final = re.compile(
    r"(^|_)(i|j|k|at|idx|index|pos|position|off|offset|slot|row|col|where|nth)(_|$)|(Index|Pos)$",
    re.IGNORECASE,
)

MANY: Final = 4096
"""The end of a range of sizes where memory is in play: larger ones only cost memory, or crash."""
FAR: Final = 64
"""The end of a range of places in an object."""
ROOM: Final = 16
"""Bytes in a buffer of which nothing is known."""
ARRAY: Final = 64
"""Bytes in an array whose elements are counted."""
LONGEST: Final = 1024
"""Characters in a string, or bytes in a buffer whose length is told; most are far shorter."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a parameter or result cannot be guessed."""

    text: str


def is_handle(shape: Shape) -> bool:
    """A pointer to a struct or union."""
    return shape.kind == "pointer" and shape.to is not None and shape.to.kind == "struct"


def kind_of(shape: Shape) -> str:
    """What an object is called to which this is a pointer."""
    assert shape.to is not None
    return re.sub(r"_t$", "", shape.to.name) or "object"


def makes(function: Function) -> str:
    """The kind of object that a function returns as a constructor; empty if it is none."""
    if is_handle(function.returns) and _MAKES.search(function.name):
        return kind_of(function.returns)
    return ""


def destroys(function: Function) -> str:
    """The kind of object that a function destroys; empty if it is no destructor."""
    if _ENDS.search(function.name) and function.params and is_handle(function.params[0][1]):
        others = function.params[1:]
        return "" if others else kind_of(function.params[0][1])
    return ""


def observes(function: Function) -> bool:
    """Whether a function only looks: a const object goes in, a number comes out."""
    return (
        len(function.params) == 1
        and is_handle(function.params[0][1])
        and function.params[0][1].const
        and function.returns.kind in ("int", "bool", "enum")
    )


def guess_params(
    function: Function, enums: Mapping[str, tuple[int, ...]], made: frozenset[str]
) -> list[Param | Problem]:
    """A role for each parameter. ``made`` are the kinds of objects that somebody makes."""
    guessed: list[Param | Problem] = []
    for index, (given, shape) in enumerate(function.params):
        following = function.params[index + 1] if index + 1 < len(function.params) else None
        name = given or f"arg{index + 1}"
        before = guessed[-1] if guessed else None
        if isinstance(before, Param) and _counts((name, shape)):
            if before.role in ("bytes", "inout") and _element(before.shape) > 1:
                count = before.high // _element(before.shape)
                guessed.append(Param(name, "int", 0, count, shape=shape))
                continue
            if before.role in ("bytes", "inout"):
                guessed.append(Param(name, "length", of=before.name, shape=shape))
                continue
            if before.role == "out" and before.of:
                guessed.append(Param(name, "int", 0, FAR, shape=shape))
                continue
        guessed.append(_guess(function, name, shape, following, enums, made))
    return guessed


def _counts(param: tuple[str, Shape] | None) -> bool:
    """Whether a parameter behind a pointer says how much is there."""
    return param is not None and param[1].kind == "int" and bool(_LENGTH.search(param[0]))


def _element(pointer: Shape | None) -> int:
    """Bytes of what a pointer to numbers points to; 0 of any other."""
    to = pointer.to if pointer is not None else None
    return to.size if to is not None and to.kind in ("int", "float", "bool", "enum") else 0


def _guess(
    function: Function, name: str, shape: Shape, following: tuple[str, Shape] | None,
    enums: Mapping[str, tuple[int, ...]], made: frozenset[str],
) -> Param | Problem:  # fmt: skip
    if shape.kind in ("int", "bool", "enum", "float"):
        memory = any(other.kind == "pointer" for _, other in function.params)
        memory = memory or function.returns.kind == "pointer"
        return _number(name, shape, enums, memory)
    if shape.kind == "pointer" and shape.to is not None:
        return _pointer(function, name, shape, following, made)
    return Problem(f"a {shape.text} is passed by value, which a binding cannot do")


def whole(shape: Shape) -> tuple[int, int]:
    """The least and the largest integer of a type."""
    if shape.kind == "bool":
        return 0, 1
    bits = 8 * shape.size
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if shape.signed else (0, (1 << bits) - 1)


def _number(
    name: str, shape: Shape, enums: Mapping[str, tuple[int, ...]], memory: bool
) -> Param | Problem:
    """A number: any of its type, unless it says how much memory there is, or where in it."""
    if not shape.code:
        return Problem(f"a {shape.text} is passed by value, which a binding cannot do")
    if shape.kind == "enum" and enums.get(shape.name):
        return Param(name, "choice", choices=tuple(sorted(set(enums[shape.name]))), shape=shape)
    if shape.kind == "float":
        return Param(name, "float", shape=shape)
    low, high = whole(shape)
    if memory and _PLACE.search(name):
        return Param(name, "int", max(low, -1), min(high, FAR), shape=shape)
    if memory and (_LENGTH.search(name) or _CAPACITY.search(name)):
        return Param(name, "int", 0, min(high, MANY), shape=shape)
    return Param(name, "int", low, high, shape=shape)


def _pointer(  # noqa: PLR0911 - a line a kind of pointer
    function: Function, name: str, shape: Shape, following: tuple[str, Shape] | None,
    made: frozenset[str],
) -> Param | Problem:  # fmt: skip
    to = shape.to
    assert to is not None
    if to.kind == "struct":
        kind = kind_of(shape)
        if kind not in made and to.size and _STARTS.search(function.name):
            return Param(name, "storage", high=0, kind=kind, shape=shape)
        return Param(name, "handle", kind=kind, shape=shape)
    if to.kind == "function":
        return Param(name, "null", shape=shape)
    if to.kind == "pointer":
        if is_handle(to):
            return Param(name, "makes", kind=kind_of(to), shape=shape)
        return Problem(f"a {shape.text} may be anything")
    counted = _counts(following)
    if to.size == 1 and to.kind == "int" and shape.const and not counted:
        return Param(name, "string", 0, LONGEST, shape=shape)
    if to.kind == "void" or (to.size == 1 and to.kind == "int"):
        if shape.const:
            return Param(name, "bytes", 0, LONGEST if counted else ROOM, shape=shape)
        if counted and following is not None:
            return Param(name, "out", of=following[0], shape=shape)
        return Param(name, "out", high=ROOM, shape=shape)
    if counted and _element(shape) and to.code:
        return Param(name, "bytes" if shape.const else "inout", ARRAY, ARRAY, shape=shape)
    if to.kind in ("int", "bool", "enum", "float") and not shape.const:
        number = "" if to.kind == "float" else "signed" if to.signed else "unsigned"
        return Param(name, "out", high=to.size, number=number, shape=shape)
    if to.kind in ("int", "bool", "enum"):
        return Param(name, "bytes", to.size, to.size, shape=shape)
    return Problem(f"a {shape.text} may be anything")


def guess_returns(shape: Shape, made: str) -> Returns | Problem:
    """How a result is observed; of a constructor, whether it is NULL."""
    if shape.kind == "void":
        return Returns("void", shape)
    if shape.kind in ("int", "bool", "enum") and shape.code:
        return Returns("int", shape)
    if shape.kind == "float" and shape.code:
        return Returns("float", shape)
    if shape.kind == "pointer" and shape.to is not None:
        text = shape.const and shape.to.kind == "int" and shape.to.size == 1
        return Returns("string" if text and not made else "pointer", shape)
    return Problem(f"it returns a {shape.text}, which a binding cannot take")

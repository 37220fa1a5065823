"""What a prototype suggests of objects: what makes them, what ends them, what looks at them.

It goes by types first and by names second (see ``replay.repo.naming``).
"""

from __future__ import annotations

import re
from typing import Final

from replay.repo import naming
from replay.repo.shapes import Function, Shape

MEMORY: Final = "memory"
"""The kind of what a function of the library allocates as ``void *``."""
_LIBC: Final = {"_IO_FILE": "a stream of the C library", "__va_list_tag": "a va_list"}


def is_handle(shape: Shape) -> bool:
    """A pointer to a struct or union."""
    return shape.kind == "pointer" and shape.to is not None and shape.to.kind == "struct"


def is_object(shape: Shape) -> bool:
    """A handle, or a typedef of ``void *`` or ``char *`` that may be one."""
    return is_handle(shape) or bool(_typedef(shape))


def _typedef(shape: Shape) -> str:
    """The name of a typedef of a pointer to bytes that may be changed; empty for any other."""
    to = shape.to
    if shape.kind != "pointer" or to is None or shape.const:
        return ""
    named = re.fullmatch(r"(?:const )?([A-Za-z_]\w*)", shape.text)
    plain = to.kind == "void" or (to.kind == "int" and to.size == 1)
    return named[1] if named is not None and plain else ""


def kind_of(shape: Shape) -> str:
    """What an object is called to which this is a pointer: an identifier."""
    assert shape.to is not None
    name = _typedef(shape) or shape.to.name
    return re.sub(r"\W+", "_", re.sub(r"_t$", "", name)).rstrip("_") or "object"


def is_libc(shape: Shape) -> bool:
    """A pointer to a struct of the C library's, which nothing here makes."""
    return shape.to is not None and shape.to.name in _LIBC


def makes(function: Function) -> str:
    """The kind of object that a function returns as a constructor; empty if it is none."""
    returns, name = function.returns, function.name
    if naming.ends(name) and not naming.consumes(name):
        return ""
    taken = [shape for _, shape in function.params if is_handle(shape)]
    made = naming.makes(name) or (naming.has(name, naming.PERHAPS) and not taken)
    if not is_object(returns):
        plain = returns.kind == "pointer" and returns.to is not None and returns.to.kind == "void"
        return MEMORY if plain and made and not taken and not returns.const else ""
    kind = kind_of(returns)
    if consumed(function):
        return kind
    if function.params and naming.has(name, naming.STARTS) and not taken:
        first = function.params[0][1]
        if first.to is not None and first.to.kind == "void" and not first.const:
            return ""  # in memory that it is given
    same = any(kind_of(shape) == kind and not shape.const for shape in taken)
    if same and naming.has(name, naming.STARTS):
        return ""
    return kind if made else ""


def consumed(function: Function) -> str:
    """The kind of object of which a function takes one and gives what is in its place."""
    returns = function.returns
    if not is_object(returns) or returns.const or not function.params:
        return ""
    first = function.params[0][1]
    same = is_object(first) and not first.const and kind_of(first) == kind_of(returns)
    return kind_of(first) if same and naming.consumes(function.name) else ""


def destroys(function: Function) -> str:
    """The kind of object that a function destroys; empty if it is no destructor."""
    if consumed(function):
        return kind_of(function.returns)
    if not naming.ends(function.name) or not function.params:
        return ""
    first, others = function.params[0][1], function.params[1:]
    if others and not (
        naming.has(function.name, naming.WITH_ARGUMENTS)
        and all(is_callback(s) or (s.kind == "pointer" and not is_handle(s)) for _, s in others)
    ):
        return ""
    if is_object(first):
        return kind_of(first)
    void = first.kind == "pointer" and first.to is not None and first.to.kind == "void"
    return MEMORY if void and not others else ""


def is_callback(shape: Shape) -> bool:
    """A pointer to a function."""
    return shape.kind == "pointer" and shape.to is not None and shape.to.kind == "function"


def observes(function: Function) -> bool:
    """Whether a function only looks: an object goes in, a number or a text comes out.

    The object is const, or the name says so (``boxCount``).
    """
    if len(function.params) != 1 or naming.ends(function.name):
        return False
    shape, returns = function.params[0][1], function.returns
    if not is_object(shape) or naming.has(function.name, naming.STARTS):
        return False
    if returns.kind in ("int", "bool", "enum", "float") and returns.code:
        return shape.const or naming.has(function.name, naming.LOOKS)
    return shape.const and is_handle(shape) and is_text(returns) and returns.const


def is_text(shape: Shape) -> bool:
    """A pointer to characters."""
    to = shape.to
    return shape.kind == "pointer" and to is not None and to.kind == "int" and (
        to.size == 1 and to.text in ("char", "const char", "signed char", "const signed char")
    )  # fmt: skip


def made_by_pointer(function: Function) -> list[str]:
    """The kinds of objects that a function puts where a parameter says."""
    if naming.ends(function.name):
        return []
    return [
        kind_of(shape.to) for name, shape in function.params
        if shape.kind == "pointer" and shape.to is not None and is_handle(shape.to)
        and not shape.to.const and not naming.has(function.name, naming.FINDS)
    ]  # fmt: skip


def whole(shape: Shape) -> tuple[int, int]:
    """The least and the largest integer of a type."""
    if shape.kind == "bool":
        return 0, 1
    bits = 8 * shape.size
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if shape.signed else (0, (1 << bits) - 1)


def warning(function: Function) -> str:
    """Why a function is not called at random, for all its prototype: empty if it may be."""
    for name, shape in function.params:
        kind = shape.to.name if shape.to is not None else ""
        if kind in _LIBC:
            return f"{name} is {_LIBC[kind]}: wrap it in a function that makes one"
        if shape.kind == "int" and naming.has(name, naming.DESCRIPTORS):
            return f"{name} is a file descriptor, of this process if it is drawn: wrap it"
        file = is_text(shape) and naming.has(name, naming.FILES)
        if file and naming.has(function.name, naming.TOUCHES):
            return f"{name} names a file, which a call may read or write: wrap it"
    last = naming.words(function.name)[-1:]
    if function.returns.kind == "void" and naming.ENDS_PROCESS.intersection(last):
        return "it may end the process"
    return ""

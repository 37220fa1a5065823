"""A parameter as the binding has it, fitted to the type that the library gives it.

Numbers of elements become bytes, a struct its bytes, and names of fields are looked up. That
happens once, as ``replay.repo.resolving`` does it; ``misfit`` is asked at each commit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from replay.base.jsonlines import nearest
from replay.repo.binding import Param
from replay.repo.layouts import Layout
from replay.repo.shapes import Shape

_NUMBERS: Final = ("int", "bool", "enum", "float")
_CARRIED: Final = Shape("int", "unsigned long", 8)


class Unfit(Exception):
    """What a binding says cannot be of a parameter of this type; the text says why."""


def fitted(param: Param, shape: Shape, enums: Mapping[str, tuple[int, ...]] | None = None) -> Param:
    """A parameter with its type.

    Args:
        param: as the binding has it, or as guessed; one that is fitted stays as it is.
        shape: its type.
        enums: values of the enums of the library, of which fields are drawn.

    Raises:
        Unfit: it cannot be of this type.

    """
    param = replace(param, shape=shape)
    if param.role == "elements":
        return _elements(param, shape, enums or {})
    if param.role == "out" and param.layout is None and shape.to is not None:
        return _out(param, shape.to)
    if param.passed == "start":
        to = shape.to
        if shape.kind != "pointer" or to is None or to.kind not in ("int", "enum", "bool"):
            raise Unfit(f"it is a {shape.text}, and start is for a pointer to an integer")
        return replace(param, number="signed" if to.signed else "unsigned")
    return param


def _out(param: Param, to: Shape) -> Param:
    """Room for elements: as many as another parameter says, or so many bytes."""
    element = to.element
    if element is None or element.size == 1 or (not param.of and param.high % element.size):
        return param
    return replace(param, layout=element)


def _elements(param: Param, shape: Shape, enums: Mapping[str, tuple[int, ...]]) -> Param:
    if shape.kind == "pointer":
        element = shape.to.element if shape.to is not None else None
        if element is None:
            raise Unfit(
                f"it is a {shape.text}, of which no element is known; write bytes = [0, 16]"
            )
        role, passed = "bytes" if shape.const else "inout", ""
    elif shape.kind == "struct" and shape.layout is not None:
        element, role, passed = shape.layout, "bytes", "struct"
        if (param.low, param.high) != (1, 1):
            raise Unfit(f"it is one {shape.text}; write fields = {{}} instead of elements")
    else:
        raise Unfit(f"it is a {shape.text}, which has no elements; write range = [0, 9]")
    size = element.size
    return replace(
        param, role=role, passed=passed, layout=element, low=param.low * size,
        high=param.high * size, fields=_fields(param.fields, element, enums),
    )  # fmt: skip


def _fields(
    given: tuple[Param, ...], layout: Layout, enums: Mapping[str, tuple[int, ...]]
) -> tuple[Param, ...]:
    known = {path: (code, count) for path, _, code, count in layout.fields}
    for param in given:
        if param.name not in known:
            raise Unfit(f"no field {param.name!r}{nearest(param.name, known)}")
        code, *_ = known[param.name]
        if code in ("p", "x", "c") and not (code == "p" and param.role == "value"):
            raise Unfit(f"the field {param.name} is no number")
    named = {param.name for param in given}
    drawn = [
        Param(path, "choice", choices=tuple(sorted(set(enums[name]))))
        for path, name in layout.enums if path not in named and enums.get(name)
    ]  # fmt: skip
    return (*given, *drawn)


def misfit(param: Param, shape: Shape | None) -> str | None:  # noqa: PLR0911 - a line a reason
    """Why a parameter that is passed in a way of its own cannot be of a type.

    Empty if it can; None where it is passed as its role says, and others have to decide.
    """
    if shape is None:
        return None
    element = shape.to.element if shape.to is not None else shape.layout
    if param.layout is not None and (element is None or element.fields != param.layout.fields):
        return f"it is a {shape.text}, whose fields are others than at the first commit"
    if param.passed == "struct":
        if shape.code != "s":
            odd = shape.layout.odd if shape.layout is not None else ""
            inside = f" with a {odd} in it" if odd else ""
            return f"a {shape.text}{inside} is passed by value, which a binding cannot do"
        return ""
    if param.passed == "start":
        fits = shape.to is not None and shape.to.size > 0
        return "" if fits else f"it is a {shape.text}, and start is for a pointer to an integer"
    if param.passed == "strings":
        fits = shape.to is not None and shape.to.kind == "pointer"
        return "" if fits else f"it is a {shape.text}, and strings are a const char **"
    if param.role in ("int", "choice", "value") and _is_carrier(shape):
        return ""
    if param.role == "pointer" and (shape.to is None or shape.to.kind not in ("pointer", "void")):
        return f"it is a {shape.text}, and pointer = true is for a T **"
    return None


def _is_carrier(shape: Shape) -> bool:
    """Whether an integer may be carried in a type: a ``void *``."""
    return shape.kind == "pointer" and shape.to is not None and shape.to.kind == "void"


def result(what: str, shape: Shape | None) -> Shape | None:
    """The type of a result: an integer that is carried in a pointer is one."""
    carried = what == "int" and shape is not None and shape.kind == "pointer"
    return _CARRIED if carried else shape

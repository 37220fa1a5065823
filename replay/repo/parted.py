"""Values made of elements: arrays and structs, which traces hold in hexadecimal.

They are drawn, checked, measured and shown field by field. See ``replay.repo.layouts``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from replay.repo import floats, structs
from replay.repo.binding import Param
from replay.repo.layouts import Field
from replay.repo.shapes import Shape

if TYPE_CHECKING:
    from replay.repo.drawing import Drawing

Place: TypeAlias = tuple[int, str, int, Param]
"""A number in an element: its place (of a bit-field in bits), code, width and what it takes."""

_WORDS: Final = {"p": 8}


def places(param: Param) -> tuple[Place, ...]:
    """The numbers of an element of a parameter that are drawn one by one."""
    assert param.layout is not None
    return _places(param.layout.fields, param.fields)


@lru_cache(maxsize=256)
def _places(fields: tuple[Field, ...], given: tuple[Param, ...]) -> tuple[Place, ...]:
    known = {param.name: param for param in given}
    found: list[Place] = []
    for path, offset, code, count in fields:
        if code in ("p", "x", "c"):
            continue
        bits = code in ("bi", "bu")
        width = count if bits else 8 * int(code[1:])
        param = _typed(known.get(path, Param(path, "any")), code, width)
        for index in range(1 if bits else count):
            found.append((offset + index * (0 if bits else width // 8), code, width, param))
    return tuple(found)


def _typed(param: Param, code: str, width: int) -> Param:
    """What a field takes; anything of its type where the binding does not say."""
    if code[0] == "f":
        shape = Shape("float", "float", width // 8)
        if param.role == "int":
            param = replace(param, role="float", least=float(param.low), most=float(param.high))
        return replace(param, role="float" if param.role == "any" else param.role, shape=shape)
    if param.role != "any":
        return param
    if code == "b1":
        return replace(param, role="int", low=0, high=1)
    signed = code in ("bi", "i1", "i2", "i4", "i8")
    low, high = (-(1 << width - 1), (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
    return replace(param, role="int", low=low, high=high)


def elements(param: Param, value: str) -> list[bytes]:
    """The elements of a value."""
    raw, size = bytes.fromhex(value), param.unit
    return [raw[at : at + size] for at in range(0, len(raw), size)]


def get(raw: bytes, place: Place) -> int | float:
    """A number in an element."""
    at, code, width, _ = place
    if code in ("bi", "bu"):
        return structs.bits(raw, at, width, code == "bi")
    part = raw[at : at + width // 8]
    if code[0] == "f":
        return floats.of_bits(int.from_bytes(part, "little"), width // 8)
    return int.from_bytes(part, "little", signed=code[0] == "i")


def put(raw: bytes, place: Place, number: int | float) -> bytes:
    """An element with another number in a place."""
    at, code, width, _ = place
    if code in ("bi", "bu"):
        mask = (1 << width) - 1
        whole = int.from_bytes(raw, "little") & ~(mask << at) | (int(number) & mask) << at
        return whole.to_bytes(len(raw), "little")
    size = width // 8
    if code[0] == "f":
        part = floats.packed(floats.stored(float(number), size), size)
    else:
        part = (int(number) & (1 << width) - 1).to_bytes(size, "little")
    return raw[:at] + part + raw[at + size :]


# --- drawing ----------------------------------------------------------------------------


def draw(drawing: Drawing, param: Param, far: int) -> str:
    """A value: elements whose fields are drawn like parameters; pointers in them are NULL."""
    low, high = param.low // param.unit, param.high // param.unit
    count = drawing.length(low, high, far)
    return b"".join(_element(drawing, param, far) for _ in range(count)).hex()


def _element(drawing: Drawing, param: Param, far: int) -> bytes:
    assert param.layout is not None
    raw = bytes(param.unit)
    for _, offset, code, count in param.layout.fields:
        if code in ("c", "x"):
            some = drawing.rng.randbytes(count) if code == "x" else _text(drawing, count, far)
            raw = raw[:offset] + some + raw[offset + count :]
    for place in places(param):
        raw = put(raw, place, _number(drawing, place[3], far))
    return raw


def _text(drawing: Drawing, room: int, far: int) -> bytes:
    """Characters that end before the room does."""
    text = drawing.text(Param("", "string", 0, room - 1), far)
    return text.encode("latin-1").ljust(room, b"\0")


def _number(drawing: Drawing, param: Param, far: int) -> int | float:
    if param.role == "choice":
        return drawing.rng.choice(param.choices)
    if param.role == "value":
        return param.value
    if param.role == "float":
        return float(drawing.floating(param, far))
    return drawing.integer(param.low, param.high, far)


# --- checking, measuring, showing -------------------------------------------------------


def is_made_of_parts(param: Param) -> bool:
    """Whether a value has parts that are checked one by one: see ``problem``."""
    return param.layout is not None or param.grammar is not None or param.passed == "strings"


def problem(param: Param, value: str) -> str:
    """Why a value of a parameter made of parts is none; empty if it is one."""
    if param.layout is not None:
        return _misfit(param, value)
    if not all(0 < ord(c) < 256 for c in value):
        return "a string has characters from 1 to 255"
    if param.grammar is not None:
        return "" if param.grammar.holds(value) else "it is none of the binding's strings"
    if value[-1:].strip("\n"):
        return "each string ends in a line feed"
    fit = param.low <= value.count("\n") <= param.high
    return "" if fit else f"the binding says {param.low} to {param.high} strings"


def _misfit(param: Param, value: str) -> str:
    """Why a value is not of whole elements whose fields are as the binding says."""
    try:
        size = len(bytes.fromhex(value))
    except ValueError:
        return "it must be hexadecimal digits"
    if size % param.unit or not param.low <= size <= param.high or 2 * size != len(value):
        span = f"{param.low // param.unit} to {param.high // param.unit}"
        return f"the binding says {span} elements of {param.unit} bytes"
    if param.layout is not None and param.layout.pointers and not _null(param, value):
        return "a pointer in it is not NULL"
    given = {field.name for field in param.fields}
    for raw in elements(param, value):
        for place in places(param):
            if place[3].name in given and not _takes(place[3], get(raw, place)):
                return f"the binding says otherwise of the field {place[3].name}"
    return ""


def _null(param: Param, value: str) -> bool:
    """Whether all pointers are NULL: no others could be given."""
    assert param.layout is not None
    spans = [(at, at + 8 * n) for _, at, code, n in param.layout.fields if code == "p"]
    return not any(any(raw[a:b]) for raw in elements(param, value) for a, b in spans)


def _takes(param: Param, number: int | float) -> bool:
    if param.role == "choice":
        return number in param.choices
    if param.role == "value":
        return number == param.value
    if param.role == "float":
        return param.least <= number <= param.most or (math.isnan(number) and not param.is_bounded)
    return param.low <= number <= param.high


def size_of(param: Param, value: str) -> int:
    """How large a value is: its elements, then how far their numbers are from 0."""
    found = 300 * (len(value) // 2)
    known = places(param)
    for raw in elements(param, value):
        for place in known:
            number = get(raw, place)
            if place[3].role == "choice":
                number = place[3].choices.index(number) if number in place[3].choices else 99
            if isinstance(number, float):
                found += floats.size_of(repr(number))
            else:
                found += 2 * abs(number) + (number < 0)
        assert param.layout is not None
        for _, offset, code, count in param.layout.fields:
            if code in ("c", "x"):
                found += sum(raw[offset : offset + count])
    return found


def count(param: Param, value: str) -> int:
    """How long a value is: its elements, strings or characters."""
    if param.passed == "strings":
        return value.count("\n")
    return len(value) if param.role == "string" else len(value) // 2 // param.unit


def counted(param: Param, value: str, number: int) -> str:
    """The value cut, or made longer by the simplest there is, until it is so long."""
    more = number - count(param, value)
    if param.grammar is not None:
        same = [word for word in param.grammar.words if len(word) == number]
        return same[0] if same else value
    if param.passed == "strings":
        return "".join(f"{one}\n" for one in value.split("\n")[:-1][:number]) + "\n" * more
    if param.role == "string":
        return value[:number] + (param.alphabet or "a")[0] * more
    return value[: 2 * number * param.unit] + _simplest(param).hex() * more


def _simplest(param: Param) -> bytes:
    """An element of zeros, as far as the binding lets it be."""
    raw = bytes(param.unit)
    for place in places(param) if param.layout is not None else ():
        field = place[3]
        least = field.choices[0] if field.role == "choice" else field.value
        if field.role == "float":
            least = min(max(0.0, field.least), field.most)
        elif field.role == "int":
            least = min(max(0, field.low), field.high)
        raw = put(raw, place, least)
    return raw


def shown(param: Param, value: str) -> str:
    """As a person writes it: ``{x=1, y=2}`` or ``[1, 2, 3]``."""
    assert param.layout is not None
    found = [_shown(structs.element(raw, param.layout.to_json())) for raw in elements(param, value)]
    if param.low == param.high == param.unit and found:
        return found[0]
    return f"[{', '.join(found)}]"


def _shown(element: object) -> str:
    if isinstance(element, dict):
        return "{" + ", ".join(f"{k}={_shown(v)}" for k, v in element.items()) + "}"
    if isinstance(element, list):
        return f"[{', '.join(map(_shown, element))}]"
    return element if isinstance(element, str) and _is_plain(element) else json.dumps(element)


def _is_plain(text: str) -> bool:
    """Whether a text is that of a float or pointer, and needs no quotes."""
    return (
        text in ("NULL", "not NULL", "nan", "inf", "-inf")
        or text.replace("e", "").strip("0123456789.+-") == "" != text
    )


# --- making smaller ---------------------------------------------------------------------


def without_runs(param: Param, value: str) -> Iterator[str]:
    """The value with elements left out: halves, then single ones."""
    parts = elements(param, value)
    run = len(parts)
    while run:
        for at in range(len(parts) - run, -1, -run):
            rest = parts[:at] + parts[at + run :]
            if len(rest) * param.unit >= param.low:
                yield b"".join(rest).hex()
        run //= 2


def with_number(param: Param, value: str, index: int, place: Place, number: int | float) -> str:
    """The value with a number of an element replaced."""
    parts = elements(param, value)
    parts[index] = put(parts[index], place, number)
    return b"".join(parts).hex()


def zeroed(param: Param, value: str) -> Iterator[str]:
    """The value with its characters and unknown bytes 0."""
    assert param.layout is not None
    for _, offset, code, count in param.layout.fields:
        if code in ("c", "x"):
            parts = [
                raw[:offset] + bytes(count) + raw[offset + count :]
                for raw in elements(param, value)
            ]
            yield b"".join(parts).hex()

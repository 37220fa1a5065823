"""Roles of a binding file that say how a value is made of parts, or passed otherwise.

``v = { elements = [0, 8] }``: an array of so many elements, observed after the call where it
is not const. ``p = { fields = { x = { range = [0, 9] } } }``: a struct, by value or behind a
pointer. ``size = { start = [0, 64] }``: a pointer to a number that starts as one of these.
``names = { strings = [0, 3] }``: an array of so many strings. ``value = { pointer = true }``:
where a pointer is put, shown by what it points to. ``mode = { flags = [1, 2, 4] }``: any
combination of these bits. ``s = { string = { from = ["a", "b"] } }``, or ``template =
"{word}-{digits}"``, or ``grammar = {…}``: one of these strings.

And of a variadic function ``varargs = [["%d %s", "int", "string"], ["plain"]]``: each row, a
format and the types of what it takes, is an operation of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from replay.base.jsonlines import shown
from replay.repo.binding import MOST_BYTES, Draft, Param
from replay.repo.shapes import Shape
from replay.repo.texts import BadText, Grammar, grammar_of, literal

if TYPE_CHECKING:
    from replay.repo.bindingfile import _File as File

MORE_ROLES: Final[dict[str, str]] = {
    "elements": "elements", "fields": "elements", "start": "start", "strings": "strings",
    "pointer": "pointer", "flags": "flags", "template": "template",
}  # fmt: skip
RETURNS: Final = (
    "int", "void", "float", "pointer", "string", "bytes", "struct", "place", "ignored",
)  # fmt: skip
"""How a result may be observed, beside ``bytes:N``, ``offset_of:PARAM`` and a C type."""
MOST_FLAGS: Final = 10
"""Bits of which all combinations are drawn."""
MOST_ELEMENTS: Final = 4096


def is_more(role: str, value: Any) -> bool:
    """Whether a role is read here."""
    return role in MORE_ROLES.values() or (role == "string" and isinstance(value, dict))


def read_role(file: File, role: str, table: dict[str, Any], word: str, key: str) -> dict[str, Any]:
    """What a parameter's table says, as the fields of a ``Param``, its role among them."""
    value = table[word]
    readers: dict[str, Callable[[], dict[str, Any]]] = {
        "elements": lambda: _elements(file, table, key),
        "start": lambda: {
            "role": "int", "passed": "start", **_pair(file, value, key, -(1 << 63), (1 << 63) - 1),
        },
        "strings": lambda: {
            "role": "string", "passed": "strings", **_pair(file, value, key, 0, 256),
        },
        "pointer": lambda: {"role": "pointer"} if value is True else file.fail(
            key, "write pointer = true, or give another role"
        ),
        "flags": lambda: {"role": "choice", "choices": _flags(file, value, key)},
        "template": lambda: _text(file, {"template": value}, key),
        "string": lambda: _text(file, value, key),
    }  # fmt: skip
    return readers[role]()


def choices(file: File, value: Any, key: str) -> tuple[int | float, ...]:
    """The numbers to choose from."""
    if not isinstance(value, list) or not value:
        file.fail(key, "write the numbers to choose from, as in [0, 1, 4]")
    for number in value:
        if not isinstance(number, int | float) or isinstance(number, bool):
            file.fail(key, f"{shown(number)} is no number")
    return tuple(value)


def _pair(file: File, value: Any, key: str, low: int, high: int) -> dict[str, Any]:
    first, last = file.pair(value, key, low, high)
    return {"low": first, "high": last}


def _elements(file: File, table: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Low and high are in elements here; what they are in bytes is known with the type."""
    made: dict[str, Any] = {"role": "elements", "low": 1, "high": 1}
    if "elements" in table:
        made |= _pair(file, table["elements"], key, 0, MOST_ELEMENTS)
    if "fields" in table:
        made["fields"] = _fields(file, table["fields"], "", f"{key}.fields")
    return made


def _fields(file: File, value: Any, path: str, key: str) -> tuple[Param, ...]:
    if not isinstance(value, dict):
        file.fail(key, "write a table, as in { x = { range = [0, 9] } }")
    found: list[Param] = []
    for name, inner in value.items():
        whole = f"{path}.{name}" if path else name
        if isinstance(inner, dict) and inner and all(isinstance(v, dict) for v in inner.values()):
            found += _fields(file, inner, whole, f"{key}.{name}")
            continue
        param = file.param(whole, inner, f"{key}.{name}", False)
        if param.role not in ("int", "float", "choice", "value") or param.passed:
            file.fail(f"{key}.{name}", "a field is given range, choices, flags or value")
        found.append(param)
    return tuple(found)


def _flags(file: File, value: Any, key: str) -> tuple[int, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MOST_FLAGS:
        file.fail(key, f"write the bits, {MOST_FLAGS} at the most, as in [1, 2, 4]")
    bits = [file.integer(bit, key, 1, (1 << 63) - 1) for bit in value]
    return combinations(bits)


def combinations(bits: list[int]) -> tuple[int, ...]:
    """All numbers that have some of these bits, those of few bits first."""
    made = [0]
    for bit in bits:
        made += [one | bit for one in made]
    return tuple(sorted(dict.fromkeys(made), key=lambda one: (one.bit_count(), one)))


def _text(file: File, value: Any, key: str) -> dict[str, Any]:
    table = file.keys(value, key, ("from", "template", "grammar"))
    if len(table) != 1:
        file.fail(key, 'give one of from = ["a", "b"], template = "…" or grammar = {…}')
    ((how, what),) = table.items()
    try:
        grammar = _grammar(file, how, what, key)
    except BadText as error:
        file.fail(key, str(error))
    return {"role": "string", "low": 0, "high": 4096, "grammar": grammar}


def _grammar(file: File, how: str, what: Any, key: str) -> Grammar:
    if how == "template":
        return grammar_of({"start": _strings(file, [what], key)})
    if how == "from":
        return literal(_strings(file, what, key))
    if not isinstance(what, dict) or not what:
        file.fail(key, 'write rules, as in { start = ["{digit}", "{digit}+{start}"] }')
    return grammar_of({name: _strings(file, rule, key) for name, rule in what.items()})


def _strings(file: File, value: Any, key: str) -> list[str]:
    if not isinstance(value, list) or not value:
        file.fail(key, 'write strings, as in ["a", "b"]')
    for one in value:
        if not isinstance(one, str) or not all(0 < ord(c) < 256 for c in one):
            file.fail(key, "write strings of characters below 256, without NUL")
    if len(value) > MOST_BYTES:
        file.fail(key, "too many strings")
    return [str(one) for one in value]


# --- variadic functions -------------------------------------------------------------------

_TEXT: Final = Shape("pointer", "const char *", 8, to=Shape("int", "char", 1, True), const=True)
_MORE: Final = {
    "int": Param("", "int", -(1 << 31), (1 << 31) - 1, shape=Shape("int", "int", 4, True)),
    "unsigned": Param("", "int", 0, (1 << 32) - 1, shape=Shape("int", "unsigned", 4)),
    "long": Param("", "int", -(1 << 63), (1 << 63) - 1, shape=Shape("int", "long", 8, True)),
    "double": Param("", "float", shape=Shape("float", "double", 8)),
    "string": Param("", "string", 0, 16, shape=_TEXT),
}
_CONVERSION: Final = re.compile(r"%(?!%)[-+ #0-9.hlqjzt]*[a-zA-Z]")


def operations(file: File, tables: list[Any]) -> list[Draft]:
    """The operations that the ``[[op]]`` of a file stand for."""
    numbered = enumerate(tables, 1)
    drafts = [(file.draft(one, f"op[{number}]", False), one) for number, one in numbered]
    return [one for draft, table in drafts for one in variants(file, draft, table)]


def variants(file: File, draft: Draft, table: Mapping[str, Any]) -> list[Draft]:
    """The operations that an ``[[op]]`` stands for: one for each format of a variadic one."""
    if "varargs" not in table:
        return [draft]
    rows, key = table["varargs"], f"{draft.key}.varargs"
    if not isinstance(rows, list) or not rows or not all(isinstance(row, list) for row in rows):
        file.fail(key, 'write a format and what it takes, as in [["%d %s", "int", "string"]]')
    found = []
    for number, row in enumerate(rows, 1):
        texts = _strings(file, row, key)
        for kind in texts[1:]:
            if kind not in _MORE:
                file.fail(key, f"{kind!r} is none of {', '.join(_MORE)}")
        wanted = len(_CONVERSION.findall(texts[0].replace("%%", "")))
        if wanted != len(texts) - 1:
            file.fail(key, f"{texts[0]!r} takes {wanted} arguments, and {len(texts) - 1} are given")
        name = draft.name if number == 1 else f"{draft.name}_{number}"
        found.append(replace(draft, name=name, varargs=tuple(texts)))
    return found


def with_varargs(draft: Draft, params: list[Param]) -> list[Param]:
    """The parameters of an operation, the last of which is the format, and what that takes."""
    if not draft.varargs or not params:
        return params
    text, *kinds = draft.varargs
    known = params[-1]
    last = Param(known.name, "string", 0, 4096, grammar=literal([text]), shape=known.shape)
    more = [replace(_MORE[kind], name=f"more{n}") for n, kind in enumerate(kinds, 1)]
    return [*params[:-1], last, *more]

"""Callbacks, lifetimes and relations of a binding: read, filled in, checked, told to a worker.

[[op]]
function = "list_each"
where = ["from <= to"]         # always: integers, lengths, + and -
[op.args]
cb = { callback = { returns = [0, 1], stop = 7 } }
user = { user_of = "cb" }      # a callback that is given this shows it as "user"

[[op]]
function = "list_iter"
makes = "iter"
dies_with = "l"                # the iterator is dead once the list is
ends = "iter"                  # and so are those that came from the list before
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from replay.base.jsonlines import nearest, shown
from replay.repo import comparisons, relations
from replay.repo.behaviour import FAILING, Behaviour, Callback
from replay.repo.binding import Draft, Interface, Operation, Param, Returns
from replay.repo.shapes import Shape, shape_of

if TYPE_CHECKING:
    from replay.repo.bindingfile import _File as Reader
    from replay.repo.resolving import _Resolver as Resolver

OP_KEYS: Final = ("gives", "dies_with", "ends", "where")
ROLE_KEYS: Final = {
    "callback": "callback", "compare": "compare", "function": "function", "user_of": "user",
    "gives": "gives",
}  # fmt: skip
EXTRAS: Final = {"handle": ("consumes",)}
PASSED: Final = ("callback", "compare", "function")
"""The roles of a pointer to a function."""
MOST_ELEMENT: Final = 4096
MOST_FAILING: Final = 12
_POINTER: Final = re.compile(r"(.+)\(\s*\*\s*\w*\s*\)\s*\((.*)\)\s*")
_VOID: Final = Shape("void", "void")


# --- reading --------------------------------------------------------------------------


def read_op(file: Reader, table: Mapping[str, Any], key: str) -> Behaviour:
    """What the table of an operation says of behaviour.

    Raises:
        BindingError: something in it is wrong.

    """
    where = table.get("where", [])
    where = [where] if isinstance(where, str) else where
    if not isinstance(where, list):
        file.fail(f"{key}.where", 'write a list of comparisons, as in ["want <= n"]')
    found = []
    for text in where:
        relation = comparisons.parse(text) if isinstance(text, str) else "it must be a text"
        if isinstance(relation, str):
            file.fail(f"{key}.where", f"{shown(text)}: {relation}")
        found.append(relation)
    names = {
        word: file.name(table[word], f"{key}.{word}", what)
        for word, what in (("dies_with", "name of a parameter"), ("ends", "kind of handle"))
        if word in table
    }
    return Behaviour(where=tuple(found), **names)


def made(file: Reader, table: Mapping[str, Any], key: str) -> str | None:
    """The kind that ``makes`` or ``gives`` names."""
    if "gives" in table and "makes" in table:
        file.fail(key, "one call makes one object; take out makes, or gives")
    if "gives" in table:
        return file.name(table["gives"], f"{key}.gives", "kind of handle")
    return file.kind(dict(table), key, "makes")


def returned(table: Mapping[str, Any]) -> Any:
    """The text of ``returns``: what gives a number returns one."""
    return table.get("returns", "int" if "gives" in table else "")


def role(file: Reader, word: str, table: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """What a role of this module says; None for any other.

    Raises:
        BindingError: something in it is wrong.

    """
    value = table[word]
    if word == "callback":
        callback = _callback(file, value, key)
        return {"callback": callback, "high": callback.most}
    if word == "compare":
        return {"callback": Callback(compare=file.integer(value, key, 1, MOST_ELEMENT))}
    if word == "function":
        return {"callback": Callback(function=file.name(value, key, "function"))}
    if word == "user_of":
        return {"of": file.name(value, key, "name of a parameter")}
    if word in ("gives", "handle"):
        consumes = file.flag(table.get("consumes", False), f"{key}.consumes")
        return {"kind": file.name(value, key, "kind of handle"), "consumes": consumes}
    return None


def _callback(file: Reader, value: Any, key: str) -> Callback:
    if value is True:
        return Callback()
    if not isinstance(value, dict):
        file.fail(key, "write callback = true, or callback = { returns = [0, 1] }")
    file.keys(value, f"{key}.callback", ("returns", "stop"))
    place = f"{key}.callback"
    low, high = file.pair(value.get("returns", [0, 0]), place, -(1 << 63), (1 << 63) - 1)
    stops = file.integer(value["stop"], place, -(1 << 63), (1 << 63) - 1) if "stop" in value else (
        None
    )  # fmt: skip
    return Callback(low, high, stops)


def type_of(text: str) -> Shape | None:
    """The shape of a C type as text; also of a pointer to a function, ``int (*)(void *, int)``."""
    parts = _POINTER.fullmatch(text)
    if parts is None:
        return shape_of(text)
    words = [one.strip() for one in parts[2].split(",") if one.strip() not in ("", "void")]
    shapes = [_plain(one) for one in (parts[1].strip(), *words)]
    if None in shapes:
        return None
    takes = tuple(one for one in shapes if one is not None)
    return Shape("pointer", text, 8, to=Shape("function", text, takes=takes))


def _plain(text: str) -> Shape | None:
    shape = shape_of(text)
    if shape is not None and shape.kind == "pointer":
        return replace(shape, const=text.startswith("const "))
    return shape


# --- filling in -----------------------------------------------------------------------


def completed(resolver: Resolver, draft: Draft, params: Sequence[Param]) -> tuple[Param, ...]:
    """The parameters with what their types say: of callbacks and of numbers that are given.

    Raises:
        BindingError: a type is not one that can be called with, or given.

    """
    done = []
    for given in params:
        param, place = given, f"args.{given.name}"
        if param.role == "callback" and param.callback is not None:
            signature = signature_of(param.shape)
            if isinstance(signature, str):
                resolver.fail(draft, signature, place)
            param = replace(param, callback=replace(param.callback, signature=signature))
        elif param.role == "gives":
            to = param.shape.to if param.shape is not None else None
            if to is None or to.kind not in ("int", "enum") or not to.code:
                resolver.fail(
                    draft, f"{_text(param)} points to no integer, and gives is for a number that "
                    "names something; write makes = \"KIND\" for a pointer to a pointer", place,
                )  # fmt: skip
            param = replace(param, high=to.size, number="signed" if to.signed else "unsigned")
        done.append(param)
    return tuple(done)


def signature_of(shape: Shape | None) -> tuple[str, ...] | str:
    """The codes of a function that is pointed to, result first; or why it has none."""
    to = shape.to if shape is not None else None
    takes = to.takes if to is not None else ()
    if to is None or to.kind != "function" or not takes:
        return (
            f"how {shape.text if shape else 'it'} is called is not known; add type, as in "
            'type = "int (*)(void *, int)"'
        )
    codes = tuple("s" if n and is_text(one) else one.code for n, one in enumerate(takes))
    for one, code in zip(takes, codes, strict=True):
        if not code:
            return f"a callback with a {one.text} by value cannot be generated; pass a function"
    return codes


def is_text(shape: Shape) -> bool:
    """Whether it is a ``const char *``."""
    to = shape.to
    return (
        shape.kind == "pointer" and shape.const and to is not None
        and to.kind == "int" and to.size == 1 and to.signed
    )  # fmt: skip


def _text(param: Param) -> str:
    return param.shape.text if param.shape is not None else param.name


# --- checking -------------------------------------------------------------------------


def check(resolver: Resolver, draft: Draft, op: Operation) -> None:
    """What a binding says of behaviour must fit the operation.

    Raises:
        BindingError: it does not.

    """
    by_name = {param.name: param for param in op.params}
    behaviour = draft.behaviour
    for param in op.params:
        to = param.shape.to if param.shape is not None else None
        if param.role in PASSED and to is not None and to.kind not in ("function", "void"):
            resolver.fail(
                draft, f"it is a {_text(param)}, which points to no function", f"args.{param.name}"
            )
    if behaviour.dies_with:
        parent = by_name.get(behaviour.dies_with)
        if parent is None or parent.role != "handle":
            known = [p.name for p in op.params if p.role == "handle"]
            resolver.fail(
                draft, f"{behaviour.dies_with!r} is no parameter with the role handle"
                f"{nearest(behaviour.dies_with, known)}", "dies_with",
            )  # fmt: skip
        if not op.kind_made:
            resolver.fail(draft, "it makes nothing that could die; add makes", "dies_with")
        if parent.consumes or parent.kind == op.destroys:
            resolver.fail(
                draft, f"{parent.name} is dead behind the call; nothing can die with it",
                "dies_with",
            )  # fmt: skip
    _check_where(resolver, draft, op)


def _check_where(resolver: Resolver, draft: Draft, op: Operation) -> None:
    known = relations.measured(op)
    for relation in draft.behaviour.where:
        for name, _ in relation.terms:
            if name not in known:
                resolver.fail(
                    draft, f"{relation.text!r}: {name!r} is no parameter with an integer or a "
                    f"length{nearest(name, list(known))}", "where",
                )  # fmt: skip
    if draft.behaviour.where and relations.example(op) is None:
        words = " and ".join(one.text for one in draft.behaviour.where)
        resolver.fail(draft, f"no values were found for which {words}; look at the ranges", "where")


def check_kinds(resolver: Resolver, interface: Interface) -> None:
    """An object that is a number is not passed for a pointer, nor a pointer for a number."""
    ops = (*interface.ops.values(), *interface.observers)
    kinds = {kind for op in ops for kind in [op.kind_made] if kind and is_number(op)}
    known = {op.kind_made for op in ops}
    for op in ops:
        ends = op.draft.behaviour.ends
        if ends and ends not in known:
            hint = nearest(ends, sorted(known - {""}))
            resolver.fail(op.draft, f"no operation makes a {ends!r}{hint}",
                          "ends")  # fmt: skip
        for param in op.params:
            if param.role != "handle" or param.shape is None:
                continue
            number = param.shape.kind != "pointer"
            if number and param.kind not in kinds:
                resolver.fail(
                    op.draft, f"it is a {_text(param)}, and only a pointer can be that; write "
                    f'range = [0, 9], or have an op give the numbers: gives = "{param.kind}"',
                    f"args.{param.name}",
                )  # fmt: skip
            if not number and param.kind in kinds:
                resolver.fail(
                    op.draft, f"it is a {_text(param)}, and a {param.kind} is a number",
                    f"args.{param.name}",
                )  # fmt: skip


def is_number(op: Operation) -> bool:
    """Whether what a call makes is a number and no pointer."""
    if op.makes:
        return op.returns.shape.kind not in ("pointer", "void")
    return any(param.role == "gives" for param in op.params)


def failing(interface: Interface) -> Interface:
    """The interface with the operation that has an allocation fail, where the binding asks."""
    if not interface.binding.fail_malloc or FAILING in interface.ops:
        return interface
    shape = Shape("int", "int", 4, signed=True)
    param = Param("nth", "int", 1, MOST_FAILING, shape=shape)
    draft = Draft(FAILING, (FAILING,), (param,), "void", "", "", key=FAILING)
    op = Operation(FAILING, draft, (param,), Returns("void", _VOID))
    return replace(interface, ops={**interface.ops, FAILING: op})


# --- to the worker --------------------------------------------------------------------


def told(op: Operation) -> dict[str, Any]:
    """What a worker is told of an operation's doing to objects, by the places of values."""
    places = {param.name: place for place, param in enumerate(op.given)}
    behaviour = op.draft.behaviour
    handles = [p for p in op.given if p.role == "handle"]
    out: dict[str, Any] = {
        "consumes": [places[p.name] for p in handles if p.consumes or p.kind == op.destroys],
    }
    if behaviour.ends or behaviour.dies_with or any(p.consumes for p in handles):
        out["given"] = [places[p.name] for p in handles]
    if behaviour.ends:
        out["ends"] = behaviour.ends
    if behaviour.dies_with:
        out["dies_with"] = places[behaviour.dies_with]
    return out


def told_arg(
    op: Operation, param: Param, shape: Shape, fail: Callable[[str], Exception]
) -> dict[str, Any]:
    """What a worker is told of a parameter with a role of this module; nothing of others.

    ``fail`` makes the error of a commit at which it cannot be passed.
    """
    if param.role == "gives":
        to = shape.to
        if to is None or to.kind not in ("int", "enum") or not to.code:
            raise fail(f"it is a {shape.text}, which points to no integer")
        number = "signed" if to.signed else "unsigned"
        return {"role": "out", "constant": to.size, "number": number, "gives": True}
    if param.role == "user":
        given = next(p for p in op.params if p.name == param.of)
        return {"callback": _how(given, given.callback)}
    if param.role not in PASSED:
        return {}
    callback = param.callback
    if param.role == "callback" and callback is not None:
        signature = signature_of(shape)
        if not isinstance(signature, str):
            callback = replace(callback, signature=signature)
    return {"callback": _how(param, callback)}


def _how(param: Param, callback: Callback | None) -> dict[str, Any]:
    assert callback is not None
    if param.role == "function":
        return {"function": callback.function}
    if param.role == "compare":
        return {"compare": callback.compare}
    words = [param.name, *(callback.signature), callback.low, callback.high, callback.stops]
    return {
        "name": param.name, "signature": callback.signature, "low": callback.low,
        "high": callback.high, "stops": callback.stops, "key": " ".join(map(str, words)),
    }  # fmt: skip

"""An interface bound to the library of one commit: which function to call, with which types.

That it cannot be bound is a verdict on the commit, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replay.base.jsonlines import nearest
from replay.repo import behaving
from replay.repo.behaviour import FAILING
from replay.repo.binding import Interface, Operation, Param, Returns
from replay.repo.binding import Mapping as Rule
from replay.repo.exported import DataObject
from replay.repo.fitting import misfit
from replay.repo.fitting import result as result_type
from replay.repo.parting import arranged, grown, outs, returning, signature
from replay.repo.resolving import fit, nearest_only
from replay.repo.shapes import Function, LibraryShape, Shape


@dataclass(frozen=True, slots=True)
class Bound:
    """An interface bound to one library: what the worker is told, without the library's path."""

    ops: tuple[dict[str, Any], ...]
    observers: tuple[dict[str, Any], ...]
    destroy: tuple[str, ...]
    setup: tuple[str, ...]
    teardown: tuple[str, ...]
    missing: tuple[str, ...] = ()
    data: tuple[DataObject, ...] = ()
    errno: bool = False
    behind: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reset: tuple[str, ...] | None = None
    drafted: bool = False

    def to_json(self) -> dict[str, Any]:
        """The first message to a worker."""
        between = {} if self.reset is None else {"reset": self.reset}
        return between | {
            "ops": self.ops, "observers": self.observers, "destroy": self.destroy,
            "setup": self.setup, "teardown": self.teardown, "errno": self.errno,
            "data": [one.to_json() for one in self.data], "behind": self.behind,
        }  # fmt: skip

    @property
    def names(self) -> frozenset[str]:
        """The operations that this library has."""
        return frozenset(op["name"] for op in self.ops)


class Unbound(Exception):
    """A commit whose library cannot be called as the binding says; the text says why."""


def bind(
    interface: Interface, shape: LibraryShape, rules: Mapping[str, Sequence[Rule]], *,
    lenient: bool = False,
) -> Bound:  # fmt: skip
    """Bind an interface to a library.

    Args:
        interface: with nothing left out.
        shape: of the library.
        rules: the maps that hold at this commit, by operation.
        lenient: leave out operations that are not there and in no rule, if there are others.

    Raises:
        Unbound: a function takes other arguments, or is missing and may not be left out.

    """
    ops, observers = list[dict[str, Any]](), list[dict[str, Any]]()
    missing, gone = list[str](), list[Unbound]()
    for op in (*interface.ops.values(), *interface.observers):
        if op.draft.key == FAILING:
            ops.append({**_bound(op, FAILING, None, ()), "own": True})
            continue
        data = _called(op, shape, rules.get(op.name, ()), interface.binding.drafted)
        if data is None:
            missing.append(op.name)
            gone += [] if op.draft.optional else [_missing(op, shape, ())]
        else:
            (observers if op.draft.observer else ops).append(data)
    if gone and not (interface.binding.drafted or (lenient and any("own" not in o for o in ops))):
        raise gone[0]
    _check_simple(interface, shape)
    ends = (op.name for op in interface.ops.values() if op.destroys)
    destroy = tuple(name for name in ends if name not in missing)
    return Bound(
        tuple(ops), tuple(observers), destroy if interface.binding.destroy_at_end else (),
        interface.binding.setup, interface.binding.teardown, tuple(missing), shape.data,
        interface.binding.errno, _behind(interface, shape),
        interface.binding.reset, interface.binding.drafted,
    )  # fmt: skip


def _check_simple(interface: Interface, shape: LibraryShape) -> None:
    """See that what is called beside operations is there."""
    binding = interface.binding
    for name in (*binding.setup, *binding.teardown, *(binding.reset or ())):
        if name not in shape.exported:
            raise Unbound(f"library.setup, teardown or reset calls {name}, which is not exported")


def _called(
    op: Operation, shape: LibraryShape, rules: Sequence[Rule], drafted: bool
) -> dict[str, Any] | None:
    """How an operation is called; None where it is not there, or may be left out.

    A rule that names what is not there is wrong.
    """
    name = _present(op, shape, rules)
    if name is None and rules and not (op.draft.optional or drafted):
        raise _missing(op, shape, rules)
    if name is None:
        return None
    try:
        return _bound(op, name, shape.functions.get(name), rules)
    except Unbound:
        if drafted:
            return None
        raise


def _behind(interface: Interface, shape: LibraryShape) -> dict[str, dict[str, Any]]:
    """Of which kinds of handles the memory is looked at: bytes, and where pointers are in it.

    The type is that which the library's own functions give the handle.
    """
    found: dict[str, dict[str, Any]] = {}
    for kind, size in interface.binding.behind.items():
        types = (
            handle.to
            for op in (*interface.ops.values(), *interface.observers)
            for handle in _handles(op, kind, shape)
            if handle is not None and handle.to is not None
        )
        pointers = next((to.pointers for to in types if to.kind == "struct" and to.size), ())
        found[kind] = {"size": size, "pointers": [at for at in pointers if at < size]}
    return found


def _handles(op: Operation, kind: str, shape: LibraryShape) -> Iterator[Shape | None]:
    """The types that an operation's function has for a handle of this kind."""
    names = [name for name in op.draft.functions if name in shape.functions]
    for function in (shape.functions[name] for name in names[:1]):
        yield function.returns if op.makes == kind else None
        if len(function.params) == len(op.params):
            for param, (_, given) in zip(op.params, function.params, strict=True):
                if param.kind == kind and param.role in ("handle", "storage"):
                    yield given


def _missing(op: Operation, shape: LibraryShape, rules: Sequence[Rule]) -> Unbound:
    wanted = " or ".join(_names(op, rules))
    hint = nearest_only(op.draft.functions[0], sorted(shape.exported))
    hint = f", there is {hint[15:-1]}" if hint else ""
    return Unbound(
        f"{op.draft.key} calls {wanted}, which the library does not export{hint}; add a "
        f"[[map]] for this commit, or optional = true"
    )


def _names(op: Operation, rules: Sequence[Rule]) -> list[str]:
    return list(dict.fromkeys([*(n for r in rules for n in r.functions), *op.draft.functions]))


def _present(op: Operation, shape: LibraryShape, rules: Sequence[Rule]) -> str | None:
    return next((name for name in _names(op, rules) if name in shape.exported), None)


def _bound(
    op: Operation, name: str, function: Function | None, rules: Sequence[Rule]
) -> dict[str, Any]:
    params = _arranged(op, function, rules)
    places = {param.name: index for index, param in enumerate(op.given)}
    args = []
    for index, param in enumerate(params):
        shape = param.shape
        if function is not None and index < len(function.params):
            shape = function.params[index][1]
        if param.role == "value" and not param.value and shape and shape.kind == "pointer":
            param = replace(param, role="null")  # noqa: PLW2901
        problem = misfit(param, shape)
        problem = fit(param.role, shape) if problem is None else problem
        assert shape is not None
        if problem:
            raise Unbound(f"{op.draft.key}.args.{param.name} of {name}: {problem} (at this commit)")
        args.append(_arg(op, grown(param, shape), shape, places))
    return {
        "name": op.name, "function": name, "args": args, "makes": op.makes,
        "destroys": op.destroys, **behaving.told(op),
        "returns": _observed(op.returns if function is None else _returned(op, function)),
        "fixed": len(params) - _more(op) if op.draft.varargs else 0,
        "sizes": {
            p.kind: p.shape.to.size for p in params
            if p.role == "handle" and p.shape is not None and p.shape.to is not None
        },
        "values": [
            {"role": p.role, "kind": p.kind, "low": p.low, "high": p.high} for p in op.given
        ],
    }  # fmt: skip


def _arranged(op: Operation, function: Function | None, rules: Sequence[Rule]) -> list[Param]:
    """The parameters in the order of the function at this commit, as many as it has."""
    params = _ordered(op, function, rules)
    if function is None:
        return params
    mapped = any(rule.args is not None for rule in rules)
    found = None if mapped else arranged(op, function)
    like, count = op.draft.like, len(params) - _more(op)
    if len(function.params) == count and (not like or like == signature(function)):
        return params
    if found is None or _more(op):
        raise Unbound(
            f"{op.draft.key} gives {count} arguments, and here it is "
            f"{function.prototype}; add a [[map]] with args = [...] for this commit"
        )
    return found


def _more(op: Operation) -> int:
    """The arguments that are no parameters of the prototype."""
    return max(0, len(op.draft.varargs) - 1)


def _returned(op: Operation, function: Function) -> Returns:
    """How the result is observed at this commit."""
    returns = op.returns
    other = returning(op, function)
    if other is not None:
        return other
    if returns.what not in ("int", "float", "void", "ignored", "struct"):
        return returns
    shape = result_type(returns.what, function.returns) or function.returns
    if returns.what == "struct" and shape.code != "s":
        raise Unbound(f"{op.draft.key} returns a struct, and here it is {function.prototype}")
    if (shape.kind == "void") != (returns.what == "void") and returns.what != "ignored":
        raise Unbound(
            f"{op.draft.key} returns {returns.shape.text}, and here it is {function.prototype}; "
            'write returns = "ignored" to judge by the rest'
        )
    return replace(returns, shape=shape) if shape.code else returns


def _observed(returns: Returns) -> dict[str, Any]:
    """What is observed of the result."""
    return {
        "as": returns.what, "type": returns.shape.code or "v", "size": returns.size,
        "number": returns.number, **_inside(returns.shape, returns.shape.code == "s"),
        **({"of": returns.of} if returns.what == "place" else {}),
    }  # fmt: skip


def _ordered(op: Operation, function: Function | None, rules: Sequence[Rule]) -> list[Param]:
    """The parameters in the order that a map gives them, or that of the operation."""
    rule = next((r for r in rules if r.args is not None), None)
    if rule is None or rule.args is None:
        return list(op.params)
    known = (outs(function) if function is not None else {}) | {p.name: p for p in op.params}
    ordered = []
    for arg in rule.args:
        if isinstance(arg, int):
            int_shape = Shape("int", "int", 4, signed=True)
            ordered.append(Param(str(arg), "value", value=arg, shape=int_shape))
        elif arg not in known:
            raise Unbound(f"{rule.key}.args: no parameter {arg!r}{nearest(arg, known)}")
        else:
            ordered.append(known[arg])
    return ordered


def _arg(op: Operation, param: Param, shape: Shape, places: dict[str, int]) -> dict[str, Any]:
    def failed(problem: str) -> Unbound:
        return Unbound(f"{op.draft.key}.args.{param.name} of {op.draft.functions[0]}: {problem}")

    constant, value, is_hex = param.high, places.get(param.name), False
    other = next((p for p in op.params if p.name == param.of), None)
    if param.role == "value":
        constant = param.value
    elif param.role == "user":
        value = places[param.of]
    elif param.role == "out":
        value = places[param.of] if param.of else None
    elif param.role == "length" and other is not None:
        value, constant = places.get(other.name), other.high // other.unit
        is_hex = other.role != "string"
    elif param.role == "storage" and shape.to is not None and shape.to.size:
        # The struct may grow from one commit to the next.
        constant = max(shape.to.size, param.high)
    elif param.passed == "start":
        constant = shape.to.size if shape.to is not None else 0
    counted = param if param.role != "length" or other is None else other
    element = shape.to if shape.to is not None else shape
    return {
        "name": param.name, "role": param.passed or param.role, "type": shape.code,
        "value": value, "constant": constant, "kind": param.kind, "hex": is_hex,
        "number": param.number, "unit": counted.unit, "lines": counted.passed == "strings",
        **_inside(element, param.layout is not None),
        "single": param.high == param.unit and (
            param.low == param.high or (param.role == "out" and not param.of)
        ),
        **behaving.told_arg(op, param, shape, failed),
    }  # fmt: skip


def _inside(shape: Shape, asked: bool) -> dict[str, Any]:
    """The layout of a type, where it is asked for."""
    element = shape.element if asked else None
    return {} if element is None else {"layout": element.to_json()}

"""An interface bound to the library of one commit: which function to call, with which types.

That it cannot be bound is a verdict on the commit, not an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replay.base.jsonlines import nearest
from replay.repo.binding import Interface, Operation, Param
from replay.repo.binding import Mapping as Rule
from replay.repo.exported import DataObject
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


def bind(interface: Interface, shape: LibraryShape, rules: Mapping[str, Sequence[Rule]]) -> Bound:
    """Bind an interface to a library.

    Args:
        interface: with nothing left out.
        shape: of the library.
        rules: the maps that hold at this commit, by operation.

    Raises:
        Unbound: a function that is not optional is missing, or takes other arguments.

    """
    ops: list[dict[str, Any]] = []
    observers: list[dict[str, Any]] = []
    missing: list[str] = []
    for op in (*interface.ops.values(), *interface.observers):
        name = _present(op, shape, rules.get(op.name, ()))
        if name is None:
            if op.draft.optional:
                missing.append(op.name)
                continue
            raise _missing(op, shape, rules.get(op.name, ()))
        data = _bound(op, name, shape.functions.get(name), rules.get(op.name, ()))
        (observers if op.draft.observer else ops).append(data)
    reset = interface.binding.reset
    simple = (*interface.binding.setup, *interface.binding.teardown, *(reset or ()))
    for name in simple:
        if name not in shape.exported:
            raise Unbound(f"library.setup, teardown or reset calls {name}, which is not exported")
    ends = (op.name for op in interface.ops.values() if op.destroys)
    destroy = tuple(name for name in ends if name not in missing)
    return Bound(
        tuple(ops), tuple(observers), destroy if interface.binding.destroy_at_end else (),
        interface.binding.setup, interface.binding.teardown, tuple(missing), shape.data,
        interface.binding.errno, _behind(interface, shape), reset,
    )  # fmt: skip


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
    params = _ordered(op, rules)
    if function is not None and len(function.params) != len(params):
        raise Unbound(
            f"{op.draft.key} gives {len(params)} arguments, and here it is "
            f"{function.prototype}; add a [[map]] with args = [...] for this commit"
        )
    places = {param.name: index for index, param in enumerate(op.given)}
    args = []
    for index, param in enumerate(params):
        shape = function.params[index][1] if function is not None else param.shape
        problem = fit(param.role, shape)
        assert shape is not None
        if problem:
            raise Unbound(f"{op.draft.key}.args.{param.name}: {problem} ({name} at this commit)")
        args.append(_arg(op, param, shape, places))
    returns = op.returns
    if function is not None and returns.what in ("int", "float", "void", "ignored"):
        shape = function.returns
        if (shape.kind == "void") != (returns.what == "void") and returns.what != "ignored":
            raise Unbound(
                f"{op.draft.key} returns {returns.shape.text}, and here it is "
                f"{function.prototype}; "
                'write returns = "ignored" to judge by the rest'
            )
        if shape.code:
            returns = replace(returns, shape=shape)
    return {
        "name": op.name, "function": name, "args": args, "makes": op.makes,
        "destroys": op.destroys,
        "returns": {
            "as": returns.what, "type": returns.shape.code or "v", "size": returns.size,
            "number": returns.number,
        },
        "values": [
            {"role": p.role, "kind": p.kind, "low": p.low, "high": p.high} for p in op.given
        ],
    }  # fmt: skip


def _ordered(op: Operation, rules: Sequence[Rule]) -> list[Param]:
    """The parameters in the order of the function at this commit."""
    rule = next((r for r in rules if r.args is not None), None)
    if rule is None or rule.args is None:
        return list(op.params)
    known = {param.name: param for param in op.params}
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
    constant, value, is_hex = param.high, places.get(param.name), False
    other = next((p for p in op.params if p.name == param.of), None)
    if param.role == "value":
        constant = param.value
    elif param.role == "out":
        value = places[param.of] if param.of else None
    elif param.role == "length" and other is not None:
        value, constant = places.get(other.name), other.high
        is_hex = other.role != "string"
    elif param.role == "storage" and shape.to is not None and shape.to.size:
        # The struct may grow from one commit to the next.
        constant = max(shape.to.size, param.high)
    return {
        "name": param.name, "role": param.role, "type": shape.code, "value": value,
        "constant": constant, "kind": param.kind, "hex": is_hex, "number": param.number,
    }  # fmt: skip

"""How a changed function is called: its parameters with their types and roles, and its result.

By the operations of the binding that call it, alike on both sides; a function that none calls
by its prototype alone, where all its parameters are numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from replay.repo.behaviour import PLAIN
from replay.repo.binding import Interface, Operation, Param
from replay.repo.pairing import Pair
from replay.repo.shapes import Function, LibraryShape, Shape

NUMBERS: Final = ("int", "bool", "enum")


@dataclass(frozen=True, slots=True)
class Argument:
    """A parameter: its role, its type, and the values that it may have.

    ``given`` is whether a trace holds a value of it.
    """

    name: str
    role: str
    shape: Shape
    param: Param | None = None

    @property
    def type_range(self) -> tuple[int, int] | None:
        """The least and the greatest value of its type; None where it is no number."""
        if self.shape.kind == "bool":
            return 0, 1
        if self.shape.kind not in NUMBERS or not self.shape.code:
            return None
        bits = 8 * self.shape.size
        signed = self.shape.code[0] == "i"
        return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def domain(self, most: int) -> range | tuple[int, ...] | None:
        """Its values: all of its type, if that are at most so many, else the binding's."""
        if self.role in ("value", "null"):
            return (self.param.value if self.param is not None else 0,)
        if self.role == "choice" and self.param is not None:
            return tuple(int(one) for one in self.param.choices)
        whole = self.type_range
        if self.role not in ("int", "each") or whole is None:
            return None
        every = range(whole[0], whole[1] + 1)
        if whole[1] - whole[0] < most or self.param is None:
            return every
        return range(self.param.low, self.param.high + 1)

    @staticmethod
    def count(domain: range | tuple[int, ...]) -> int:
        """How many values that are: len() knows no ranges as large as some types."""
        return domain.stop - domain.start if isinstance(domain, range) else len(domain)


@dataclass(frozen=True, slots=True)
class Called:
    """A way to call a function.

    Attributes:
        function: its name, and ``prototype``: as the library tells it.
        args: in order.
        returns: the type of the result.
        operation: of the binding; None where only the prototype is known.

    """

    function: str
    prototype: Function
    args: tuple[Argument, ...]
    returns: Shape
    operation: Operation | None = None


def ways(
    function: str, interface: Interface, pair: Pair, shapes: tuple[LibraryShape, LibraryShape]
) -> list[Called] | str:  # fmt: skip
    """How a function is called on both sides; a text says why that is not known."""
    new = _prototype(function, shapes)
    if isinstance(new, str):
        return new
    before, after = (
        {op["name"]: op for op in _ops(one.bound) if op["function"] == function}
        for one in (pair.before, pair.after)
    )
    if before != after:
        return "the binding calls it otherwise on each side"
    known = (*interface.ops.values(), *interface.observers)
    found = [_way(new, one, after[one.name]) for one in known if one.name in after]
    if not found:
        args = [Argument(name or f"arg{at}", "int", shape) for at, (name, shape) in _numbered(new)]
        if any(one.type_range is None for one in args):
            return "the binding does not call it, and it takes more than numbers"
        return [Called(function, new, tuple(args), new.returns)]
    problem = next((one for one in found if isinstance(one, str)), None)
    return problem or [one for one in found if isinstance(one, Called)]


def _prototype(function: str, shapes: tuple[LibraryShape, LibraryShape]) -> Function | str:
    """The prototype of a function, the same on both sides; a text says why there is none."""
    old, new = (shape.functions.get(function) for shape in shapes)
    if old is None or new is None:
        return "its prototype is not known on both sides"
    if _types(old) != _types(new):
        return "its prototype changed"
    return "it is variadic" if new.variadic else new


def _ops(bound: Any) -> Iterator[Mapping[str, Any]]:
    yield from bound.ops
    yield from bound.observers


def _types(function: Function) -> tuple[Any, ...]:
    return function.returns, tuple(shape for _, shape in function.params)


def _numbered(function: Function) -> Iterator[tuple[int, tuple[str, Shape]]]:
    return enumerate(function.params, 1)


def _way(function: Function, op: Operation, bound: Mapping[str, Any]) -> Called | str:
    """An operation's way to call a function."""
    params = {param.name: param for param in op.params}
    if len(bound["args"]) != len(function.params) or op.draft.is_variadic:
        return "the binding calls it otherwise than its prototype says"
    args = []
    for (_, shape), told in zip(function.params, bound["args"], strict=True):
        param = params.get(told["name"])
        if param is None:
            return f"nothing is known of {told['name']}"
        # What is passed in another way than its role says has a role of its own.
        args.append(Argument(param.name, param.passed or param.role, shape, param))
    if op.draft.behaviour != PLAIN and op.draft.behaviour.where:
        return "the binding relates its parameters"
    return Called(function.name, function, tuple(args), function.returns, op)


def spelt(domain: range | tuple[int, ...]) -> str:
    """The values of an argument in words: ``0..255``."""
    if isinstance(domain, range) and domain.stop - domain.start > 1:
        return f"{domain.start}..{domain.stop - 1}"
    if len(domain) > 6:
        return f"{len(domain)} values"
    return "{" + ", ".join(map(str, domain)) + "}" if len(domain) > 1 else str(domain[0])

"""Which exported functions are not called, each with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from replay.repo import guessing
from replay.repo.binding import Binding, Param
from replay.repo.bound import Bound
from replay.repo.guessing import Problem
from replay.repo.shapes import Function, LibraryShape

_STARTUP: Final = frozenset(("_init", "_fini"))
"""Exported by some linkers from every library; the loader calls them."""


def kinds_made(shape: LibraryShape) -> frozenset[str]:
    """The kinds of objects that some function of a library makes."""
    kinds = set()
    for function in shape.functions.values():
        kinds.add(guessing.makes(function))
        kinds |= {
            guessing.kind_of(of.to)
            for _, of in function.params
            if of.kind == "pointer" and of.to is not None and guessing.is_handle(of.to)
        }
    return frozenset(kinds - {""})


def kinds_stored(shape: LibraryShape, made: frozenset[str]) -> frozenset[str]:
    """The kinds of objects that some function makes in memory that it is given."""
    return frozenset(
        param.kind
        for function in shape.functions.values()
        for param in guessing.guess_params(function, shape.enums, made)
        if isinstance(param, Param) and param.role == "storage"
    )


def problem(
    function: Function, shape: LibraryShape, made: frozenset[str], stored: frozenset[str]
) -> str:
    """Why a function is left out of a drafted binding; empty if it is not."""
    if function.variadic:
        return "it takes any number of arguments; wrap it"
    params = guessing.guess_params(function, shape.enums, made)
    for param in params:
        if isinstance(param, Problem):
            return param.text
    returns = guessing.guess_returns(function.returns, guessing.makes(function))
    if isinstance(returns, Problem):
        return returns.text
    for param in params:
        if isinstance(param, Param) and param.role == "handle" and param.kind not in made | stored:
            return f"nothing makes a {param.kind}"
    return ""


def left_out(shape: LibraryShape, bound: Bound, binding: Binding) -> dict[str, str]:
    """Each function that a library exports and that is not called, with the reason."""
    called = {op["function"] for op in (*bound.ops, *bound.observers)}
    called |= {*bound.setup, *bound.teardown}
    named = {name for draft in (*binding.ops, *binding.observers) for name in draft.functions}
    made = kinds_made(shape)
    stored = kinds_stored(shape, made)
    found = {}
    for name in sorted(shape.exported - called - _STARTUP):
        function = shape.functions.get(name)
        if name in named:
            found[name] = "an operation of the binding calls another one here"
        elif function is None:
            found[name] = f"no prototype ({shape.problem or 'no debug information on it'})"
        else:
            found[name] = problem(function, shape, made, stored) or "the binding does not name it"
    return found


def missing(bounds: Iterable[Bound]) -> dict[str, str]:
    """The optional operations that some library lacks."""
    return {
        name: "optional, and not there at every commit" for one in bounds for name in one.missing
    }

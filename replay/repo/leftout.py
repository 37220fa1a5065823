"""Which exported functions are not called, each with the reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from replay.repo.binding import Binding
from replay.repo.bound import Bound
from replay.repo.drafting import drafted
from replay.repo.shapes import LibraryShape

_STARTUP: Final = frozenset(("_init", "_fini"))
"""Exported by some linkers from every library; the loader calls them."""


def left_out(shape: LibraryShape, bound: Bound, binding: Binding) -> dict[str, str]:
    """Each function that a library exports and that is not called, with the reason."""
    called = {op["function"] for op in (*bound.ops, *bound.observers)}
    called |= {*bound.setup, *bound.teardown}
    named = {name for draft in (*binding.ops, *binding.observers) for name in draft.functions}
    reasons = drafted(shape, "the library").left_out
    found = {}
    for name in sorted(shape.exported - called - _STARTUP):
        function = shape.functions.get(name)
        if binding.drafted and function is not None:
            why = reasons.get(name) or binding.dropped.get(name)
            found[name] = why or "not as it is elsewhere in the range"
        elif name in named:
            found[name] = "an operation of the binding calls another one here"
        elif function is None:
            found[name] = f"no prototype ({shape.problem or 'no debug information on it'})"
        else:
            found[name] = reasons.get(name, "the binding does not name it")
    return found


def missing(bounds: Iterable[Bound]) -> dict[str, str]:
    """The operations that some library lacks; of drafted ones the commits tell."""
    return {
        name: "not there at every commit"
        for one in bounds if not one.drafted for name in one.missing
    }  # fmt: skip

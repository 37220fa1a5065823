"""Prototypes that change from one commit to the next, and what two of them have in common.

A function that gains or loses an out-parameter is the same function: each commit is called
as its own prototype says, and compared is what both sides have. One whose other parameters
change is another function, unless a [[map]] says how to call it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from replay.repo import guessing
from replay.repo.binding import Operation, Param, Returns
from replay.repo.guessing import Problem
from replay.repo.shapes import Function, Shape

NUMBERS: Final = ("int", "bool", "enum")


def signature(function: Function) -> str:
    """Equal for two prototypes that are called alike; of numbers and structs the size is free."""
    words = [_word(shape) for _, shape in function.params]
    return ", ".join([_word(function.returns), *words, *(["..."] if function.variadic else [])])


def _word(shape: Shape) -> str:
    if shape.kind in NUMBERS:
        return "number"
    if shape.kind == "pointer" and shape.to is not None:
        small = shape.to.kind in NUMBERS and shape.to.size == 1
        return f"{'text' if small else _word(shape.to)} *"
    return f"{shape.kind} {shape.name}".strip()


def outs(function: Function) -> dict[str, Param]:
    """The parameters of a function that only bring something back, by name."""
    guesses = guessing.guess_params(function, {}, frozenset())
    return {
        guess.name: guess for guess in guesses
        if isinstance(guess, Param) and guess.role == "out" and not guess.of
    }  # fmt: skip


def extends(one: Function, other: Function) -> bool:
    """Whether two prototypes are alike but for out-parameters and the result."""
    if signature(one) == signature(other):
        return True
    gone = outs(one).keys() ^ outs(other).keys()
    old, new = (
        [(name, _word(shape)) for name, shape in function.params if name not in gone]
        for function in (one, other)
    )
    named = all(name for name, _ in (*one.params, *other.params))
    return named and old == new and one.variadic == other.variadic


def arranged(op: Operation, function: Function) -> list[Param] | None:
    """The parameters of an operation in the order of a prototype that has others.

    Those that it has beside them only bring something back, and so do those that it lacks;
    None where that is not so.
    """
    known = {param.name: param for param in op.params}
    names = [name for name, _ in function.params]
    extra = outs(function)
    lacking = [param for name, param in known.items() if name not in names]
    if not all(name in known or name in extra for name in names):
        return None
    if any(param.role != "out" or param.of for param in lacking) or not all(names):
        return None
    return [known.get(name) or extra[name] for name in names]


def returning(op: Operation, function: Function) -> Returns | None:
    """How the result is observed where a prototype returns another kind of thing than it did.

    None where that is not so, or where the operation needs what it returns.
    """
    shape, returns = function.returns, op.returns
    if op.makes or returns.what == "ignored":
        return None
    if returns.what != "void" and shape.kind == "void":
        return Returns("void", shape)
    kinds = {"int": NUMBERS, "float": ("float",), "void": ("void",)}
    if shape.kind in kinds.get(returns.what, ("pointer",)):
        return None
    guess = guessing.guess_returns(shape, "")
    if isinstance(guess, Problem) or (returns.what != "void" and op.draft.returns):
        return None
    return guess


def grown(param: Param, shape: Shape) -> Param:
    """A parameter with room for what it points to, which may have grown since it was guessed."""
    was, now = (one.to.size if one is not None and one.to else 0 for one in (param.shape, shape))
    if param.role == "out" and not param.of and was == param.high and now > was:
        return replace(param, high=now)
    return param

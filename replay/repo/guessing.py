"""What a prototype suggests: roles of parameters, results, constructors, destructors, observers.

Guesses fill in what a binding leaves out, and are what ``replay init`` writes down. They
go by types first and by names second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from replay.repo.binding import Param, Returns
from replay.repo.guessingvalues import may_point_into
from replay.repo.objects import (
    destroys,
    is_handle,
    kind_of,
    made_by_pointer,
    makes,
    observes,
    whole,
)
from replay.repo.roles import Guess, guesses, stores
from replay.repo.shapes import Function, LibraryShape, Shape
from replay.repo.speaking import said

__all__ = [
    "Problem", "destroys", "guess_params", "guess_returns", "is_handle", "kind_of", "kinds",
    "makes", "observes", "whole",
]  # fmt: skip

_PARTED: Final = ("elements", "pointer", "length")
"""Roles that are taken from what is written for a parameter, also where nobody wrote it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a parameter or result cannot be guessed."""

    text: str


def guess_params(
    function: Function,
    enums: Mapping[str, tuple[int, ...]],
    made: frozenset[str],
    stored: frozenset[str] = frozenset(),
) -> list[Param | Problem]:
    """A role for each parameter.

    ``made`` are the kinds of objects that somebody makes; ``stored`` those that are made in
    memory that is given, or by a function that no binding names.
    """
    guessed = guesses(function, enums, made, stored)
    return [_param(one, shape) for one, (_, shape) in zip(guessed, function.params, strict=True)]


def _param(guess: Guess, shape: Shape) -> Param | Problem:
    """What a guess is; what is made of parts is so only as it is written."""
    known = said(guess.role) if guess.role else None
    if known is not None and (known.role in _PARTED or known.passed):
        return replace(known, name=guess.name, shape=shape)
    return guess.param if guess.param is not None else Problem(guess.why)


def kinds(library: LibraryShape) -> frozenset[str]:
    """The kinds of objects that a library makes, also behind a pointer or in memory of others."""
    functions = library.functions.values()
    made = frozenset(
        kind for one in functions for kind in (makes(one), *made_by_pointer(one)) if kind
    )
    return made | (frozenset(stores(one, made) for one in functions) - {""})


def guess_returns(  # noqa: PLR0911 - a line a kind
    shape: Shape, made: str, function: Function | None = None
) -> Returns | Problem:
    """How a result is observed; of a constructor, whether it is NULL."""
    if shape.code == "s":
        return Returns("struct", shape)
    if shape.kind == "void":
        return Returns("void", shape)
    if shape.kind in ("int", "bool", "enum") and shape.code:
        return Returns("int", shape)
    if shape.kind == "float" and shape.code:
        return Returns("float", shape)
    if shape.kind == "pointer" and shape.to is not None:
        text = shape.const and shape.to.kind == "int" and shape.to.size == 1
        if not made and function is not None and may_point_into(function):
            return Returns("place", shape)
        return Returns("string" if text and not made else "pointer", shape)
    return Problem(f"it returns a {shape.text}, which a binding cannot take")

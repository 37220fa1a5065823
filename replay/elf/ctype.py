"""C types as values, and their one spelling.

Prototypes come from two sides, as text and from DWARF. Both are made into these values,
and text is only ever made from them: so two that mean the same are spelt the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

QUALIFIERS: Final = ("const", "volatile", "restrict", "_Atomic")
"""In the order in which they are written."""

DEEPEST: Final = 64
"""Pointers, arrays and functions around one another; no honest type has so many."""


@dataclass(frozen=True, slots=True)
class Named:
    """A base type, a typedef, or a struct, union or enum with its tag."""

    name: str
    qualifiers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Pointer:
    """A pointer; the qualifiers are its own, not those of what it points to."""

    to: CType
    qualifiers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Array:
    """An array; the length as written, empty when it is open."""

    of: CType
    length: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter; without a name in types of functions that are pointed to."""

    type: CType
    name: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """A function type. ``prototyped`` is false for ``f()``, which says nothing."""

    returns: CType
    parameters: tuple[Parameter, ...]
    variadic: bool = False
    prototyped: bool = True


CType: TypeAlias = Named | Pointer | Array | Function

VOID: Final = Named("void")

BASE_WORDS: Final = frozenset(
    [
        "void",
        "char",
        "short",
        "int",
        "long",
        "float",
        "double",
        "signed",
        "unsigned",
        "bool",
        "_Bool",
        "_Complex",
        "__int128",
    ]
)
"""The words that base types are made of."""


def base_name(words: list[str]) -> str | None:
    """The one name of a base type, whatever the order of its words; None if it is none.

    ``long unsigned int`` is ``unsigned long``, ``unsigned int`` is ``unsigned``,
    ``_Bool`` is ``bool``.
    """
    count = Counter("bool" if word == "_Bool" else word for word in words)
    sign = "unsigned" if count.pop("unsigned", 0) else ""
    signed = count.pop("signed", 0)
    if sign and signed:
        return None
    rest = tuple(sorted(count.elements()))
    if rest == ("char",):
        return f"{sign} char" if sign else "signed char" if signed else "char"
    whole = _INTEGERS.get(rest)
    if whole is not None:
        return f"{sign} {whole}" if sign and whole != "int" else sign or whole
    return None if sign or signed else _OTHERS.get(rest)


_INTEGERS: Final = {
    tuple(sorted(spelling.split())): name
    for name, spellings in {
        "int": ("", "int"),
        "short": ("short", "short int"),
        "long": ("long", "long int"),
        "long long": ("long long", "long long int"),
        "__int128": ("__int128",),
    }.items()
    for spelling in spellings
}
_OTHERS: Final = {
    tuple(sorted(name.split())): name
    for name in (
        "void",
        "bool",
        "float",
        "double",
        "long double",
        "float _Complex",
        "double _Complex",
        "long double _Complex",
    )
}


def qualified(type_: CType, words: frozenset[str]) -> CType:
    """The type with more qualifiers; those of an array are its elements'."""
    if isinstance(type_, Array):
        return replace(type_, of=qualified(type_.of, words))
    if isinstance(type_, Function):
        return type_
    return replace(type_, qualifiers=type_.qualifiers | words)


def unqualified(type_: CType) -> CType:
    """The type without its own qualifiers; those of what it points to stay."""
    return replace(type_, qualifiers=frozenset()) if isinstance(type_, Named | Pointer) else type_


def canonical(function: Function, types_only: bool = False) -> Function:
    """The function type that C takes a declaration for.

    An array parameter is a pointer, a function parameter a pointer to it, a result has no
    qualifiers of its own, and types of functions that are pointed to name no parameters.
    With ``types_only`` parameters lose their names and their own qualifiers too, which
    callers do not see.
    """
    parameters = []
    for parameter in function.parameters:
        type_ = nameless(decayed(parameter.type))
        if types_only:
            parameters.append(Parameter(unqualified(type_)))
        else:
            parameters.append(Parameter(type_, parameter.name))
    returns = nameless(unqualified(function.returns))
    return Function(returns, tuple(parameters), function.variadic, function.prototyped)


def decayed(type_: CType) -> CType:
    """What a parameter of this type is: arrays and functions become pointers."""
    if isinstance(type_, Array):
        return Pointer(type_.of)
    return Pointer(type_) if isinstance(type_, Function) else type_


def nameless(type_: CType) -> CType:
    """The type with no parameter names in it, as DWARF tells of functions pointed to."""
    if isinstance(type_, Pointer):
        return replace(type_, to=nameless(type_.to))
    if isinstance(type_, Array):
        return replace(type_, of=nameless(type_.of))
    if isinstance(type_, Function):
        parameters = (nameless(unqualified(decayed(p.type))) for p in type_.parameters)
        return replace(
            type_,
            returns=nameless(unqualified(type_.returns)),
            parameters=tuple(Parameter(p) for p in parameters),
        )
    return type_


def spell(type_: CType, declarator: str = "") -> str:
    """The type as C text, around a name or whatever else is declared with it."""
    if isinstance(type_, Named):
        words = [*_ordered(type_.qualifiers), type_.name]
        return " ".join([*words, declarator]) if declarator else " ".join(words)
    if isinstance(type_, Array):
        return spell(type_.of, f"{declarator}[{type_.length}]")
    if isinstance(type_, Function):
        return spell(type_.returns, f"{declarator}({_parameters(type_)})")
    own = " ".join(_ordered(type_.qualifiers))
    pointer = "*" + (f"{own} {declarator}".rstrip() if own else declarator)
    return spell(type_.to, f"({pointer})" if isinstance(type_.to, Array | Function) else pointer)


def _parameters(function: Function) -> str:
    shown = [spell(p.type, p.name) for p in function.parameters]
    if function.variadic:
        shown.append("...")
    return ", ".join(shown) or ("void" if function.prototyped else "")


def _ordered(qualifiers: frozenset[str]) -> list[str]:
    return [word for word in QUALIFIERS if word in qualifiers]

"""A binding where there is no file: drafted from all libraries of a range.

A function counts as its first prototype says, and again where a later one is called
otherwise: each library binds the one that it has, and each pair is compared on what both
sides have. What cannot be called is left out with the reason, and stops nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from replay.repo.binding import Binding, Draft
from replay.repo.bindingfile import parse_binding
from replay.repo.drafting import draft
from replay.repo.errors import BindingError, RepoError
from replay.repo.parting import extends, signature
from replay.repo.shapes import Function, LibraryShape

NAME: Final = "the drafted binding"


def binding_of(shapes: Sequence[LibraryShape]) -> Binding:
    """A binding from what libraries say of themselves; one of them has prototypes.

    It has no operation where none of their functions can be called.
    """
    several = {id(shape): shape for shape in shapes}.values()
    known = variants(list(several))
    exported = frozenset().union(*(shape.exported for shape in several))
    whole = LibraryShape(
        exported | known.keys(),
        {name: replace(function, name=name) for name, function in known.items()},
        {name: values for shape in reversed([*several]) for name, values in shape.enums.items()},
    )
    try:
        found = parse_binding(draft(whole, "the library"), NAME)
    except (RepoError, BindingError):
        return Binding(NAME, (), drafted=True)

    def placed(one: Draft) -> Draft:
        function = known[one.functions[0]]
        return replace(one, functions=(function.name,), like=signature(function))

    return replace(
        found, ops=tuple(map(placed, found.ops)), observers=tuple(map(placed, found.observers)),
        drafted=True,
    )  # fmt: skip


def variants(shapes: Sequence[LibraryShape]) -> dict[str, Function]:
    """The functions of some libraries, once for each way to call them; later ways are numbered."""
    taken = set().union(*(shape.exported for shape in shapes))
    ways: dict[str, list[Function]] = {}
    found: dict[str, Function] = {}
    for shape in shapes:
        for name, function in shape.functions.items():
            known = ways.setdefault(name, [])
            if any(extends(one, function) for one in known):
                continue
            number = len(known) + 1
            while number > 1 and f"{name}_{number}" in taken:
                number += 1
            word = name if number == 1 else f"{name}_{number}"
            taken.add(word)
            known.append(function)
            found[word] = function
    return found

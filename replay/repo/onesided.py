"""What is observed at calls of one of two sides alone, since a prototype changed between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from replay.repo.bound import Bound
from replay.repo.masks import Field
from replay.repo.shapes import LibraryShape
from replay.repo.targets import Prepared

WRITTEN: Final = ("out", "inout")
ONE_SIDE: Final = "one side alone has it"
SIZES: Final = "it has another size on each side"
KINDS: Final = "it is of another kind on each side"


def one_sided(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[Field, str]:
    """What is observed at calls of one of two sides alone, each with the reason.

    Args:
        before: the operations as they are called, see ``Bound.ops``.
        after: the same of the later side.

    """
    old = {op["name"]: op for op in before}
    found: dict[Field, str] = {}
    for op in after:
        if op["name"] in old and old[op["name"]] != op:
            found |= dict(_parted(op["name"], old[op["name"]], op))
    return found


def _parted(
    name: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[Field, str]]:
    if (old["returns"]["as"] == "void") != (new["returns"]["as"] == "void"):
        yield Field("ret", name), ONE_SIDE
    elif old["returns"]["as"] != new["returns"]["as"]:
        yield Field("ret", name), KINDS
    sides = [{a["name"]: a for a in op["args"] if a["role"] in WRITTEN} for op in (old, new)]
    for label in sides[0].keys() ^ sides[1].keys():
        yield Field("out", name, label), ONE_SIDE
    for label in sides[0].keys() & sides[1].keys():
        one, two = sides[0][label], sides[1][label]
        if one["value"] is None is two["value"] and one["constant"] != two["constant"]:
            yield Field("out", name, label), SIZES
    made = [any(arg["role"] == "makes" for arg in op["args"]) for op in (old, new)]
    if made[0] != made[1]:
        yield Field("made", name), ONE_SIDE


def observing(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[Field, str]:
    """The observers that one of two sides alone has."""
    old, new = ({op["name"] for op in side} for side in (before, after))
    return {Field("after", name=name): ONE_SIDE for name in old ^ new}


def changes(one: Prepared, against: Prepared) -> list[str]:
    """What of a drafted binding is not compared of a tree and the one before, in words."""
    if one is against or one.target is None or against.target is None:
        return []
    sides = [
        {op["name"]: op["function"] for op in (*side.bound.ops, *side.bound.observers)}
        for side in (against.target, one.target)
        if side.bound.drafted
    ]
    if len(sides) < 2 or against.shape is None or one.shape is None:
        return []
    names = sorted({*sides[0].items()} ^ {*sides[1].items()})
    functions = dict.fromkeys(function for _, function in names)
    return [_change(function, against.shape, one.shape) for function in functions]


def otherwise(before: Bound, after: Bound) -> frozenset[str]:
    """The functions that both sides call, and each in another way: nothing of them is compared."""
    old, new = (
        {op["name"]: op["function"] for op in (*side.ops, *side.observers)}
        for side in (before, after)
    )
    both = {old[name] for name in old.keys() & new.keys()}
    return frozenset(old.values()) & frozenset(new.values()) - both


def _change(name: str, old: LibraryShape, new: LibraryShape) -> str:
    one, two = old.functions.get(name), new.functions.get(name)
    if name not in old.exported:
        return f"{name} is new: not compared"
    if name not in new.exported:
        return f"{name} is gone: not compared"
    if one is None or two is None:
        return f"{name} is not compared: its prototype is known on one side alone"
    return f"{name} is not compared: it was {one.prototype} and is {two.prototype}"


def parts(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> dict[str, frozenset[str]]:
    """The out-parameters of observers that one of two sides alone has, by observer."""
    sides = [
        {op["name"]: frozenset(a["name"] for a in op["args"] if a["role"] in WRITTEN) for op in ops}
        for ops in (before, after)
    ]
    return {
        name: sides[0][name] ^ sides[1][name]
        for name in sides[0].keys() & sides[1].keys() if sides[0][name] != sides[1][name]
    }  # fmt: skip

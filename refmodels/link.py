"""The linker: every function of a step finds what it calls, with the right arguments."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

from refmodels.delta import LinkError, Table


@dataclass(frozen=True, slots=True)
class Use:
    """One mention of ``vm.name`` in a function; ``arguments`` is None unless called."""

    name: str
    line: int
    arguments: int | None


@cache
def _module_functions(file: str) -> dict[tuple[str, int], ast.FunctionDef]:
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    found: dict[tuple[str, int], ast.FunctionDef] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name, first] = node
    return found


@cache
def uses(function: FunctionType) -> tuple[Use, ...]:
    """What a function asks of its machine: every ``vm.name`` it mentions."""
    code = function.__code__
    node = _module_functions(code.co_filename).get((function.__name__, code.co_firstlineno))
    if node is None:
        where = f"{code.co_filename}:{code.co_firstlineno}"
        raise LinkError(f"{where}: {function.__name__} is no function that 'def' makes")
    called: dict[int, int] = {}
    for sub in ast.walk(node):
        if isinstance(sub, ast.Call):
            called[id(sub.func)] = len(sub.args) + len(sub.keywords)
    return tuple(
        Use(sub.attr, sub.lineno, called.get(id(sub)))
        for sub in ast.walk(node)
        if isinstance(sub, ast.Attribute)
        and isinstance(sub.value, ast.Name)
        and sub.value.id == "vm"
    )


def link(number: int, folded: Table, base: type[Any]) -> None:
    """Check that every function of a table finds what it uses, there or in ``base``.

    Raises:
        LinkError: a call of a removed function, or with a wrong number of arguments.

    """
    for entry in folded.values():
        if entry.kind != "function":
            continue
        if not isinstance(entry.value, FunctionType):
            raise LinkError(f"step {entry.touched}: {entry.name} is no function of Python")
        for use in uses(entry.value):
            target = folded.get(use.name)
            where = f"step {number}: {entry.name} (line {use.line})"
            if target is None:
                if not hasattr(base, use.name):
                    raise LinkError(f"{where} uses {use.name}, which is not there")
                continue
            if target.kind == "function" and use.arguments is not None:
                wanted = target.value.__code__.co_argcount - 1
                if use.arguments != wanted:
                    raise LinkError(
                        f"{where} calls {use.name} with {use.arguments} arguments, "
                        f"it takes {wanted}"
                    )

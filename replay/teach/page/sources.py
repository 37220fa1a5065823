"""The text of a model's function, and what its annotations say."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FunctionType

from replay.errors import ReplayError
from replay.teach.page.vocabulary import ANNOTATIONS, NUMERIC, Type


class TranslationError(ReplayError):
    """A model uses what cannot be translated; the text names file, line and construct."""


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function of the table takes, without the machine, and gives."""

    parameters: tuple[Type, ...]
    result: Type


# --- finding a function's text ------------------------------------------------------


@cache
def _tree(file: str) -> ast.Module:
    return ast.parse(Path(file).read_text(encoding="utf-8"))


@cache
def definition(function: FunctionType) -> tuple[ast.FunctionDef | ast.Lambda, str]:
    """The syntax tree of a function or lambda, and the file it stands in.

    Raises:
        TranslationError: the source does not hold it in one place.

    """
    code = function.__code__
    found: list[ast.FunctionDef | ast.Lambda] = []
    for node in ast.walk(_tree(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                found.append(node)
        elif (
            isinstance(node, ast.Lambda)
            and function.__name__ == "<lambda>"
            and node.lineno == code.co_firstlineno
        ):
            found.append(node)
    if len(found) != 1:
        name = Path(code.co_filename).name
        raise TranslationError(f"{name}:{code.co_firstlineno}: {function.__name__} is not found")
    return found[0], code.co_filename


def signature(function: FunctionType) -> Signature:
    """What a function says it takes and gives."""
    node, file = definition(function)
    assert isinstance(node, ast.FunctionDef)
    parameters = tuple(annotation(arg.annotation, file, node) for arg in node.args.args[1:])
    result = annotation(node.returns, file, node)
    return Signature(parameters, "number" if result in NUMERIC else result)


def annotation(node: ast.expr | None, file: str, where: ast.AST) -> Type:
    """The kind that an annotation names.

    Raises:
        TranslationError: it names none that the page knows.

    """
    text = ast.unparse(node) if node is not None else "nothing"
    if text not in ANNOTATIONS:
        raise TranslationError(
            f"{Path(file).name}:{getattr(where, 'lineno', 0)}: annotated with {text}; "
            f"known are {', '.join(ANNOTATIONS)}"
        )
    return ANNOTATIONS[text]

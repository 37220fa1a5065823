"""``replay init``: a commented binding from what a library says of itself.

What is written parses, and says what was guessed; what cannot be guessed is there as a
comment that says what to decide.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Final

from replay.base.jsonlines import printable
from replay.repo import guessing
from replay.repo.binding import Param
from replay.repo.bindingfile import FORMAT
from replay.repo.errors import RepoError
from replay.repo.guessing import Problem
from replay.repo.shapes import Function, LibraryShape

_HEAD: Final = """\
# What replay verify calls in {name}, and what it looks at.
#
# Written by replay init from the library's debug information: the prototypes are facts,
# the roles and ranges are guesses. Look through them: a range should hold what the
# library must cope with and no more, and small ranges find more than wide ones. What is
# given no range takes any value of its type: small ones first, then the constants that
# the code holds and what is beside them, then any.
#
#   range = [0, 9]        a number             handle = "KIND"     an object made by an op
#   choices = [0, 1, 4]   one of these         makes = "KIND"      where a new object is put
#   bytes = [0, 16]       a buffer to read     storage = "KIND"    memory for a new object
#   inout = [0, 16]       and to change        length_of = "P"     the length of parameter P
#   out = 16              a buffer to fill     value = 0           always this
#   string = [0, 64]      characters; also     null = true         always NULL
#                         alphabet = "abc"
#
# An op may also have: name, weight = 3 (drawn more often), live = 2 (objects at once),
# returns = "ignored", optional = true (not at every commit), makes, destroys, requires.
# Where a commit has another function for an op:
#
#   [[map]]
#   commits = "A..B"
#   op = "NAME"
#   function = "OTHER"
#   args = ["a", "b", 0]

format = "{format}"
"""


def draft(shape: LibraryShape, name: str) -> str:
    """A binding for a library.

    Raises:
        RepoError: it has no debug information, or exports nothing that could be called.

    """
    if not shape.functions:
        why = shape.problem or "it exports no function"
        raise RepoError(f"{name}: a binding is drafted from prototypes, and there are none: {why}")
    functions = sorted(shape.functions.values(), key=_order)
    made = frozenset(
        kind for f in functions for kind in (guessing.makes(f), *_made_by_pointer(f)) if kind
    )
    stored = frozenset(
        p.kind for f in functions for p in guessing.guess_params(f, shape.enums, made)
        if isinstance(p, Param) and p.role == "storage"
    )  # fmt: skip
    parts = [_HEAD.format(name=printable(PurePath(name).name), format=FORMAT)]
    usable = 0
    for function in functions:
        text, is_op = _entry(function, shape, made, made | stored)
        parts.append(text)
        usable += is_op
    if not usable:
        raise RepoError(
            f"{name}: none of its functions can be called by what is known of them; write a "
            "binding by hand"
        )
    return "\n".join(parts)


def _order(function: Function) -> tuple[int, str]:
    """Constructors first, then what works on their objects, observers last."""
    if guessing.makes(function):
        return 0, function.name
    return (2 if guessing.observes(function) else 1), function.name


def _made_by_pointer(function: Function) -> list[str]:
    return [
        guessing.kind_of(shape.to)
        for _, shape in function.params
        if shape.kind == "pointer" and shape.to is not None and guessing.is_handle(shape.to)
    ]


def _entry(
    function: Function, shape: LibraryShape, made: frozenset[str], known: frozenset[str]
) -> tuple[str, bool]:
    """The table of a function, and whether it is an operation."""
    params = guessing.guess_params(function, shape.enums, made)
    makes = guessing.makes(function)
    destroys = guessing.destroys(function)
    problems = [f"{p.text}" for p in params if isinstance(p, Problem)]
    problems += [
        f"nothing makes a {p.kind}: give {p.name} another role, or add the op that makes it"
        for p in params if isinstance(p, Param) and p.role == "handle" and p.kind not in known
    ]  # fmt: skip
    returns = guessing.guess_returns(function.returns, makes)
    if isinstance(returns, Problem):
        problems.append(returns.text)
    if function.variadic:
        problems.append("it takes any number of arguments; wrap it")
    observer = guessing.observes(function) and not problems
    lines = [f"# {function.prototype}"]
    lines.append("[[observe]]" if observer else "[[op]]")
    lines.append(f'function = "{function.name}"')
    if makes and not observer:
        lines.append(f'makes = "{makes}"')
    if destroys and not observer:
        lines.append(f'destroys = "{destroys}"')
    lines += _args("observe" if observer else "op", params)
    if problems:
        why = [f"# Left out: {problem}." for problem in problems]
        lines = [lines[0], *why, *(f"# {line}" for line in lines[1:])]
    return "\n".join(lines) + "\n", not problems and not observer


def _args(table: str, params: list[Param | Problem]) -> list[str]:
    if not params:
        return []
    lines = [f"[{table}.args]"]
    for param in params:
        if isinstance(param, Problem):
            lines.append(f"#   a parameter to decide on: {param.text}")
        elif _is_any(param):
            text = param.shape.text if param.shape is not None else "number"
            lines.append(f"#   {param.name}: any {text}")
        else:
            lines.append(f"{param.name} = {{ {_role(param)} }}")
    return lines


def _is_any(param: Param) -> bool:
    """Whether a parameter takes all of its type: then the binding need not name it."""
    if param.role == "int" and param.shape is not None:
        return (param.low, param.high) == guessing.whole(param.shape)
    return param.role == "float"


def _role(param: Param) -> str:  # noqa: PLR0911 - a line a role
    if param.role == "int":
        return f"range = [{param.low}, {param.high}]"
    if param.role in ("bytes", "inout", "string"):
        return f"{param.role} = [{param.low}, {param.high}]"
    if param.role == "choice":
        return f"choices = {list(param.choices)}"
    if param.role == "out":
        return f'out = "{param.of}"' if param.of else f"out = {param.high}"
    if param.role == "length":
        return f'length_of = "{param.of}"'
    if param.role == "null":
        return "null = true"
    return f'{param.role} = "{param.kind}"'

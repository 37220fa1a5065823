"""Expressions of the models in JavaScript, each with what it is known to be."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from replay.teach.page.vocabulary import (
    BLOCK,
    ELEMENTS,
    MACHINE,
    METHODS,
    NUMERIC,
    RESERVED,
    RUNTIME,
    Type,
)

if TYPE_CHECKING:
    from replay.teach.page.transpile import Writer

Code: TypeAlias = tuple[str, Type]

OPERATORS: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.BitAnd: "&", ast.BitOr: "|",
    ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip

COMPARISONS: Final[Mapping[type[ast.cmpop], str]] = {
    # Loose equality: it alone finds 1n and true equal, as Python finds 1 and True.
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
}  # fmt: skip


def variable(name: str) -> str:
    """A Python name as JavaScript allows it."""
    return f"{name}$" if name in RESERVED else name


def bare(code: str) -> str:
    """An expression without brackets around all of it, where a statement needs none."""
    if not (code.startswith("(") and code.endswith(")")):
        return code
    depth = 0
    for place, character in enumerate(code):
        depth += (character == "(") - (character == ")")
        if depth == 0 and place < len(code) - 1:
            return code
    return code[1:-1]


def reckoned(w: Writer, op: ast.operator, left: str, right: str, node: ast.AST) -> str:
    """One step of arithmetic on two BigInts."""
    if isinstance(op, ast.FloorDiv):
        return f"$.floorDiv({left}, {right})"
    if type(op) not in OPERATORS:
        w.fail(node, f"the operator {type(op).__name__}")
    return f"({left} {OPERATORS[type(op)]} {right})"


def _constant(w: Writer, node: ast.Constant) -> Code:
    value = node.value
    if value is None:
        return "null", "none"
    if isinstance(value, bool):
        return ("true" if value else "false"), "bool"
    if isinstance(value, int):
        return f"{value}n", "int"
    if isinstance(value, str):
        return json.dumps(value), "str"
    return w.fail(node, f"a constant of {type(value).__name__}")


def _name(w: Writer, node: ast.Name) -> Code:
    if node.id not in w.locals:
        w.fail(node, f"{node.id}, which is no variable of the function")
    return variable(node.id), w.locals[node.id]


def _attribute(w: Writer, node: ast.Attribute) -> Code:
    if isinstance(node.value, ast.Name) and node.value.id == "vm":
        kind = MACHINE.get(node.attr) or w.names.values.get(node.attr)
        if kind is None:
            w.fail(node, f"vm.{node.attr}, which is not among the machine's parts")
        return f"vm.{node.attr}", kind
    value, of = w.expr(node.value)
    if of != "block" or node.attr not in BLOCK:
        w.fail(node, f".{node.attr} of {of}")
    return f"{value}.{node.attr}", BLOCK[node.attr]


def _binary(w: Writer, node: ast.BinOp) -> Code:
    return reckoned(w, node.op, w.number(node.left), w.number(node.right), node), "int"


def _unary(w: Writer, node: ast.UnaryOp) -> Code:
    if isinstance(node.op, ast.Not):
        return f"!{w.truth(node.operand)}", "bool"
    signs: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.Invert: "~"}
    if type(node.op) not in signs:
        w.fail(node, f"the operator {type(node.op).__name__}")
    return f"({signs[type(node.op)]}{w.number(node.operand)})", "int"


def _logic(w: Writer, node: ast.BoolOp) -> Code:
    kinds = {w.expr(value)[1] for value in node.values}
    if not kinds <= NUMERIC:
        w.fail(node, f"and, or of {', '.join(sorted(kinds))}")
    sign = " && " if isinstance(node.op, ast.And) else " || "
    kind: Type = kinds.pop() if len(kinds) == 1 else "number"
    return f"({sign.join(w.expr(value)[0] for value in node.values)})", kind


def _choice(w: Writer, node: ast.IfExp) -> Code:
    (yes, kind), (no, other) = w.expr(node.body), w.expr(node.orelse)
    if kind != other:
        w.fail(node, f"a choice between {kind} and {other}")
    return f"({w.truth(node.test)} ? {yes} : {no})", kind


def _compare(w: Writer, node: ast.Compare) -> Code:
    sides = [node.left, *node.comparators]
    for inner in sides[1:-1]:
        # It is written twice, so it must cost nothing and do nothing.
        if any(isinstance(part, ast.Call) for part in ast.walk(inner)):
            w.fail(inner, "a call in the middle of a comparison")
    parts = [
        _pair(w, left, op, right)
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
    ]
    return (parts[0] if len(parts) == 1 else f"({' && '.join(parts)})"), "bool"


def _pair(w: Writer, left: ast.expr, op: ast.cmpop, right: ast.expr) -> str:
    if isinstance(op, ast.Is | ast.IsNot):
        sign = "===" if isinstance(op, ast.Is) else "!=="
        return f"({_same(w, left)} {sign} {_same(w, right)})"
    if isinstance(op, ast.In | ast.NotIn):
        container, kind = w.expr(right)
        if kind not in ("pages", "tlb"):
            w.fail(right, f"in {kind}")
        found = f"{container}.has({w.number(left)})"
        return found if isinstance(op, ast.In) else f"!{found}"
    (a, kind), (b, other) = w.expr(left), w.expr(right)
    if not {kind, other} <= NUMERIC or type(op) not in COMPARISONS:
        w.fail(left, f"{type(op).__name__} between {kind} and {other}")
    return f"({a} {COMPARISONS[type(op)]} {b})"


def _same(w: Writer, node: ast.expr) -> str:
    code, kind = w.expr(node)
    if kind == "int":
        w.fail(node, "is between integers")
    return code


def _subscript(w: Writer, node: ast.Subscript) -> Code:
    container, kind = w.expr(node.value)
    if isinstance(node.slice, ast.Slice) or kind not in ELEMENTS or kind in ("blocks", "range"):
        w.fail(node, f"a part of {kind}")
    index = w.number(node.slice)
    if kind == "tlb":
        return f"{container}.item({index})", "bool"
    return f"$.at({container}, {bare(index)})", ELEMENTS[kind]


def _tuple(w: Writer, node: ast.Tuple) -> Code:
    values = [w.expr(value) for value in node.elts]
    if not all(kind in NUMERIC for _, kind in values):
        w.fail(node, "a tuple of something else than numbers")
    return f"[{', '.join(code for code, _ in values)}]", "ints"


def _comprehension(w: Writer, node: ast.ListComp) -> Code:
    """``[… for _ in range(n)]``: as many as asked for, each made alike."""
    loop = node.generators[0]
    plain = len(node.generators) == 1 and not loop.ifs and not loop.is_async
    if not plain or not isinstance(loop.target, ast.Name) or loop.target.id != "_":
        w.fail(node, "a comprehension other than [… for _ in range(…)]")
    (source, kind), (made, of) = w.expr(loop.iter), w.expr(node.elt)
    if kind != "range" or of != "words":
        w.fail(node, f"a list of {of} over {kind}")
    return f"Array.from({source}, () => {made})", "stores"


# --- calls ----------------------------------------------------------------------------


def _call(w: Writer, node: ast.Call) -> Code:
    if node.keywords or any(isinstance(arg, ast.Starred) for arg in node.args):
        w.fail(node, "a call with keywords or a star")
    if isinstance(node.func, ast.Name):
        return _function(w, node, node.func.id)
    if not isinstance(node.func, ast.Attribute):
        w.fail(node, "a call of an expression")
    name = node.func.attr
    if isinstance(node.func.value, ast.Name) and node.func.value.id == "vm":
        return _of_machine(w, node, name)
    receiver, of = w.expr(node.func.value)
    method = METHODS.get((of, name))
    if method is None:
        w.fail(node, f".{name}() of {of}")
    given = _arguments(w, node, method.arguments, name)
    if of == "int":
        return f"$.{method.name}({receiver})", method.result
    return f"{receiver}.{method.name}({given})", method.result


def _of_machine(w: Writer, node: ast.Call, name: str) -> Code:
    if name in w.names.functions:
        known = w.names.functions[name]
        return f"vm.{name}({_arguments(w, node, known.parameters, name)})", known.result
    if name not in RUNTIME:
        w.fail(node, f"vm.{name}(), which is no function of the step")
    method = RUNTIME[name]
    wanted = method.arguments[: len(node.args)]
    return f"vm.{method.name}({_arguments(w, node, wanted, name)})", method.result


def _arguments(w: Writer, node: ast.Call, wanted: Sequence[Type], name: str) -> str:
    if len(node.args) != len(wanted):
        w.fail(node, f"{name} with {len(node.args)} arguments, it takes {len(wanted)}")
    codes = []
    for argument, kind in zip(node.args, wanted, strict=True):
        code, given = w.expr(argument)
        if kind == "int" and given in NUMERIC:
            codes.append(bare(code) if given == "int" else f"$.int({code})")
        elif kind == given or (kind == "bool" and given in NUMERIC):
            codes.append(code)
        else:
            w.fail(argument, f"{name} is given {given} where it takes {kind}")
    return ", ".join(codes)


_NUMERIC_CALLS: Final[Mapping[str, tuple[tuple[int, ...], str, Type]]] = {
    "min": ((2,), "$.min({})", "int"),
    "max": ((2,), "$.max({})", "int"),
    "range": ((1, 2, 3), "$.range({})", "range"),
    "RAMBlock": ((2,), "new $.RAMBlock({})", "block"),
}
"""Calls that take numbers only: how many, what is written, what it gives."""


def _function(w: Writer, node: ast.Call, name: str) -> Code:
    count = len(node.args)
    if name == "bool" and count == 1:
        return f"Boolean({w.truth(node.args[0])})", "bool"
    if name in _NUMERIC_CALLS and count in _NUMERIC_CALLS[name][0]:
        _, text, kind = _NUMERIC_CALLS[name]
        return text.format(", ".join(w.number(arg) for arg in node.args)), kind
    if name == "len" and count == 1:
        container, of = w.expr(node.args[0])
        if of in ("words", "stores", "blocks"):
            return f"$.len({container})", "int"
    return w.fail(node, f"the call of {name}")


EXPRESSIONS: Final[Mapping[type[ast.expr], Callable[[Writer, Any], Code]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.BoolOp: _logic,
    ast.IfExp: _choice,
    ast.Compare: _compare,
    ast.Subscript: _subscript,
    ast.Tuple: _tuple,
    ast.ListComp: _comprehension,
    ast.Call: _call,
}

"""Systematic faults in the models: small changes of the text of one step's module.

Each operator stands for a mistake that refactorings bring: a comparison off by one, a
condition turned round, a client for another, an argument in the wrong place, a call or
an assignment forgotten, OR for AND, a shift the wrong way. The same module gives the
same faults in the same order. Only the functions that a step itself brings are changed,
not the harness that works and observes the machine.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from refmodels import FOLD, delta
from replay.dirty.faults.fault import Fault, in_order

CLIENTS: Final = ("DIRTY_MEMORY_VGA", "DIRTY_MEMORY_CODE", "DIRTY_MEMORY_MIGRATION")
FLAGS: Final = ("VGA_DIRTY_FLAG", "CODE_DIRTY_FLAG", "MIGRATION_DIRTY_FLAG")

COMPARE: Final[dict[type[ast.cmpop], str]] = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.In: "not in", ast.NotIn: "in", ast.Is: "is not", ast.IsNot: "is",
}  # fmt: skip
BINARY: Final[dict[type[ast.operator], str]] = {
    ast.Add: "-", ast.Sub: "+", ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|",
    ast.BitOr: "&", ast.Mult: "+", ast.FloorDiv: "*", ast.Mod: "//",
}  # fmt: skip
AUGMENTED: Final[dict[type[ast.operator], tuple[str, ...]]] = {
    ast.BitOr: ("=", "&="), ast.BitAnd: ("=", "|="), ast.Add: ("-=",), ast.Sub: ("+=",),
}  # fmt: skip
HARNESS: Final = "(operations)"
"""Where the functions live that belong to no C file: they are not part of the series."""


@cache
def module_path(step: int) -> Path:
    """The file of a step's module (1 to 39)."""
    module = FOLD.module(step).rpartition(".")[2]
    return Path(delta.__file__).parent / f"{module}.py"


@cache
def module_text(step: int) -> str:
    """The text of a step's module."""
    return module_path(step).read_text(encoding="utf-8")


def faulty_text(fault: Fault) -> str:
    """The module of the fault's step with the fault in it."""
    return fault.put_into(module_text(fault.step))


def faulty_copy(fault: Fault, folder: Path) -> Path:
    """A file in a folder with this module, for ``Fold.variant``."""
    copy = folder / f"fault_s{fault.step:02d}.py"
    copy.write_text(faulty_text(fault), encoding="utf-8")
    return copy


def faults(step: int) -> list[Fault]:
    """All faults of one step's model, in the order of the text; without doubles."""
    return in_order(_Mutator(step).all())


class _Mutator:
    def __init__(self, step: int) -> None:
        self.step = step
        self.text = module_text(step)
        self.tree = ast.parse(self.text)
        self.starts = [0]
        for line in self.text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.function = ""

    def all(self) -> Iterator[Fault]:
        harness = {d.name for d in FOLD.load(self.step).deltas if d.home == HARNESS and d.value}
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef) and node.name not in harness:
                self.function = node.name
                for statement in node.body:
                    yield from self.statement(statement)
            elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                self.function = ""
                yield from self.definition(node.value)

    def fault(self, node: ast.expr | ast.stmt | ast.keyword, operator: str, new: str) -> Fault:
        start, end = self.span(node)
        return Fault(self.step, "", self.function, operator, node.lineno, start, end,
                     self.text[start:end], new)  # fmt: skip

    def span(self, node: ast.expr | ast.stmt | ast.keyword) -> tuple[int, int]:
        """The place of a node. The modules are ASCII, so that columns are characters."""
        assert node.end_lineno is not None and node.end_col_offset is not None
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def source(self, node: ast.expr) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def definition(self, call: ast.Call) -> Iterator[Fault]:
        """A constant that the step defines, or defines anew."""
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("defines", "redefines"):
            for keyword in call.keywords:
                value = getattr(keyword.value, "value", None)
                if isinstance(value, int):
                    for new in (value + 1, value - 1):
                        yield self.fault(keyword.value, "constant", str(new))

    def statement(self, node: ast.stmt) -> Iterator[Fault]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.Expr | ast.AugAssign) or (
            isinstance(node, ast.Assign) and self.overwrites(node)
        ):
            yield self.fault(node, "forgotten statement", "pass")
        if isinstance(node, ast.AugAssign):
            for symbol in AUGMENTED.get(type(node.op), ()):
                target, value = self.source(node.target), self.source(node.value)
                yield self.fault(node, "assignment", f"{target} {symbol} {value}")
        if isinstance(node, ast.If | ast.While):
            yield self.fault(node.test, "condition", f"not ({self.source(node.test)})")
        if isinstance(node, ast.If):
            yield self.fault(node.test, "condition", "True")
            yield self.fault(node.test, "condition", "False")
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from self.statement(child)
            elif isinstance(child, ast.ExceptHandler):
                continue  # what C leaves undefined
            elif isinstance(child, ast.expr):
                yield from self.expression(child)

    def overwrites(self, node: ast.Assign) -> bool:
        """Whether the name had a value before: then forgetting the line can run."""
        target = node.targets[0]
        return isinstance(target, ast.Subscript) or (
            isinstance(target, ast.Name)
            and any(
                isinstance(sub, ast.Name) and sub.id == target.id for sub in ast.walk(node.value)
            )
        )

    def expression(self, node: ast.expr) -> Iterator[Fault]:
        for sub in ast.walk(node):
            if isinstance(sub, ast.Compare) and len(sub.ops) == 1:
                yield from self.compare(sub)
            elif isinstance(sub, ast.BoolOp):
                symbol = " or " if isinstance(sub.op, ast.And) else " and "
                for i in range(len(sub.values) - 1):
                    yield self.between(sub.values[i], sub.values[i + 1], symbol, "and/or")
                for value in sub.values:
                    others = [self.source(v) for v in sub.values if v is not value]
                    word = " and " if isinstance(sub.op, ast.And) else " or "
                    yield self.fault(sub, "forgotten condition", f"({word.join(others)})")
            elif isinstance(sub, ast.UnaryOp) and isinstance(sub.op, ast.Not | ast.Invert):
                yield self.fault(sub, "polarity", f"({self.source(sub.operand)})")
            elif isinstance(sub, ast.BinOp) and type(sub.op) in BINARY:
                yield self.between(sub.left, sub.right, f" {BINARY[type(sub.op)]} ", "operator")
            elif isinstance(sub, ast.Constant) and type(sub.value) is int:
                for new in {sub.value + 1, sub.value - 1}:
                    yield self.fault(sub, "constant", str(new))
            elif isinstance(sub, ast.Constant) and type(sub.value) is bool:
                yield self.fault(sub, "polarity", str(not sub.value))
            elif isinstance(sub, ast.Attribute):
                yield from self.client(sub)
            elif isinstance(sub, ast.Call):
                yield from self.arguments(sub)

    def between(self, left: ast.expr, right: ast.expr, symbol: str, kind: str) -> Fault:
        """Another operator between two operands. Parentheses of theirs stay."""
        start, end = self.span(left)[1], self.span(right)[0]
        old = self.text[start:end]
        bare = old.strip("() \n")
        at = old.index(bare)
        new = old[:at].rstrip() + f" {symbol.strip()} " + old[at + len(bare) :].lstrip()
        return Fault(self.step, "", self.function, kind, left.lineno, start, end, old, new)

    def compare(self, node: ast.Compare) -> Iterator[Fault]:
        symbol = COMPARE.get(type(node.ops[0]))
        if symbol:
            yield self.between(node.left, node.comparators[0], symbol, "comparison")

    def client(self, node: ast.Attribute) -> Iterator[Fault]:
        for family in (CLIENTS, FLAGS):
            if node.attr in family:
                for other in family:
                    if other != node.attr:
                        yield self.fault(node, "client", f"vm.{other}")

    def arguments(self, node: ast.Call) -> Iterator[Fault]:
        """Two neighbouring arguments exchanged."""
        for first, second in zip(node.args, node.args[1:], strict=False):
            start, end = self.span(first)[0], self.span(second)[1]
            a, b = self.source(first), self.source(second)
            if a == b:
                continue
            middle = self.text[self.span(first)[1] : self.span(second)[0]]
            yield Fault(self.step, "", self.function, "argument order", first.lineno, start, end,
                        self.text[start:end], b + middle + a)  # fmt: skip

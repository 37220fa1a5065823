"""Systematic faults in the C: small changes of the lines that one patch adds.

The operators are those for the models (see ``replay.dirty.faults.mutate``) in the words of C.
The syntax is read with tree-sitter (the extra ``faults``), so that a change is one of an
expression or a statement, never of letters. The same patch gives the same faults in the
same order. The driver, and how it looks at a machine, is left alone: it is not part of the series.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from replay.dirty.faults.ctrees import step_trees
from replay.dirty.faults.fault import Fault, in_order
from replay.errors import UsageError
from replay.series.patches import Patch, read_patches

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

CLIENTS: Final = (
    ("DIRTY_MEMORY_VGA", "DIRTY_MEMORY_CODE", "DIRTY_MEMORY_MIGRATION"),
    ("VGA_DIRTY_FLAG", "CODE_DIRTY_FLAG", "MIGRATION_DIRTY_FLAG"),
)
BINARY: Final = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "+": "-", "-": "+", "<<": ">>", ">>": "<<", "&": "|", "|": "&", "*": "+", "/": "*",
    "%": "/", "&&": "||", "||": "&&",
}  # fmt: skip
ASSIGN: Final = {
    "|=": ("=", "&="), "&=": ("=", "|="), "+=": ("-=", "="), "-=": ("+=", "="),
    "<<=": (">>=",), ">>=": ("<<=",),
}  # fmt: skip
TESTED: Final = ("if_statement", "while_statement", "for_statement", "do_statement")
DRIVER: Final = ("driver.c", "include/driver.h")
HARNESS: Final = ("ram_reset", "ram_dirty_words", "ram_page_is_dirty", "ram_dirty_logging")
"""Functions by which the driver starts and looks at a machine."""


def c_faults(step: int) -> list[Fault]:
    """All faults of one step's patch, in the order of its files; without doubles.

    Raises:
        UsageError: tree-sitter is not installed, with how to get it.
    """
    found: list[Fault] = []
    for path, lines in added_lines(_patches()[step - 1]).items():
        if path not in DRIVER and path.endswith((".c", ".h")):
            found += _Mutator(step, path, step_trees()[step].files[path], lines).all()
    return in_order(found)


@cache
def _patches() -> list[Patch]:
    return list(read_patches())


def added_lines(patch: Patch) -> dict[str, frozenset[int]]:
    """The lines that a patch adds: path to line numbers (from 0) in the file after it."""
    found: dict[str, set[int]] = {}
    for change in patch.files:
        for hunk in change.hunks:
            at = hunk.new_start - 1
            for sign, _ in hunk.lines:
                if sign == "+":
                    found.setdefault(change.path, set()).add(at)
                at += sign != "-"
    return {path: frozenset(lines) for path, lines in sorted(found.items())}


@cache
def _parser() -> Parser:
    try:
        import tree_sitter_c
        from tree_sitter import Language, Parser
    except ImportError:
        raise UsageError(
            "faults in the C need tree-sitter, which is not installed: "
            "pip install 'replay-series[faults]', or leave them out with --in models"
        ) from None
    return Parser(Language(tree_sitter_c.language()))


class _Mutator:
    def __init__(self, step: int, path: str, data: bytes, lines: frozenset[int]) -> None:
        self.step = step
        self.path = path
        # Places are bytes for the parser and characters for a fault: the same in ASCII.
        self.text = data.decode("ascii")
        self.lines = lines
        self.root = _parser().parse(data).root_node
        self.function = ""

    def all(self) -> Iterator[Fault]:
        yield from self.visit(self.root)

    def visit(self, node: Node) -> Iterator[Fault]:
        """The faults of a node and of what is in it."""
        if node.type == "function_definition":
            self.function = self.name_of(node)
            if self.function in HARNESS:
                return
        yield from self.at(node)
        for child in node.children:
            yield from self.visit(child)
        if node.type == "function_definition":
            self.function = ""

    def at(self, node: Node) -> Iterator[Fault]:
        """The faults of a node itself, if it begins on a line that the patch adds."""
        kind = node.type
        if kind in ("binary_expression", "assignment_expression", "unary_expression"):
            yield from self.operators(node)
        elif not self.added(node):
            return
        elif kind == "expression_statement" and node.children[0].type != ";":
            yield self.fault(node, "forgotten statement", ";")
        elif kind == "number_literal":
            yield from self.number(node, self.text_of(node))
        elif kind == "preproc_arg":
            yield from self.number(node, self.text_of(node).strip())
        elif kind in ("true", "false"):
            yield self.fault(node, "polarity", "false" if kind == "true" else "true")
        elif kind == "identifier":
            yield from self.client(node)
        elif kind == "argument_list":
            yield from self.arguments(node)
        elif kind in TESTED:
            yield from self.condition(node)

    def added(self, node: Node) -> bool:
        return node.start_point[0] in self.lines

    def text_of(self, node: Node) -> str:
        return self.text[node.start_byte : node.end_byte]

    def fault(self, node: Node, operator: str, new: str) -> Fault:
        return self.between(node, node, operator, new)

    def between(self, first: Node, last: Node, operator: str, new: str) -> Fault:
        start, end = first.start_byte, last.end_byte
        return Fault(self.step, self.path, self.function, operator, first.start_point[0] + 1,
                     start, end, self.text[start:end], new)  # fmt: skip

    def name_of(self, function: Node) -> str:
        node = function.child_by_field_name("declarator")
        while node is not None and node.type != "identifier":
            node = node.child_by_field_name("declarator")
        return self.text_of(node) if node is not None else ""

    def operators(self, node: Node) -> Iterator[Fault]:
        """Another operator, or none; a condition left out."""
        sign = node.child_by_field_name("operator")
        if sign is None:
            sign = next(child for child in node.children if not child.is_named)
        if not self.added(sign):
            return
        if node.type == "unary_expression":
            if sign.type in ("!", "~"):
                inside = node.child_by_field_name("argument")
                assert inside is not None
                yield self.fault(node, "polarity", self.text_of(inside))
            return
        for new in ASSIGN.get(sign.type, ()):
            yield self.fault(sign, "assignment", new)
        if node.type == "binary_expression" and sign.type in BINARY:
            kind = "and/or" if sign.type in ("&&", "||") else "operator"
            yield self.fault(sign, kind, BINARY[sign.type])
            if kind == "and/or":
                for side in ("left", "right"):
                    kept = node.child_by_field_name(side)
                    assert kept is not None
                    yield self.fault(node, "forgotten condition", self.text_of(kept))

    def number(self, node: Node, text: str) -> Iterator[Fault]:
        digits = text.rstrip("uUlL")
        try:
            value = int(digits, 0)
        except ValueError:
            return
        suffix = text[len(digits) :]
        at = node.start_byte + self.text_of(node).index(text)
        for new in (value + 1, value - 1):
            yield Fault(self.step, self.path, self.function, "constant", node.start_point[0] + 1,
                        at, at + len(text), text, f"{new}{suffix}")  # fmt: skip

    def client(self, node: Node) -> Iterator[Fault]:
        """One client for another; not where its number is defined."""
        name = self.text_of(node)
        for family in CLIENTS:
            if name in family and node.parent is not None and node.parent.type != "preproc_def":
                for other in family:
                    if other != name:
                        yield self.fault(node, "client", other)

    def arguments(self, node: Node) -> Iterator[Fault]:
        """Two neighbouring arguments exchanged."""
        values = [child for child in node.children if child.is_named]
        for first, second in pairwise(values):
            a, b = self.text_of(first), self.text_of(second)
            if a != b:
                middle = self.text[first.end_byte : second.start_byte]
                yield self.between(first, second, "argument order", b + middle + a)

    def condition(self, node: Node) -> Iterator[Fault]:
        """A condition turned round, always and never true; loops only turned round."""
        test = node.child_by_field_name("condition")
        if test is None:
            return
        if test.type == "parenthesized_expression":
            inside = next(child for child in test.children if child.is_named)
        else:
            inside = test
        yield self.fault(inside, "condition", f"!({self.text_of(inside)})")
        if node.type == "if_statement":
            yield self.fault(inside, "condition", "true")
            yield self.fault(inside, "condition", "false")

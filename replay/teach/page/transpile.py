"""The reference models in JavaScript: a strict translation of the Python they are written in.

An integer becomes a BigInt, so that arithmetic is exact at any size. What is not proven
to be an integer, since a bool may stand for one, goes through ``$.int`` before it is
reckoned with. A construct that is not in this file or in ``vocabulary`` is an error that
names the file and the line: the page never runs a guess.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType
from typing import Final, NoReturn, cast

from replay.teach.page.expressions import EXPRESSIONS, Code, bare, reckoned, variable
from replay.teach.page.sources import Signature, TranslationError, annotation, definition
from replay.teach.page.vocabulary import ELEMENTS, ERRORS, NUMERIC, Type


@dataclass(frozen=True, slots=True)
class Names:
    """What ``vm.name`` can stand for at a step: functions, and what has a value."""

    functions: Mapping[str, Signature]
    values: Mapping[str, Type]


def translate(function: FunctionType, names: Names) -> str:
    """A function of a step as a method of an object in JavaScript; ``this`` is the machine.

    Raises:
        TranslationError: the function uses what is outside of the subset.

    """
    node, file = definition(function)
    if isinstance(node, ast.Lambda):
        writer = Writer(Path(file).name, names, {})
        return f"() {{\n  const vm = this;\n  return {writer.expr(node.body)[0]};\n}}"
    _check_head(node, Path(file).name)
    parameters = {a.arg: annotation(a.annotation, file, node) for a in node.args.args[1:]}
    writer = Writer(Path(file).name, names, dict(parameters))
    body = writer.function(node)
    head = ", ".join(variable(name) for name in parameters)
    return f"{node.name}({head}) {{\n{body}\n}}"


def _check_head(node: ast.FunctionDef, file: str) -> None:
    args = node.args
    plain = not (args.posonlyargs or args.kwonlyargs or args.vararg or args.kwarg or args.defaults)
    if not plain or not args.args or args.args[0].arg != "vm":
        raise TranslationError(
            f"{file}:{node.lineno}: {node.name} must take vm and plain parameters"
        )


def _in_order(node: ast.AST) -> list[ast.AST]:
    """All nodes as they stand in the text: a variable is set above where it is used."""
    return sorted(
        ast.walk(node), key=lambda n: (getattr(n, "lineno", 0), getattr(n, "col_offset", 0))
    )


@dataclass(slots=True)
class Writer:
    """Writes one function. ``locals`` grows while the kinds of variables are found."""

    file: str
    names: Names
    locals: dict[str, Type]
    temporaries: int = 0
    loops: list[str] = field(default_factory=list)

    def fail(self, node: ast.AST, problem: str) -> NoReturn:
        """Refuse a construct.

        Raises:
            TranslationError: always, with file and line.

        """
        raise TranslationError(
            f"{self.file}:{getattr(node, 'lineno', 0)}: the page cannot run this: {problem}"
        )

    # --- a function ---

    def function(self, node: ast.FunctionDef) -> str:
        """The body of a function."""
        parameters = set(self.locals)
        self._find_kinds(node)
        own = sorted(set(self.locals) - parameters)
        lines = ["const vm = this;"]
        if own:
            lines.append(f"let {', '.join(variable(name) for name in own)};")
        lines += self._block(node.body)
        if not isinstance(node.body[-1], ast.Return | ast.Raise):
            lines.append("return null;")
        return "\n".join("  " + line for line in lines)

    def _find_kinds(self, node: ast.FunctionDef) -> None:
        """Give each variable its kind; again, until a loop's later lines change nothing."""
        for _ in range(8):
            before = dict(self.locals)
            for sub in _in_order(node):
                if isinstance(sub, ast.Assign):
                    for target in sub.targets:
                        self._bind(target, sub.value)
                elif isinstance(sub, ast.AnnAssign) and sub.value is not None:
                    self._bind(sub.target, sub.value)
                elif isinstance(sub, ast.AugAssign) and isinstance(sub.target, ast.Name):
                    self._join(sub.target.id, "int", sub)
                elif isinstance(sub, ast.For):
                    self._bind_loop(sub)
            if before == self.locals:
                return
        self.fail(node, "its variables change their kind without end")

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for one, part in zip(target.elts, value.elts, strict=True):
                self._bind(one, part)
        elif isinstance(target, ast.Name):
            self._join(target.id, self.expr(value)[1], target)

    def _bind_loop(self, node: ast.For) -> None:
        _, kinds = self.iterated(node.iter)
        targets = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
        if len(targets) != len(kinds):
            self.fail(node, "a loop that takes apart something else than enumerate")
        for target, kind in zip(targets, kinds, strict=True):
            if not isinstance(target, ast.Name):
                self.fail(target, "a loop variable that is no plain name")
            self._join(target.id, kind, target)

    def _join(self, name: str, kind: Type, node: ast.AST) -> None:
        have = self.locals.get(name, kind)
        if have == kind:
            self.locals[name] = kind
        elif {have, kind} <= NUMERIC:
            self.locals[name] = "number"
        else:
            self.fail(node, f"{name} is {have} here and {kind} there")

    # --- statements ---

    def _block(self, body: Iterable[ast.stmt]) -> list[str]:
        lines: list[str] = []
        for node in body:
            lines += self._statement(node)
        return lines

    def _indented(self, body: Iterable[ast.stmt]) -> list[str]:
        return ["  " + line for line in self._block(body)]

    def _statement(self, node: ast.stmt) -> list[str]:
        writer = _STATEMENTS.get(type(node))
        if writer is None:
            self.fail(node, f"the statement {type(node).__name__}")
        return writer(self, node)

    def _expression(self, node: ast.Expr) -> list[str]:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return []
        return [f"{self.expr(node.value)[0]};"]

    def _returned(self, node: ast.Return) -> list[str]:
        return [f"return {bare(self.expr(node.value)[0]) if node.value else 'null'};"]

    def _raised(self, node: ast.Raise) -> list[str]:
        call = node.exc
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            self.fail(node, "raise of something else than Error(text)")
        text = call.args[0] if len(call.args) == 1 else None
        if call.func.id not in ERRORS or not isinstance(text, ast.Constant):
            self.fail(node, f"raise {call.func.id}")
        return [f"throw new $.{ERRORS[call.func.id]}({json.dumps(text.value)});"]

    def _branch(self, node: ast.If) -> list[str]:
        lines = [f"if ({bare(self.truth(node.test))}) {{", *self._indented(node.body), "}"]
        if node.orelse:
            lines[-1] = "} else {"
            lines += [*self._indented(node.orelse), "}"]
        return lines

    def _while_loop(self, node: ast.While) -> list[str]:
        if node.orelse:
            self.fail(node, "while with else")
        self.loops.append("")
        body = self._indented(node.body)
        self.loops.pop()
        return [f"while ({bare(self.truth(node.test))}) {{", *body, "}"]

    def _for_loop(self, node: ast.For) -> list[str]:
        source, kinds = self.iterated(node.iter)
        targets = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
        name = ", ".join(variable(cast("ast.Name", t).id) for t in targets)
        target = f"[{name}]" if len(kinds) > 1 else name
        broken = self._temporary() if node.orelse else ""
        self.loops.append(broken)
        lines = [f"for ({target} of {source}) {{", *self._indented(node.body), "}"]
        self.loops.pop()
        if not node.orelse:
            return lines
        otherwise = [f"if (!{broken}) {{", *self._indented(node.orelse), "}"]
        return [f"let {broken} = false;", *lines, *otherwise]

    def iterated(self, node: ast.expr) -> tuple[str, tuple[Type, ...]]:
        """What a loop goes over, and the kinds of its variables."""
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "enumerate":
            if len(node.args) != 1:
                self.fail(node, "enumerate with a first number")
            inner, kinds = self.iterated(node.args[0])
            return f"$.enumerate({inner})", ("int", *kinds)
        code, kind = self.expr(node)
        if kind == "tlb":
            return f"{code}.keys()", ("int",)
        if kind not in ("blocks", "range"):
            self.fail(node, f"a loop over {kind}")
        return code, (ELEMENTS[kind],)

    def _leave(self, node: ast.Break) -> list[str]:
        broken = self.loops[-1]
        return [*([f"{broken} = true;"] if broken else []), "break;"]

    def _attempt(self, node: ast.Try) -> list[str]:
        if len(node.handlers) != 1 or node.orelse or node.finalbody:
            self.fail(node, "try with anything but one except")
        handler = node.handlers[0]
        if not isinstance(handler.type, ast.Name) or handler.type.id != "IndexError":
            self.fail(handler, "an except of something else than IndexError")
        return [
            "try {", *self._indented(node.body),
            "} catch (fault) {",
            f"  if (!(fault instanceof $.{ERRORS['IndexError']})) throw fault;",
            *self._indented(handler.body), "}",
        ]  # fmt: skip

    def _assign(self, node: ast.Assign) -> list[str]:
        value, kind = self.expr(node.value)
        value = bare(value)
        if len(node.targets) == 1:
            return self._store(node.targets[0], value)
        if kind not in NUMERIC or not all(isinstance(t, ast.Name) for t in node.targets):
            self.fail(node, "a chain of assignments to something else than variables")
        names = [variable(cast("ast.Name", t).id) for t in node.targets]
        return [f"{' = '.join(names)} = {value};"]

    def _annotated(self, node: ast.AnnAssign) -> list[str]:
        if node.value is None:
            self.fail(node, "a variable that is declared and not set")
        return self._store(node.target, self.expr(node.value)[0])

    def _store(self, target: ast.expr, value: str) -> list[str]:
        if isinstance(target, ast.Name):
            return [f"{variable(target.id)} = {value};"]
        if isinstance(target, ast.Tuple):
            if not all(isinstance(t, ast.Name) for t in target.elts):
                self.fail(target, "taking a tuple apart into something else than variables")
            names = ", ".join(variable(cast("ast.Name", t).id) for t in target.elts)
            return [f"[{names}] = {value};"]
        if isinstance(target, ast.Attribute):
            return [f"{self.expr(target)[0]} = {value};"]
        if not isinstance(target, ast.Subscript):
            self.fail(target, f"an assignment to {type(target).__name__}")
        container, kind = self.expr(target.value)
        if isinstance(target.slice, ast.Slice):
            self.fail(target, f"an assignment to a slice of {kind}; vm.memset zeroes a span")
        index = self.number(target.slice)
        if kind == "tlb":
            return [f"{container}.set({index}, {value});"]
        if kind not in ("words", "stores"):
            self.fail(target, f"an assignment to a part of {kind}")
        return [f"$.put({container}, {index}, {value});"]

    def _change(self, node: ast.AugAssign) -> list[str]:
        value = self.number(node.value)
        target = node.target
        if isinstance(target, ast.Subscript):
            container, kind = self.expr(target.value)
            if kind != "words":
                self.fail(target, f"a change of a part of {kind}")
            store, index = self._temporary(), self._temporary()
            result = bare(reckoned(self, node.op, f"$.at({store}, {index})", value, node))
            return [
                f"const {store} = {container}, {index} = {bare(self.number(target.slice))};",
                f"$.put({store}, {index}, {result});",
            ]
        name = self.expr(target)[0]
        result = reckoned(self, node.op, self.number(target), value, node)
        return [f"{name} = {bare(result)};"]

    def _temporary(self) -> str:
        self.temporaries += 1
        return f"${self.temporaries}"

    # --- expressions ---

    def expr(self, node: ast.expr) -> Code:
        """An expression, and what it is known to be."""
        writer = EXPRESSIONS.get(type(node))
        if writer is None:
            self.fail(node, f"the expression {type(node).__name__}")
        return writer(self, node)

    def number(self, node: ast.expr) -> str:
        """An operand of arithmetic: a BigInt for sure."""
        code, kind = self.expr(node)
        if kind not in NUMERIC:
            self.fail(node, f"arithmetic with {kind}")
        return code if kind == "int" else f"$.int({code})"

    def truth(self, node: ast.expr) -> str:
        """A condition: what is true in Python is true in it."""
        code, kind = self.expr(node)
        if kind == "blocks":
            return f"$.len({code})"
        if kind not in NUMERIC:
            self.fail(node, f"the truth of {kind}")
        return code


_STATEMENTS: Final[Mapping[type[ast.stmt], Callable[[Writer, ast.AST], list[str]]]] = cast(
    "Mapping[type[ast.stmt], Callable[[Writer, ast.AST], list[str]]]",
    {
        ast.Expr: Writer._expression,
        ast.Return: Writer._returned,
        ast.Raise: Writer._raised,
        ast.If: Writer._branch,
        ast.While: Writer._while_loop,
        ast.For: Writer._for_loop,
        ast.Break: Writer._leave,
        ast.Try: Writer._attempt,
        ast.Assign: Writer._assign,
        ast.AnnAssign: Writer._annotated,
        ast.AugAssign: Writer._change,
    },
)

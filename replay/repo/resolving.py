"""What a binding leaves out, filled in from a library.

That happens once, with the first library that has the function, so that all commits are
called the same way; see ``replay.repo.bound`` for what happens at each commit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NoReturn

from replay.base.jsonlines import nearest
from replay.repo import behaving, guessing
from replay.repo.binding import POINTERS, Binding, Draft, Interface, Operation, Param, Returns
from replay.repo.binding import Mapping as Rule
from replay.repo.bindingroles import with_varargs
from replay.repo.errors import BindingError
from replay.repo.fitting import Unfit, fitted, misfit
from replay.repo.fitting import result as result_type
from replay.repo.guessing import Problem
from replay.repo.parting import signature
from replay.repo.shapes import Function, LibraryShape, Shape, shape_of

Applies = Callable[[Rule, int], bool]
"""Whether a map holds at a commit, given by its place in the range."""


def resolve(binding: Binding, shapes: Sequence[LibraryShape | None], applies: Applies) -> Interface:
    """Fill in what a binding leaves out, from the first library that knows the function.

    Args:
        binding: as read.
        shapes: of the library of each commit, None where it was not built.
        applies: whether a map holds at a commit.

    Raises:
        BindingError: what is left out cannot be known, or does not fit the function.

    """
    if binding.drafted:
        return _leniently(binding, lambda some: _Resolver(some, shapes, applies).interface())
    return _Resolver(binding, shapes, applies).interface()


def _leniently(binding: Binding, resolved: Callable[[Binding], Interface]) -> Interface:
    """An interface of what of a drafted binding can be resolved; the rest is left out.

    Raises:
        BindingError: what is wrong is about no operation.

    """
    while True:
        try:
            return resolved(binding)
        except BindingError as error:
            place = error.key.partition(".")[0]
            wrong = [one for one in (*binding.ops, *binding.observers) if one.key == place]
            if not wrong:
                raise
            why = error.problem.partition(";")[0]
            binding = replace(
                binding,
                ops=tuple(one for one in binding.ops if one not in wrong),
                observers=tuple(one for one in binding.observers if one not in wrong),
                dropped={**binding.dropped, **{one.functions[0]: why for one in wrong}},
            )


_COUNTED: Final = ("bytes", "inout", "elements", "string", "strings", "out")
"""What has a length, as a binding file says it."""


class _Resolver:
    def __init__(
        self, binding: Binding, shapes: Sequence[LibraryShape | None], applies: Applies
    ) -> None:
        self.binding = binding
        self.shapes = shapes
        self.applies = applies

    def fail(self, draft: Draft, problem: str, key: str = "") -> NoReturn:
        place = f"{draft.key}.{key}" if key else draft.key
        name = draft.functions[0]
        raise BindingError(problem, self.binding.path, draft.line, place, name)

    def interface(self) -> Interface:
        drafts = [*self.binding.ops, *self.binding.observers]
        found = [self.function(draft) for draft in drafts]
        made = frozenset(
            kind for draft, (function, _) in zip(drafts, found, strict=True)
            for kind in self.kinds_made(draft, function)
        )  # fmt: skip
        done = [
            self.operation(draft, function, library, made)
            for draft, (function, library) in zip(drafts, found, strict=True)
        ]
        count = len(self.binding.ops)
        interface = Interface(
            self.binding, {op.name: op for op in done[:count]}, tuple(done[count:])
        )
        self.check_kinds(interface)
        behaving.check_kinds(self, interface)
        return behaving.failing(interface)

    def function(self, draft: Draft) -> tuple[Function | None, LibraryShape | None]:
        """The function in the first library that has it unmapped, with that library.

        One whose prototype has all parameters that the file names comes first.
        """
        exported, other = None, None
        for index, shape in enumerate(self.shapes):
            rules = [m for m in self.binding.maps if m.op == draft.name and self.applies(m, index)]
            if shape is None or any(rule.args is not None for rule in rules):
                continue
            names = [*(n for rule in rules for n in rule.functions), *draft.functions]
            for name in names:
                function = shape.functions.get(name)
                if function and draft.like and signature(function) != draft.like:
                    continue
                if function and {param.name for param in draft.params} <= set(_names(function)):
                    return function, shape
                if function:
                    other = other or (function, shape)
                elif name in shape.exported:
                    exported = shape
        return other or (None, exported)

    def kinds_made(self, draft: Draft, function: Function | None) -> Iterator[str]:
        if draft.makes:
            yield draft.makes
        elif draft.makes is None and function is not None and not draft.observer:
            yield guessing.makes(function)
        yield from (p.kind for p in draft.params if p.role in ("makes", "storage", "gives"))

    def operation(
        self, draft: Draft, function: Function | None, library: LibraryShape | None,
        made: frozenset[str],
    ) -> Operation:  # fmt: skip
        if function is None:
            params = self.typed(draft, library)
            makes, destroys = draft.makes or "", draft.destroys or ""
        else:
            assert library is not None
            if function.variadic and not draft.is_variadic:
                self.fail(
                    draft, f"{function.prototype} takes any number of arguments; write "
                    'varargs = [["%d", "int"]], or wrap it', "varargs",
                )  # fmt: skip
            params = self.filled(draft, function, library, made)
            makes = guessing.makes(function) if draft.makes is None else draft.makes
            destroys = guessing.destroys(function) if draft.destroys is None else draft.destroys
            makes, destroys = ("", "") if draft.observer else (makes, destroys)
            if draft.destroys is None and destroys not in {p.kind for p in params}:
                destroys = ""
        returns = self.returns(draft, function, makes)
        params = behaving.completed(self, draft, params)
        operation = Operation(draft.name, draft, params, returns, makes, destroys)
        self.check(draft, operation)
        behaving.check(self, draft, operation)
        return operation

    def typed(self, draft: Draft, library: LibraryShape | None) -> tuple[Param, ...]:
        """The parameters where no prototype is known: all must have a type."""
        name = draft.functions[0]
        built = [shape for shape in self.shapes if shape is not None]
        if library is None and built and not draft.optional:
            known = sorted(set().union(*(shape.exported for shape in built)))
            hint = nearest(name, known) if len(known) <= 40 else nearest_only(name, known)
            self.fail(draft, f"no commit's library exports {name}{hint}", "function")
        params = []
        for param in draft.params:
            shape = Shape("pointer", "void *", 8, to=Shape("void", "void"))
            if param.shape is not None and param.role in ("callback", "gives", "handle"):
                shape = param.shape
            if param.role not in POINTERS:
                if param.shape is None and library is not None:
                    self.fail(
                        draft, "its type is not known: the library has no debug information; "
                        "build it with -g, or add type = \"int\"", f"args.{param.name}",
                    )  # fmt: skip
                shape = param.shape or Shape("int", "int", 4, signed=True)
            if param.role == "elements" and param.shape is not None:
                shape = param.shape
            params.append(self.fitted(draft, param, shape, library))
        return tuple(with_varargs(draft, params))

    def filled(
        self, draft: Draft, function: Function, library: LibraryShape, made: frozenset[str]
    ) -> tuple[Param, ...]:
        """The parameters of a prototype: as the file says, else as guessed."""
        given = {param.name: param for param in draft.params}
        names = _names(function)
        for name in given:
            if name not in names:
                self.fail(
                    draft, f"{function.prototype} has no such parameter{nearest(name, names)}",
                    f"args.{name}",
                )  # fmt: skip
        params: list[Param] = []
        for name, guess, (_, shape) in zip(
            names,
            guessing.guess_params(function, library.enums, made, guessing.kinds(library)),
            function.params,
            strict=True,
        ):
            if name in given:
                param = self.fitted(draft, given[name], shape, library)
                if param.role == "int" and shape.kind == "float":
                    least, most = float(param.low), float(param.high)
                    param = replace(param, role="float", least=least, most=most)
                if param.role == "out" and not param.of and isinstance(guess, Param):
                    same = param.high == guess.high
                    param = replace(param, number=guess.number if same else "")
                if param.role == "storage" and not param.high:
                    param = replace(param, high=shape.to.size if shape.to else 0)
                params.append(param)
            elif isinstance(guess, Problem):
                self.fail(
                    draft, f"{guess.text} ({function.prototype}); give it a role, as in "
                    f"{name} = {{ null = true }}", f"args.{name}",
                )  # fmt: skip
            else:
                high = shape.to.size if guess.role == "storage" and shape.to else guess.high
                params.append(self.fitted(draft, replace(guess, high=high), shape, library))
        return tuple(with_varargs(draft, params))

    def fitted(
        self, draft: Draft, param: Param, shape: Shape, library: LibraryShape | None
    ) -> Param:
        try:
            return fitted(param, shape, library.enums if library is not None else None)
        except Unfit as error:
            self.fail(draft, str(error), f"args.{param.name}")

    def returns(  # noqa: PLR0911 - a line a kind
        self, draft: Draft, function: Function | None, makes: str
    ) -> Returns:
        text = draft.returns
        shape = function.returns if function is not None else None
        if not text:
            if shape is None:
                if makes:
                    return Returns("pointer", Shape("pointer", "void *", 8))
                self.fail(
                    draft, "what it returns is not known without debug information; "
                    "write returns = \"int\", or \"void\"", "returns",
                )  # fmt: skip
            guess = guessing.guess_returns(shape, makes, function)
            if isinstance(guess, Problem):
                self.fail(draft, guess.text, "returns")
            return guess
        plain, _, size = text.partition(":")
        shape = result_type(plain, shape)
        if plain in ("place", "offset_of"):
            return Returns("place", Shape("pointer", "void *", 8), of=size)
        if plain == "struct":
            if shape is None or shape.code != "s":
                self.fail(draft, "it returns no struct whose fields are known", "returns")
            return Returns("struct", shape)
        if plain in ("pointer", "string", "bytes"):
            pointer = Shape("pointer", "void *", 8)
            number = ""
            if shape is not None and shape.to is not None and shape.to.size == int(size or 0):
                kinds = {"int": "signed" if shape.to.signed else "unsigned", "bool": "unsigned"}
                number = kinds.get(shape.to.kind, "")
            return Returns(plain, pointer, int(size or 0), number)
        if plain == "ignored":
            return Returns("ignored", shape if shape and shape.code else Shape("void", "void"))
        declared = shape or shape_of("double" if plain == "float" else plain)
        assert declared is not None
        kind = declared.kind if declared.kind in ("void", "float") else "int"
        return Returns(kind, declared)

    def check(self, draft: Draft, op: Operation) -> None:
        """What a role says must fit the type, and the parameters one another."""
        by_name = {param.name: param for param in op.params}
        for param in op.params:
            problem = misfit(param, param.shape)
            problem = fit(param.role, param.shape) if problem is None else problem
            if problem:
                self.fail(draft, problem, f"args.{param.name}")
            if param.of:
                other = by_name.get(param.of)
                wanted = {
                    "length": ("bytes", "inout", "string", "out"), "user": ("callback",),
                }.get(param.role, ("int",))  # fmt: skip
                if other is None or other.role not in wanted:
                    known = [p.name for p in op.params if p.role in wanted]
                    said = _COUNTED if param.role == "length" else wanted
                    self.fail(
                        draft, f"{param.of!r} is no parameter with the role "
                        f"{' or '.join(said)}{nearest(param.of, known)}", f"args.{param.name}",
                    )  # fmt: skip
                if param.role == "out" and not 0 <= other.low <= other.high <= 1 << 16:
                    self.fail(
                        draft, f"the room is what {other.name} says, so its range must be from 0 "
                        "up; give it one", f"args.{other.name}",
                    )  # fmt: skip
            if param.role == "storage" and not param.high:
                self.fail(
                    draft, "the size of the struct is not known; add size = BYTES",
                    f"args.{param.name}",
                )  # fmt: skip
        if (
            len([p for p in op.params if p.role in ("makes", "storage", "gives")]) + bool(op.makes)
            > 1
        ):
            self.fail(draft, "one call makes one object; take one of them out", "makes")

    def check_kinds(self, interface: Interface) -> None:
        """Every kind of object that is used must be made by an operation."""
        made = {op.kind_made for op in interface.ops.values()} - {""}
        for op in (*interface.ops.values(), *interface.observers):
            used = [(p.kind, f"args.{p.name}") for p in op.params if p.role == "handle"]
            kinds = sorted({kind for kind, _ in used})
            if op.destroys and op.destroys not in kinds:
                self.fail(
                    op.draft, f"{op.name} takes no {op.destroys!r} that it could destroy"
                    f"{nearest(op.destroys, kinds)}", "destroys",
                )  # fmt: skip
            if op.draft.requires:
                used.append((op.draft.requires, "requires"))
            for kind, key in used:
                if kind not in made:
                    self.fail(
                        op.draft, f"no operation makes a {kind!r}{nearest(kind, sorted(made))}; "
                        f"add the function that does, with makes = \"{kind}\"", key,
                    )  # fmt: skip


def _names(function: Function) -> list[str]:
    """What a file calls the parameters of a prototype."""
    return [name or f"arg{n}" for n, (name, _) in enumerate(function.params, 1)]


def nearest_only(word: str, known: list[str]) -> str:
    """The nearest name, or nothing: where all names would be too many to list."""
    hint = nearest(word, known)
    return hint if hint.startswith("; did you") else ""


def fit(role: str, shape: Shape | None) -> str:  # noqa: PLR0911 - a line a reason
    """Why a role cannot be that of a parameter of this type; empty if it can."""
    if shape is None:
        return "its type is not known"
    if role in POINTERS:
        if shape.kind == "pointer" or (role == "handle" and shape.kind in ("int", "enum")):
            return ""
        return f"it is a {shape.text}, and only a pointer can be that; write range = [0, 9]"
    if shape.kind == "pointer":
        return f"it is a {shape.text}, and a pointer cannot be a number; see `replay init`"
    if not shape.code:
        return f"a {shape.text} is passed by value, which a binding cannot do"
    if shape.kind == "float" and role not in ("choice", "value", "float"):
        return f"it is a {shape.text}; write range = [0.0, 1.5], or choices = [0.0, 1.5]"
    if shape.kind != "float" and role == "float":
        return f"it is a {shape.text}, which has no fractions; write range = [0, 9]"
    return ""

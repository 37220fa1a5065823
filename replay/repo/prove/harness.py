"""A program that calls two versions of a function on the same arguments and state, and compares.

Nothing in it is drawn: every number that a trace would hold is *any* number, in x0, x1 and so
on. A buffer is an array of a few elements with any contents, of which as many count as the
binding lets a length say; two buffers do not overlap. Variables that the function leads to
hold anything, the same on both sides. Behind the calls, results, buffers and variables are
asserted equal. With NEGATED defined, one assertion stands there that must fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from replay.repo.prove.called import NUMBERS, Argument, Called
from replay.repo.prove.sources import Sources
from replay.repo.shapes import Shape

FEW: Final = 4
"""Elements of a buffer whose length varies."""
MOST: Final = 64
"""Numbers in one buffer or variable."""
SIDES: Final = ("before_", "after_")
"""What the names of each version begin with."""
C_TYPES: Final = {
    "i1": "signed char", "u1": "unsigned char", "i2": "short", "u2": "unsigned short",
    "i4": "int", "u4": "unsigned", "i8": "long", "u8": "unsigned long", "b1": "_Bool",
    "f4": "float", "f8": "double", "c": "unsigned char",
}  # fmt: skip
_HEAD: Final = """\
#ifdef ENGINE_CBMC
#define CHECK(what, text) __CPROVER_assert(what, text)
#define ASSUME(what) __CPROVER_assume(what)
#else
#define CHECK(what, text) __ESBMC_assert(what, text)
#define ASSUME(what) __ESBMC_assume(what)
#endif
#define EQ(a, b) ((a) == (b))
static unsigned bits_f4(float f) { union { float f; unsigned u; } v; v.f = f; return v.u; }
static unsigned long bits_f8(double f)
{ union { double f; unsigned long u; } v; v.f = f; return v.u; }
#define EQ_f4(a, b) (bits_f4(a) == bits_f4(b) || ((a) != (a) && (b) != (b)))
#define EQ_f8(a, b) (bits_f8(a) == bits_f8(b) || ((a) != (a) && (b) != (b)))
"""


class Unfit(Exception):
    """A function for which there is no harness; the text says why."""


@dataclass(frozen=True, slots=True)
class Slot:
    """Which of the values x0, x1… an argument is made of.

    Attributes:
        name: of the argument.
        values: their numbers; of a buffer those of its elements.
        count: the number of the value that says how many elements count; None for all.
        code: of an element; empty for an argument that is a number.

    """

    name: str
    values: tuple[int, ...]
    count: int | None = None
    code: str = ""


@dataclass(slots=True)
class Harness:
    """The program, as it grows.

    Attributes:
        files: by name.
        slots: of the arguments.
        assumptions: what it takes for granted, in words.
        codes: of x0, x1…
        bounded: whether a buffer has fewer elements in it than it may have.

    """

    files: dict[str, str] = field(default_factory=dict)
    slots: list[Slot] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    bounded: bool = False


def harness(
    called: Called, sides: tuple[Sources, Sources], variables: Sequence[str], narrow: bool
) -> Harness:
    """Write it.

    Args:
        called: the function, and how it is called.
        sides: the sources of both versions.
        variables: those that the function leads to, on either side.
        narrow: whether numbers stay in the ranges of the binding; else they are any of
            their type.

    Raises:
        Unfit: there is none.

    """
    return _Writer(called, sides, narrow).write(variables)


class _Writer:
    def __init__(self, called: Called, sides: tuple[Sources, Sources], narrow: bool) -> None:
        self.called, self.sides, self.narrow = called, sides, narrow
        self.made = Harness()
        self.declared: list[str] = []
        self.set: list[str] = []
        self.checks: list[str] = []
        self.given: tuple[list[str], list[str]] = ([], [])
        self.counts: dict[str, str] = {}
        self.buffers: list[tuple[str, int]] = []
        self.more: dict[tuple[str, int], list[str]] = {}

    def write(self, variables: Sequence[str]) -> Harness:
        pointers = [arg for arg in self.called.args if arg.shape.kind == "pointer"]
        texts = {arg.name: self.pointer(at, arg) for at, arg in enumerate(pointers)}
        for arg in self.called.args:
            for side, given in enumerate(self.given):
                if arg.name in texts:
                    given.append(texts[arg.name][side])
            if arg.name not in texts:
                text = self.number_of(arg)
                for given in self.given:
                    given.append(text)
        for name in variables:
            self.variable(name)
        self.call()
        for prefix, source in zip(SIDES, self.sides, strict=True):
            for unit in range(len(source.texts)):
                own = "\n".join(self.more.get((prefix, unit), []))
                text = source.prefixed(unit, prefix)
                self.made.files[f"{prefix}{unit}.c"] = f"{text}\n{own}\n"
        self.made.files["harness.c"] = self.text()
        if len(self.buffers) > 1:
            self.made.assumptions.append("its pointers do not overlap")
        return self.made

    def text(self) -> str:
        codes = sorted(set(self.made.codes))
        lines = [f"{C_TYPES[code]} nondet_{code}(void);" for code in codes]
        lines += [f"static {C_TYPES[code]} x{at};" for at, code in enumerate(self.made.codes)]
        lines += [*self.declared, "int main(void)", "{"]
        lines += ["    " + line for line in self.set]
        lines += ["#ifdef NEGATED", '    CHECK(0, "reached");', "#else"]
        lines += ["    " + line for line in self.checks]
        return _HEAD + "\n".join([*lines, "#endif", "    return 0;", "}"]) + "\n"

    # --- numbers ----------------------------------------------------------------------

    def number(self, code: str) -> int:
        """Any number of a type, in the next of the values."""
        at = len(self.made.codes)
        self.made.codes.append(code)
        self.set.append(f"x{at} = nondet_{code}();")
        return at

    def number_of(self, arg: Argument) -> str:
        """An argument that is a number, as text."""
        code, param = arg.shape.code, arg.param
        if code not in C_TYPES:
            raise Unfit(f"{arg.name} is a {arg.shape.text}")
        if arg.role == "length" and param is not None:
            if param.of not in self.counts:
                raise Unfit(f"{arg.name} is the length of {param.of}, which has none here")
            return f"({C_TYPES[code]}){self.counts[param.of]}"
        if arg.role == "value" and param is not None:
            return f"({C_TYPES[code]}){_literal(param.value)}"
        if arg.role not in ("int", "choice", "float", "each"):
            raise Unfit(f"{arg.name} is a {arg.role}")
        at = self.number(code)
        self.made.slots.append(Slot(arg.name, (at,)))
        if arg.role == "choice" and param is not None:
            each = " || ".join(f"x{at} == {_literal(int(one))}" for one in param.choices)
            self.set.append(f"ASSUME({each});")
            self.made.assumptions.append(f"{arg.name} is one of its {len(param.choices)} values")
        elif self.narrow and param is not None and arg.shape.kind in NUMBERS:
            whole = arg.type_range
            if whole is not None and (param.low > whole[0] or param.high < whole[1]):
                low, high = _literal(param.low), _literal(param.high)
                self.set.append(f"ASSUME(x{at} >= {low} && x{at} <= {high});")
                self.made.assumptions.append(f"{arg.name} in {param.low}..{param.high}")
        if param is not None and arg.name in self.counts:
            self.set.append(f"ASSUME(x{at} >= 0 && x{at} <= {self.counts[arg.name]});")
            self.made.assumptions.append(f"{arg.name} in 0..{self.counts[arg.name]}")
        return f"x{at}"

    # --- what pointers point to -------------------------------------------------------

    def pointer(self, at: int, arg: Argument) -> tuple[str, str]:
        """A pointer argument on both sides, as text."""
        to, param = arg.shape.to, arg.param
        if arg.role in ("null", "value"):
            return "0", "0"
        if to is None or param is None:
            raise Unfit(f"{arg.name} is a {arg.shape.text}")
        if to.kind == "struct" and arg.role in ("handle", "storage", "bytes", "inout", "out"):
            one = param.high == to.size or arg.role in ("handle", "storage")
            if not one:
                raise Unfit(f"{arg.name} points to several structs")
            return self.struct(at, arg, to)
        code = "u1" if to.kind == "void" else to.code
        if code not in C_TYPES or arg.role not in ("bytes", "inout", "out", "string", "start"):
            raise Unfit(f"{arg.name} is a {arg.shape.text} ({arg.role})")
        return self.array(at, arg, code, max(to.size, 1))

    def array(self, at: int, arg: Argument, code: str, size: int) -> tuple[str, str]:
        """A buffer of numbers."""
        assert arg.param is not None
        room, varies = _room(arg, size)
        names = f"b0_{at}", f"b1_{at}"
        self.made.bounded |= varies
        length = room + (arg.role == "string")
        self.declared.append(f"static {C_TYPES[code]} {names[0]}[{length}], {names[1]}[{length}];")
        values = []
        for place in range(room):
            value = self.number(code)
            values.append(value)
            self.set.append(f"{names[0]}[{place}] = {names[1]}[{place}] = x{value};")
        count = None
        if varies and arg.role != "out":
            count = self.number("u8")
            low = -(-arg.param.low // arg.param.unit) if arg.role != "string" else arg.param.low
            self.set.append(f"ASSUME(x{count} >= {low} && x{count} <= {room});")
            self.counts[arg.name] = f"x{count}"
            self.made.assumptions.append(f"{arg.name} has at most {room} elements")
        elif varies:
            self.counts[arg.param.of] = str(room)
        if arg.role == "string":
            self.end(names, values, count)
        self.made.slots.append(Slot(arg.name, tuple(values), count, code))
        self.buffers.append((str(at), length))
        equal = _equal(code)
        self.checks += [
            f'CHECK({equal}({names[0]}[{p}], {names[1]}[{p}]), "the same in {arg.name}");'
            for p in range(length)
        ]
        return names

    def end(self, names: tuple[str, str], values: Sequence[int], count: int | None) -> None:
        """Let a string end where its length says, and not before."""
        for place, value in enumerate(values):
            self.set.append(f"ASSUME(x{count} <= {place} || x{value} != 0);")
            each = "".join(f"{name}[{place}] = " for name in names)
            self.set.append(f"if (x{count} <= {place}) {each}0;")

    def struct(self, at: int, arg: Argument, to: Shape) -> tuple[str, str]:
        """A pointer to one struct of numbers."""
        if to.layout is None:
            raise Unfit(f"what {arg.name} points to is not known")
        # The tag or typedef is known where the function is, under its new name.
        self.object(f"obj_{at}", to.text.replace("const ", ""))
        texts = f"before__obj_{at}()", f"after__obj_{at}()"
        self.leaves(arg.name, texts, to.layout.fields)
        self.made.slots.append(Slot(arg.name, ()))
        self.buffers.append((str(at), 0))
        return texts

    def object(self, name: str, type_: str) -> None:
        for prefix, source in zip(SIDES, self.sides, strict=True):
            self.declared.append(f"void *{prefix}_{name}(void);")
            unit = self.unit(source)
            self.more.setdefault((prefix, unit), []).append(
                f"void *{prefix}_{name}(void) {{ static {type_} one; return &one; }}"
            )

    def leaves(
        self, name: str, at: tuple[str, str], leaves: Iterable[tuple[str, int, str, int]]
    ) -> None:
        """Let the numbers in two objects be any, and the same; and see that they still are."""
        every = [
            (offset + index * _width(code), code)
            for _, offset, code, count in leaves for index in range(count)
        ]  # fmt: skip
        if len(every) > MOST:
            raise Unfit(f"{name} holds more than {MOST} numbers")
        for offset, code in every:
            if code not in C_TYPES:
                raise Unfit(f"{name} holds pointers, bit-fields or a union")
            places = [f"*({C_TYPES[code]} *)((char *){one} + {offset})" for one in at]
            value = self.number(code)
            self.set.append(f"{places[0]} = {places[1]} = x{value};")
            equal = _equal(code)
            self.checks.append(f'CHECK({equal}({places[0]}, {places[1]}), "the same in {name}");')

    # --- state and call ---------------------------------------------------------------

    def variable(self, name: str) -> None:
        """A variable that both versions keep."""
        old, new = (source.variables.get(name) for source in self.sides)
        if old is None or new is None:
            side = "before" if new is None else "after" if old is None else ""
            where = f"only {side} it" if side and (old or new) else "each side"
            raise Unfit(f"it keeps {name} in a function, or {where} has that variable")
        leaves = old.leaves
        if leaves is None or leaves != new.leaves:
            raise Unfit(f"the variable {name} is of another type, or of none that is known")
        for prefix, variable in zip(SIDES, (old, new), strict=True):
            self.declared.append(f"void *{prefix}_at_{name}(void);")
            self.more.setdefault((prefix, variable.unit), []).append(
                f"void *{prefix}_at_{name}(void) {{ return (void *)&{name}; }}"
            )
        self.leaves(name, (f"before__at_{name}()", f"after__at_{name}()"), leaves)

    def unit(self, source: Sources) -> int:
        """The source that has the function."""
        unit = source.functions.get(self.called.function, -1)
        if unit < 0:
            raise Unfit("its source is not known, or there are two of its name")
        return unit

    def call(self) -> None:
        """The two calls, and what is compared of their results."""
        returns = self.called.returns
        kind = returns.kind
        pointer = kind == "pointer" and bool(self.buffers)
        if kind != "void" and not pointer and returns.code not in C_TYPES:
            raise Unfit(f"it returns a {returns.text}")
        types = [
            "void *" if arg.shape.kind == "pointer" else C_TYPES[arg.shape.code]
            for arg in self.called.args
        ]
        type_ = "void" if kind == "void" else "void *" if pointer else C_TYPES[returns.code]
        names = [f"a{at}" for at in range(len(types))]
        params = ", ".join(f"{t} {n}" for t, n in zip(types, names, strict=True)) or "void"
        casts = ", ".join(
            f"({_spelt(arg.shape)}){n}" for arg, n in zip(self.called.args, names, strict=True)
        )
        for side, (prefix, source) in enumerate(zip(SIDES, self.sides, strict=True)):
            head = f"{type_} {prefix}_call({params})"
            back = "" if kind == "void" else f"return ({type_})"
            body = f"{head} {{ {back}{self.called.function}({casts}); }}"
            self.more.setdefault((prefix, self.unit(source)), []).append(body)
            self.declared.append(f"{head};")
            result = "" if kind == "void" else f"{type_} r{side} = "
            self.set.append(f"{result}{prefix}_call({', '.join(self.given[side])});")
        if pointer:
            inside = [
                f"(r0 == (void *)(b0_{at} + {place}) && r1 == (void *)(b1_{at} + {place}))"
                for at, length in self.buffers for place in range(length)
            ]  # fmt: skip
            each = " || ".join(["(r0 == 0 && r1 == 0)", *inside])
            self.checks.append(f'CHECK({each}, "the same result");')
        elif kind != "void":
            self.checks.append(f'CHECK({_equal(returns.code)}(r0, r1), "the same result");')
        if not self.checks:
            # Nothing can be seen of it but that it comes back, which is asserted by unwinding.
            self.checks.append('CHECK(1, "it comes back");')


def _room(arg: Argument, size: int) -> tuple[int, bool]:
    """Elements of a buffer, and whether fewer may count."""
    param = arg.param
    assert param is not None
    if arg.role == "string":
        return min(param.high, max(FEW, param.low)), True
    if arg.role == "start":
        return 1, False
    if arg.role == "out" and param.of:
        return FEW, True
    if arg.role == "out" or param.low == param.high:
        room = param.high // size
        if param.high % size or not 0 < room <= MOST:
            raise Unfit(f"{arg.name} has {param.high} bytes")
        return room, False
    if param.unit != size:
        raise Unfit(f"the length of {arg.name} does not count its elements")
    low = -(-param.low // size)
    if low > MOST:
        raise Unfit(f"{arg.name} has more than {MOST} elements")
    return min(param.high // size, max(FEW, low)), True


def _literal(value: int) -> str:
    if value == -(1 << 63):
        return f"({value + 1}l - 1)"
    return f"{value}ul" if value >= 1 << 63 else f"({value}l)"


def _equal(code: str) -> str:
    return f"EQ_{code}" if code[0] == "f" else "EQ"


def _width(code: str) -> int:
    return 1 if code == "c" else int(code[1:]) if code[1:].isdigit() else 1


def _spelt(shape: Shape) -> str:
    """A type in the source that has the function; bool has a name that needs no header."""
    if shape.kind == "bool":
        return "_Bool"
    words = shape.text.split()
    return " ".join("_Bool" if word == "bool" else word for word in words)

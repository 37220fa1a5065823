"""What a program is compiled with that runs functions: their arguments, and C to call them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from replay.repo.prove.called import NUMBERS, Argument, Called, spelt

MOST: Final = 10_000_000
"""Calls on each side."""
MEMORY: Final = 256 << 20
"""Bytes for the states."""
ROOM: Final = 1 << 16
"""Bytes of results."""
_TYPES: Final = {"i": "int", "u": "uint", "b": "_Bool", "f": "float"}
Regions: TypeAlias = tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]]
"""Where variables are on each side: address in the library, and bytes."""


class Plan:
    """What the program is compiled with.

    Attributes:
        problem: why there is none; empty if there is one.

    """

    def __init__(
        self, ways: Sequence[Called], most: int, setup: Sequence[str],
        regions: Regions | None = None,
    ) -> None:  # fmt: skip
        self.ways, self.setup, self.regions = ways, setup, regions
        self.domains: list[list[range | tuple[int, ...]]] = []
        self.problem = ""
        for narrow in (most, *(few for few in (1 << 16, 1 << 8, 1) if few < most)):
            # The whole of each type if that can be; else the binding's ranges, larger first.
            self.domains = []
            self.problem = next(filter(None, (self._way(way, narrow) for way in ways)), "")
            if self.problem or self.total <= MOST:
                break
        if not self.problem and self.total > MOST:
            self.problem = f"its arguments have more than {MOST} combinations"

    @property
    def total(self) -> int:
        """Combinations of arguments, of all ways."""
        return sum(math.prod(map(Argument.count, one)) for one in self.domains)

    def _way(self, way: Called, most: int) -> str:
        """Note the values of a way's arguments; gives why it cannot be called here."""
        domains = []
        for arg in way.args:
            if arg.role == "out" and arg.param is not None and not arg.param.of:
                if not 0 < arg.param.high <= ROOM // 8:
                    return f"{arg.name} has no room of a known size"
                continue
            if arg.shape.kind not in NUMBERS:
                null = arg.role == "null" or (arg.role == "value" and arg.shape.kind == "pointer")
                if not null:
                    return f"{arg.name} is a {arg.shape.text}, which has too many values"
                continue
            domain = arg.domain(most)
            if domain is None:
                return f"{arg.name} is not drawn from a range"
            domains.append(domain)
        kind = way.returns.kind
        text = kind == "pointer" and way.operation and way.operation.returns.what == "string"
        if kind not in (*NUMBERS, "float", "void") and not text:
            return f"it returns a {way.returns.text}"
        if kind == "float" and not way.returns.code:
            return f"it returns a {way.returns.text}"
        self.domains.append(domains)
        return ""

    def text(self) -> str:
        """``plan.h``."""
        lines = [f"#define MOST {MOST}ull", f"#define MEMORY {MEMORY}u"]
        lines += [f"#define STATES {int(self.regions is not None)}"]
        for number, (way, domains) in enumerate(zip(self.ways, self.domains, strict=True)):
            lines += _function(number, way, domains)
        each = zip(self.ways, self.domains, strict=True)
        rows = [
            f'{{"{way.function}", {math.prod(map(Argument.count, one))}ull, run_{number}}},'
            for number, (way, one) in enumerate(each)
        ]
        lines += ["static const struct op ops[] = {", *rows, "};"]
        setups = ", ".join(f'"{name}"' for name in self.setup) or "0"
        lines.append(f"static const char *const setups[] = {{{setups}}};")
        if self.regions is not None:
            count = max(map(len, self.regions))
            lines.append(f"#define REGIONS {count}")
            lines.append("static const struct region regions[2][REGIONS] = {")
            for one in self.regions:
                lines.append("{" + ", ".join(f"{{{at}u, {size}u}}" for at, size in one) + "},")
            lines.append("};")
        return "\n".join(lines) + "\n"

    @property
    def ranges(self) -> str:
        """The values of the arguments, in words."""
        parts = []
        for way, domains in zip(self.ways, self.domains, strict=True):
            names = (arg.name for arg in way.args if arg.shape.kind in NUMBERS)
            each = [f"{n} in {spelt(one)}" for n, one in zip(names, domains, strict=True)]
            start = f"{way.function}: " if len(self.ways) > 1 else ""
            parts.append(start + (", ".join(each) or "no arguments"))
        return "; ".join(parts)


def _function(number: int, way: Called, domains: Iterable[range | tuple[int, ...]]) -> list[str]:
    """A function in C that calls one with the arguments of a number, and puts what it gives."""
    lines = [f"static void run_{number}(void *f, number i, unsigned char *o)", "{"]
    types, names, outs = [], [], []
    at, left, declared = 8, iter(domains), []
    for place, arg in enumerate(way.args):
        name = f"a{place}"
        if arg.role == "out" and arg.param is not None:
            outs.append(f"memset(o + {at}, (int)(i * 37), {arg.param.high});")
            declared.append(f"void *{name} = o + {at};")
            types.append("void *")
            at += (arg.param.high + 15) // 16 * 16
        elif arg.shape.kind not in NUMBERS:
            declared.append(f"void *{name} = NULL;")
            types.append("void *")
        else:
            type_ = _type(arg.shape.code)
            declared += _value(name, type_, next(left))
            types.append(type_)
        names.append(name)
    lines += ["    " + line for line in (*declared, *outs)]
    call = f"(({{}} (*)({', '.join(types) or 'void'}))f)({', '.join(names)})"
    lines += ["    " + line for line in _result(way, call)]
    return [*lines, "    (void)i;", "    (void)o;", "}"]


def _value(name: str, type_: str, domain: range | tuple[int, ...]) -> list[str]:
    count = len(domain)
    if isinstance(domain, range):
        start = f"(number){domain.start}" if domain.start < 0 else f"{domain.start}ull"
        return [f"{type_} {name} = ({type_})({start} + i % {count}ull); i /= {count}ull;"]
    values = ", ".join(f"{one}ull" if one >= 0 else f"(number)({one})" for one in domain)
    return [
        f"static const number v_{name}[] = {{{values}}};",
        f"{type_} {name} = ({type_})v_{name}[i % {count}]; i /= {count};",
    ]


def _result(way: Called, call: str) -> list[str]:
    kind, code = way.returns.kind, way.returns.code
    if kind == "void":
        return [call.format("void") + ";"]
    if kind == "pointer":
        return [f"put_text(o + ROOM - TEXT - 8, {call.format('const char *')});"]
    type_ = _type(code)
    lines = [f"{type_} r = {call.format(type_)};"]
    if kind == "float":
        lines.append('if (r != r) r = __builtin_nan("");')
    return [*lines, "memcpy(o, &r, sizeof r);"]


def _type(code: str) -> str:
    letter, size = code[0], int(code[1:])
    if letter == "b":
        return "_Bool"
    if letter == "f":
        return "float" if size == 4 else "double"
    return f"{_TYPES[letter]}{8 * size}_t"

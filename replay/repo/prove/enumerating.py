"""Rung two: all arguments, or all states that calls lead to, run on the two libraries.

A function that keeps nothing from one call to the next, has numbers for arguments and leads
to no other library is called with all of them, as many as :data:`MOST`. Where functions keep
something in variables of the library, they are called in every state of these that calls lead
to, from that behind loading on, until no new state comes: then the two libraries do the same
on call sequences of any length. Sequences up to a length alone are no proof here.

What is run are the libraries of the user's build, so nothing is taken for granted of C. The
ranges are those of the types, or where these are too large, those of the binding, and they are
part of the proof. Room for results holds the same on both sides before a call. A process of
its own runs all: what ends it, or takes too long, means no proof. What lies on the stack
behind a call differs between the sides, so that one who reads what nobody wrote is seen.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Final, TypeAlias

from replay.build.command import Commands
from replay.build.compiler import environment, find_compiler
from replay.build.errors import BuildError
from replay.build.output import Kept
from replay.repo.calls import Call, CallTrace
from replay.repo.prove.called import NUMBERS, Argument, Called, spelt
from replay.repo.prove.leading import Leading, Reached
from replay.repo.prove.proof import NotProved, Proved, Rung

MOST: Final = 10_000_000
"""Calls on each side."""
STATEFUL: Final = 4096
"""Values of an argument, all of its type, where there are states; of more, the binding's."""
LIMIT: Final = 90.0
"""Seconds that all calls may take."""
MEMORY: Final = 256 << 20
"""Bytes for the states."""
SPACE: Final = 4 << 30
"""Bytes of address space."""
ROOM: Final = 1 << 16
"""Bytes of results."""
PURE: Final = frozenset((
    "memcpy", "memmove", "memset", "memcmp", "strlen", "strcmp", "strncmp", "strcpy", "abs",
    "labs", "__stack_chk_fail", "__memcpy_chk", "__memset_chk", "__memmove_chk", "fabs", "fabsf",
    "floor", "floorf", "ceil", "ceilf", "trunc", "truncf", "round", "roundf",
))  # fmt: skip
"""Functions of other libraries that keep nothing, errno neither."""
EQUAL: Final = 40
_LOADER: Final = frozenset(("frame_dummy", "__do_global_dtors_aux"))
"""Functions that every library has, which the loader calls."""
_TYPES: Final = {"i": "int", "u": "uint", "b": "_Bool", "f": "float"}


@dataclass(frozen=True, slots=True)
class Libraries:
    """The two sides of a pair.

    Attributes:
        paths: their files.
        leading: what their functions lead to.
        setup: the functions that set them up.
        commands: runs what calls them.

    """

    paths: tuple[Path, Path]
    leading: tuple[Leading, Leading]
    setup: tuple[str, ...] = ()
    commands: Commands = field(default_factory=Commands, compare=False)

    def reached(self, function: str) -> tuple[Reached, Reached] | str:
        """What a function leads to on both sides; a text says why that is not known."""
        found = [side.reached(function) for side in self.leading]
        old, new = found
        if old is None or new is None:
            return "it is not on both sides"
        unknown = old.unknown or new.unknown
        return unknown or (old, new)


def enumerated(
    called: Sequence[Called], others: Mapping[str, Sequence[Called] | str], both: Libraries
) -> Proved | NotProved:  # fmt: skip
    """Prove a function by running it.

    Args:
        called: the ways to call it.
        others: those of all functions that both libraries export, itself with them; a text
            says why one is not known.
        both: the libraries.

    """
    reached = both.reached(called[0].function)
    if isinstance(reached, str):
        return NotProved(reached)
    outside = (reached[0].outside | reached[1].outside) - PURE
    if outside:
        return NotProved(f"it leads to {', '.join(sorted(outside))} of other libraries")
    if not reached[0].written and not reached[1].written:
        return _run(_Plan(called, MOST, both.setup), both, called[0].function)
    return _stateful(called, others, both)


def _stateful(
    called: Sequence[Called], others: Mapping[str, Sequence[Called] | str], both: Libraries
) -> Proved | NotProved:  # fmt: skip
    """Explore the states of the variables that a function leads to, with all who write them."""
    sharing = _sharing(called[0].function, both)
    if isinstance(sharing, str):
        return NotProved(sharing)
    names, regions = sharing
    ways: list[Called] = []
    for name in names:
        known = others.get(name, "it is not on both sides")
        if isinstance(known, str):
            return NotProved(f"{name} uses the same variables, and {known}")
        ways += known
    return _run(_Plan(ways, STATEFUL, both.setup, regions), both, called[0].function)


Regions: TypeAlias = tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int]]]
"""Where variables are on each side: address in the library, and bytes."""


def _sharing(function: str, both: Libraries) -> tuple[list[str], Regions] | str:
    """The exported functions that share variables with one, and where these are on each side."""
    uses = _uses(both)
    if isinstance(uses, str):
        return uses
    names, more = {function}, {function}
    while more:
        old, new = (_variables(uses, names, side) for side in (0, 1))
        more = {
            name for name, (one, other) in uses.items()
            if one.written.keys() & old or other.written.keys() & new
        } - names  # fmt: skip
        names |= more
    for name in sorted(names):
        outside = (uses[name][0].outside | uses[name][1].outside) - PURE
        if outside:
            return f"{name} leads to {', '.join(sorted(outside))} of other libraries"
    if old & both.leading[0].exported or new & both.leading[1].exported:
        return "a variable of it is exported: whoever uses the library may write it"
    first, second = (
        sorted({place for name in names for place in uses[name][side].written.values()})
        for side in (0, 1)
    )
    every = [size for one in (first, second) for _, size in one]
    if not all(every) or sum(every) > ROOM:
        return "a variable of it has no name, or is too large"
    return sorted(names), (first, second)


def _uses(both: Libraries) -> dict[str, tuple[Reached, Reached]] | str:
    """What each function leads to that both libraries export."""
    for side in both.leading:
        hidden = side.pointed & side.local - _LOADER
        if hidden:
            return f"{min(hidden)} may be called by its address"
    uses = {}
    for name in sorted(both.leading[0].public & both.leading[1].public):
        reached = both.reached(name)
        if isinstance(reached, str):
            return f"what {name} writes is not known: {reached}"
        uses[name] = reached
    return uses


def _variables(
    uses: Mapping[str, tuple[Reached, Reached]], names: Iterable[str], side: int
) -> frozenset[str]:
    return frozenset(variable for name in names for variable in uses[name][side].written)


class _Plan:
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


def _run(plan: _Plan, both: Libraries, function: str) -> Proved | NotProved:
    """Compile the program of a plan, and run it."""
    if plan.problem:
        return NotProved(plan.problem)
    source = resources.files(__package__).joinpath("enumerate.c").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="replay-prove-") as folder:
        place = Path(folder)
        (place / "enumerate.c").write_text(source, encoding="utf-8")
        room = f"#define ROOM {_room(plan.ways)}\n"
        (place / "plan.h").write_text(plan.text(), encoding="utf-8")
        (place / "room.h").write_text(room, encoding="utf-8")
        try:
            compiler = find_compiler().path
        except BuildError as error:
            return NotProved(str(error))
        words = [compiler, "-O2", "-w", "-std=gnu11", "-include", "room.h", "-o", "run",
                 "enumerate.c", "-ldl"]  # fmt: skip
        made = both.commands.run(words, place, environment(), LIMIT, Kept(1 << 12))
        if made.status:
            return NotProved(f"the program that runs it does not compile: {made.output[:200]}")
        paths = [os.fspath(path.resolve()) for path in both.paths]
        keep = Kept(0, 400)
        words = ["./run", *paths]
        ended = both.commands.run(words, place, environment(), LIMIT, keep, SPACE)
    last = ended.output.strip().rpartition("\n")[2].split()
    return _verdict(plan, function, ended.status, last, ended.in_time)


def _room(ways: Sequence[Called]) -> int:
    """Bytes of results of one call."""
    outs = max(
        sum((arg.param.high + 15) // 16 * 16 for arg in way.args if arg.role == "out" and arg.param)
        for way in ways
    )
    texts = any(way.returns.kind == "pointer" for way in ways)
    return 16 + outs + (1040 if texts else 0)


def _verdict(
    plan: _Plan, function: str, status: int, last: Sequence[str], in_time: bool
) -> Proved | NotProved:  # fmt: skip
    if not in_time:
        return NotProved(f"the calls did not end within {LIMIT:g} s")
    if status == EQUAL and last[:1] == ["equal"]:
        calls, states = map(int, last[1:])
        if plan.regions is None:
            return Proved(Rung.RANGES, f"proved on these ranges: {plan.ranges} ({calls} calls)")
        said = f"proved on these ranges: {plan.ranges}; in all {states} states that calls lead to"
        return Proved(Rung.RANGES, f"{said} ({calls} calls)")
    if status == EQUAL + 1 and len(last) == 4:
        way, index = int(last[1]), int(last[2])
        return NotProved("a call differs", None if plan.regions else _trace(plan, way, index))
    why = " ".join(last) or f"the process ended with status {status}"
    if status == EQUAL + 2:
        why = f"{last[1]} calls lead to {last[2]} states, and to more"
    elif status < 0:
        why = f"a call of {function} ended the process by signal {-status}"
    return NotProved(why)


def _trace(plan: _Plan, number: int, index: int) -> CallTrace | None:
    """The one call of a number, as a trace; None where the binding knows no such call."""
    way = plan.ways[number]
    if way.operation is None or way.operation.draft.observer:
        return None
    left = iter(plan.domains[number])
    values: dict[str, int] = {}
    for arg in way.args:
        if arg.shape.kind in NUMBERS:
            domain = next(left)
            values[arg.name] = domain[index % len(domain)]
            index //= len(domain)
    given = way.operation.given
    if any(one.name not in values for one in given):
        return None
    return (Call(way.operation.name, tuple(values[one.name] for one in given)),)

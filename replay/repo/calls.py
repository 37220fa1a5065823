"""Traces of calls: what was called with what, in a file, and whether it makes sense.

    {"format": "replay-calls/1", "name": "commit-5-difference"}
    {"call": "ring_new", "args": {"capacity": 4}, "makes": 1}
    {"call": "ring_put", "args": {"r": 1, "value": 7}}

An object is named by a number, which the call that makes it gives it. Bytes are
hexadecimal digits; a floating number is a number, or "nan", "inf", "-inf". Which calls there
are, a binding says.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from replay.base.jsonlines import Place, check_keys, decode, nearest, read_lines, shown
from replay.errors import TraceError
from replay.repo import dying, floats, parted, relations
from replay.repo.binding import Interface, Operation, Param

FORMAT: Final = "replay-calls/1"
MOST_CALLS: Final = 100_000

Value: TypeAlias = int | float | str


@dataclass(frozen=True, slots=True)
class Call:
    """A call: a value for each parameter that takes one, and the number of what it makes."""

    op: str
    values: tuple[Value, ...] = ()
    makes: int = 0

    def text(self, interface: Interface) -> str:
        """As a person writes it: ``ring_put(r=ring1, value=7)``."""
        op = interface.ops[self.op]
        parts = [_text(p, v) for p, v in zip(op.given, self.values, strict=True)]
        made = f"{op.kind_made}{self.makes} = " if self.makes else ""
        return f"{made}{self.op}({', '.join(parts)})"

    def to_json(self, interface: Interface) -> dict[str, Any]:
        """As in a file."""
        given = zip(interface.ops[self.op].given, self.values, strict=True)
        out: dict[str, Any] = {"call": self.op, "args": {p.name: _plain(p, v) for p, v in given}}
        return {**out, "makes": self.makes} if self.makes else out


def _plain(param: Param, value: Value) -> Value:
    """A value as JSON has it, which knows finite numbers alone."""
    if param.role == "float" and math.isfinite(float(value)):
        return float(value)
    return value


def _text(param: Param, value: Value) -> str:
    if param.role == "handle":
        return f"{param.name}={param.kind}{value}"
    if param.callback is not None:
        return f"{param.name}={param.callback.text(int(value))}"
    if param.passed == "strings":
        lines = str(value).split("\n")[:-1]
        return f"{param.name}={json.dumps(lines)}"
    if param.role == "string":
        return f"{param.name}={json.dumps(value)}"
    if param.layout is not None:
        return f"{param.name}={parted.shown(param, str(value))}"
    return f"{param.name}={value!r}" if param.role == "bytes" else f"{param.name}={value}"


CallTrace: TypeAlias = tuple[Call, ...]


def request(trace: Iterable[Call]) -> list[list[Any]]:
    """The calls as a worker takes them."""
    return [[call.op, list(call.values), call.makes] for call in trace]


class Live:
    """Which objects are alive at a place in a trace."""

    def __init__(self, interface: Interface) -> None:
        self.interface = interface
        self.kinds: dict[int, str] = {}
        self.parents: dict[int, int] = {}
        self.used: set[int] = set()

    def of(self, kind: str) -> list[int]:
        """The live objects of a kind, in order of making."""
        return [number for number, of in self.kinds.items() if of == kind]

    def problem(self, call: Call) -> str:
        """Why a call cannot stand here; empty if it can."""
        op = self.interface.ops[call.op]
        kind = op.kind_made
        if bool(kind) != bool(call.makes) or call.makes in self.used:
            return f"makes must be a number of its own for the {kind} that it makes" if kind else (
                "makes: it makes nothing"
            )  # fmt: skip
        dead = self.dying(call) if kind else set()
        if kind and sum(n not in dead for n in self.of(kind)) >= op.draft.live:
            return f"there may be {op.draft.live} live {kind} objects at once"
        if op.draft.requires and not self.of(op.draft.requires):
            return f"it requires a live {op.draft.requires}"
        for param, value in zip(op.given, call.values, strict=True):
            if param.role == "handle" and self.kinds.get(int(value)) != param.kind:
                return f"{param.name}: there is no live {param.kind} {value}"
        twice = self.twice(call)
        if twice:
            return twice
        wrong = relations.broken(op, call.values)
        return f"{wrong} does not hold" if wrong else ""

    def twice(self, call: Call) -> str:
        """Why a call must not be: it takes an object that it consumes for something else, too."""
        given, consumed = self.taken(call)
        for number in consumed:
            if given.count(number) > 1:
                return f"it consumes the {self.kinds.get(number)} {number} and takes it again"
        return ""

    def taken(self, call: Call) -> tuple[list[int], list[int]]:
        """The objects that a call takes, and those of them that it consumes."""
        op = self.interface.ops[call.op]
        handles = [
            (param, int(value))
            for param, value in zip(op.given, call.values, strict=True) if param.role == "handle"
        ]  # fmt: skip
        consumed = [n for p, n in handles if p.consumes or p.kind == op.destroys]
        return [number for _, number in handles], consumed

    def dying(self, call: Call) -> set[int]:
        """The objects that are dead after a call."""
        ends = self.interface.ops[call.op].draft.behaviour.ends
        return dying.gone(self.kinds, self.parents, *self.taken(call), ends)

    def follow(self, call: Call) -> None:
        """Move past a call."""
        op = self.interface.ops[call.op]
        for number in self.dying(call):
            self.kinds.pop(number, None)
            self.parents.pop(number, None)
        if call.makes:
            self.used.add(call.makes)
            self.kinds[call.makes] = op.kind_made
            for param, value in zip(op.given, call.values, strict=True):
                if param.name == op.draft.behaviour.dies_with:
                    self.parents[call.makes] = int(value)


def takes(param: Param, value: Value) -> bool:
    """Whether the binding allows a value for a parameter."""
    if param.role == "choice":
        return value in param.choices
    if param.role in ("int", "each", "handle", "callback"):
        ranged = param.role in ("int", "callback")
        return isinstance(value, int) and (not ranged or param.low <= value <= param.high)
    if not isinstance(value, str):
        return False
    if param.role == "float":
        return _is_floating(param, value)
    if parted.is_made_of_parts(param):
        return not parted.problem(param, value)
    size = len(value) if param.role == "string" else len(value) // 2
    return param.low <= size <= param.high


def _is_floating(param: Param, text: str) -> bool:
    if not floats.is_text(text, param.shape.size if param.shape is not None else 8):
        return False
    return param.least <= float(text) <= param.most or (text == "nan" and not param.is_bounded)


def is_valid(trace: Sequence[Call], interface: Interface) -> bool:
    """Whether every call can stand where it stands."""
    live = Live(interface)
    for call in trace:
        if live.problem(call):
            return False
        live.follow(call)
    return True


def renumbered(trace: Sequence[Call], interface: Interface) -> CallTrace:
    """The same trace with objects numbered from 1 in order of making."""
    numbers: dict[int, int] = {}
    made = []
    for call in trace:
        values = tuple(
            numbers[int(value)] if param.role == "handle" else value
            for param, value in zip(interface.ops[call.op].given, call.values, strict=True)
        )
        if call.makes:
            numbers[call.makes] = len(numbers) + 1
        made.append(Call(call.op, values, numbers.get(call.makes, 0)))
    return tuple(made)


# --- files ----------------------------------------------------------------------------


def to_text(trace: CallTrace, interface: Interface, name: str) -> str:
    """A trace as a file holds it."""
    lines = [{"format": FORMAT, "name": name}, *(call.to_json(interface) for call in trace)]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def read_calls(path: Path, interface: Interface) -> CallTrace:
    """Read a trace file.

    Raises:
        TraceError: it is no such file, or its calls do not fit the binding.

    """
    trace: list[Call] = []
    live = Live(interface)
    header = False
    for line in read_lines(path):
        place = Place(path, line.number)
        value = decode(line, place)
        if not header:
            if value.get("format") != FORMAT:
                place.fail(f'the first line must be the header {{"format": "{FORMAT}", …}}')
            header = True
            continue
        if len(trace) >= MOST_CALLS:
            place.fail(f"more than {MOST_CALLS} calls")
        call = _call(value, interface, place)
        problem = live.problem(call)
        if problem:
            place.fail(f"{call.op}: {problem}")
        live.follow(call)
        trace.append(call)
    if not trace:
        raise TraceError("the trace has no calls", path)
    return tuple(trace)


def _call(value: dict[str, Any], interface: Interface, place: Place) -> Call:
    check_keys(value, ("call", "args"), ("makes",), "the call", place)
    name, args = value["call"], value["args"]
    if interface.binding.drafted and isinstance(name, str) and isinstance(args, dict):
        name = _drafted(name, frozenset(args), interface)
    if not isinstance(name, str) or name not in interface.ops:
        place.fail(f"no operation {shown(name)}{nearest(str(name), interface.ops)}")
    if not isinstance(args, dict):
        place.fail("args must be an object")
    op = interface.ops[name]
    check_keys(args, tuple(p.name for p in op.given), (), name, place)
    makes = value.get("makes", 0)
    if not isinstance(makes, int) or isinstance(makes, bool) or not 0 <= makes <= 1 << 31:
        place.fail("makes must be a small number")
    return Call(name, tuple(_value(args[p.name], p, op, place) for p in op.given), makes)


def _drafted(name: str, args: frozenset[str], interface: Interface) -> str:
    """An operation where there is no binding: each range numbers the ways to call a function."""
    functions = (name, re.sub(r"_\d+$", "", name))
    alike = [
        op.name for op in interface.ops.values()
        if op.draft.functions[0] in functions and args == {p.name for p in op.given}
    ]  # fmt: skip
    return name if name in alike or not alike else alike[0]


def _value(value: Any, param: Param, op: Operation, place: Place) -> Value:
    what = f"{op.name}: {param.name}"
    number = isinstance(value, int) and not isinstance(value, bool)
    if param.role in ("int", "each", "handle", "callback"):
        if not number:
            place.fail(f"{what} is {shown(value)}; it must be an integer")
        if param.role in ("int", "callback") and not param.low <= value <= param.high:
            place.fail(f"{what} is {value}; the binding says {param.low} to {param.high}")
    elif param.role == "choice":
        if value not in param.choices:
            place.fail(f"{what} is {shown(value)}; the binding says {list(param.choices)}")
    elif param.role == "float":
        return _floating(value, param, what, place)
    elif not isinstance(value, str):
        place.fail(f"{what} is {shown(value)}; it must be a string")
    else:
        _textual(value, param, what, place)
    return value  # type: ignore[no-any-return]


def _textual(value: str, param: Param, what: str, place: Place) -> None:
    """Check a text, or bytes in hexadecimal."""
    if parted.is_made_of_parts(param):
        problem = parted.problem(param, value)
        if problem:
            place.fail(f"{what} is {shown(value)}; {problem}")
    elif param.role == "string":
        if not all(0 < ord(c) < 256 for c in value) or not param.low <= len(value) <= param.high:
            place.fail(f"{what}: the binding says {param.low} to {param.high} characters")
    else:
        try:
            size = len(bytes.fromhex(value))
        except ValueError:
            place.fail(f"{what} is {shown(value)}; it must be hexadecimal digits")
        if not param.low <= size <= param.high:
            place.fail(f"{what} has {size} bytes; the binding says {param.low} to {param.high}")


def _floating(value: Any, param: Param, what: str, place: Place) -> str:
    """A floating number of a file as a trace holds it."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number and value not in ("nan", "inf", "-inf"):
        place.fail(f'{what} is {shown(value)}; it must be a number, or "nan", "inf", "-inf"')
    try:
        text = repr(float(value))
    except OverflowError:
        place.fail(f"{what} is {shown(value)}, which is larger than any floating number")
    if not takes(param, text):
        size = param.shape.size if param.shape is not None else 8
        span = f"the binding says {param.least} to {param.most}" if param.is_bounded else (
            f"no number of {size} bytes is exactly that"
        )  # fmt: skip
        place.fail(f"{what} is {shown(value)}; {span}")
    return text

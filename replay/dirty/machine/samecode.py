"""Which operations two steps execute by the same code: what a shared run rests on.

An operation's *signature* is the number of all the code it can come to execute: its
function's instructions, with every ``vm.name`` replaced by the signature of what this
step's machine has under that name. Names of functions are not part of it, so that a pure
rename is the same code; constants are there by value, and so is everything else.

Equal signatures mean equal outcomes from equal machines only if the code depends on
nothing but the machine and its arguments. That is checked, not believed, since a changed
copy of a step may hold anything: code that imports, writes globals, has a closure or
mutable defaults, names a module, a container or an impure builtin, looks behind the
attributes or writes one that is no part of a machine's state has no signature.
"""

from __future__ import annotations

import builtins
import dis
from dataclasses import dataclass
from functools import cache, lru_cache
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, Final

from refmodels.machine import Machine
from replay.dirty.language.operations import OPS

WRITABLE: Final = (
    "in_migration",
    "migration_bitmap",
    "migration_dirty_pages",
    "ram_list_version",
    "stray",
)
"""The attributes that a step may bind anew, besides its own fields. The others (blocks,
TLB, code) are changed in place, so that no two of them can come to be one object.
"""

PURE: Final[frozenset[Any]] = frozenset(
    (abs, all, any, bool, bytearray, bytes, dict, divmod, enumerate, frozenset, int,
     isinstance, len, list, map, max, min, pow, range, reversed, set, sorted, str, sum, tuple,
     zip, AssertionError, IndexError, KeyError, OverflowError, ValueError)
)  # fmt: skip
"""Builtins whose result depends on their arguments alone."""

PLAIN: Final = (int, str, bytes, bool, type(None))

IMPURE_OPCODES: Final = frozenset(
    ("DELETE_GLOBAL", "DELETE_NAME", "IMPORT_FROM", "IMPORT_NAME", "IMPORT_STAR",
     "LOAD_NAME", "STORE_GLOBAL", "STORE_NAME")
)  # fmt: skip

_numbers: dict[Any, int] = {}


def _number(what: Any) -> int:
    """A small number for a hashable value: equal numbers, equal values."""
    return _numbers.setdefault(what, len(_numbers))


class _Unknown(Exception):
    """The code depends on something that is not followed."""


@dataclass(frozen=True, slots=True)
class _Body:
    """The instructions of a function, apart from what its names stand for."""

    number: int
    attributes: tuple[str, ...]
    written: frozenset[str]
    globals: tuple[str, ...]


@cache
def _body(code: CodeType) -> _Body:
    """Normalise a function's instructions.

    Raises:
        _Unknown: an instruction that is not followed.
    """
    shape: list[Any] = [code.co_argcount, code.co_kwonlyargcount, code.co_flags]
    shape.append(code.co_exceptiontable if hasattr(code, "co_exceptiontable") else b"")
    attributes: list[str] = []
    globals_: list[str] = []
    written = set()
    machine = code.co_varnames[:1]
    before: dis.Instruction | None = None
    for made in dis.get_instructions(code):
        name = made.opname
        if name in IMPURE_OPCODES:
            raise _Unknown
        if name in ("LOAD_GLOBAL", "LOAD_BUILD_CLASS", "LOAD_FROM_DICT_OR_GLOBALS"):
            globals_.append(str(made.argval))
            shape.append((name, made.arg is not None and made.arg & 1))
        elif made.opcode in dis.hasname:
            attribute = str(made.argval)
            attributes.append(attribute)
            if name in ("STORE_ATTR", "DELETE_ATTR"):
                written.add(attribute)
            of_machine = (
                before is not None
                and before.opname.startswith("LOAD_FAST")
                and (before.argval,) == machine
            )
            shape.append((name, "" if of_machine else attribute))
        elif made.opcode in dis.hasconst:
            shape.append((name, _constant(made.argval, attributes, globals_, written)))
        else:
            shape.append((name, made.arg))
        before = made
    return _Body(_number(tuple(shape)), tuple(attributes), frozenset(written), tuple(globals_))


def _constant(value: Any, attributes: list[str], globals_: list[str], written: set[str]) -> Any:
    """A constant by type and value; nested code (a comprehension) by its body."""
    if isinstance(value, CodeType):
        inner = _body(value)
        attributes += inner.attributes
        globals_ += inner.globals
        written |= inner.written
        return ("code", inner.number)
    if isinstance(value, tuple):
        return tuple(_constant(v, attributes, globals_, written) for v in value)
    if not isinstance(value, (*PLAIN, float, frozenset, type(...))):
        raise _Unknown
    return (type(value).__name__, repr(value))


class _Signer:
    """Signatures of one machine class."""

    def __init__(self, machine: type[Any]) -> None:
        self.machine = machine
        self.known: dict[FunctionType, int] = {}
        self.open: set[FunctionType] = set()
        self.writable = {*WRITABLE, *machine.FIELDS}

    def function(self, function: FunctionType) -> int:
        """The signature of a function of this machine."""
        if function in self.known:
            return self.known[function]
        if function in self.open or function.__closure__ or function.__kwdefaults__:
            raise _Unknown
        if not all(isinstance(value, PLAIN) for value in function.__defaults__ or ()):
            raise _Unknown
        body = _body(function.__code__)
        if not body.written <= self.writable:
            raise _Unknown
        self.open.add(function)
        signature = _number(
            (
                body.number,
                repr(function.__defaults__),
                tuple(self.attribute(name) for name in body.attributes),
                tuple(self.global_(function, name) for name in body.globals),
            )
        )
        self.open.discard(function)
        self.known[function] = signature
        return signature

    def attribute(self, name: str) -> int:
        """What an attribute of this name is, if the machine has one."""
        if name.startswith("__"):
            raise _Unknown
        value = getattr(self.machine, name, None)
        if value is None or value is Machine.__dict__.get(name):
            return _number(("name", name))
        if isinstance(value, MemberDescriptorType | GetSetDescriptorType):
            return _number(("field", name))
        if isinstance(value, FunctionType):
            return self.function(value)
        return _number(("value", _value(value)))

    def global_(self, function: FunctionType, name: str) -> int:
        """What a global name of a function is."""
        scope = function.__globals__
        if name not in scope:
            value = getattr(builtins, name, None)
            if value in PURE:
                return _number(("builtin", name))
            raise _Unknown
        value = scope[name]
        if isinstance(value, FunctionType):
            return self.function(value)
        if isinstance(value, type) and value.__module__ == Machine.__module__:
            return _number(("class", value.__name__))
        return _number(("value", _value(value)))


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_value(v) for v in value)
    if isinstance(value, PLAIN):
        return (type(value).__name__, value)
    raise _Unknown


@lru_cache(maxsize=512)
def signatures(machine: Any) -> dict[str, int | None]:
    """Each operation's signature on a machine class; None where it has none.

    Worked out once. Do not change what you get.
    """
    signer = _Signer(machine)
    found: dict[str, int | None] = {}
    for name in OPS:
        try:
            found[name] = signer.function(getattr(machine, name))
        except _Unknown:
            found[name] = None
            signer.open.clear()
    return found


@lru_cache(maxsize=2048)
def same_start(old: Any, new: Any) -> bool:
    """Whether fresh machines of two classes are equal: the same fields, the same clients."""
    if list(old.FIELDS) != list(new.FIELDS):
        return False
    try:
        return all(
            _Signer(old).function(old.FIELDS[name]) == _Signer(new).function(new.FIELDS[name])
            for name in old.FIELDS
        ) and all(
            getattr(old, name) == getattr(new, name)
            for name in ("DIRTY_MEMORY_VGA", "DIRTY_MEMORY_CODE", "DIRTY_MEMORY_MIGRATION")
        )
    except _Unknown:
        return False


@lru_cache(maxsize=2048)
def differing(old: Any, new: Any) -> frozenset[str]:
    """The operations that two machine classes may execute by different code."""
    one, other = signatures(old), signatures(new)
    return frozenset(name for name in OPS if one[name] is None or one[name] != other[name])

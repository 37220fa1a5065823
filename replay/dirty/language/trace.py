"""The vocabulary: configurations, operations as they are made, traces, observations.

A trace is a sequence of operations on one small virtual machine. The operations are
what the callers of the dirty-tracking API do, so that every step of the series can
execute every one of them. An observation is what can be seen after one.

Addresses, lengths and sizes are in bytes; a page set is an integer whose bit p is
page p; a log word is an integer of ``Config.word_bits`` bits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

from replay.dirty.language.operations import CLIENT, OPS

CLIENTS: Final = CLIENT.values
"""Who asks which pages are dirty. In a trace a client is named, never numbered."""

WORD_SIZES: Final = (2, 4, 8, 16, 32, 64)

Argument: TypeAlias = int | str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """The machine of a trace.

    Attributes:
        page_bits: log2 of the target page size in bytes.
        hpratio: host page size / target page size; one log bit covers so many pages.
        tcg: whether a reset re-arms the TLB.
        word_bits: bits of a machine word; smaller ones bring word edges close together.

    """

    page_bits: int = 12
    hpratio: int = 1
    tcg: bool = True
    word_bits: int = 64

    @property
    def page_size(self) -> int:
        """Bytes of a target page."""
        return 1 << self.page_bits

    def to_json(self) -> dict[str, Any]:
        """As in a file: ``word_bits`` is left out where it is that of the real host."""
        out: dict[str, Any] = {
            "page_bits": self.page_bits,
            "hpratio": self.hpratio,
            "tcg": self.tcg,
        }
        if self.word_bits != 64:
            out["word_bits"] = self.word_bits
        return out


class Op(NamedTuple):
    """One operation: a name of ``OPS`` and its arguments in the order of the table."""

    name: str
    args: tuple[Argument, ...] = ()

    def named(self) -> dict[str, Argument]:
        """The arguments by name."""
        return dict(zip(OPS[self.name].parameters, self.args, strict=True))

    def to_json(self) -> dict[str, Any]:
        """As in a file; log words as lowercase hexadecimal strings."""
        kinds = OPS[self.name].kinds
        written = {k.name: k.to_json(v) for k, v in zip(kinds, self.args, strict=True)}
        return {"op": self.name, **written}

    def __str__(self) -> str:
        kinds = OPS[self.name].kinds
        shown = (f"{k.name}={k.text(v)}" for k, v in zip(kinds, self.args, strict=True))
        return f"{self.name}({', '.join(shown)})"


Program: TypeAlias = list[tuple[str, tuple[Any, ...]]]


@dataclass(frozen=True)
class Trace:
    """A named sequence of operations on a machine."""

    ops: tuple[Op, ...]
    config: Config = Config()
    name: str = ""

    @cached_property
    def program(self) -> Program:
        """The operations with clients by their place in CLIENTS, as a model takes them."""
        numbers: dict[Any, int] = {client: number for number, client in enumerate(CLIENTS)}
        return [
            (
                op.name,
                (*op.args[:-1], numbers[op.args[-1]])
                if op.args and op.args[-1].__class__ is str
                else op.args,
            )
            for op in self.ops
        ]

    @cached_property
    def most_pages(self) -> int:
        """An upper bound of the pages that the machine ever spans."""
        total = 0
        for op in self.ops:
            if op.name == "ram_alloc" and isinstance(op.args[0], int):
                total += op.args[0]
        return total

    def with_ops(self, ops: Iterable[Op]) -> Trace:
        """The same machine and name, other operations."""
        return replace(self, ops=tuple(ops))

    def to_json(self) -> dict[str, Any]:
        """As plain values: the name, the machine, the operations."""
        ops = [op.to_json() for op in self.ops]
        return {"name": self.name, "config": self.config.to_json(), "ops": ops}

    def peculiar(self) -> list[str]:
        """What is not usual of its machine, in words, for whoever is shown the operations."""
        config, usual = self.config, Config()
        names = ("hpratio", "tcg", "word_bits", "page_bits")
        return [
            f"{name} {str(getattr(config, name)).lower()}"
            for name in names
            if getattr(config, name) != getattr(usual, name)
        ]

    def renamed(self, name: str) -> Trace:
        """The same trace under another name."""
        return replace(self, name=name)


class Event(NamedTuple):
    """A call that an outsider sees.

    ``tb_invalidate`` comes with start and end, ``xen_modified`` with start and length.
    """

    kind: str
    first: int
    second: int


@dataclass(frozen=True, slots=True)
class State:
    """What can be seen of the machine between two operations; page sets as integers."""

    vga: int = 0
    code: int = 0
    migration: int = 0
    tlb_direct: int = 0
    tlb_notdirty: int = 0
    has_code: int = 0
    migration_bitmap: int | None = None
    migration_dirty_pages: int = 0
    logging: bool = False

    def to_json(self) -> dict[str, Any]:
        """As in a vector file: page sets are lowercase hexadecimal strings."""
        return {
            name: f"{value:x}" if name in PAGE_SETS and value is not None else value
            for name, value in ((name, getattr(self, name)) for name in STATE_FIELDS)
        }


STATE_FIELDS: Final = tuple(State.__dataclass_fields__)
PAGE_SETS: Final = STATE_FIELDS[:7]
FIELDS: Final = ("ret", "status", "events", *STATE_FIELDS)
"""Everything that two observations can differ in, in the order of reports."""


@dataclass(frozen=True, slots=True)
class Observation:
    """What one operation returned, told others, and left behind."""

    ret: int | str | bool | None = None
    status: str = "ok"
    events: tuple[Event, ...] = ()
    state: State | None = field(default_factory=State)

    def get(self, name: str) -> Any:
        """One of FIELDS; a field of the state is None when the machine has died."""
        if name in ("ret", "status", "events"):
            return getattr(self, name)
        return None if self.state is None else getattr(self.state, name)

    def differences(self, other: Observation) -> tuple[str, ...]:
        """The names of the FIELDS in which two observations differ.

        Where one machine died and the other did not, that is the difference: the fields
        of the state are then left out.
        """
        names = FIELDS if self.status == other.status else FIELDS[:3]
        return tuple(name for name in names if not same(self.get(name), other.get(name)))

    def to_json(self) -> dict[str, Any]:
        """As in a vector file."""
        return {
            "ret": self.ret,
            "status": self.status,
            "events": [list(event) for event in self.events],
            "state": None if self.state is None else self.state.to_json(),
        }


def same(a: Any, b: Any) -> bool:
    """Whether two values of a field are the same answer.

    True == 1 in Python, but a bool and a count are different answers.
    """
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def differences(a: Observation | None, b: Observation | None) -> tuple[str, ...]:
    """The names of the FIELDS in which two runs differ at one operation.

    None stands for an operation that its run did not live to see: where just one of the
    two had ended, their ``status`` differs.
    """
    if a is None or b is None:
        return () if a is b else ("status",)
    return a.differences(b)

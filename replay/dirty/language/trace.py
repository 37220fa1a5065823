"""The vocabulary: operations, configurations, traces, observations.

A trace is a sequence of operations on one small virtual machine. The operations are
what the callers of the dirty-tracking API do, so that every step of the series can
execute every one of them. An observation is what can be seen after one.

Addresses, lengths and sizes are in bytes; a page set is an integer whose bit p is
page p; a log word is an integer of ``Config.word_bits`` bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, NamedTuple, TypeAlias

CLIENTS: Final = ("vga", "code", "migration")
"""Who asks which pages are dirty. In a trace a client is named, never numbered."""

WORD_SIZES: Final = (2, 4, 8, 16, 32, 64)

MAX_PAGES: Final = 1 << 31
"""From step 19 on a page number is an int: 8 TiB of 4 KiB pages are the most."""

Argument: TypeAlias = int | str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OpSpec:
    """One operation of the language: its parameters in order, and what it does."""

    name: str
    parameters: tuple[str, ...]
    returns: str
    does: str


def _specs(*specs: OpSpec) -> dict[str, OpSpec]:
    return {spec.name: spec for spec in specs}


OPS: Final[Mapping[str, OpSpec]] = _specs(
    OpSpec("ram_alloc", ("pages",), "offset", "place a block and mark it dirty for all clients"),
    OpSpec("ram_free", ("addr",), "null", "remove the block at this offset"),
    OpSpec("tlb_fill", ("addr",), "notdirty or direct", "enter a page into the TLB"),
    OpSpec("tlb_flush", (), "null", "drop every TLB entry"),
    OpSpec("store", ("addr", "size"), "slow or fast", "a CPU store of 1, 2 or 4 bytes"),
    OpSpec("dma_write", ("addr", "length"), "null", "a device write, cut at page boundaries"),
    OpSpec("store_notdirty", ("addr",), "null", "a 4-byte store, dirty only while logging"),
    OpSpec("translate", ("addr",), "null", "translate code on a page, and protect the page"),
    OpSpec("region_set_dirty", ("addr", "length"), "null", "mark a range for all clients"),
    OpSpec("region_get_dirty", ("addr", "length", "client"), "bool", "any page dirty?"),
    OpSpec(
        "region_test_and_clear_dirty",
        ("addr", "length", "client"),
        "bool",
        "as get; and if so, reset the range",
    ),
    OpSpec(
        "region_reset_dirty",
        ("addr", "length", "client"),
        "null",
        "clear the range's bits and re-arm the TLB",
    ),
    OpSpec("page_is_dirty", ("addr",), "bool", "dirty for all clients?"),
    OpSpec("page_get_flag", ("addr", "client"), "bool", "dirty for this client?"),
    OpSpec(
        "kvm_log_sync",
        ("addr", "pages", "words"),
        "null",
        "merge the kernel's log of a section; a bit covers hpratio pages",
    ),
    OpSpec("migration_start", (), "dirty pages", "new migration bitmap, logging on, a sync"),
    OpSpec("migration_sync", (), "dirty pages", "move MIGRATION bits to the migration bitmap"),
    OpSpec(
        "migration_next",
        ("addr", "start"),
        "offset in the block",
        "take the next page of a block from the migration bitmap",
    ),
    OpSpec("migration_stop", (), "null", "logging off, the migration bitmap is dropped"),
)


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
        out: dict[str, Any] = {"op": self.name}
        for name, value in self.named().items():
            out[name] = [f"{word:x}" for word in value] if isinstance(value, tuple) else value
        return out

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={_show(name, value)}" for name, value in self.named().items())
        return f"{self.name}({shown})"


def _show(name: str, value: Argument) -> str:
    if isinstance(value, tuple):
        return "[" + " ".join(f"{word:x}" for word in value) + "]"
    if name in ("addr", "start") and isinstance(value, int):
        return f"{value:#x}"
    return str(value)


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

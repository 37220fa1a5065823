"""Traces of real programs: accesses to memory become operations on a small machine.

Two forms are read, told apart by the first line that says something: the output of
``valgrind --tool=lackey --trace-mem=yes``, and lines ``address,size,kind``. Either may be
compressed with gzip. Pages are numbered in the order in which they are first touched; those
past the machine's last page begin at its first again. A store becomes stores of 4, 2 and
1 bytes, an instruction a translation of its page where the page holds no code, and after
every so many accesses comes a round of a migration.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

from replay.base.jsonlines import Line, Place, read_lines, shown
from replay.dirty.language.trace import Config, Op, Trace

LACKEY: Final = re.compile(r"(I |\s[LSM]) +([0-9a-fA-F]{1,16}),([0-9]{1,5})")
"""An access as lackey writes it: ``I  04001090,3`` or `` S 1ffefffe98,8``."""

KINDS: Final = {
    "i": "I", "l": "L", "s": "S", "m": "M",
    "code": "I", "load": "L", "store": "S", "modify": "M",
}  # fmt: skip
"""How the kind of an access is written in CSV, in capitals or not."""

LARGEST: Final = 4096
"""Bytes of the largest access that is believed."""


class Access(NamedTuple):
    """One access: where, how many bytes, and I(nstruction), L(oad), S(tore) or M(odify)."""

    addr: int
    size: int
    kind: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a recording.

    Attributes:
        trace: the operations.
        accesses: how many accesses were read for it.
        pages: different pages that they touched.
        rounds: rounds of migration.
        cut: whether more accesses followed.

    """

    trace: Trace
    accesses: int
    pages: int
    rounds: int
    cut: bool


def read_recording(path: Path, pages: int = 64, every: int = 200, ops: int = 2000) -> Recorded:
    """The trace that a recording of memory accesses stands for.

    Args:
        path: the file.
        pages: pages of the machine.
        every: accesses between two rounds of migration; 0 for no migration.
        ops: operations of the trace at most; what follows is left out.

    Raises:
        TraceError: the file cannot be read, holds no access, or a line that is none: with
            the file, the line and the cure.

    """
    making = _Making(pages, every)
    accesses = _accesses(read_lines(path), path)
    count, cut = 0, False
    for access in accesses:
        made = making.operations(access)
        if len(making.ops) + len(made) > ops:
            cut = True
            break
        making.take(access, made)
        count += 1
    if not count:
        Place(path, 1).fail(
            "there is no access in it; record with valgrind --tool=lackey --trace-mem=yes "
            "--log-file=FILE, or write lines address,size,kind"
        )
    trace = Trace(tuple(making.ops), Config(), path.name.partition(".")[0])
    return Recorded(trace, count, len(making.numbers), making.rounds, cut)


@dataclass(slots=True)
class _Making:
    """A trace in the making. What it holds of an access changes in :meth:`take` alone."""

    pages: int
    every: int
    ops: list[Op] = field(default_factory=list)
    numbers: dict[int, int] = field(default_factory=dict)
    code: set[int] = field(default_factory=set)
    stored: set[int] = field(default_factory=set)
    since: int = 0
    rounds: int = 0

    def __post_init__(self) -> None:
        self.ops.append(Op("ram_alloc", (self.pages,)))

    def place(self, addr: int) -> int:
        """The address on the machine."""
        number = self.numbers.get(addr >> 12, len(self.numbers))
        return (number % self.pages << 12) + (addr & 4095)

    def operations(self, access: Access) -> list[Op]:
        """What an access becomes, a round of migration before it included."""
        made = self._round() if self.every and self.since >= self.every else []
        at = self.place(access.addr)
        if access.kind == "I" and at >> 12 not in self.code:
            made.append(Op("translate", (at,)))
        elif access.kind in "SM":
            made += _stores(at, access.size)
        return made

    def _round(self) -> list[Op]:
        """The first begins a migration; each takes as many pages as were written to."""
        first = [Op("migration_sync" if self.rounds else "migration_start")]
        return first + [Op("migration_next", (0, 0))] * max(len(self.stored), 1)

    def take(self, access: Access, made: list[Op]) -> None:
        """Put the operations of an access behind the others."""
        if made and made[0].name.startswith("migration_"):
            self.since, self.rounds = 0, self.rounds + 1
            self.stored.clear()
        self.since += 1
        self.numbers.setdefault(access.addr >> 12, len(self.numbers))
        self.ops += made
        for op in made:
            if op.name in ("translate", "store"):
                page = int(op.args[0]) >> 12  # type: ignore[arg-type]
                if op.name == "store":
                    self.stored.add(page)
                    self.code.discard(page)
                else:
                    self.code.add(page)


def _stores(at: int, size: int) -> list[Op]:
    """Stores that together write a range; what crosses a page ends with it, as on a CPU."""
    size = min(size, 4096 - at % 4096)
    made = []
    while size:
        piece = 4 if size >= 4 else 2 if size >= 2 else 1
        made.append(Op("store", (at, piece)))
        at, size = at + piece, size - piece
    return made


# --- lines ----------------------------------------------------------------------------------


def _accesses(lines: Iterable[Line], path: Path) -> Iterator[Access]:
    """The accesses of a file, by the form of its first line that says something."""
    said = ((line, _text(line, path)) for line in lines)
    said = ((line, text) for line, text in said if not _skipped(text))
    first = next(said, None)
    if first is None:
        return
    read: Callable[[str, Place], Access | None] = (
        _csv if "," in first[1].strip().partition(" ")[0] else _lackey
    )
    for line, text in chain([first], said):
        access = read(text, Place(path, line.number))
        if access is not None:
            yield access


def _text(line: Line, path: Path) -> str:
    try:
        return line.raw.decode("utf-8").rstrip()
    except UnicodeDecodeError:
        Place(path, line.number).fail("this line is no text; is the file a recording at all?")


def _skipped(text: str) -> bool:
    """Empty lines, comments, and what valgrind says of itself."""
    return not text.strip() or text.startswith(("#", "=="))


def _lackey(text: str, place: Place) -> Access:
    found = LACKEY.fullmatch(text)
    if found is None:
        place.fail(
            f"{shown(text)} is no access of lackey's, as in ' S 1ffefffe98,8'; where the "
            "program's own output got in between, record anew with --log-file=FILE"
        )
    return _checked(int(found[2], 16), int(found[3]), found[1].strip(), place)


def _csv(text: str, place: Place) -> Access | None:
    cells = [cell.strip() for cell in text.split(",")]
    if cells == ["address", "size", "kind"]:
        return None
    if len(cells) != 3:
        place.fail(f"{shown(text)} has {len(cells)} cells; a line is address,size,kind")
    kind = KINDS.get(cells[2].lower())
    if kind is None:
        place.fail(f"kind {shown(cells[2])} is none of {', '.join(KINDS)}")
    numbers = []
    for name, cell in zip(("address", "size"), cells, strict=False):
        try:
            numbers.append(int(cell, 0))
        except ValueError:
            place.fail(f"{name} {shown(cell)} is no number; write it as in 4096 or 0x1000")
    return _checked(numbers[0], numbers[1], kind, place)


def _checked(addr: int, size: int, kind: str, place: Place) -> Access:
    if not 0 <= addr < 1 << 64:
        place.fail(f"address {addr:#x} is no address of 64 bits")
    if not 1 <= size <= LARGEST:
        place.fail(f"size is {size}; an access has 1 to {LARGEST} bytes")
    return Access(addr, size, kind)

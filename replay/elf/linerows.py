"""The rows of a line table, DWARF 2 to 5: which address belongs to which line of which file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from replay.elf.debug import DebugInfo, Unit
from replay.elf.errors import reading
from replay.elf.lines import Cursor, file_names

MOST_ROWS: Final = 20_000_000
"""Of a file; honest tables have some thousands a unit."""

_COPY, _ADVANCE_PC, _ADVANCE_LINE, _SET_FILE, _SET_COLUMN = 1, 2, 3, 4, 5
_NEGATE, _CONST_ADD, _FIXED_ADVANCE = 6, 8, 9
_END, _SET_ADDRESS = 1, 2
"""Extended opcodes."""


@dataclass(frozen=True, slots=True)
class Row:
    """An address where a line begins.

    Attributes:
        file: its path, joined to where the compiler ran.
        statement: whether it is a recommended place for a breakpoint.
        origin: where in .debug_line the address stands that this one is counted from; in an
            object a relocation there names its section.
    """

    address: int
    file: str
    line: int
    statement: bool
    origin: int = 0


def rows(debug: DebugInfo) -> Iterator[Row]:
    """The rows of all units, in the order of their tables; ends of sequences left out.

    Raises:
        ElfError: a table is damaged.
    """
    seen: set[int] = set()
    for unit in debug.units():
        if unit.lines is None or unit.lines in seen:
            continue
        seen.add(unit.lines)
        with reading(debug.path, f"section .debug_line, table at {unit.lines:#x}"):
            found = _Program(debug, unit, unit.lines).run()
        yield from found


class _Program:
    """One table: its header, and the state machine that its opcodes move."""

    def __init__(self, debug: DebugInfo, unit: Unit, offset: int) -> None:
        table, strings = debug.line_table(offset)
        names = file_names(table, strings, unit.name, unit.directory)
        folder = PurePosixPath(unit.directory)
        self.files = [str(folder / name) for name in names]
        self.table, _ = debug.line_table(offset)
        self._header()

    def _header(self) -> None:
        table, wide = self.table, False
        length = table.number(4)
        if length == 0xFFFFFFFF:
            length, wide = table.number(8), True
        self.end = table.at + length
        version = table.number(2)
        if version == 5:
            table.take(2)
        size = table.number(8 if wide else 4)
        self.start = table.at + size
        self.step = table.number(1)
        if version >= 4:
            table.take(1)
        self.is_statement = bool(table.number(1))
        base = table.number(1)
        self.base = base - 256 if base > 127 else base
        self.range = table.number(1)
        self.first_special = table.number(1)
        self.lengths = [0, *(table.number(1) for _ in range(self.first_special - 1))]
        if not self.range or self.end > len(table.data) or self.start > self.end:
            raise ValueError("a header that cannot be")

    def run(self) -> list[Row]:
        """Its rows."""
        self.rows: list[Row] = []
        self.table.at = self.start
        self._reset()
        while self.table.at < self.end:
            if len(self.rows) > MOST_ROWS:
                raise ValueError("a table of too many rows")
            self._opcode(self.table.number(1))
        return self.rows

    def _reset(self) -> None:
        self.address, self.file, self.line, self.statement = 0, 1, 1, self.is_statement
        self.origin = 0

    def _row(self) -> None:
        # In DWARF 5 file 0 and file 1 are both numbered; before it, 0 is the unit's own.
        name = self.files[self.file] if self.file < len(self.files) else ""
        self.rows.append(Row(self.address, name, self.line, self.statement, self.origin))

    def _opcode(self, opcode: int) -> None:
        table = self.table
        if opcode >= self.first_special:
            special = opcode - self.first_special
            self.address += special // self.range * self.step
            self.line += self.base + special % self.range
            self._row()
        elif opcode == 0:
            self._extended()
        elif opcode == _COPY:
            self._row()
        elif opcode == _ADVANCE_PC:
            self.address += table.leb() * self.step
        elif opcode == _ADVANCE_LINE:
            self.line += _signed(table)
        elif opcode == _SET_FILE:
            self.file = table.leb()
        elif opcode == _NEGATE:
            self.statement = not self.statement
        elif opcode == _CONST_ADD:
            self.address += (255 - self.first_special) // self.range * self.step
        elif opcode == _FIXED_ADVANCE:
            self.address += table.number(2)
        else:
            for _ in range(self.lengths[opcode]):
                table.leb()

    def _extended(self) -> None:
        table = self.table
        size = table.leb()
        end = table.at + size
        opcode = table.number(1)
        if opcode == _END:
            self._reset()
        elif opcode == _SET_ADDRESS:
            self.origin = table.at
            self.address = table.number(size - 1)
        if not table.at <= end <= self.end:
            raise ValueError("an opcode that does not end in the table")
        table.at = end


def _signed(table: Cursor) -> int:
    """A signed LEB128 number."""
    before = table.at
    value = table.leb()
    bits = 7 * (table.at - before)
    return value - (1 << bits) if value >> (bits - 1) & 1 else value

"""The code of functions that differ, both builds side by side, with their source lines.

Instructions are aligned by what they do: one that only refers to what moved is no change,
nor is a branch whose target moved along. Source text is told where the debug information
names a file that is there and was not changed since the build.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from replay.elf.alignment import Pairs, aligned
from replay.elf.changes import Change, Comparison, FunctionChange
from replay.elf.code import CodeReader
from replay.elf.debug import DebugInfo
from replay.elf.elsewhere import adopt_symbols
from replay.elf.errors import ElfError
from replay.elf.forms import Code, Form
from replay.elf.image import Image, Symbol
from replay.elf.instructions import EXTRA, Step, capstone, instructions
from replay.elf.linerows import Row, rows
from replay.elf.names import Names, shared_names
from replay.elf.places import Atlas
from replay.elf.referents import Match, Renamed, match

MOST_FUNCTIONS: Final = 200
"""Functions that are shown; more are counted."""

LARGEST_SOURCE: Final = 1 << 24

_OTHER: Final = (Code.DIFFERENT, Code.OTHER_BYTES)


@dataclass(frozen=True, slots=True)
class Line:
    """An instruction in one build.

    Attributes:
        offset: bytes from the start of the function.
        code: its bytes; those that depend on where things lie are zero.
        text: in words, if capstone is installed, else the bytes in hexadecimal.
        place: ``util.c:12``; empty if unknown.
        source: that line; empty if the file is not there, or newer than the build.
    """

    offset: int
    code: bytes
    text: str
    place: str
    source: str


@dataclass(frozen=True, slots=True)
class CodeRow:
    """Instructions that belong together.

    Attributes:
        mark: ``" "`` the same, ``"|"`` changed, ``"?"`` perhaps: it refers to what could not
            be compared; ``"<"`` gone, ``">"`` new.
    """

    mark: str
    before: Line | None
    after: Line | None


@dataclass(frozen=True, slots=True)
class FunctionCode:
    """A function whose code differs, in rows; they are in the order of both builds."""

    before: str
    after: str
    rows: tuple[CodeRow, ...]

    @property
    def changed(self) -> int:
        """How many rows are not the same."""
        return sum(row.mark != " " for row in self.rows)


@dataclass(frozen=True, slots=True)
class Disassembly:
    """The functions whose code differs, and what limits what is shown of them."""

    functions: tuple[FunctionCode, ...]
    notes: tuple[str, ...]


def disassemble(
    a: Path | str, b: Path | str, compared: Comparison, debug_folders: Sequence[Path] = ()
) -> Disassembly:
    """Both codes of each function that a comparison found to differ.

    Args:
        a: the build before.
        b: the build after.
        compared: what comparing these two found.
        debug_folders: where separate debug information is looked for, too.

    Raises:
        ElfError: a file cannot be read, or is damaged.
    """
    wanted = [f for f in compared.functions if f.code in _OTHER and f.before and f.after]
    notes = [] if capstone() else [
        f"instructions are shown as bytes: pip install 'replay-series[{EXTRA}]' has them in words"
    ]  # fmt: skip
    if len(wanted) > MOST_FUNCTIONS:
        notes.append(f"{len(wanted) - MOST_FUNCTIONS} more functions; narrow with --function")
    if not wanted:
        return Disassembly((), ("no function that is in both differs in its code",))
    with Image(a, debug_folders) as before, Image(b, debug_folders) as after:
        for image in (before, after):
            adopt_symbols(image)
        names = shared_names((before, after))
        sides = _Side(before, names[0]), _Side(after, names[1])
        renamed = {
            f.before.name: frozenset((f.after.name,))
            for f in compared.functions
            if f.change is Change.RENAMED and f.before and f.after
        }
        found = [_function(f, *sides, renamed) for f in wanted[:MOST_FUNCTIONS]]
        for side in sides:
            notes += side.notes
    return Disassembly(tuple(f for f in found if f is not None), tuple(notes))


def _function(
    change: FunctionChange, before: _Side, after: _Side, renamed: Renamed
) -> FunctionCode | None:
    assert change.before is not None
    assert change.after is not None
    old, new = before.steps(change.before.name), after.steps(change.after.name)
    if old is None or new is None:
        return None
    told = _Rows(old, new, renamed).run()
    first = before.lines(change.before.name, old)
    second = after.lines(change.after.name, new)
    found = (
        CodeRow(mark, None if i is None else first[i], None if j is None else second[j])
        for mark, i, j in told
    )
    return FunctionCode(change.before.name, change.after.name, tuple(found))


class _Rows:
    """Which instructions of two lists belong together, and whether they are the same."""

    def __init__(self, old: Sequence[Step], new: Sequence[Step], renamed: Renamed) -> None:
        self.old, self.new, self.renamed = old, new, renamed
        self.pairs = self._pairs()
        ends = self.old[-1].offset + len(self.old[-1].raw), new[-1].offset + len(new[-1].raw)
        self.led = {old[i].offset: new[j].offset for i, j in self.pairs} | {ends[0]: ends[1]}

    def _pairs(self) -> Pairs:
        """Aligned by all that an instruction does, then by its first word in between."""
        sure = aligned([s.key for s in self.old], [s.key for s in self.new])
        found = list(sure)
        start = other = 0
        for i, j in [*sure, (len(self.old), len(self.new))]:
            inner = aligned(
                [_word(s) for s in self.old[start:i]], [_word(s) for s in self.new[other:j]]
            )
            found += [(start + x, other + y) for x, y in inner]
            start, other = i + 1, j + 1
        return sorted(found)

    def run(self) -> Iterator[tuple[str, int | None, int | None]]:
        """Marks, and positions in both lists."""
        start = other = 0
        for i, j in [*self.pairs, (len(self.old), len(self.new))]:
            for x in range(start, i):
                yield "<", x, None
            for y in range(other, j):
                yield ">", None, y
            if i < len(self.old):
                yield self._mark(self.old[i], self.new[j]), i, j
            start, other = i + 1, j + 1

    def _mark(self, old: Step, new: Step) -> str:
        if old.key != new.key or len(old.references) != len(new.references):
            return "|"
        if old.target is not None and self.led.get(old.target) != new.target:
            return "|"
        pairs = list(zip(old.references, new.references, strict=True))
        if any(x.how != y.how for x, y in pairs):
            return "|"
        found = {match(x.place, y.place, self.renamed) for x, y in pairs}
        return "|" if Match.OTHER in found else "?" if Match.UNKNOWN in found else " "


def _word(step: Step) -> object:
    """What an instruction is, without its operands."""
    return step.text.partition(" ")[0] if capstone() else step.raw[:1]


class _Side:
    """One of the builds."""

    def __init__(self, image: Image, names: Names) -> None:
        self.image = image
        self.reader = CodeReader(Atlas(image, names))
        self.symbols: dict[str, Symbol] = {}
        self.notes: list[str] = []
        for symbol in image.symbols:
            if symbol.name and symbol.section is not None and symbol.type != "FILE":
                self.symbols.setdefault(names(symbol), symbol)

    def steps(self, name: str) -> tuple[Step, ...] | None:
        """The instructions of a function; None where the file does not hold it."""
        symbol = self.symbols.get(name)
        form: Form | None = self.reader.form(symbol) if symbol is not None else None
        if symbol is None or form is None:
            return None
        return instructions(self.image, symbol, form)

    def lines(self, name: str, steps: Sequence[Step]) -> list[Line]:
        """The instructions with their source lines."""
        place = self._places(self.symbols[name])
        found = []
        for step in steps:
            row = place(step.offset)
            told = f"{Path(row.file).name}:{row.line}" if row and row.line else ""
            source = self._source(row) if row else ""
            found.append(Line(step.offset, step.raw, step.text, told, source))
        return found

    def _places(self, function: Symbol) -> Callable[[int], Row | None]:
        start = function.value
        number = -1 if self.image.type != "ET_REL" else function.section
        told = self._rows.get(number, [])
        addresses = self._addresses.get(number, [])

        def place(offset: int) -> Row | None:
            at = bisect_right(addresses, start + offset) - 1
            return told[at] if at >= 0 and told[at].address >= start else None

        return place

    @cached_property
    def _rows(self) -> dict[int | None, list[Row]]:
        """The rows of line tables in the order of their addresses, by section in an object."""
        found: dict[int | None, list[Row]] = {}
        try:
            every = list(rows(DebugInfo(self.image)))
        except ElfError as error:
            self.notes.append(f"no source lines of {self.image.path}: {error.problem}")
            return found
        table = self.image.find(".debug_line")
        filled = self.image.relocations(table) if table and self.image.type == "ET_REL" else ()
        sections = {r.offset: r.symbol.section for r in filled if r.symbol is not None}
        for row in every:
            number = -1 if self.image.type != "ET_REL" else sections.get(row.origin)
            found.setdefault(number, []).append(row)
        for told in found.values():
            told.sort(key=lambda row: row.address)
        return found

    @cached_property
    def _addresses(self) -> dict[int | None, list[int]]:
        return {number: [row.address for row in told] for number, told in self._rows.items()}

    def _source(self, row: Row) -> str:
        lines = self._texts(row.file)
        return lines[row.line - 1] if 0 < row.line <= len(lines) else ""

    def _texts(self, name: str) -> list[str]:
        """The lines of a source file; none of one that is not there, or newer than the build."""
        if name not in self._read:
            self._read[name] = []
            path = Path(name)
            try:
                status = path.stat()
                newer = status.st_mtime > self.image.path.stat().st_mtime
                if newer:
                    self.notes.append(f"no source text of {name}: newer than {self.image.path}")
                elif path.is_file() and status.st_size <= LARGEST_SOURCE:
                    text = path.read_text(encoding="utf-8", errors="replace")
                    self._read[name] = text.split("\n")
            except (OSError, ValueError):
                pass
        return self._read[name]

    @cached_property
    def _read(self) -> dict[str, list[str]]:
        return {}

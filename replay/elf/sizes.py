"""How many bytes of a file each section, function and variable takes; all add up to the file.

Each byte of the file is told once: what lies in a section and in a symbol there, the
rest of the section, the tables of the format, and what is between the parts. In memory
counts what is loaded; ``.bss`` has bytes there alone. Of symbols at one place the largest
has the bytes, and what lies inside of another has none of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replay.elf.elsewhere import adopt_symbols
from replay.elf.errors import reading
from replay.elf.image import ALLOC, TLS, Image, Section, Symbol
from replay.elf.names import Names, shared_names

HEADERS: Final = "[ELF headers]"
BETWEEN: Final = "[between sections]"
REST: Final = "[rest]"
"""What is in no section, and what of a section is in no symbol."""

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Amount:
    """Bytes in the file, and bytes in memory when it is loaded."""

    file: int = 0
    memory: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.file + other.file, self.memory + other.memory)


@dataclass(frozen=True, slots=True)
class SizeRow:
    """A section, or a symbol in one.

    Attributes:
        section: its name, or what the bytes are that are in none.
        name: of the function or variable; ``REST`` for what has none; empty of a section.
        before: none where there is no first file, or it is not in there.
        after: none where it is gone.
    """

    section: str
    name: str
    before: Amount
    after: Amount

    @property
    def delta(self) -> int:
        """The bytes of the file that it grew by."""
        return self.after.file - self.before.file

    @property
    def memory_delta(self) -> int:
        """The bytes in memory that it grew by."""
        return self.after.memory - self.before.memory


@dataclass(frozen=True, slots=True)
class Sizes:
    """One file, or two.

    Attributes:
        a: the file before; empty if there is one file only.
        b: the file, or that after.
        total: all bytes, in the form of a row; the rows of each table add up to it.
        sections: those that changed most first, then by size.
        symbols: the same for functions and variables.
    """

    a: str
    b: str
    total: SizeRow
    sections: tuple[SizeRow, ...]
    symbols: tuple[SizeRow, ...]


def sizes(a: Path | str, b: Path | str | None = None, folders: Sequence[Path] = ()) -> Sizes:
    """What takes the bytes of a file, or how that differs in a second one.

    Args:
        a: an object, shared library or executable.
        b: another build of it.
        folders: where separate debug files are looked for, whose symbols a stripped file has.

    Raises:
        ElfError: a file cannot be read.
    """
    if b is None:
        with Image(a, folders) as only:
            adopt_symbols(only)
            return _table("", str(a), {}, _shares(only, shared_names((only,))[0]))
    with Image(a, folders) as before, Image(b, folders) as after:
        for image in (before, after):
            adopt_symbols(image)
        first, second = shared_names((before, after))
        return _table(str(a), str(b), _shares(before, first), _shares(after, second))


Shares = dict[tuple[str, str], Amount]


def _table(a: str, b: str, before: Shares, after: Shares) -> Sizes:
    symbols = _rows(before, after, lambda key: key)
    sections = _rows(before, after, lambda key: (key[0], ""))
    total = _rows(before, after, lambda key: ("", ""))
    whole = total[0] if total else SizeRow("", "", Amount(), Amount())
    return Sizes(a, b, whole, sections, symbols)


def _rows(
    before: Shares, after: Shares, told_as: Callable[[tuple[str, str]], tuple[str, str]]
) -> tuple[SizeRow, ...]:
    sums: tuple[Shares, Shares] = ({}, {})
    for shares, total in zip((before, after), sums, strict=True):
        for key, amount in shares.items():
            total[told_as(key)] = total.get(told_as(key), Amount()) + amount
    rows = [
        SizeRow(*key, sums[0].get(key, Amount()), sums[1].get(key, Amount()))
        for key in sums[0].keys() | sums[1].keys()
    ]
    rows.sort(key=lambda r: (-abs(r.delta), -abs(r.memory_delta), *_order(r)))
    # Of one file there is no change: all is new, and so sorted by size.
    return tuple(rows)


def _order(row: SizeRow) -> tuple[int, int, str, str]:
    return -row.after.file, -row.after.memory, row.section, row.name


def _shares(image: Image, names: Names) -> Shares:
    """The bytes of each symbol, of the rest of each section, and of what is in none."""
    found: Shares = {}

    def add(section: str, name: str, amount: Amount) -> None:
        if amount.file or amount.memory:
            key = section, name
            found[key] = found.get(key, Amount()) + amount

    at = 0
    owners = _by_section(image)
    for start, end, section in sorted(_parts(image), key=lambda part: part[:2]):
        free = max(at, min(start, image.size)), max(at, min(end, image.size))
        add(BETWEEN, REST, Amount(max(0, free[0] - at)))
        at = free[1]
        if section is None:
            add(HEADERS, REST, Amount(free[1] - free[0]))
        else:
            inside = free[0] - start, free[1] - start
            for name, amount in _divided(image, section, inside, owners, names):
                add(section.name, name, amount)
    add(BETWEEN, REST, Amount(image.size - at))
    for section in image.sections:
        if not section.has_bytes:
            for name, amount in _divided(image, section, (0, 0), owners, names):
                add(section.name, name, amount)
    return found


def _parts(image: Image) -> Iterator[tuple[int, int, Section | None]]:
    """What the file says is where in it: sections, and the tables of the format."""
    with reading(image.path, "ELF header"):
        head = image.reader.header
        tables = [
            (0, head["e_ehsize"]),
            (head["e_phoff"], head["e_phnum"] * head["e_phentsize"]),
            (head["e_shoff"], len(image.sections) * head["e_shentsize"]),
        ]
    for start, size in tables:
        if size:
            yield start, start + size, None
    for section in image.sections:
        if section.has_bytes and section.size:
            yield section.offset, section.offset + section.size, section


def _by_section(image: Image) -> dict[int, list[Symbol]]:
    found: dict[int, list[Symbol]] = {}
    for symbol in image.symbols:
        named = symbol.name and symbol.type not in ("FILE", "SECTION")
        if symbol.section is not None and named and symbol.size:
            found.setdefault(symbol.section, []).append(symbol)
    return found


def _divided(
    image: Image,
    section: Section,
    told: Span,
    owners: dict[int, list[Symbol]],
    names: Names,
) -> Iterator[tuple[str, Amount]]:
    """The parts of a section by the symbols that they belong to.

    Args:
        image: the file.
        section: one of its sections.
        told: the bytes of the section that are not told as those of another one.
        owners: the symbols by the number of their section.
        names: what they are called.
    """
    loaded = bool(section.flags & ALLOC)
    at = 0
    own = owners.get(section.index, [])
    base = image.base(section)
    if image.type != "ET_REL" and any(s.type == "TLS" for s in own):
        base = section.address - min(
            (s.address for s in image.sections if s.flags & TLS), default=0
        )
    for symbol in sorted(own, key=lambda s: (s.value, -s.size, s.bind == "LOCAL", s.name)):
        start = max(at, symbol.value - base)
        end = min(symbol.value - base + symbol.size, section.size)
        if start >= end:
            continue
        yield REST, _amount((at, start), told, loaded)
        yield names(symbol).partition("=")[0], _amount((start, end), told, loaded)
        at = end
    yield REST, _amount((at, section.size), told, loaded)


def _amount(span: Span, told: Span, loaded: bool) -> Amount:
    inside = max(0, min(span[1], told[1]) - max(span[0], told[0]))
    return Amount(inside, max(0, span[1] - span[0]) if loaded else 0)


def cut(rows: Iterable[SizeRow], most: int) -> tuple[list[SizeRow], SizeRow | None, int]:
    """The first rows, the sum of the others, and how many those are; rows still add up."""
    every = list(rows)
    kept, others = every[:most], every[most:]
    if not others:
        return kept, None, 0
    before = after = Amount()
    for row in others:
        before, after = before + row.before, after + row.after
    return kept, SizeRow("", "", before, after), len(others)

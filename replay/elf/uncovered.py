"""Compares the data of two builds that belongs to no variable: what assembly and compilers put in.

Such data is cut into pieces where a symbol without a size, or an address that something
refers to, begins. A piece is the same if the other build has one of the same name, or one
without a name in a section of the same name, that holds the same and points to the same.
What is not found there is counted, not told as different: nothing says what it is.

The entries of the tables of a switch, which depend on where the functions lie, are left to
the comparison of those functions.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final, TypeAlias

from replay.elf.builds import Build
from replay.elf.image import ALLOC, EXECUTE, MERGE, STRINGS, WRITE, Section, Symbol
from replay.elf.linkage import STARTED
from replay.elf.referents import Content, Held, Match, Renamed, match_content

_MADE: Final = (
    ".eh_frame", ".sframe", ".note", ".got", ".plt", ".iplt", ".dynamic", ".interp", ".toc",
    ".opd", ".branch_lt", ".rel.", ".rela.", ".gnu.version", ".gnu.hash", ".MIPS.", ".reginfo",
)  # fmt: skip
"""Sections that tools make of what is compared elsewhere."""

_START_FILES: Final = frozenset(("__dso_handle",))
"""A word that the compiler links to every file, and that points to itself."""

MOST_TRIED: Final = 64
"""Pieces of equal bytes that are looked at to find the one that points to the same."""

_TABLES: Final = ("EM_X86_64", "EM_386")
"""Machines whose tables of a switch hold distances from the table."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Data in no variable.

    Attributes:
        section: the name of its section.
        names: the symbols without a size that start there.
        referred: code or data refers to it, and is compared with it.
        content: what it holds, without zeros behind; None if that cannot be read.
        size: in bytes.
    """

    section: str
    names: frozenset[str]
    referred: bool
    content: Content | None
    size: int


def pieces(build: Build) -> list[Piece]:
    """The data of a build that is in no variable, in the order of the file; no zeros."""
    found: list[Piece] = []
    for section in build.image.sections:
        if _is_compared(section):
            found += (piece for piece in _pieces(build, section) if not _is_zero(piece))
    return found


def _is_zero(piece: Piece) -> bool:
    content = piece.content
    return content is not None and not content.data and not content.pointers


def uncompared_data(
    before: Iterable[Piece], after: Iterable[Piece], renamed: Renamed, different: bool
) -> int:
    """Bytes of data in no variable that are not the same, or not known to be.

    Args:
        before: the pieces of the first build.
        after: those of the second.
        renamed: see :data:`renamed <replay.elf.referents.Renamed>`.
        different: functions or variables differ, and so does what they refer to: only what
            nothing refers to is counted then.
    """
    first, second = _grouped(before), _grouped(after)
    missing = [0, 0]
    for key in first.keys() | second.keys():
        rest = _unmatched(first.get(key, []), second.get(key, []), renamed)
        for side, pieces in enumerate(rest):
            missing[side] += sum(p.size for p in pieces if not (different and p.referred))
    return max(missing)


_Key: TypeAlias = tuple[str, frozenset[str], bytes, tuple[tuple[int, int], ...]]


def _grouped(pieces: Iterable[Piece]) -> dict[_Key, list[Piece]]:
    """The pieces by what two of them that are the same have in common."""
    found: dict[_Key, list[Piece]] = {}
    for piece in pieces:
        content = piece.content or Content(Held.DATA, b"", 0)
        pointers = tuple((p.offset, p.how) for p in content.pointers)
        key = piece.section, piece.names, content.data, pointers
        found.setdefault(key, []).append(piece)
    return found


def _unmatched(
    left: list[Piece], right: list[Piece], renamed: Renamed
) -> tuple[list[Piece], list[Piece]]:
    """The pieces of either build that the other has not."""
    alone: list[Piece] = []
    rest = list(right)
    for piece in left:
        tried = islice(rest, MOST_TRIED)
        same = next((other for other in tried if _is_same(piece, other, renamed)), None)
        if same is not None:
            rest.remove(same)
        elif not (piece.referred and any(_is_same(piece, p, renamed) for p in right[:MOST_TRIED])):
            alone.append(piece)
    rest = [
        piece
        for piece in rest
        if not (piece.referred and any(_is_same(p, piece, renamed) for p in left[:MOST_TRIED]))
    ]
    return alone, rest


def _is_same(a: Piece, b: Piece, renamed: Renamed) -> bool:
    if a.content is None or b.content is None:
        return False
    return match_content(a.content, b.content, renamed) is Match.SAME


def _is_compared(section: Section) -> bool:
    made = section.name.startswith((*_MADE, *STARTED))
    loaded = section.flags & (ALLOC | EXECUTE) == ALLOC
    return bool(loaded and section.type == "SHT_PROGBITS" and section.size and not made)


def _pieces(build: Build, section: Section) -> Iterator[Piece]:
    """What a section holds besides variables."""
    whole = section.name.startswith(".gcc_except_table")
    starts = {} if whole else _starts(build, section)
    referred = build.holder.referred_in(section)
    cuts = sorted({*starts, *(() if whole else referred)})
    for start, end in _gaps(build, section):
        first, last = bisect_left(cuts, start), bisect_left(cuts, end)
        places = sorted({start, *cuts[first:last]})
        for at, stop in zip(places, [*places[1:], end], strict=True):
            names = starts.get(at, frozenset())
            known = at in referred or bool(section.flags & MERGE)
            for place, size in _units(build, section, at, stop):
                begin = place
                if known and not names and not section.flags & WRITE:
                    begin = _behind_table(build, section, place, place + size)
                content = _held(build, section, begin, place + size - begin)
                yield Piece(section.name, names, known, content, place + size - begin)


def _held(build: Build, section: Section, start: int, size: int) -> Content | None:
    """What is there, of no size, because padding may follow."""
    found = build.holder.held(section, start, size)
    return found and Content(Held.DATA, found.data, 0, found.pointers)


def _units(build: Build, section: Section, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Start and size of what linkers move by itself: each string and number to be merged."""
    if build.image.type != "ET_REL" or not section.flags & MERGE or not section.entry_size:
        yield start, end - start
        return
    data, base = build.image.bytes_of(section), build.image.base(section)
    step, at = section.entry_size, start
    while at < end:
        stop = at + step
        if section.flags & STRINGS and step == 1:
            stop = data.find(b"\0", at - base) + base + 1
        elif section.flags & STRINGS:
            while stop < end and any(data[stop - base - step : stop - base]):
                stop += step
        stop = min(stop, end) if stop > at else end
        yield at, stop - at
        at = stop


def _starts(build: Build, section: Section) -> dict[int, frozenset[str]]:
    """Where symbols begin that are no variables of a known size, and their names."""
    found: dict[int, set[str]] = {}
    for symbol in build.image.symbols:
        if symbol.section == section.index and symbol.type in ("NOTYPE", "OBJECT"):
            unsized = symbol.type == "NOTYPE" or not symbol.size
            if unsized and symbol.name and not symbol.name.startswith((".L", "$")):
                found.setdefault(symbol.value, set()).add(symbol.name)
    return {at: frozenset(names) for at, names in found.items()}


def _gaps(build: Build, section: Section) -> Iterator[tuple[int, int]]:
    """Where the section holds what is in no variable, from and to."""
    at = build.image.base(section)
    end = at + section.size
    spans = [
        (build.holder.address(s), s.size or build.image.bits // 8)
        for s in build.image.symbols
        if s.section == section.index and _covers(s)
    ]
    for start, size in [*sorted(spans), (end, 0)]:
        if at < start <= end:
            yield at, start
        at = max(at, start + size)


def _covers(symbol: Symbol) -> bool:
    """Whether it is compared by itself, or need not be."""
    return symbol.is_variable and (bool(symbol.size) or symbol.name in _START_FILES)


def _behind_table(build: Build, section: Section, start: int, end: int) -> int:
    """Where the table of a switch ends that starts at an address; there if none does."""
    image = build.image
    if image.machine not in _TABLES:
        return start
    if image.type == "ET_REL":
        filled = build.reader.atlas.filled(section, start, end - start)
        into = [
            at
            for at, entry in filled.items()
            if entry.symbol and entry.symbol.section is not None
            and image.sections[entry.symbol.section].flags & EXECUTE
        ]  # fmt: skip
        step = 4 if len(into) > 1 and into[1] - into[0] == 4 else 8
        count = next((n for n, at in enumerate(into) if at != n * step), len(into))
        return min(start + count * step, end)
    data, base = image.bytes_of(section), image.base(section)
    for step, origin in ((4, start), (image.bits // 8, 0)):
        at = start
        while at + step <= end:
            value = int.from_bytes(data[at - base : at - base + step], "little", signed=step == 4)
            place = build.reader.atlas.section_at(origin + value) if value else None
            if place is None or not place.flags & EXECUTE:
                break
            at += step
        if at - start > step:
            return at
    return start

"""What an ELF file holds: prototypes of its functions, symbols, sections.

A function is shown when DWARF defines it, whether it has code of its own or was inlined
into its callers. A ``static inline`` function that nobody calls leaves no trace in the
file, nor does one that the optimiser folded away: absence proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from replay.elf.debug import DebugInfo, Die
from replay.elf.dwarftypes import TypeReader
from replay.elf.elsewhere import adopt_symbols
from replay.elf.errors import AbsentError, ElfError
from replay.elf.image import Image, Section, Symbol
from replay.elf.names import plain

_SYMBOL_TABLES: Final = {"SHT_SYMTAB": "complete", "SHT_DYNSYM": "dynamic", None: "none"}

READ: Final = ("C", "C++", "Objective-C", "")
"""The languages whose prototypes are told, those of others than C as far as C can say them."""

_INLINED: Final = frozenset((1, 3))
_DECLARED_INLINE: Final = frozenset((2, 3))
"""The values of DW_AT_inline. Clang says 1 also where the source says ``inline``."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which functions and symbols are wanted, by names and patterns such as ``bitmap_*``.

    Attributes:
        name: what they are together; empty if each pattern was asked for by itself.
    """

    patterns: tuple[str, ...]
    name: str = ""

    def __contains__(self, name: object) -> bool:
        """Whether a name is wanted; what a compiler appends to it, ``.part.0``, is no matter."""
        if not isinstance(name, str):
            return False
        source = name.split(".", 1)[0] or name
        return any(fnmatchcase(source, pattern) for pattern in self.patterns)

    def unmatched(self, names: Iterable[str]) -> tuple[str, ...]:
        """The patterns that fit none of some names; of a selection with a name all or none."""
        known = {found.split(".", 1)[0] or found for found in map(plain, names)}
        missing = tuple(p for p in self.patterns if not any(fnmatchcase(n, p) for n in known))
        return () if self.name and len(missing) < len(self.patterns) else missing


def select(names: Iterable[str], name: str = "") -> Selection:
    """A selection of names and patterns."""
    return Selection(tuple(sorted(set(names))), name)


DIRTY_TRACKING: Final = select(
    (
        "cpu_physical_memory_*",
        "bitmap_*",
        "migration_bitmap_*",
        "memory_region_*",
        "notdirty_mem_write",
        "invalidate_and_set_dirty",
        "stl_phys_notdirty",
        "tlb_*",
        "kvm_get_dirty_pages_log_range",
    ),
    "the dirty-tracking API",
)
"""The dirty-tracking API and its callers."""


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """A function that the file defines.

    Attributes:
        prototype: its one spelling, see ``normalise_prototype``; ``NAME(?)`` where it is not
            known, for want of types.
        types: the same without parameter names.
        external: visible to other files; otherwise ``static``.
        inline: known to be declared so. False says nothing for a function that was not
            inlined, nor for any that clang compiled.
        inlined: the compiler inlined or cloned it somewhere.
        has_code: it has code of its own.
        file, line: where it is defined; relative to where the compiler ran. Line 0 is
            unknown.
        language: what it is written in, C or another.
        symbol: what its symbol is called, which is not its name in other languages.
    """

    name: str
    prototype: str
    types: str
    external: bool
    inline: bool
    inlined: bool
    has_code: bool
    file: str
    line: int
    language: str = "C"
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a file holds.

    Attributes:
        machine: EM_X86_64...
        bits: 32 or 64.
        kind: object, executable, shared library...
        symbol_table: complete, dynamic (the file is stripped) or none.
        dwarf: the DWARF versions in it.
        functions: by name, or None when there is no debug information.
        problem: why there are no functions, and the cure.
        left_out: how many functions and symbols were not asked for.
        unmatched: of the patterns that were asked for, those that fit nothing.
    """

    path: str
    machine: str
    bits: int
    little_endian: bool
    kind: str
    symbol_table: str
    dwarf: tuple[int, ...]
    functions: tuple[FunctionInfo, ...] | None
    problem: str
    symbols: tuple[Symbol, ...]
    sections: tuple[Section, ...]
    left_out: tuple[int, int] = (0, 0)
    unmatched: tuple[str, ...] = ()


def show(
    path: Path | str, only: Selection | None = None, debug_folders: Sequence[Path] = ()
) -> Inspection:
    """Everything about a file; a stripped one has no functions, but symbols and sections.

    Args:
        path: an object, shared library or executable.
        only: the functions and symbols that are wanted; all by default.
        debug_folders: where separate debug information is looked for, beside the usual places.

    Raises:
        ElfError: the file cannot be read. Damaged debug information is an error too;
            absent debug information is not.
    """
    with Image(path, debug_folders) as image:
        adopt_symbols(image)
        every, versions, problem = _told(image)
        named = [s for s in image.symbols if s.name and s.type not in ("FILE", "SECTION")]
        functions = tuple(f for f in every or () if only is None or f.name in only)
        symbols = tuple(s for s in named if only is None or plain(s.name) in only)
        names = {*(f.name for f in functions), *(s.name for s in symbols)}
        return Inspection(
            str(path),
            image.machine,
            image.bits,
            image.little_endian,
            image.kind,
            _SYMBOL_TABLES[image.symbol_table],
            versions,
            None if every is None else functions,
            problem,
            symbols,
            image.sections,
            (len(every or ()) - len(functions), len(named) - len(symbols)),
            () if only is None else only.unmatched(names),
        )


def _told(image: Image) -> tuple[tuple[FunctionInfo, ...] | None, tuple[int, ...], str]:
    """The functions and DWARF versions, or why there are none, and the cure."""
    try:
        debug = DebugInfo(image)
        return read_functions(debug), debug.versions, ""
    except AbsentError as error:
        return None, (), f"{error.problem}; {error.cure}"


def functions(path: Path | str, only: Selection | None = None) -> tuple[FunctionInfo, ...]:
    """The functions that a file defines, by name.

    Raises:
        ElfError: the file cannot be read, or has no debug information.
    """
    with Image(path) as image:
        return read_functions(DebugInfo(image), only)


def read_functions(debug: DebugInfo, only: Selection | None = None) -> tuple[FunctionInfo, ...]:
    """As :func:`functions`, of debug information that is open already."""
    types = TypeReader(debug)
    found: dict[int, FunctionInfo] = {}
    with_code: set[int] = set()
    for unit in debug.units():
        if unit.assembler:
            continue
        for die in unit.dies.values():
            if die.tag != "subprogram" or die.values.get("declaration"):
                continue
            origin = die.number("abstract_origin")
            if origin is not None:
                if _has_code(die):
                    with_code.add(origin)
            elif info := _function(debug, types, die, only):
                found[die.offset] = info
    merged: dict[FunctionInfo, FunctionInfo] = {}
    for offset, info in found.items():
        # A function of a header is in every unit that includes it: told once, with
        # whatever happened to it in any of them.
        known = replace(info, inline=False, inlined=False, has_code=False)
        before = merged.get(known, known)
        merged[known] = replace(
            info,
            inline=info.inline or before.inline,
            inlined=info.inlined or before.inlined,
            has_code=info.has_code or before.has_code or offset in with_code,
        )
    return tuple(sorted(merged.values(), key=lambda f: (f.name, f.file, f.line, f.prototype)))


def _function(
    debug: DebugInfo, types: TypeReader, die: Die, only: Selection | None
) -> FunctionInfo | None:
    reference = die.number("specification")
    declared = debug.die(reference) if reference is not None else die
    name = die.name or declared.name
    if not name or (only is not None and name not in only):
        return None
    text, plain_text = _prototypes(types, die, name)
    inline = die.number("inline")
    located = die if "decl_file" in die.values else declared
    symbol = die.values.get("linkage_name") or declared.values.get("linkage_name") or name
    return FunctionInfo(
        name,
        text,
        plain_text,
        bool(die.values.get("external") or declared.values.get("external")),
        inline in _DECLARED_INLINE,
        inline in _INLINED,
        _has_code(die),
        debug.file(located),
        die.number("decl_line") or declared.number("decl_line") or 0,
        die.unit.language,
        str(symbol),
    )


def _prototypes(types: TypeReader, die: Die, name: str) -> tuple[str, str]:
    """A function's prototype, and that without names of parameters; ``NAME(?)`` if unknown.

    Raises:
        ElfError: it is damaged.
    """
    unknown = f"{name}(?)", f"{name}(?)"
    if die.unit.untyped or die.unit.language not in READ:
        return unknown
    try:
        prototype = types.prototype(die)
    except ElfError:
        if die.unit.language == "C":
            raise
        return unknown
    return prototype.text, prototype.types


def _has_code(die: Die) -> bool:
    return "low_pc" in die.values or "ranges" in die.values

"""Exported functions that are told of under another name: aliases, and versions of a symbol.

Of ``f@@V2``, which the source calls ``f_v2``, a library exports the name f and DWARF tells
f_v2; a symbol table says that both are at one address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerSymSection
from elftools.elf.sections import SymbolTableSection

from replay.elf.errors import reading

if TYPE_CHECKING:
    from replay.repo.shapes import Function

_OLD: Final = 0x8000
"""Set in .gnu.version where a name alone does not lead to this version."""


def same_code(path: Path, exported: frozenset[str]) -> dict[str, str]:
    """Other names of exported functions, each with the exported name.

    Raises:
        ElfError: the symbols cannot be read.

    """
    with path.open("rb") as file, reading(path, "the symbols"):
        elf: Any = ELFFile(file)
        dynamic = elf.get_section_by_name(".dynsym")
        if not isinstance(dynamic, SymbolTableSection):
            return {}
        versions = elf.get_section_by_name(".gnu.version")
        places = _places(dynamic, versions, exported)
        table = elf.get_section_by_name(".symtab")
        found: dict[str, str] = {}
        for section in (dynamic, table):
            for symbol in section.iter_symbols() if section is not None else ():
                if symbol["st_info"]["type"] != "STT_FUNC":
                    continue
                for name in places.get((symbol["st_shndx"], symbol["st_value"]), ()):
                    if symbol.name != name and "@" not in symbol.name:
                        found.setdefault(symbol.name, name)
    return found


def _places(
    dynamic: SymbolTableSection, versions: Any, exported: frozenset[str]
) -> dict[tuple[Any, int], list[str]]:
    """The exported names by where they are; of a name with versions, its default."""
    found: dict[tuple[Any, int], list[str]] = {}
    known = isinstance(versions, GNUVerSymSection)
    for index, symbol in enumerate(dynamic.iter_symbols()):
        if symbol.name not in exported or symbol["st_shndx"] == "SHN_UNDEF":
            continue
        version = versions.get_symbol(index)["ndx"] if known else 0
        if not (isinstance(version, int) and version & _OLD):
            found.setdefault((symbol["st_shndx"], symbol["st_value"]), []).append(symbol.name)
    return found


def aliased(
    told: Mapping[str, Function], others: Mapping[str, str], exported: frozenset[str]
) -> dict[str, Function]:
    """The functions that are exported, also those that are told of under another name."""
    found = {name: function for name, function in told.items() if name in exported}
    for other, name in others.items():
        if name not in found and other in told:
            function = told[other]
            text = function.prototype.replace(f"{other}(", f"{name}(", 1)
            found[name] = replace(function, name=name, prototype=text)
    return found

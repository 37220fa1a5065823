"""The form of a function of an object whose relocations tell all that it refers to.

So it is where the linker may still shorten code, as on RISC-V: then the assembler leaves even
the distances inside of a section to it. What it fills in is zero in the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from replay.elf.forms import Form, Reference
from replay.elf.holding import Holder
from replay.elf.image import EXECUTE, MERGE, Image, Relocation, Section, Symbol
from replay.elf.places import Atlas
from replay.elf.referents import Referent
from replay.elf.tables import Tables
from replay.elf.x86 import UnknownInstructionError

_Filled: TypeAlias = dict[int, Relocation]

_RELAX: Final = 51
"""R_RISCV_RELAX, without which the assembler may have filled in distances."""


def scan(image: Image, section: Section, address: int, code: bytes, filled: _Filled) -> None:
    """Make sure that relocations tell all.

    Raises:
        UnknownInstructionError: they do not.
    """
    del address, code
    relaxed = any(entry.type == _RELAX for entry in image.relocations(section))
    if filled and not relaxed:
        raise UnknownInstructionError("the linker is not to shorten the code")


def referred(
    image: Image, atlas: Atlas, function: Symbol, found: None, filled: _Filled
) -> Iterator[tuple[int, int]]:
    """The places that it refers to without their names, as (area, address)."""
    del image, function, found
    for entry in filled.values():
        symbol = entry.symbol
        if symbol and symbol.is_label and symbol.section is not None:
            yield atlas.area(symbol.section), symbol.value + (entry.addend or 0)


def mask(
    of_file: tuple[Atlas, Holder, Tables],
    section: Section,
    function: Symbol,
    code: bytes,
    found: None,
    filled: _Filled,
) -> Form:
    """Its form."""
    del section, function, found
    atlas, holder, _ = of_file
    references = []
    for offset, entry in sorted(filled.items()):
        symbol, addend = entry.symbol, entry.addend or 0
        if symbol is None:
            place = Referent(frozenset((("", addend),)))  # a mark for the linker
        elif symbol.section is None or not symbol.is_label:
            place = atlas.named(symbol, addend)
        else:
            labelled = atlas.image.sections[symbol.section]
            place = _labelled(atlas, holder, labelled, symbol.value + addend)
        references.append(Reference(offset, entry.type, place))
    return Form(code, tuple(references))


def _labelled(atlas: Atlas, holder: Holder, section: Section, address: int) -> Referent:
    """A place that the compiler has a label of its own for.

    It may be one from which the places of several variables are formed, unless it is in
    code or among merged constants.
    """
    if section.flags & EXECUTE:
        return atlas.at(section, address)
    if section.flags & MERGE:
        return holder.place(section, address)
    return atlas.block(section, address)

"""Splits a function of aarch64 into bytes that stay and references to places."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from replay.elf.a64 import Kind, decode
from replay.elf.a64flow import REACHED, Flow, Follower, Item, label_of
from replay.elf.forms import Form, Reference
from replay.elf.holding import Holder
from replay.elf.image import EXECUTE, Image, Relocation, Section, Symbol
from replay.elf.places import Atlas
from replay.elf.referents import UNNAMED, Held, Referent
from replay.elf.resolving import Loaded, Resolver
from replay.elf.tables import Tables
from replay.elf.x86 import UnknownInstructionError

_INSTRUCTION: Final = 4
_LANDING: Final = 0xD503245F
"""``bti c``, with which entries begin where branches are protected."""


def scan(
    image: Image, section: Section, address: int, code: bytes, filled: dict[int, Relocation]
) -> Flow:
    """The references of a function.

    Raises:
        UnknownInstructionError: an instruction or relocation is not known.
    """
    linked = image.type != "ET_REL"
    area = -1 if linked else section.index
    return Follower(code, area, address, filled, linked).run()


def referred(
    image: Image, atlas: Atlas, function: Symbol, found: Flow, filled: dict[int, Relocation]
) -> Iterator[tuple[int, int]]:
    """The places that a function refers to by address, as (area, address)."""
    del image, atlas, function, filled
    for item in found.items:
        target = item.target
        if isinstance(target, tuple):
            yield target
        elif target is not None and (label := label_of(target)) is not None:
            yield label


def mask(
    of_file: tuple[Atlas, Holder, Tables],
    section: Section,
    function: Symbol,
    code: bytes,
    found: Flow,
    filled: dict[int, Relocation],
) -> Form:
    """The form of a function whose references are known."""
    del filled
    resolver = Resolver(of_file, section, function, False, slot_of)
    _refuse_data(resolver.image, section, function.value, len(code))
    masked, references = bytearray(code), []
    doubtful = found.doubtful
    for item in found.items:
        end = item.offset + _INSTRUCTION
        word = int.from_bytes(masked[item.offset : end], "little") & ~item.bits
        masked[item.offset : end] = word.to_bytes(_INSTRUCTION, "little")
        if item.how < 0:
            continue
        how, place = _resolved(resolver, item)
        if item.spilled:
            doubtful += bool(place.names) and not _is_code(resolver, item)
            continue
        references.append(Reference(item.offset, how, place))
        references += _beside(resolver, item)
    doubtful += _absolute(resolver, code)
    return Form(bytes(masked), tuple(references), doubtful)


def _resolved(resolver: Resolver, item: Item) -> tuple[int, Referent]:
    size, floating = item.loaded
    loaded: Loaded = (size, Held.FLOAT if floating else Held.NUMBER) if size else None
    if item.target is None:
        return item.how, UNNAMED
    if isinstance(item.target, Relocation):
        return item.how, resolver.target(item.target, 0, item.goes, loaded)
    area, address = item.target
    if area < 0:
        branch = item.goes and not size
        how, place = resolver.linked(address, item.goes, branch, loaded)
        return how + item.how, place
    section = resolver.image.sections[area]
    return item.how, resolver.place(section, address, item.goes, loaded)


def _beside(resolver: Resolver, item: Item) -> Iterator[Reference]:
    """What else is loaded or stored at once, where variables lie side by side."""
    target = item.target if not isinstance(item.target, Relocation) else label_of(item.target)
    size, _ = item.loaded
    if target is None or not size:
        return
    area, start = target
    section = resolver.atlas.section_at(start) if area < 0 else resolver.image.sections[area]
    if section is None or section.name.startswith(".got"):
        return
    at = start
    while (at := resolver.atlas.next_start(section, at, start + size)) < start + size:
        yield Reference(item.offset, REACHED, resolver.place(section, at, True, None))


def _is_code(resolver: Resolver, item: Item) -> bool:
    assert item.how == REACHED
    if not isinstance(item.target, tuple):
        return False
    area, address = item.target
    found = resolver.atlas.section_at(address) if area < 0 else resolver.image.sections[area]
    return found is not None and bool(found.flags & EXECUTE)


def _absolute(resolver: Resolver, code: bytes) -> int:
    """How many numbers in a program for fixed addresses may be addresses."""
    if resolver.image.type != "ET_EXEC":
        return 0
    found, values = 0, dict[int, int]()
    for at in range(0, len(code), _INSTRUCTION):
        word = int.from_bytes(code[at : at + _INSTRUCTION], "little")
        if word & 0x1F800000 != 0x12800000:
            continue
        register, shift = word & 31, (word >> 21 & 3) * 16
        number = (word >> 5 & 0xFFFF) << shift
        if word >> 29 & 3 == 3:
            number |= values.get(register, 0) & ~(0xFFFF << shift)
        values[register] = number
        found += resolver.atlas.section_at(number) is not None
    return found


def slot_of(code: bytes, address: int, at: int) -> int | None:
    """Where the address lies to which an entry of a procedure linkage table jumps.

    Args:
        code: of the section with the entry.
        address: of that section.
        at: the offset of the entry in it.

    Returns:
        The offset of the slot from the start of the section; None where none is told.
    """
    page = None
    try:
        for place in range(at, min(at + 4 * _INSTRUCTION, len(code) - 3), _INSTRUCTION):
            number = int.from_bytes(code[place : place + _INSTRUCTION], "little")
            word = decode(number)
            if place == at and word.kind is not Kind.PAGE and number != _LANDING:
                return None  # it is no entry's start
            if word.kind is Kind.PAGE:
                page = (address + place & ~0xFFF) + word.value
            elif word.kind is Kind.OFFSET and page is not None:
                return page + word.value - address
    except UnknownInstructionError:
        pass
    return None


def _refuse_data(image: Image, section: Section, start: int, size: int) -> None:
    """Refuse a function with data among its instructions, which marks tell of.

    Raises:
        UnknownInstructionError: it has some.
    """
    marks = image.data_marks.get(section.index, [])
    if bisect_left(marks, start) < bisect_left(marks, start + size):
        raise UnknownInstructionError("data among the instructions")

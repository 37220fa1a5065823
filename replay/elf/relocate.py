"""The debug sections of an object as a linker would leave them.

In an object, references from one debug section to another are still to be filled in.
Only plain ones are: what a debug section says of code and of thread-local variables is
not read.
"""

from __future__ import annotations

from typing import Final, Literal

from replay.elf.errors import REBUILD, ElfError
from replay.elf.image import Image, Section

_ABSOLUTE: Final[dict[str, dict[int, int]]] = {
    "EM_X86_64": {1: 8, 10: 4, 11: 4},
    "EM_386": {1: 4},
    "EM_ARM": {2: 4},
    "EM_AARCH64": {257: 8, 258: 4},
    "EM_PPC": {1: 4},
    "EM_PPC64": {1: 4, 38: 8},
    "EM_MIPS": {2: 4, 18: 8},
    "EM_S390": {4: 4, 22: 8},
    "EM_RISCV": {1: 4, 2: 8},
    "EM_SPARC": {3: 4, 23: 4},
    "EM_SPARCV9": {3: 4, 23: 4, 32: 8, 54: 8},
    "EM_LOONGARCH": {1: 4, 2: 8},
}
"""Relocations that put symbol + addend into a field: number to bytes of the field."""

_DISTANCES: Final = {
    ("EM_X86_64", 2): 4,
    ("EM_X86_64", 24): 8,
    ("EM_AARCH64", 260): 8,
    ("EM_AARCH64", 261): 4,
}
"""Those that put a distance from the field into it."""

_UNREAD: Final[dict[str, frozenset[int]]] = {
    "EM_X86_64": frozenset({17, 21}),
    "EM_386": frozenset({32}),
    "EM_ARM": frozenset({106}),
    "EM_PPC": frozenset({78}),
    "EM_PPC64": frozenset({78}),
    "EM_MIPS": frozenset({39, 41}),
    "EM_S390": frozenset({52, 53}),
    "EM_RISCV": frozenset({*range(33, 41), *range(52, 62), 8, 9}),
    "EM_LOONGARCH": frozenset({*range(47, 57), *range(105, 110), 8, 9}),
}
"""Relocations of fields that are not read here: where thread-local variables are, and
differences of two addresses."""


def width_of(machine: str, number: int) -> int:
    """Bytes of the field that a relocation of data fills in; those of a word if unknown."""
    fields = _ABSOLUTE.get(machine, {})
    return (
        fields.get(number) or _DISTANCES.get((machine, number)) or max(fields.values(), default=4)
    )


def relocated(image: Image, section: Section, data: bytes) -> bytes:
    """A debug section of an object with its references to other sections filled in.

    Raises:
        ElfError: a relocation is damaged, or of a kind that is not known here.
    """
    fields = _ABSOLUTE.get(image.machine, {})
    unread = _UNREAD.get(image.machine, frozenset())
    out = bytearray(data)
    order: Literal["little", "big"] = "little" if image.little_endian else "big"
    for relocation in image.relocations(section):
        if relocation.type == 0 or relocation.type in unread:
            continue
        size, at = fields.get(relocation.type), relocation.offset
        place = f"section {section.name}"
        if size is None:
            raise ElfError(
                image.path,
                f"relocation {relocation.type} of {image.machine} is not known here",
                "link the object into a shared library and give that",
                place,
            )
        if at + size > len(out):
            raise ElfError(
                image.path, f"truncated or corrupt: a relocation at {at:#x}", REBUILD, place
            )
        value = relocation.symbol.value if relocation.symbol else 0
        addend = relocation.addend
        if addend is None:
            addend = int.from_bytes(out[at : at + size], order)
        value = (value + addend) % (1 << 8 * size)
        out[at : at + size] = value.to_bytes(size, order)
    return bytes(out)

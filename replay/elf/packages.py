"""Where in a package of split debug information (.dwp) the parts of each unit begin."""

from __future__ import annotations

from typing import Final

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.typeunit import TypeUnit

from replay.elf.errors import reading
from replay.elf.image import Image
from replay.elf.lines import Cursor

_INFO, _TYPES, _ABBREV, _STR_OFFSETS = 1, 2, 3, 6
_MOST: Final = 1 << 20
"""Units of a package."""


class Package:
    """The indexes of a .dwp file; a .dwo file has none and its only unit needs none."""

    def __init__(self, image: Image) -> None:
        self._parts: dict[tuple[bool, int], dict[int, int]] = {}
        for name in ("cu", "tu"):
            section = image.find(f".debug_{name}_index")
            if section is not None:
                with reading(image.path, f"section {section.name}"):
                    data = Cursor(image.bytes_of(section), 0, image.little_endian)
                    self._read(data)

    def _read(self, data: Cursor) -> None:
        version = data.number(4) & 0xFFFF
        columns, units, slots = (data.number(4) for _ in range(3))
        if columns > 64 or units > _MOST or slots > 2 * _MOST:
            raise ValueError("an index of too many units")
        data.take(12 * slots)
        kinds = [data.number(4) for _ in range(columns)]
        for _ in range(units):
            row = {kind: data.number(4) for kind in kinds}
            for kind in (_INFO, _TYPES):
                if kind in row:
                    self._parts[kind == _TYPES and version < 5, row[kind]] = row

    def _row(self, cu: CompileUnit | TypeUnit) -> dict[int, int]:
        return self._parts.get((isinstance(cu, TypeUnit), cu.cu_offset), {})

    def place(self, cu: CompileUnit | TypeUnit) -> None:
        """Let a unit know where its abbreviations begin."""
        cu.header["debug_abbrev_offset"] += self._row(cu).get(_ABBREV, 0)

    def strings(self, cu: CompileUnit | TypeUnit) -> int:
        """Where the numbers of a unit's strings begin."""
        return self._row(cu).get(_STR_OFFSETS, 0)

"""How many bytes of memory an x86-64 instruction loads, and whether as a floating number.

Only for the instructions with which compilers load constants; of any other, nothing is said.
"""

from __future__ import annotations

from typing import Final

from replay.elf.referents import Held

_ARITHMETIC: Final = frozenset((0x51, 0x58, 0x59, 0x5A, 0x5C, 0x5D, 0x5E, 0x5F))
_MOVES: Final = frozenset((0x10, 0x28, 0x6F))
_LOGIC: Final = frozenset((0x14, 0x15, 0x54, 0x55, 0x56, 0x57, *_ARITHMETIC))
_WHOLE: Final = frozenset((0xD4, 0xDB, 0xDF, 0xEB, 0xEF, 0xFA, 0xFB, 0xFC, 0xFD, 0xFE, 0x76, 0x66))
"""Operations on whole numbers in vectors."""
_INTEGER: Final = frozenset((0x03, 0x0B, 0x13, 0x1B, 0x23, 0x2B, 0x33, 0x39, 0x3B, 0x85, 0x8B))
_PREFIXES: Final = (0x66, 0xF2, 0xF3, 0x2E, 0x3E)
_OF_VEX: Final = (0, 0x66, 0xF3, 0xF2)


def loaded(code: bytes) -> tuple[int, Held] | None:  # noqa: PLR0911 - a line a group
    """What one instruction loads from memory, or None where that is not known here.

    Returns:
        Bytes, and whether they are a floating number or any.
    """
    at, prefix, wide = 0, 0, False
    while at < len(code) - 2 and code[at] in _PREFIXES:
        prefix = code[at] if code[at] != 0x2E and code[at] != 0x3E else prefix
        at += 1
    if code[at] & 0xF0 == 0x40:
        wide = bool(code[at] & 8)
        at += 1
    opcode = code[at]
    if opcode == 0x0F:
        return _two(code[at + 1], prefix, wide, 16)
    if opcode == 0xC5 and at + 2 < len(code):
        packed = code[at + 1]
        return _two(code[at + 2], _OF_VEX[packed & 3], False, 32 if packed & 4 else 16)
    if opcode == 0xC4 and at + 3 < len(code) and code[at + 1] & 0x1F == 1:
        packed = code[at + 2]
        wide = bool(packed & 0x80)
        return _two(code[at + 3], _OF_VEX[packed & 3], wide, 32 if packed & 4 else 16)
    if opcode in _INTEGER:
        return (8 if wide else 2 if prefix == 0x66 else 4), Held.NUMBER
    if opcode == 0x63:
        return 4, Held.NUMBER
    if opcode in (0xDD, 0xDC):
        return 8, Held.FLOAT
    return (4, Held.FLOAT) if opcode in (0xD8, 0xD9) else None


def _two(  # noqa: PLR0911 - a line a group
    opcode: int, prefix: int, wide: bool, vector: int
) -> tuple[int, Held] | None:
    """The same of the opcodes behind 0F."""
    scalar = {0xF2: 8, 0xF3: 4}.get(prefix)
    if scalar is not None and opcode in (0x10, 0x2C, 0x2D, *_ARITHMETIC):
        return scalar, Held.FLOAT
    if opcode in (0x2E, 0x2F) and prefix in (0, 0x66):
        return (8 if prefix else 4), Held.FLOAT
    if opcode in (0xB6, 0xBE, 0xB7, 0xBF) and not prefix:
        return (1 if opcode in (0xB6, 0xBE) else 2), Held.NUMBER
    if opcode == 0x7E and prefix == 0xF3:
        return 8, Held.NUMBER
    if opcode == 0x6E and prefix == 0x66:
        return (8 if wide else 4), Held.NUMBER
    if opcode in (0x12, 0x16) and prefix in (0, 0x66):
        return 8, Held.FLOAT
    if opcode in (*_MOVES, *_LOGIC) and prefix in (0, 0x66):
        return vector, (Held.NUMBER if opcode == 0x6F else Held.FLOAT)
    if opcode == 0x6F and prefix == 0xF3:
        return vector, Held.NUMBER
    return (vector, Held.NUMBER) if opcode in _WHOLE and prefix == 0x66 else None

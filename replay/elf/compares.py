"""Where x86-64 code compares two values that are known only when it runs, and which.

Comparisons with a number in the instruction are left out: the number stands in the code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from replay.elf.x86 import UnknownInstructionError, decode

NONE: Final = 16
"""The number of no register, and ``PLACE``: of the place where the library lies."""
PLACE: Final = 17
REGISTER, MEMORY, VECTOR = range(3)
_SKIPPED: Final = (0x2E, 0x3E, 0x66)
_CMP: Final = (0x38, 0x39, 0x3A, 0x3B)
_UCOMIS: Final = (0x2E, 0x2F)


@dataclass(frozen=True, slots=True)
class Operand:
    """Where a value is when the instruction begins.

    Attributes:
        kind: ``REGISTER``, ``VECTOR``: a register of that number, as the processor counts;
            ``MEMORY``: at base + scale * index + offset.
        base: a register, ``NONE`` or ``PLACE``.
        index: the same, without ``PLACE``.
        scale: 1, 2, 4 or 8.
        offset: in bytes; from where the library lies for ``PLACE``.

    """

    kind: int
    base: int
    index: int = NONE
    scale: int = 1
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Compare:
    """A comparison.

    Attributes:
        address: of the instruction in the library.
        size: of the values in bytes.
        floating: whether they are floating numbers.
        sides: the two.

    """

    address: int
    size: int
    floating: bool
    sides: tuple[Operand, Operand]

    @property
    def words(self) -> tuple[int, ...]:
        """Two unsigned numbers of 8 bytes a side, as ``reach.c`` reads them."""
        found: list[int] = []
        for one in self.sides:
            packed = one.kind | self.size << 8 | one.base << 16 | one.index << 24
            found += [packed | one.scale << 32, one.offset % (1 << 64)]
        return tuple(found)


def compares(code: bytes, address: int) -> Iterator[Compare]:
    """The comparisons in the code of a function, which lies at an address of the library.

    They end where an instruction is not known.
    """
    at = 0
    try:
        while at < len(code):
            length = decode(code, at).length
            found = _compare(code[at : at + length], address + at)
            if found is not None:
                yield found
            at += length
    except UnknownInstructionError:
        pass


def _compare(code: bytes, address: int) -> Compare | None:
    at, rex, small = 0, 0, False
    while code[at] in _SKIPPED:
        small |= code[at] == 0x66
        at += 1
    if code[at] & 0xF0 == 0x40:
        rex = code[at]
        at += 1
    opcode = code[at]
    if opcode in _CMP:
        size = 1 if not opcode & 1 else 8 if rex & 8 else 2 if small else 4
        return _sides(code, at + 1, rex, size, REGISTER, address)
    if opcode == 0x0F and code[at + 1] in _UCOMIS:
        return _sides(code, at + 2, rex, 8 if small else 4, VECTOR, address)
    return None


def _sides(code: bytes, at: int, rex: int, size: int, kind: int, address: int) -> Compare | None:
    """The comparison whose ModRM is at this offset; None where a side is not read here."""
    mod, reg, rm = code[at] >> 6, code[at] >> 3 & 7, code[at] & 7
    high = size == 1 and not rex
    if high and (reg > 3 or (mod == 3 and rm > 3)):
        return None  # the second bytes of registers
    one = Operand(kind, reg | (rex & 4) << 1)
    plain = Operand(kind, rm | (rex & 1) << 3)
    other = plain if mod == 3 else _memory(code, at, mod, rex, address)
    return Compare(address, size, kind == VECTOR, (one, other))


def _memory(code: bytes, at: int, mod: int, rex: int, address: int) -> Operand:
    rm = code[at] & 7
    base, index, scale = rm | (rex & 1) << 3, NONE, 1
    at += 1
    if rm == 4:
        packed = code[at]
        at += 1
        base = packed & 7 | (rex & 1) << 3
        index = packed >> 3 & 7 | (rex & 2) << 2
        index, scale = (NONE, 1) if index == 4 else (index, 1 << (packed >> 6))
        if mod == 0 and packed & 7 == 5:
            base, mod = NONE, 2
    elif rm == 5 and mod == 0:
        end = address + len(code)
        return Operand(MEMORY, PLACE, offset=end + _signed(code[at : at + 4]))
    size = (0, 1, 4)[mod]
    return Operand(MEMORY, base, index, scale, _signed(code[at : at + size]))


def _signed(data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)

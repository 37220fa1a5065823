"""What an instruction of aarch64 does to registers and addresses.

Not a disassembler: an instruction is its class, the registers that it reads and writes,
and the bits of it that are part of an address. The classes were made from the encoding
index of the architecture's manual. What is in none of them may use every register that
it can name; what may depend on its own place in a way that is not known is an error.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from replay.elf.x86 import UnknownInstructionError

ADR_BITS: Final = 0x60FFFFE0
LOW_BITS: Final = 0x003FFC00
"""The 12 bits of ``add`` and of loads and stores."""
LINK: Final = 30
NONE: Final = 31
"""The number of the register that is always zero, and of the stack pointer."""
FRAME: Final = 29


class Kind(enum.Enum):
    """The class of an instruction, as far as addresses go."""

    PLAIN = enum.auto()
    PAGE = enum.auto()
    """``adrp``: the page of an address."""
    NEAR = enum.auto()
    """``adr``: an address beside the code."""
    JUMP = enum.auto()
    """``b``."""
    CALL = enum.auto()
    """``bl``."""
    BRANCH = enum.auto()
    """A branch with a condition."""
    LITERAL = enum.auto()
    """A load from beside the code."""
    ADD = enum.auto()
    """Adds a number of 12 bits to a register of 64."""
    OFFSET = enum.auto()
    """Loads or stores at a register and a scaled number of 12 bits."""
    MEMORY = enum.auto()
    """Loads or stores at a register and another number, with or without change of it."""
    MOVE = enum.auto()
    """Calculates with registers; an address may come out of it."""
    COMPUTED_JUMP = enum.auto()
    COMPUTED_CALL = enum.auto()
    RETURN = enum.auto()
    THREAD = enum.auto()
    """Reads where the thread's own variables are."""
    VAGUE = enum.auto()
    """Any register that it names may be read or written."""


@dataclass(frozen=True, slots=True)
class Word:
    """An instruction.

    Attributes:
        kind: its class.
        bits: those that hold ``value``; 0 if it has none that matters.
        value: the distance from its own place or, of ``adrp``, from its page, or the number
            that is added to ``base``: bytes, signed.
        base: the register of an address, or ``NONE``.
        reads: the other registers that are read.
        writes: the registers that are written.
        loaded: bytes that are loaded or stored; 0 if not known.
        floating: to or from the floating registers.
        changes: ``base`` is written, too.
    """

    kind: Kind
    bits: int = 0
    value: int = 0
    base: int = NONE
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    loaded: int = 0
    floating: bool = False
    changes: bool = False


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) & 1 else value


@lru_cache(maxsize=1 << 16)
def decode(word: int) -> Word:
    """An instruction, by its 32 bits.

    Raises:
        UnknownInstructionError: it may depend on its place, but how is not known.
    """
    group = word >> 25 & 0xF
    if group in (8, 9):
        return _immediate(word)
    if group in (10, 11):
        return _branch(word)
    if group in (4, 6, 12, 14):
        return _memory(word)
    if group in (5, 13):
        return _registers(word)
    if group in (7, 15):
        return _floating(word)
    if group == 2 or (group == 0 and (word >> 31 or not word >> 16)):
        return _vague(word)
    raise UnknownInstructionError(f"{word:#010x}")


def _fields(word: int) -> tuple[int, int, int, int]:
    """Rd or Rt, Rn, Rm, Ra or Rt2."""
    return word & 31, word >> 5 & 31, word >> 16 & 31, word >> 10 & 31


def _vague(word: int) -> Word:
    return Word(Kind.VAGUE, reads=_fields(word), writes=_fields(word))


def _immediate(word: int) -> Word:  # noqa: PLR0911 - a line a class
    d, n, m, _ = _fields(word)
    op = word >> 23 & 7
    if op < 2:
        number = _signed((word >> 5 & 0x7FFFF) << 2 | word >> 29 & 3, 21)
        if word >> 31:
            return Word(Kind.PAGE, ADR_BITS, number << 12, writes=(d,))
        return Word(Kind.NEAR, ADR_BITS, number, writes=(d,))
    if op == 2:
        number = word >> 10 & 0xFFF
        if word & 0xFFC00000 == 0x91000000:
            return Word(Kind.ADD, LOW_BITS, number, n, writes=(d,))
        if word & 0xFF000000 == 0x91000000:
            return Word(Kind.ADD, 0, number << 12, n, writes=(d,))
        if word & 0xFF000000 == 0xD1000000:
            shift = 12 if word >> 22 & 1 else 0
            return Word(Kind.ADD, 0, -(number << shift), n, writes=(d,))
        return Word(Kind.MOVE, reads=(n,), writes=(d,))
    if op == 5:
        return Word(Kind.MOVE, reads=(d,) if word >> 29 & 3 == 3 else (), writes=(d,))
    if op == 6:
        return Word(Kind.MOVE, reads=(n, d) if word >> 29 & 3 == 1 else (n,), writes=(d,))
    if op == 7:
        if word >> 29 & 3:
            raise UnknownInstructionError(f"{word:#010x}")
        return Word(Kind.MOVE, reads=(n, m), writes=(d,))
    return Word(Kind.MOVE, reads=(n,), writes=(d,))


def _branch(word: int) -> Word:  # noqa: PLR0911 - a line a class
    d, n, _, _ = _fields(word)
    if word & 0x7C000000 == 0x14000000:
        kind = Kind.CALL if word >> 31 else Kind.JUMP
        return Word(kind, 0x03FFFFFF, _signed(word & 0x3FFFFFF, 26) * 4)
    far = _signed(word >> 5 & 0x7FFFF, 19) * 4
    if word & 0xFF000000 == 0x54000000:
        return Word(Kind.BRANCH, 0x00FFFFE0, far)
    if word & 0x7E000000 == 0x34000000:
        return Word(Kind.BRANCH, 0x00FFFFE0, far, reads=(d,))
    if word & 0x7E000000 == 0x36000000:
        number = _signed(word >> 5 & 0x3FFF, 14) * 4
        return Word(Kind.BRANCH, 0x0007FFE0, number, reads=(d,))
    if word & 0xFE000000 == 0xD6000000:
        kinds = {0: Kind.COMPUTED_JUMP, 8: Kind.COMPUTED_JUMP, 1: Kind.COMPUTED_CALL,
                 9: Kind.COMPUTED_CALL, 2: Kind.RETURN}  # fmt: skip
        kind = kinds.get(word >> 21 & 15, Kind.RETURN)
        return Word(kind, reads=(n,) if kind is not Kind.RETURN else ())
    if word & 0xFFFFF01F == 0xD503201F:
        # Hints: those for signed addresses change these.
        return Word(Kind.PLAIN) if word == 0xD503201F else Word(Kind.PLAIN, writes=(16, 17, LINK))
    if word & 0xFFFFFFE0 == 0xD53BD040:
        return Word(Kind.THREAD, writes=(d,))
    if word & 0xFFC00000 == 0xD5000000:
        return Word(Kind.PLAIN, writes=(d,)) if word >> 21 & 1 else Word(Kind.PLAIN, reads=(d,))
    if word & 0xFF000000 == 0xD4000000:
        return Word(Kind.PLAIN, writes=tuple(range(18)) if word & 0xE0001F == 1 else ())
    raise UnknownInstructionError(f"{word:#010x}")


def _memory(word: int) -> Word:  # noqa: PLR0911 - a line a class
    t, n, m, second = _fields(word)
    vector = bool(word >> 26 & 1)
    size, opc = word >> 30, word >> 22 & 3
    if word & 0x3B000000 == 0x18000000:
        wide = (4, 8, 16)[size] if vector and size < 3 else 8 if size == 1 else 4
        writes = () if vector or size == 3 else (t,)
        far = _signed(word >> 5 & 0x7FFFF, 19) * 4
        return Word(Kind.LITERAL, 0x00FFFFE0, far, writes=writes, loaded=wide, floating=vector)
    if word & 0x3A000000 == 0x28000000:
        return _pair(word)
    scale = (opc & 2) << 1 | size if vector else size
    loads = bool(opc & 1) if vector else bool(opc)
    hint = not vector and size == 3 and opc == 2
    own = () if vector or hint else (t,)
    reads, writes = ((), own) if loads else (own, ())
    if word & 0x3B000000 == 0x39000000:
        number = (word >> 10 & 0xFFF) << scale
        return Word(Kind.OFFSET, LOW_BITS, number, n, reads, writes, 1 << scale, vector)
    if word & 0x3B200000 == 0x38000000:
        number = _signed(word >> 12 & 0x1FF, 9)
        changes = bool(word >> 10 & 1)
        return Word(Kind.MEMORY, 0, number, n, reads, writes, 1 << scale, vector, changes)
    if word & 0x3B200C00 == 0x38200800:
        return Word(Kind.MEMORY, 0, 0, n, (*reads, m), writes)
    if word & 0x3B200C00 == 0x38200000 or word & 0x3F000000 == 0x08000000:
        # Atomic ones, and those in pairs with a monitor: at the register itself.
        return Word(Kind.MEMORY, 0, 0, n, (t, m, second), (t, m, second))
    if word & 0xBE000000 == 0x0C000000:
        # Several vectors; behind them the register may be changed.
        changes = bool(word >> 23 & 1)
        return Word(Kind.MEMORY, 0, 0, n, (m,) if changes else (), changes=changes)
    return _vague(word)


def _pair(word: int) -> Word:
    t, n, _, second = _fields(word)
    vector, size = bool(word >> 26 & 1), word >> 30
    if size == 3:
        return _vague(word)
    wide = 4 << size if vector else 8 if size == 2 else 4
    if not vector and size == 1 and not word >> 22 & 1:
        wide = 16
    number = _signed(word >> 15 & 0x7F, 7) * wide
    own = () if vector else (t, second)
    reads, writes = ((), own) if word >> 22 & 1 else (own, ())
    changes = bool(word >> 23 & 1)
    return Word(Kind.MEMORY, 0, number, n, reads, writes, 2 * wide, vector, changes)


def _registers(word: int) -> Word:
    d, n, m, a = _fields(word)
    if word & 0x1F000000 == 0x1B000000:
        return Word(Kind.MOVE, reads=(n, m, a), writes=(d,))
    if word & 0x1FE00000 == 0x1A400000:
        return Word(Kind.PLAIN, reads=(n,) if word >> 11 & 1 else (n, m))
    if word & 0x1FE00000 == 0x1A000000 and word & 0xFC00:
        return _vague(word)
    if word & 0x5FE00000 == 0x5AC00000:
        return Word(Kind.MOVE, reads=(n,), writes=(d,))
    return Word(Kind.MOVE, reads=(n, m), writes=(d,))


def _floating(word: int) -> Word:
    d, n, _, _ = _fields(word)
    opcode = word >> 16 & 7
    whole = word & 0x5F20FC00 == 0x1E200000
    if whole or word & 0x5F200000 == 0x1E000000:
        if opcode in (2, 3) or (whole and opcode == 7):
            return Word(Kind.PLAIN, reads=(n,))
        return Word(Kind.PLAIN, writes=(d,))
    if word & 0x9FE08400 == 0x0E000400:
        copied = word >> 11 & 15
        if copied in (1, 3):
            return Word(Kind.PLAIN, reads=(n,))
        if copied in (5, 7):
            return Word(Kind.PLAIN, writes=(d,))
    return Word(Kind.PLAIN)

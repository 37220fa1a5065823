"""Where an x86-64 instruction ends, and which of its bytes are relative to its place.

Not a disassembler: an instruction is its length, the field that holds a distance from
its end (a branch, or a memory operand relative to ``rip``), and the numbers in it that
may be addresses. The tables were made from the opcode maps of the architecture's
manuals. What they do not know is an error, never a guess.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class UnknownInstructionError(ValueError):
    """Bytes that the tables know no instruction for."""


class Field(NamedTuple):
    """Bytes of an instruction: where from its start, how many, and the number in them."""

    at: int
    size: int
    value: int


class Instruction(NamedTuple):
    """An instruction.

    Attributes:
        length: in bytes.
        relative: the signed distance from its end to what it refers to, if any.
        absolute: displacements without rip and immediates, of 4 or 8 bytes, signed.
        segment: it uses a thread's own segment, ``fs`` or ``gs``.
        branch: ``relative`` is where execution goes on, not where data is.
        lea: it forms an address and does not go there.
        numbers: what is calculated with: immediates of 1, 2, 4 or 8 bytes, signed, and the
            displacement of a ``lea``, which compilers also add with.
    """

    length: int
    relative: Field | None
    absolute: tuple[Field, ...]
    segment: bool
    branch: bool
    lea: bool
    numbers: tuple[Field, ...] = ()


LONGEST: Final = 15
"""Bytes of an instruction; the processor refuses more."""

# One letter an opcode: what follows it.
#   . nothing      m ModRM          b ModRM, 8-bit number   z ModRM, 16/32-bit number
#   1 8-bit number 2 16-bit number  4 16/32-bit number      8 number as wide as the operand
#   3 16-bit and 8-bit number       a 64-bit address        j 8-bit distance
#   J 32-bit distance               t, T ModRM, and a number for some (F6, F7)
#   x ModRM, and a 32-bit distance for one (C7)             e ModRM, two 8-bit for some (0F 78)
#   p prefix       ! escape, VEX or EVEX                    - none
_ONE: Final = (
    "mmmm14--mmmm14-!"  # 00
    "mmmm14--mmmm14--"  # 10
    "mmmm14p-mmmm14p-"  # 20
    "mmmm14p-mmmm14p-"  # 30
    "pppppppppppppppp"  # 40
    "................"  # 50
    "--!mpppp4z1b...."  # 60
    "jjjjjjjjjjjjjjjj"  # 70
    "bz-bmmmmmmmmmmmm"  # 80
    "..........-....."  # 90
    "aaaa....14......"  # A0
    "1111111188888888"  # B0
    "bb2.!!bx3.2..1-."  # C0
    "mmmm---.mmmmmmmm"  # D0
    "jjjj1111JJ-j...."  # E0
    "p.pp..tT......mm"  # F0
)
_TWO: Final = (
    "mmmm-.....-.-m.b"  # 00
    "mmmmmmmmmmmmmmmm"  # 10
    "mmmm----mmmmmmmm"  # 20
    "......-.!-!-----"  # 30
    "mmmmmmmmmmmmmmmm"  # 40
    "mmmmmmmmmmmmmmmm"  # 50
    "mmmmmmmmmmmmmmmm"  # 60
    "bbbbmmm.em--mmmm"  # 70
    "JJJJJJJJJJJJJJJJ"  # 80
    "mmmmmmmmmmmmmmmm"  # 90
    "...mbm--...mbmmm"  # A0
    "mmmmmmmmmmbmmmmm"  # B0
    "mmbmbbbm........"  # C0
    "mmmmmmmmmmmmmmmm"  # D0
    "mmmmmmmmmmmmmmmm"  # E0
    "mmmmmmmmmmmmmmmm"  # F0
)
_MODRM: Final = frozenset("mbztTxe")
_JUMP_PREFIXES: Final = frozenset((0x3E, 0x66, 0xF2, 0xF3, *range(0x40, 0x50)))
_LEGACY: Final = frozenset((0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3))


def decode(code: bytes, start: int) -> Instruction:
    """The instruction that starts at an offset of 64-bit code.

    Raises:
        UnknownInstructionError: no known instruction, or the code ends inside it.
    """
    for end in range(start + 1, start + _MOST_TELLING + 1):
        known = _SHAPES.get(code[start:end])
        if known is not None:
            if start + known.length > len(code):
                break
            plain = known.relative is None and not known.absolute and not known.numbers
            return known if plain else _filled(known, code, start)
    decoder = _Decoder(code[start : start + LONGEST])
    try:
        found = decoder.run()
    except IndexError:
        raise UnknownInstructionError("the code ends inside an instruction") from None
    if decoder.told <= _MOST_TELLING:
        if len(_SHAPES) > _MOST_SHAPES:
            _SHAPES.clear()
        _SHAPES[code[start : start + decoder.told]] = found
    return found


_SHAPES: Final[dict[bytes, Instruction]] = {}
"""Instructions that were met, by the bytes that say where their fields are: none of these
is the start of another."""
_MOST_TELLING: Final = 8
_MOST_SHAPES: Final = 1 << 16


def _filled(known: Instruction, code: bytes, start: int) -> Instruction:
    """An instruction of a known shape, with its own numbers."""

    def own(field: Field) -> Field:
        at, size, _ = field
        where = start + at
        number = int.from_bytes(code[where : where + size], "little", signed=True)
        return Field(at, size, number)

    length, relative, absolute, segment, branch, lea, numbers = known
    return Instruction(
        length,
        relative and own(relative),
        tuple(map(own, absolute)) if absolute else (),
        segment,
        branch,
        lea,
        tuple(map(own, numbers)) if numbers else (),
    )


def slot_of(code: bytes, at: int) -> int | None:
    """Where the address lies to which an entry of a procedure linkage table jumps.

    Args:
        code: of the section with the entry.
        at: the offset of the entry in it.

    Returns:
        The offset of the slot from the start of the section; None where none is told.

    """
    try:
        for _ in range(3):
            instruction = decode(code, at)
            at += instruction.length
            if instruction.relative is not None and not instruction.branch:
                return at + instruction.relative.value
    except UnknownInstructionError:
        pass
    return None


def computes_target(instruction: bytes) -> bool:
    """Whether it is ``jmp`` to an address in a register, or in memory not beside the code."""
    at = 0
    while at < len(instruction) and instruction[at] in _JUMP_PREFIXES:
        at += 1
    if instruction[at : at + 1] != b"\xff" or at + 1 >= len(instruction):
        return False
    modrm = instruction[at + 1]
    return modrm >> 3 & 7 in (4, 5) and modrm & 0xC7 != 5


class _Decoder:
    def __init__(self, code: bytes) -> None:
        self.code = code
        self.at = self.told = 0
        self.wide = False
        self.prefixes: set[int] = set()
        self.lea = False
        self.relative: tuple[int, int] | None = None
        self.absolute: list[Field] = []
        self.numbers: list[Field] = []

    def run(self) -> Instruction:
        kind = self._opcode()
        branch = kind in "jJ"
        reg = mod = 0
        if kind in _MODRM:
            mod, reg = self._modrm()
        self._immediates(kind, mod, reg)
        branch = branch or (kind == "x" and self.relative is not None and mod == 3)
        if self.at > len(self.code):
            raise IndexError
        relative = Field(*self.relative, self._signed(*self.relative)) if self.relative else None
        segment = bool(self.prefixes & {0x64, 0x65}) and not branch
        return Instruction(
            self.at, relative, tuple(self.absolute), segment, branch, self.lea, tuple(self.numbers)
        )

    def _byte(self) -> int:
        self.at += 1
        self.told = self.at
        return self.code[self.at - 1]

    def _signed(self, at: int, size: int) -> int:
        return int.from_bytes(self.code[at : at + size], "little", signed=True)

    def _opcode(self) -> str:
        """Read prefixes and opcode; what follows it, as a letter of the tables."""
        while (byte := self._byte()) in _LEGACY:
            self.prefixes.add(byte)
        if byte & 0xF0 == 0x40:
            self.wide = bool(byte & 8)
            byte = self._byte()
        kind = _ONE[byte]
        self.lea = byte == 0x8D
        if byte == 0x0F:
            return self._known(self._legacy_map())
        if kind == "!":
            return self._known(self._vector_map(byte))
        if byte == 0x8F and self.code[self.at] & 0x38:
            raise UnknownInstructionError("XOP")
        return self._known(kind)

    def _known(self, kind: str) -> str:
        if kind in "-!p":
            raise UnknownInstructionError(f"opcode {self.code[: self.at].hex()}")
        return kind

    def _legacy_map(self) -> str:
        byte = self._byte()
        if byte in (0x38, 0x3A):
            self._byte()
            return "m" if byte == 0x38 else "b"
        if byte == 0x78 and not self.prefixes & {0x66, 0xF2}:
            return "m"
        return _TWO[byte]

    def _vector_map(self, byte: int) -> str:
        """The opcode after a VEX (C4, C5) or EVEX (62) prefix."""
        number = 1
        if byte == 0xC5:
            self._byte()
        else:
            number = self._byte() & (0x1F if byte == 0xC4 else 0x07)
            self.wide = bool(self._byte() & 0x80)
            if byte == 0x62:
                self._byte()
        opcode = self._byte()
        if number == 1:
            kind = _TWO[opcode]
            # The map is that of the old instructions, without those that have no operands.
            return kind if kind in "mb." and (kind != "." or opcode == 0x77) else "m"
        kinds = {2: "m", 3: "b"} if byte == 0xC4 else {2: "m", 3: "b", 5: "m", 6: "m"}
        return kinds.get(number, "-")

    def _modrm(self) -> tuple[int, int]:
        modrm = self._byte()
        mod, reg, rm = modrm >> 6, modrm >> 3 & 7, modrm & 7
        if mod == 3:
            return mod, reg
        base = rm
        if rm == 4:
            base = self._byte() & 7
        if mod == 1:
            self.at += 1
            if self.lea:
                self._seen(1)
        elif mod == 2:
            self._absolute(4)
            if self.lea:
                self._seen(4)
        elif rm == 5:
            self.relative = (self.at, 4)
            self.at += 4
        elif base == 5:
            self._absolute(4)
        return mod, reg

    def _absolute(self, size: int) -> None:
        self.absolute.append(Field(self.at, size, self._signed(self.at, size)))
        self.at += size

    def _immediates(self, kind: str, mod: int, reg: int) -> None:
        """Read what follows the opcode and its ModRM."""
        small = 0x66 in self.prefixes and not self.wide
        if kind in "jJ":
            size = 1 if kind == "j" else 4
            self.relative = (self.at, size)
            self.at += size
        elif kind == "x" and (mod, reg) == (3, 7):
            self.relative = (self.at, 4)
            self.at += 4
        elif kind in "4zx" or (kind == "T" and reg < 2):
            self._number(2 if small else 4)
        elif kind == "8":
            self._number(8 if self.wide else 2 if small else 4)
        elif kind == "a":
            self._absolute(4 if 0x67 in self.prefixes else 8)
        elif kind in "1b" or (kind == "t" and reg < 2):
            self.at += 1
            self._seen(1)
        elif kind in "2e":
            self.at += 2
        elif kind == "3":
            self.at += 3

    def _number(self, size: int) -> None:
        if size >= 4:
            self._absolute(size)
        else:
            self.at += size
        self._seen(size)

    def _seen(self, size: int) -> None:
        """Note a number that was just read; where the code ends inside it, run() says so."""
        at = self.at - size
        if self.at <= len(self.code):
            self.numbers.append(Field(at, size, self._signed(at, size)))

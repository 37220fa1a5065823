"""The machines whose code is masked, each by the functions that do it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Protocol, TypeAlias

from replay.elf import a64masking, masking, toldmasking
from replay.elf.forms import Form
from replay.elf.holding import Holder
from replay.elf.image import Image, Relocation, Section, Symbol
from replay.elf.places import Atlas
from replay.elf.tables import Tables

Scanned: TypeAlias = Any
"""What a machine's ``scan`` gives, for its other functions only."""

OfFile: TypeAlias = tuple[Atlas, Holder, Tables]
Filled: TypeAlias = dict[int, Relocation]


class Machine(Protocol):
    """How the code of one machine is masked."""

    def scan(
        self, image: Image, section: Section, address: int, code: bytes, filled: Filled
    ) -> Scanned:
        """The instructions of a function at an address.

        Raises:
            UnknownInstructionError: one is not known.
        """
        ...

    def referred(
        self, image: Image, atlas: Atlas, function: Symbol, found: Scanned, filled: Filled
    ) -> Iterable[tuple[int, int]]:
        """The places that it refers to without their names, as (area, address)."""
        ...

    def mask(
        self,
        of_file: OfFile,
        section: Section,
        function: Symbol,
        code: bytes,
        found: Scanned,
        filled: Filled,
    ) -> Form:
        """Its form.

        Raises:
            UnknownInstructionError: a relocation lies where no operand is.
        """
        ...


DECODED: Final[dict[str, Machine]] = {"EM_X86_64": masking, "EM_AARCH64": a64masking}
"""Those whose instructions are known, by the name in the ELF header."""


def machine_of(image: Image) -> Machine | None:
    """How the code of a file is masked; None where that is not known."""
    if not image.little_endian:
        return None
    if image.machine == "EM_RISCV" and image.type == "ET_REL":
        return toldmasking
    return DECODED.get(image.machine)

"""The parts of an ELF file as plain values: sections, symbols, relocations."""

from __future__ import annotations

from dataclasses import dataclass

WRITE, ALLOC, EXECUTE, MERGE, STRINGS, TLS = 0x1, 0x2, 0x4, 0x10, 0x20, 0x400
"""Section flags, as in the ELF specification."""


@dataclass(frozen=True, slots=True)
class Section:
    """A section: ``size`` and ``offset`` in bytes, ``flags`` as in the specification."""

    index: int
    name: str
    type: str
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int

    @property
    def has_bytes(self) -> bool:
        """Whether the file holds its contents; ``.bss`` has none."""
        return self.type not in ("SHT_NOBITS", "SHT_NULL")

    @property
    def letters(self) -> str:
        """The flags that matter here: W write, A in memory, X code, M merge, S strings."""
        known = ((WRITE, "W"), (ALLOC, "A"), (EXECUTE, "X"), (MERGE, "M"), (STRINGS, "S"))
        return "".join(letter for flag, letter in known if self.flags & flag)


@dataclass(frozen=True, slots=True)
class Symbol:
    """A symbol.

    Attributes:
        type: FUNC, IFUNC, OBJECT, NOTYPE, SECTION, FILE, TLS...
        bind: LOCAL, GLOBAL, WEAK, LOOS (unique among all that is loaded)...
        value: offset in its section in an object, else the address.
        size: bytes; 0 is unknown.
        section: index of its section, None where it has none.
        place: the section's name, or UNDEF, ABS, COMMON.
        file: the source file that the symbol table groups a local symbol under.
        visibility: DEFAULT, HIDDEN, PROTECTED, INTERNAL.
    """

    name: str
    type: str
    bind: str
    value: int
    size: int
    section: int | None
    place: str
    file: str
    visibility: str = "DEFAULT"

    @property
    def is_label(self) -> bool:
        """Whether it only marks a place in a section, and names nothing of the source."""
        unnamed = self.type in ("SECTION", "NOTYPE") or self.name.startswith(".L")
        return self.bind == "LOCAL" and unnamed

    @property
    def is_mapping(self) -> bool:
        """Whether it tells what begins here, code or data, on machines that say so."""
        marked = self.name.startswith(("$d", "$x", "$a", "$t"))
        return marked and self.type == "NOTYPE" and self.bind == "LOCAL"

    @property
    def is_function(self) -> bool:
        """Whether it names code that is in this file."""
        return self.type in ("FUNC", "IFUNC") and self.section is not None

    @property
    def is_variable(self) -> bool:
        """Whether it names data that this file defines: in a section, or common."""
        placed = self.section is not None or self.place == "COMMON"
        return self.type in ("OBJECT", "TLS", "COMMON") and placed


@dataclass(frozen=True, slots=True)
class Relocation:
    """A place to be filled in: ``offset`` in the section (object) or address, in bytes."""

    offset: int
    type: int
    symbol: Symbol | None
    addend: int | None

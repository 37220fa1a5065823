"""An ELF file as plain values: what it is, its sections, symbols, relocations and bytes.

Everything that pyelftools tells of the file itself passes through here and is checked
against the file's size first; what is given out needs no further suspicion. Only the
sections that are asked for are read into memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Final

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection, RelrRelocationSection
from elftools.elf.sections import Section as ReaderSection
from elftools.elf.sections import SymbolTableIndexSection, SymbolTableSection

from replay.elf.bounded import BoundedFile, Budget
from replay.elf.errors import REBUILD, ElfError, reading
from replay.elf.opening import checked_size
from replay.elf.packed import ZSTD, unpack_zstd
from replay.elf.parts import (
    ALLOC,
    EXECUTE,
    MERGE,
    STRINGS,
    TLS,
    WRITE,
    Relocation,
    Section,
    Symbol,
)
from replay.elf.rows import (
    FAR,
    bind_name,
    place_name,
    relocation_rows,
    symbol_rows,
    type_name,
    visibility_name,
)

__all__ = [
    "ALLOC", "EXECUTE", "MERGE", "STRINGS", "TLS", "WRITE", "Image", "Relocation", "Section",
    "Symbol",
]  # fmt: skip

LARGEST_UNPACKED: Final = 1 << 30
"""Bytes that a compressed section may have when unpacked; a zip bomb claims more."""

RELATIVE: Final = {
    "EM_X86_64": 8, "EM_386": 8, "EM_AARCH64": 1027, "EM_ARM": 23, "EM_RISCV": 3, "EM_S390": 12,
    "EM_PPC": 22, "EM_PPC64": 22, "EM_LOONGARCH": 3,
}  # fmt: skip
"""By machine the relocation with which the loader puts in an address of the file itself."""

_KINDS: Final = {"ET_REL": "object", "ET_EXEC": "executable", "ET_DYN": "shared library"}


class Image:
    """An ELF file, open. Use it in a ``with`` statement.

    Attributes:
        path: as given.
        machine: EM_X86_64...
        bits: 32 or 64.
        little_endian: the order of its bytes.
        kind: "object", "executable", "shared library", or what the header says.
        sections: all of them, in order.
        debug_folders: where its separate debug information is looked for, too.

    Raises:
        ElfError: no regular file, not ELF, or its headers are damaged.
    """

    def __init__(self, path: Path | str, debug_folders: Sequence[Path] = ()) -> None:
        self.path = Path(path)
        self.debug_folders = tuple(debug_folders)
        self.size = checked_size(self.path)
        with reading(path, "ELF header"):
            self._file = BoundedFile(self.path, Budget(self.size, 64))
        try:
            with reading(path, "ELF header"):
                self.reader = ELFFile(self._file)
                header = self.reader.header
                self.machine = str(header["e_machine"])
                self.bits: int = self.reader.elfclass
                self.little_endian: bool = self.reader.little_endian
                self.type = str(header["e_type"])
            with reading(path, "section headers"):
                self._reader_sections: list[ReaderSection] = list(self.reader.iter_sections())
                self.sections = tuple(_section(i, s) for i, s in enumerate(self._reader_sections))
            self._check_extents()
        except BaseException:
            self._file.close()
            raise
        self.kind = _KINDS.get(self.type, self.type)
        if self.kind == "shared library" and self.find(".interp"):
            self.kind = "executable"

    def __enter__(self) -> Image:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def _check_extents(self) -> None:
        for section in self.sections:
            if section.has_bytes and section.offset + section.size > self.size:
                raise ElfError(
                    self.path,
                    f"truncated or corrupt: the section ends at byte "
                    f"{section.offset + section.size}, the file at {self.size}",
                    REBUILD,
                    f"section {section.name or section.index}",
                )

    def find(self, name: str) -> Section | None:
        """The first section of this name."""
        return next((s for s in self.sections if s.name == name), None)

    def base(self, section: Section) -> int:
        """The value of a symbol at a section's start: 0 in an object, else its address."""
        return 0 if self.type == "ET_REL" else section.address

    def code_of(self, function: Symbol) -> bytes:
        """The bytes of a function that lies in a section, as far as the file holds them.

        Raises:
            ElfError: as of :meth:`bytes_of`.
        """
        assert function.section is not None
        section = self.sections[function.section]
        start = function.value - self.base(section)
        return self.bytes_of(section)[max(start, 0) : start + function.size]

    def bytes_of(self, section: Section) -> bytes:
        """A section's contents, unpacked; nothing for one that the file holds no bytes of.

        Those that are loaded to run are read once and kept.

        Raises:
            AbsentError: packed in a way that nothing here unpacks.
        ElfError: damaged.
        """
        if not section.has_bytes:
            return b""
        if section.index not in self._contents:
            data = self._read(section)
            if not section.flags & ALLOC:
                return data
            self._contents[section.index] = data
        return self._contents[section.index]

    @cached_property
    def _contents(self) -> dict[int, bytes]:
        return {}

    def _read(self, section: Section) -> bytes:
        place = f"section {section.name}"
        source = self._reader_sections[section.index]
        with reading(self.path, place):
            wanted: int = source.data_size
        if wanted > LARGEST_UNPACKED:
            raise ElfError(
                self.path,
                f"the section has {wanted} bytes, more than this tool reads",
                "give a file of one component instead of the whole program",
                place,
            )
        with reading(self.path, place):
            kind: object = getattr(source, "_compression_type", None)
            if kind not in (ZSTD, "ELFCOMPRESS_ZSTD"):
                return source.data()
            head = source.structs.Elf_Chdr.sizeof()
            start, end = section.offset + head, section.offset + section.size
            source.stream.seek(start)
            packed = source.stream.read(max(end - start, 0))
        return unpack_zstd(self.path, place, packed, wanted)

    @cached_property
    def fingerprint(self) -> str:
        """Equal in two files only if what runs is.

        Of a linked file it covers all that is loaded, and the symbols; of an object, all
        of the file.
        """
        digest = hashlib.sha256()
        if self.type == "ET_REL":
            with reading(self.path, "contents"), self.path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
            return digest.hexdigest()
        for section in self.sections:
            # A build-id differs with the debug information.
            if section.flags & ALLOC and section.type != "SHT_NOTE":
                head = (section.name, section.type, section.flags, section.address, section.size)
                digest.update(repr(head).encode("utf-8", "backslashreplace"))
                digest.update(self.bytes_of(section))
        for symbol in self.symbols:
            digest.update(repr((symbol.name, symbol.value, symbol.size)).encode("utf-8", "replace"))
        return digest.hexdigest()

    def relocations(self, section: Section) -> tuple[Relocation, ...]:
        """What is filled into a section of an object by the linker, by offset.

        Raises:
            ElfError: the relocations are damaged.
        """
        if section.index not in self._filled:
            tables = self._relocation_tables.get(section.index, [])
            found = [relocation for table in tables for relocation in self._relocations_in(table)]
            found.sort(key=lambda r: r.offset)
            if not section.flags & ALLOC:
                return tuple(found)
            self._filled[section.index] = tuple(found)
        return self._filled[section.index]

    @cached_property
    def _filled(self) -> dict[int, tuple[Relocation, ...]]:
        return {}

    @cached_property
    def _relocation_tables(self) -> dict[int, list[Section]]:
        """The sections of relocations, by the index of the section that they are for."""
        tables: dict[int, list[Section]] = {}
        for section in self.sections:
            if section.type in ("SHT_REL", "SHT_RELA"):
                tables.setdefault(section.info, []).append(section)
        return tables

    @cached_property
    def dynamic_relocations(self) -> dict[int, Relocation]:
        """What the loader fills in, by address, in a linked file."""
        found = {
            relocation.offset: relocation
            for s in self.sections
            if self.type != "ET_REL" and s.type in ("SHT_REL", "SHT_RELA") and s.flags & ALLOC
            for relocation in self._relocations_in(s)
        }
        for section in self._reader_sections:
            if isinstance(section, RelrRelocationSection) and self.machine in RELATIVE:
                found |= self._packed(section)
        return found

    def _packed(self, section: RelrRelocationSection) -> dict[int, Relocation]:
        """Those of a section in which only their places are told: the addresses stand there."""
        kind, size = RELATIVE[self.machine], self.bits // 8
        found: dict[int, Relocation] = {}
        with reading(self.path, f"section {section.name}"):
            places = [entry["r_offset"] for entry in section.iter_relocations()]
        holders = [s for s in self.sections if s.flags & ALLOC and s.has_bytes and s.address]
        for holder in holders:
            data, start = self.bytes_of(holder), holder.address
            for place in places:
                if start <= place <= start + len(data) - size:
                    raw = data[place - start : place - start + size]
                    value = int.from_bytes(raw, "little" if self.little_endian else "big")
                    found[place] = Relocation(place, kind, None, value)
        return found

    def _relocations_in(self, section: Section) -> list[Relocation]:
        symbols = self.symbols_of(section.link)
        with reading(self.path, f"section {section.name}"):
            if self.machine == "EM_MIPS" and self.bits == 64:
                return self._split_relocations(section, symbols)
            rows = relocation_rows(
                self._read(section), self.bits, self.little_endian, section.type == "SHT_RELA"
            )
            return [
                Relocation(offset, kind, symbols[number] if number else None, addend)
                for offset, number, kind, addend in rows
            ]

    def _split_relocations(self, section: Section, symbols: tuple[Symbol, ...]) -> list[Relocation]:
        """Those of MIPS, whose fields are in an order of their own."""
        table = self._reader_sections[section.index]
        assert isinstance(table, RelocationSection)
        return [
            Relocation(
                entry["r_offset"],
                entry["r_info_type"],
                symbols[entry["r_info_sym"]] if entry["r_info_sym"] else None,
                entry["r_addend"] if entry.is_RELA() else None,
            )
            for entry in table.iter_relocations()
        ]

    @cached_property
    def symbol_table(self) -> str | None:
        """SHT_SYMTAB: complete; SHT_DYNSYM: the file is stripped; None: no symbols at all."""
        types = {s.type for s in self.sections}
        return next((t for t in ("SHT_SYMTAB", "SHT_DYNSYM") if t in types), None)

    @cached_property
    def symbols(self) -> tuple[Symbol, ...]:
        """The symbols of the fullest table there is, in its order.

        Raises:
            ElfError: the table is damaged.
        """
        section = next((s for s in self.sections if s.type == self.symbol_table), None)
        return self.symbols_of(section.index) if section else ()

    @cached_property
    def data_marks(self) -> dict[int, list[int]]:
        """Where data begins in each section, in order, on machines whose files say so."""
        found: dict[int, list[int]] = {}
        for symbol in self.symbols:
            if symbol.is_mapping and symbol.section is not None and symbol.name[1] == "d":
                found.setdefault(symbol.section, []).append(symbol.value)
        return {section: sorted(places) for section, places in found.items()}

    def adopt(self, symbols: tuple[Symbol, ...]) -> None:
        """Take the symbols of the separate debug file, which this file was stripped of."""
        self.symbols = symbols
        self.symbol_table = "SHT_SYMTAB"

    def symbols_of(self, index: int) -> tuple[Symbol, ...]:
        """The symbols of the table in a section; the first, empty one included."""
        if index not in self._tables:
            self._tables[index] = self._read_symbols(index)
        return self._tables[index]

    @cached_property
    def _tables(self) -> dict[int, tuple[Symbol, ...]]:
        return {}

    def _read_symbols(self, index: int) -> tuple[Symbol, ...]:
        if not 0 < index < len(self.sections):
            return ()
        table = self._reader_sections[index]
        if not isinstance(table, SymbolTableSection):
            return ()
        symbols: list[Symbol] = []
        file = ""
        with reading(self.path, f"section {table.name}"):
            section = self.sections[index]
            names = self._read(self.sections[section.link])
            data = self._read(section)
            rows = symbol_rows(data, self.bits, self.little_endian)
            for number, (offset, info, other, where, value, size) in enumerate(rows):
                end = names.find(b"\0", offset)
                name = names[offset:end] if end >= 0 else b""
                special = place_name(where)
                far = self._far_section(index, number) if where == FAR else where
                place = special if special is not None else far
                row = (info, other, value, size)
                symbol = self._symbol(name.decode("utf-8", "replace"), file, place, row)
                symbols.append(symbol)
                if symbol.type == "FILE":
                    file = symbol.name
        return tuple(symbols)

    def _symbol(
        self, name: str, file: str, where: int | str, row: tuple[int, int, int, int]
    ) -> Symbol:
        info, other, value, size = row
        kind, bind = type_name(info), bind_name(info)
        section = where if isinstance(where, int) and where < len(self.sections) else None
        place = str(where) if section is None else self.sections[section].name
        if kind == "SECTION" and section is not None and not name:
            name = place
        local = file if bind == "LOCAL" else ""
        return Symbol(name, kind, bind, value, size, section, place, local, visibility_name(other))

    def _far_section(self, table: int, number: int) -> int:
        """A section number too large for the symbol itself."""
        for section, source in zip(self.sections, self._reader_sections, strict=True):
            if isinstance(source, SymbolTableIndexSection) and section.link == table:
                return source.get_section_index(number)
        raise ValueError("SHN_XINDEX without a table of section numbers")


def _section(index: int, source: ReaderSection) -> Section:
    kind = source["sh_type"]
    return Section(
        index,
        source.name,
        kind if isinstance(kind, str) else f"{kind:#x}",
        source["sh_flags"],
        source["sh_addr"],
        source["sh_offset"],
        source["sh_size"],
        source["sh_link"],
        source["sh_info"],
        source["sh_entsize"],
    )

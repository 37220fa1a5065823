"""ELF files made byte by byte: other byte orders, old DWARF, and damage of every kind."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

PROGBITS, SYMTAB, STRTAB, NOBITS = 1, 2, 3, 8


@dataclass
class Part:
    """A section to be."""

    name: str
    data: bytes
    type: int = PROGBITS
    flags: int = 0
    link: int = 0
    entry: int = 0
    size: int | None = None


@dataclass
class Elf:
    """A relocatable file to be."""

    bits: int = 64
    little: bool = True
    machine: int = 62
    parts: list[Part] = field(default_factory=list)

    @property
    def order(self) -> str:
        return "<" if self.little else ">"

    def build(self) -> bytes:
        order, wide = self.order, self.bits == 64
        head, entry = (64, 64) if wide else (52, 40)
        names = b"\0"
        starts = []
        everything = [*self.parts, Part(".shstrtab", b"", STRTAB)]
        for part in everything:
            starts.append(len(names))
            names += part.name.encode() + b"\0"
        everything[-1].data = names
        body = b""
        table = bytes(entry)
        for part, name in zip(everything, starts, strict=True):
            size = len(part.data) if part.size is None else part.size
            values = (name, part.type, part.flags, 0, head + len(body), size, part.link, 0, 1)
            layout = "IIQQQQIIQQ" if wide else "IIIIIIIIII"
            table += struct.pack(order + layout, *values, part.entry)
            body += part.data
        ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if self.little else 2, 1)) + bytes(9)
        address = "QQQ" if wide else "III"
        header = ident + struct.pack(
            order + "HHI" + address + "IHHHHHH",
            *(1, self.machine, 1, 0, 0, head + len(body), 0),
            *(head, 0, 0, entry, len(everything) + 1, len(everything)),
        )
        return header + body + table


def leb(value: int) -> bytes:
    """An unsigned LEB128 number."""
    out = bytearray()
    while True:
        value, low = value >> 7, value & 0x7F
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


TAGS = {
    "array_type": 0x01,
    "enumeration_type": 0x04,
    "formal_parameter": 0x05,
    "member": 0x0D,
    "pointer_type": 0x0F,
    "compile_unit": 0x11,
    "structure_type": 0x13,
    "subroutine_type": 0x15,
    "typedef": 0x16,
    "unspecified_parameters": 0x18,
    "subrange_type": 0x21,
    "base_type": 0x24,
    "const_type": 0x26,
    "subprogram": 0x2E,
    "variable": 0x34,
}
ATTRIBUTES = {
    "name": (0x03, "string"),
    "stmt_list": (0x10, "data4"),
    "byte_size": (0x0B, "data1"),
    "bit_offset": (0x0C, "data1"),
    "bit_size": (0x0D, "data1"),
    "language": (0x13, "data2"),
    "upper_bound": (0x2F, "data4"),
    "prototyped": (0x27, "flag"),
    "declaration": (0x3C, "flag"),
    "external": (0x3F, "flag"),
    "member_at": (0x38, "block1"),
    "low_pc": (0x11, "addr"),
    "type": (0x49, "ref4"),
}
FORMS = {
    "addr": 0x01,
    "data2": 0x05,
    "data4": 0x06,
    "string": 0x08,
    "data1": 0x0B,
    "flag": 0x0C,
    "block1": 0x0A,
    "ref4": 0x13,
}


@dataclass
class Entry:
    """A debugging information entry; ``type`` names another by its label."""

    tag: str
    values: dict[str, object] = field(default_factory=dict)
    children: list[Entry] = field(default_factory=list)
    label: str = ""


class Dwarf:
    """One unit of debugging information."""

    def __init__(self, root: Entry, elf: Elf, version: int = 4) -> None:
        self.order = elf.order
        self.address = elf.bits // 8
        self.version = version
        self.abbreviations = b""
        self.shapes: dict[object, int] = {}
        self.labels: dict[str, int] = {}
        self.start = 12 if version >= 5 else 11
        self._body(root)
        # The second time, all labels are known.
        self.info = self._header(self._body(root))

    def sections(self) -> list[Part]:
        return [
            Part(".debug_info", self.info),
            Part(".debug_abbrev", self.abbreviations + b"\0"),
        ]

    def _header(self, body: bytes) -> bytes:
        if self.version >= 5:
            rest = struct.pack(self.order + "HBBI", self.version, 1, self.address, 0)
        else:
            rest = struct.pack(self.order + "HIB", self.version, 0, self.address)
        return struct.pack(self.order + "I", len(rest) + len(body)) + rest + body

    def _body(self, root: Entry) -> bytes:
        out = bytearray()
        self._write(root, out)
        return bytes(out)

    def _write(self, entry: Entry, out: bytearray) -> None:
        if entry.label:
            self.labels[entry.label] = self.start + len(out)
        out += leb(self._shape(entry))
        for name, value in entry.values.items():
            out += self._value(ATTRIBUTES[name][1], value)
        for child in entry.children:
            self._write(child, out)
        if entry.children:
            out.append(0)

    def _shape(self, entry: Entry) -> int:
        key = entry.tag, tuple(entry.values), bool(entry.children)
        if key not in self.shapes:
            self.shapes[key] = len(self.shapes) + 1
            self.abbreviations += leb(self.shapes[key]) + leb(TAGS[entry.tag])
            self.abbreviations += bytes((bool(entry.children),))
            for name in entry.values:
                number, form = ATTRIBUTES[name]
                self.abbreviations += leb(number) + leb(FORMS[form])
            self.abbreviations += b"\0\0"
        return self.shapes[key]

    def _value(self, form: str, value: object) -> bytes:
        if form == "string":
            return str(value).encode() + b"\0"
        if form == "block1":
            assert isinstance(value, bytes)
            return bytes((len(value),)) + value
        number = self.labels.get(value, 0) if isinstance(value, str) else value
        width = {"data2": "H", "data4": "I", "ref4": "I", "addr": "Q" if self.address == 8 else "I"}
        return struct.pack(self.order + width.get(form, "B"), number)


def with_debug(root: Entry, version: int = 4, **kind: object) -> bytes:
    """A file with one unit of debugging information."""
    elf = Elf(**kind)  # type: ignore[arg-type]
    elf.parts += Dwarf(root, elf, version).sections()
    return elf.build()


def sample_unit() -> Entry:
    """A unit with one function and one variable."""
    number = {"name": "unsigned int", "byte_size": 4}
    return Entry(
        "compile_unit",
        {"name": "sample.c", "language": 12},
        [
            Entry("base_type", number, label="unsigned"),
            Entry("base_type", {"name": "long unsigned int", "byte_size": 4}, label="long"),
            Entry("base_type", {"name": "_Bool", "byte_size": 1}, label="bool"),
            Entry("typedef", {"name": "ram_addr_t", "type": "long"}, label="ram_addr_t"),
            Entry("pointer_type", {"type": "long"}, label="pointer"),
            Entry(
                "structure_type",
                {"name": "RAMList", "byte_size": 12},
                [
                    Entry("member", {"name": "map", "type": "array", "member_at": b"\x23\x00"}),
                    Entry(
                        "member",
                        {
                            "name": "flags",
                            "type": "unsigned",
                            "member_at": b"\x23\x08",
                            "byte_size": 4,
                            "bit_size": 3,
                            "bit_offset": 5,
                        },
                    ),
                ],
                label="list",
            ),
            Entry(
                "array_type",
                {"type": "pointer"},
                [Entry("subrange_type", {"upper_bound": 1})],
                label="array",
            ),
            Entry("variable", {"name": "ram_list", "type": "list", "external": 1}),
            Entry(
                "subprogram",
                {"name": "get_dirty", "type": "bool", "prototyped": 1, "low_pc": 0},
                [
                    Entry("formal_parameter", {"name": "addr", "type": "ram_addr_t"}),
                    Entry("formal_parameter", {"name": "client", "type": "unsigned"}),
                ],
            ),
        ],
    )

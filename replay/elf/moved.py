"""Whether two libraries differ in nothing but the order of their functions.

A proof for x86-64, for the case that everything but the functions lies where it did: then
every distance in the code can be followed and compared as a number. Every byte of
``.text`` must belong to a function or be padding, every function must be there in both with
the same instructions, and every distance must lead to the same place, functions moved
along. What is loaded beside the code must be equal byte by byte, but for addresses that
the loader fills in, and those must lead to the same places. A function that moved and
jumps to computed addresses, as a switch does, ends the proof: its table may be relative to
the table and is not known to be one.
"""

from __future__ import annotations

import struct
from typing import Final

from replay.elf.alike import BUILD_ID, head, loaded, paired, segments
from replay.elf.image import EXECUTE, Section
from replay.elf.referring import RELATIVE, Linked, walk

_KNOWN: Final = frozenset(
    (
        "SHT_PROGBITS", "SHT_NOBITS", "SHT_NOTE", "SHT_RELA", "SHT_DYNSYM", "SHT_STRTAB",
        "SHT_HASH", "SHT_GNU_HASH", "SHT_GNU_versym", "SHT_GNU_verneed", "SHT_GNU_verdef",
        "SHT_DYNAMIC", "SHT_INIT_ARRAY", "SHT_FINI_ARRAY", "SHT_X86_64_UNWIND",
    )
)  # fmt: skip
"""Sections whose meaning is known here; packed relocations (RELR) are not."""
_UNWINDING: Final = (".eh_frame", ".eh_frame_hdr")
_PADDING: Final = frozenset((0x00, 0x90, 0xCC))
_NOPS: Final = (b"\x66", b"\x2e", b"\x0f\x1f")
_FINI: Final = 13
"""DT_FINI, the address of .fini, which lies behind the functions."""


def only_moved(a: Linked, b: Linked) -> bool:
    """Whether that is so. False is no proof of anything.

    Raises:
        ElfError: a file is damaged.
    """
    return (
        len(loaded(a.image)) == len(loaded(b.image))
        and head(a.image) == head(b.image)
        and [s[0:2] for s in segments(a.image)] == [s[0:2] for s in segments(b.image)]
        and _Proof(a, b).holds()
    )


class _Proof:
    def __init__(self, a: Linked, b: Linked) -> None:
        self.a = a
        self.b = b
        self.moved = {
            symbol.value: b.functions[name].value
            for name, symbol in a.functions.items()
            if name in b.functions and b.functions[name].value != symbol.value
        }

    def holds(self) -> bool:
        a, b = self.a, self.b
        pairs = paired(a.image, b.image)
        return (
            a.functions.keys() == b.functions.keys()
            and all(self._lies(x, y) for x, y in pairs)
            and _is_covered(a)
            and _is_covered(b)
            and all(self._same_function(name) for name in a.functions)
            and all(self._same_section(x, y) for x, y in pairs)
            and self._is_unwound_alike()
        )

    def _lies(self, x: Section, y: Section) -> bool:
        """Whether a section is where it was; what lies behind the functions may give way."""
        kind = (x.name, x.type, x.flags, x.entry_size)
        if kind != (y.name, y.type, y.flags, y.entry_size) or x.type not in _KNOWN:
            return False
        if x.name == ".fini":
            return x.size == y.size
        free = x.name == ".text" or x.name in _UNWINDING
        if x.name == ".eh_frame":
            return True
        return x.address == y.address and (free or x.size == y.size)

    def _to(self, address: int) -> int | None:
        """Where in the second file an address of the first leads; None where that is not told."""
        section = self.a.section_at(address)
        if section is None or not section.flags & EXECUTE or section.name.startswith(".plt"):
            return address
        name = self.a.function_at(address)
        if name is None:
            return None
        return self.b.functions[name].value + address - self.a.functions[name].value

    def _same_function(self, name: str) -> bool:
        x, y = self.a.functions[name], self.b.functions[name]
        if self.a.size(x) != self.b.size(y):
            return False
        before, after = self.a.walk(name), self.b.walk(name)
        cold = self.a.functions.get(f"{name}.cold", x)
        moved = x.value in self.moved or cold.value in self.moved
        if not before.whole or not after.whole or (moved and before.jumps):
            return False
        return before.code == after.code and self._same_targets(before.targets, after.targets)

    def _same_targets(
        self, before: tuple[tuple[int, int], ...], after: tuple[tuple[int, int], ...]
    ) -> bool:
        led = [(at, self._to(target)) for at, target in before]
        return led == list(after)

    def _same_section(self, x: Section, y: Section) -> bool:
        if x.name in (".text", BUILD_ID, *_UNWINDING):
            return True
        left, right = self.a.neutral.bytes_of(x), self.b.neutral.bytes_of(y)
        if x.flags & EXECUTE:
            before, after = walk(left, x.address), walk(right, y.address)
            return (
                before.whole and after.whole and before.code == after.code
                and self._same_targets(before.targets, after.targets)
            )  # fmt: skip
        if x.type == "SHT_RELA":
            return self._same_relocations(left, right)
        if x.type == "SHT_DYNSYM":
            return self._same_symbols(left, right)
        if x.type == "SHT_DYNAMIC":
            return self._same_dynamic(left, right)
        return self._same_data(x, left, right)

    def _same_relocations(self, left: bytes, right: bytes) -> bool:
        rows = []
        for place, info, addend in struct.iter_unpack("<QQq", left):
            section = self.a.section_at(place)
            if section is None or section.flags & EXECUTE:
                return False
            inside = (info & 0xFFFFFFFF) in RELATIVE
            rows.append((place, info, self._to(addend) if inside else addend))
        return rows == list(struct.iter_unpack("<QQq", right))

    def _same_symbols(self, left: bytes, right: bytes) -> bool:
        rows = [
            (*rest, self._to(value), size)
            for *rest, value, size in struct.iter_unpack("<IBBHQQ", left)
        ]
        return rows == list(struct.iter_unpack("<IBBHQQ", right))

    def _same_dynamic(self, left: bytes, right: bytes) -> bool:
        def rows(linked: Linked, data: bytes) -> list[tuple[int, int]]:
            fini = linked.image.find(".fini")
            at = fini.address if fini else 0
            return [
                (tag, value - at if tag == _FINI else value)
                for tag, value in struct.iter_unpack("<QQ", data)
            ]

        return rows(self.a, left) == rows(self.b, right)

    def _same_data(self, section: Section, left: bytes, right: bytes) -> bool:
        """Equal bytes, but for what the loader writes over; and none a distance to a function.

        Such a distance, from its own place to a function, would be equal where another
        function has taken the place.
        """
        x, y = bytearray(left), bytearray(right)
        for entry in self.a.image.dynamic_relocations.values():
            at = entry.offset - section.address
            if 0 <= at < len(x) and entry.type in RELATIVE:
                x[at : at + 8] = y[at : at + 8] = bytes(len(x[at : at + 8]))
        if x != y:
            return False
        words = struct.iter_unpack("<i", left[: len(left) & ~3])
        return not any(
            section.address + 4 * number + word in self.moved
            for number, (word,) in enumerate(words)
        )

    def _is_unwound_alike(self) -> bool:
        """Whether the functions are unwound by the same rules; nothing else is in there."""
        if self.a.image.find(".gcc_except_table") or self.b.image.find(".gcc_except_table"):
            return False
        before, after = _unwinding(self.a), _unwinding(self.b)
        if before is None or after is None:
            return False
        return sorted((self._to(at) or at, *rest) for at, *rest in before) == sorted(after)


def _is_covered(linked: Linked) -> bool:
    """Whether every byte of ``.text`` belongs to a function, or is padding."""
    section = linked.image.find(".text")
    if section is None:
        return False
    data = linked.image.bytes_of(section)
    at = section.address
    inside = [s for s in linked.functions.values() if s.section == section.index]
    for symbol in sorted(inside, key=lambda s: s.value):
        if not is_padding(data[at - section.address : symbol.value - section.address]):
            return False
        at = max(at, symbol.value + linked.size(symbol))
    return is_padding(data[at - section.address :])


def is_padding(data: bytes) -> bool:
    """Whether bytes between functions are what linkers and assemblers put there."""
    rest = data
    while rest:
        if rest[0] in _PADDING:
            rest = rest[1:]
        elif rest.startswith(_NOPS):
            head_length = next(n for n in range(len(rest)) if rest[n] not in (0x66, 0x2E))
            if rest[head_length : head_length + 2] != b"\x0f\x1f":
                # Prefixes before a plain nop.
                if rest[head_length : head_length + 1] != b"\x90":
                    return False
                rest = rest[head_length + 1 :]
                continue
            mode = rest[head_length + 2] >> 6 if len(rest) > head_length + 2 else 3
            has_base = len(rest) > head_length + 2 and rest[head_length + 2] & 7 == 4
            rest = rest[head_length + 3 + has_base + {0: 0, 1: 1, 2: 4, 3: 0}[mode] :]
        else:
            return False
    return True


def _unwinding(linked: Linked) -> list[tuple[int, int, bytes, bytes]] | None:
    """(start, size, rules, common rules) of each function; None where the form is not known."""
    section = linked.image.find(".eh_frame")
    if section is None:
        return []
    data = linked.image.bytes_of(section)
    common: dict[int, bytes] = {}
    rows = []
    at = 0
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        if length == 0:
            break
        if length == 0xFFFFFFFF or at + 4 + length > len(data) or length < 4:
            return None
        (pointer,) = struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 4 + length]
        if pointer == 0:
            if body[:4] != b"\x01zR\0" or b"\x1b" not in body[4:12]:
                return None
            common[at] = body
        else:
            start, size = struct.unpack_from("<iI", body)
            origin = section.address + at + 8
            rules = common.get(at + 4 - pointer)
            if rules is None:
                return None
            rows.append((origin + start, size, body[8:], rules))
        at += 4 + length
    return rows

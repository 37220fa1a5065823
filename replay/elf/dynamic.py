"""What a linked file tells the loader: what it exports and needs, and in which versions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from elftools.elf.dynamic import DynamicSection
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.segments import InterpSegment

from replay.elf.errors import reading
from replay.elf.image import Image, Symbol

_HIDDEN: Final = 0x8000
"""Of a version's number: other files do not get it by the name alone."""

_TAGS: Final = {
    "DT_SONAME": ("SONAME", "soname"),
    "DT_NEEDED": ("NEEDED", "needed"),
    "DT_RPATH": ("RPATH", "rpath"),
    "DT_RUNPATH": ("RUNPATH", "runpath"),
}
_FILTERS: Final = {"DT_FILTER": "FILTER", "DT_AUXILIARY": "AUXILIARY"}
"""Other files that the symbols of this one are looked for in first."""

_CALLED: Final = {"DT_INIT": "INIT", "DT_FINI": "FINI"}
ENTRY: Final = "entry point"
_FLAGS: Final = {
    "DT_FLAGS": {1: "ORIGIN", 2: "SYMBOLIC", 4: "TEXTREL", 8: "BIND_NOW", 16: "STATIC_TLS"},
    "DT_FLAGS_1": {
        1: "NOW", 2: "GLOBAL", 8: "NODELETE", 0x20: "INITFIRST", 0x40: "NOOPEN", 0x80: "ORIGIN",
        0x400: "INTERPOSE", 0x800: "NODEFLIB", 0x8000000: "PIE",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Export:
    """A symbol that other files can refer to.

    Attributes:
        version: empty if it has none; with ``@@`` before it if it is the default one, else
            with ``@``.
    """

    symbol: Symbol
    version: str


@dataclass(frozen=True, slots=True)
class Dynamic:
    """What the loader is told.

    Attributes:
        exports: by name; a name may have several versions.
        imports: the version that is needed of a symbol, by name.
        said: of the file, by what it is called: SONAME, NEEDED, flags...
        needs: whether a symbol must be found, by name: "global", or "weak" if it need not.
        started: by what is called, INIT, FINI or the entry point, the names of the function
            there; none if there is none, and only empty text if it has no name.
    """

    exports: dict[str, tuple[Export, ...]]
    imports: dict[str, str]
    said: dict[str, tuple[str, ...]]
    needs: dict[str, str] = field(default_factory=dict)
    started: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_dynamic(image: Image) -> Dynamic:
    """What a linked file tells the loader.

    Raises:
        ElfError: it is damaged.
    """
    section = next((s for s in image.sections if s.type == "SHT_DYNSYM"), None)
    symbols = image.symbols_of(section.index) if section else ()
    numbers = _numbers(image, len(symbols))
    names = _versions(image)
    exports: dict[str, tuple[Export, ...]] = {}
    imports: dict[str, str] = {}
    for symbol, number in zip(symbols, numbers, strict=True):
        version = names.get(number & ~_HIDDEN, "")
        if not symbol.name or symbol.bind == "LOCAL":
            continue
        if symbol.place == "UNDEF":
            imports[symbol.name] = version
        elif symbol.name != version:  # a version is a symbol itself, in no section
            sign = "" if not version else "@" if number & _HIDDEN else "@@"
            export = Export(symbol, sign + version)
            exports[symbol.name] = (*exports.get(symbol.name, ()), export)
    return Dynamic(exports, imports, _said(image), needs_of(symbols), _started(image))


def needs_of(symbols: Iterable[Symbol]) -> dict[str, str]:
    """The symbols that other files must define, and those that they may: weak ones."""
    found: dict[str, str] = {}
    for symbol in symbols:
        if symbol.place == "UNDEF" and symbol.name and symbol.bind != "LOCAL":
            name = symbol.name.partition("@")[0]
            weak = symbol.bind == "WEAK" and found.get(name, "weak") == "weak"
            found[name] = "weak" if weak else "global"
    return found


def _started(image: Image) -> dict[str, tuple[str, ...]]:
    """The functions that the loader calls by their addresses, by their names."""
    places = dict.fromkeys(_CALLED.values(), 0)
    with reading(image.path, "dynamic section"):
        # Some linkers give a library an entry point, which nobody enters it by.
        if image.kind == "executable":
            places[ENTRY] = int(image.reader.header["e_entry"])
        for section in image.reader.iter_sections():
            if isinstance(section, DynamicSection):
                for tag in section.iter_tags():
                    if tag.entry.d_tag in _CALLED:
                        places[_CALLED[tag.entry.d_tag]] = int(tag.entry.d_val)
    return {what: _named(image, place) if place else () for what, place in places.items()}


def _named(image: Image, place: int) -> tuple[str, ...]:
    """The names of an address in code, with the distance if it is inside a function."""
    code = [s for s in image.symbols if s.is_function and s.name]
    exact = {s.name.partition("@")[0] for s in code if s.value == place}
    inner = {
        f"{s.name.partition('@')[0]}+{place - s.value:#x}"
        for s in code
        if s.value < place < s.value + s.size
    }
    marked = {
        s.name
        for s in image.symbols
        if s.section is not None and s.type == "NOTYPE" and s.bind != "LOCAL" and s.value == place
    }
    return tuple(sorted(exact or marked or inner or {""}))


def _numbers(image: Image, count: int) -> list[int]:
    """The number of each symbol's version."""
    section = next((s for s in image.sections if s.type == "SHT_GNU_versym"), None)
    data = image.bytes_of(section) if section else b""
    order = "little" if image.little_endian else "big"
    found = [
        int.from_bytes(data[at : at + 2], order)  # type: ignore[arg-type]
        for at in range(0, len(data) - 1, 2)
    ]
    return (found + [1] * count)[:count]


def _versions(image: Image) -> dict[int, str]:
    """The names of versions, defined or needed, by their numbers."""
    found: dict[int, str] = {}
    with reading(image.path, "symbol versions"):
        for section in image.reader.iter_sections():
            if isinstance(section, GNUVerDefSection):
                for version, names in section.iter_versions():
                    found[version["vd_ndx"]] = str(next(iter(names)).name)
            elif isinstance(section, GNUVerNeedSection):
                for _, names in section.iter_versions():
                    found |= {name["vna_other"]: str(name.name) for name in names}
    found.pop(1, None)  # the file itself
    return found


def _said(image: Image) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    with reading(image.path, "dynamic section"):
        for segment in image.reader.iter_segments():
            if isinstance(segment, InterpSegment):
                found["interpreter"] = (str(segment.get_interp_name()),)
            if segment["p_type"] == "PT_GNU_STACK" and segment["p_flags"] & 1:
                found["stack"] = ("executable",)
        for section in image.reader.iter_sections():
            if isinstance(section, DynamicSection):
                for tag in section.iter_tags():
                    _note(tag, found)
                    if tag.entry.d_tag in _FILTERS:
                        what = _FILTERS[tag.entry.d_tag]
                        names: Any = image.reader.get_section(section["sh_link"])
                        file = str(names.get_string(tag.entry.d_val))
                        found[what] = (*found.get(what, ()), file)
    return found


def _note(tag: Any, found: dict[str, tuple[str, ...]]) -> None:
    kind = tag.entry.d_tag
    if kind in _TAGS:
        name, attribute = _TAGS[kind]
        found[name] = (*found.get(name, ()), str(getattr(tag, attribute)))
    elif kind in _FLAGS:
        flags = tuple(word for bit, word in _FLAGS[kind].items() if tag.entry.d_val & bit)
        found["flags"] = (*found.get("flags", ()), *flags)
    elif kind == "DT_TEXTREL":
        found["flags"] = (*found.get("flags", ()), "TEXTREL")

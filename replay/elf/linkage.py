"""Compares how two builds are linked: exports, versions, aliases, constructors, sections."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from replay.elf.builds import Build
from replay.elf.changes import LinkageChange
from replay.elf.dynamic import Dynamic, Export, needs_of, read_dynamic
from replay.elf.image import ALLOC, Symbol
from replay.elf.insides import MADE, Insides
from replay.elf.names import plain
from replay.elf.referents import Renamed

STARTED: Final = {
    ".preinit_array": "constructors", ".init_array": "constructors", ".ctors": "constructors",
    ".fini_array": "destructors", ".dtors": "destructors",
}  # fmt: skip
"""Sections with the functions that run when a file is loaded or unloaded, and what those are."""

_ALIKE: Final = {
    ".text": "", ".data.rel.ro": ".rodata", ".rodata": "", ".data": "", ".bss": ".data",
    "COMMON": ".data", ".sdata": ".data", ".sbss": ".data", ".tdata": "", ".tbss": ".tdata",
    ".lrodata": ".rodata", ".ldata": ".data", ".lbss": ".data",
}  # fmt: skip
"""Sections that a compiler chooses between by itself, also with ``.`` and more behind, and the
one that they are told as."""

UNKNOWN: Final = "an unnamed function"

_BINDS: Final = {"LOOS": "UNIQUE"}


def compare_linkage(before: Build, after: Build, renamed: Renamed) -> tuple[LinkageChange, ...]:
    """What changed of how two builds and their symbols are linked.

    A file of debug information tells nothing of it: the tables for the loader were taken out.

    Raises:
        ElfError: a file is damaged.
    """
    if before.is_hollow or after.is_hollow:
        return ()
    return tuple(_Linkage(before, after, renamed).run())


class _Linkage:
    def __init__(self, before: Build, after: Build, renamed: Renamed) -> None:
        self.before, self.after, self.renamed = before, after, renamed
        self.linked = before.image.type != "ET_REL"
        self.only = before.only

    def run(self) -> Iterator[LinkageChange]:
        old, new = linked_as(self.before), linked_as(self.after)
        if self.linked and self.only is None:
            yield from self._said(old, new)
            yield from self._called(old.started, new.started)
        yield from self._exports(old.exports, new.exports)
        yield from self._places(old.exports, new.exports)
        yield from self._imports(old.imports, new.imports, "version that is needed")
        yield from self._imports(old.needs, new.needs, "need")
        yield from self._aliases(old.exports, new.exports)
        yield from self._sections()
        if self.only is None:
            yield from self._started()

    def _wanted(self, name: str) -> bool:
        return self.only is None or name in self.only

    def _said(self, old: Dynamic, new: Dynamic) -> Iterator[LinkageChange]:
        for what in sorted(old.said.keys() | new.said.keys()):
            x, y = old.said.get(what, ()), new.said.get(what, ())
            if x != y:
                yield LinkageChange("", what, ", ".join(x), ", ".join(y))

    def _exports(
        self, old: Mapping[str, tuple[Export, ...]], new: Mapping[str, tuple[Export, ...]]
    ) -> Iterator[LinkageChange]:
        for name in sorted(filter(self._wanted, old.keys() | new.keys())):
            x, y = old.get(name, ()), new.get(name, ())
            if not x or not y:
                gone, there = self._shown(self.before, name, x), self._shown(self.after, name, y)
                yield LinkageChange(name, "export", gone, there)
                continue
            for what, told in (
                ("version", _version),
                ("binding", _binding),
                ("visibility", _visibility),
                ("kind", _kind),
            ):
                was, now = (", ".join(sorted({told(e) for e in each})) for each in (x, y))
                if was != now:
                    yield LinkageChange(name, what, was, now)

    def _shown(self, build: Build, name: str, exports: tuple[Export, ...]) -> str:
        if exports:
            return ", ".join(f"exported{e.version}" for e in exports)
        known = name in build.code or name in build.variables
        return "in the file, not exported" if known else ""

    def _called(
        self, old: Mapping[str, tuple[str, ...]], new: Mapping[str, tuple[str, ...]]
    ) -> Iterator[LinkageChange]:
        """What the loader calls. A function may have several names: one in common will do."""
        for what in sorted(old.keys() & new.keys()):
            x, y = old[what], new[what]
            meant = {after for name in x for after in (name, *self.renamed.get(name, ()))}
            if "" not in (*x, *y) and (x or y) and not meant & set(y):
                yield LinkageChange("", what, ", ".join(x), ", ".join(y))

    def _places(
        self, old: Mapping[str, tuple[Export, ...]], new: Mapping[str, tuple[Export, ...]]
    ) -> Iterator[LinkageChange]:
        """The values of absolute symbols, and the places of names inside variables."""
        first, second = Insides(self.before.image), Insides(self.after.image)
        for name in sorted(filter(self._wanted, old.keys() & new.keys())):
            x, y = first.told(old[name]), second.told(new[name])
            if x != y and name not in MADE:
                yield LinkageChange(name, "place", x, y)

    def _imports(
        self, old: Mapping[str, str], new: Mapping[str, str], what: str
    ) -> Iterator[LinkageChange]:
        for name in sorted(filter(self._wanted, old.keys() & new.keys())):
            if old[name] != new[name]:
                yield LinkageChange(name, what, old[name], new[name])

    def _aliases(
        self, old: Mapping[str, tuple[Export, ...]], new: Mapping[str, tuple[Export, ...]]
    ) -> Iterator[LinkageChange]:
        first, second = _groups(old), _groups(new)
        told: set[str] = set()
        for name in sorted(filter(self._wanted, old.keys() & new.keys())):
            x, y = first.get(name, frozenset()), second.get(name, frozenset())
            if x != y and name not in told:
                told |= x | y
                yield LinkageChange(
                    name, "aliases", ", ".join(sorted(x - {name})), ", ".join(sorted(y - {name}))
                )

    def _sections(self) -> Iterator[LinkageChange]:
        for old, new in (
            (self.before.code, self.after.code),
            (self.before.variables, self.after.variables),
        ):
            for name in sorted(old.keys() & new.keys()):
                x, y = _section(old[name]), _section(new[name])
                if x != y:
                    yield LinkageChange(plain(name), "section", x, y)

    def _started(self) -> Iterator[LinkageChange]:
        old, new = _started(self.before, self.renamed), _started(self.after, {})
        for what in sorted(old.keys() | new.keys()):
            x, y = old.get(what, []), new.get(what, [])
            # Of a stripped file only the number is known.
            known = UNKNOWN not in (*x, *y)
            if x != y and (known or len(x) != len(y)):
                yield LinkageChange("", what, ", ".join(x), ", ".join(y))


def linked_as(build: Build) -> Dynamic:
    """What the linker or the loader is told of a build.

    Raises:
        ElfError: the file is damaged.
    """
    if build.dynamic is not None:
        return build.dynamic
    return read_dynamic(build.image) if build.image.type != "ET_REL" else _of_object(build)


def _of_object(build: Build) -> Dynamic:
    """The symbols of an object that other files can refer to."""
    found: dict[str, tuple[Export, ...]] = {}
    for symbol in build.image.symbols:
        section = None if symbol.section is None else build.image.sections[symbol.section]
        loaded = section is not None and bool(section.flags & ALLOC)
        defined = loaded or symbol.place in ("COMMON", "ABS")
        if symbol.bind != "LOCAL" and symbol.name and defined:
            name, sign, version = symbol.name.partition("@")
            export = Export(symbol, sign + version)
            found[name] = (*found.get(name, ()), export)
    return Dynamic(found, {}, {}, needs_of(build.image.symbols))


def _version(export: Export) -> str:
    return export.version or "none"


def _binding(export: Export) -> str:
    return _BINDS.get(export.symbol.bind, export.symbol.bind).lower()


def _visibility(export: Export) -> str:
    return export.symbol.visibility.lower()


def _kind(export: Export) -> str:
    kind = export.symbol.type
    return "OBJECT" if kind == "COMMON" else kind


def _groups(exports: Mapping[str, tuple[Export, ...]]) -> dict[str, frozenset[str]]:
    """The exported names of each place that has several, by each of them."""
    places: dict[tuple[int, int], set[str]] = {}
    for name, each in exports.items():
        for export in each:
            symbol = export.symbol
            if symbol.section is not None and symbol.type in ("FUNC", "IFUNC", "OBJECT"):
                places.setdefault((symbol.section, symbol.value), set()).add(name)
    return {name: frozenset(names) for names in places.values() if len(names) > 1 for name in names}


def _section(symbol: Symbol) -> str:
    """The section of a symbol, if somebody chose it."""
    for start, told in _ALIKE.items():
        if symbol.place == start or symbol.place.startswith(f"{start}."):
            return told or start
    return symbol.place


def _started(build: Build, renamed: Renamed) -> dict[str, list[str]]:
    """The functions that run when a file is loaded or unloaded, in order."""
    found: dict[str, list[str]] = {}
    for section in build.image.sections:
        base = next(
            (b for b in STARTED if section.name == b or section.name.startswith(f"{b}.")), None
        )
        if base is None or not section.flags & ALLOC or not section.size:
            continue
        content = build.holder.whole(section)
        pointers = content.pointers if content is not None else ()
        names = [str(p.place) if p.place.known else UNKNOWN for p in pointers]
        names = [next(iter(renamed.get(name, (name,)))) for name in names]
        priority = section.name.removeprefix(base)
        shown = [f"{name} ({priority[1:]})" if priority else name for name in names]
        found.setdefault(STARTED[base], []).extend(shown)
    return found

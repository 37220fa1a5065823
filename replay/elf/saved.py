"""A build that was saved: it answers what is asked of a build that is compared."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from replay.elf.builds import Build
from replay.elf.code import CodeReader
from replay.elf.contents import FunctionInfo, Selection
from replay.elf.debug import DebugInfo
from replay.elf.dynamic import Dynamic, Export
from replay.elf.forms import Form
from replay.elf.holding import Holder
from replay.elf.image import Image, Section, Symbol
from replay.elf.kept import Reader, Row
from replay.elf.names import Names
from replay.elf.referents import Content
from replay.elf.types import Definition, Known, Types
from replay.elf.uncovered import Piece
from replay.elf.values import Leaf


class SavedImage(Image):
    """What is known of the file itself.

    Attributes:
        digests: of the constants that a compiler numbered.
    """

    def __init__(self, path: Path, values: Mapping[str, Any]) -> None:
        self.path = path
        self.debug_folders = ()
        self.size = 0
        self.machine = values["machine"]
        self.bits = values["bits"]
        self.little_endian = values["little_endian"]
        self.type = values["type"]
        self.kind = values["kind"]
        self.sections = tuple(Section(*row) for row in values["sections"])
        self.symbols = tuple(Symbol(*row) for row in values["symbols"])
        self.symbol_table = values["symbol_table"]
        self.fingerprint = values["fingerprint"]
        self.digests = {self.symbols[int(n)]: text for n, text in values["constants"].items()}

    def __exit__(self, *error: object) -> None:
        pass


class _SavedHolder(Holder):
    def __init__(self, variables: dict[Symbol, Content | None], whole: dict[int, Content]) -> None:
        self._variables, self._whole = variables, whole

    def variable(self, symbol: Symbol) -> Content | None:
        return self._variables.get(symbol)

    def whole(self, section: Section) -> Content | None:
        return self._whole.get(section.index)


class _SavedReader(CodeReader):
    def __init__(self, masks: bool, sizes: dict[Symbol, int]) -> None:
        self.masks = masks
        self._sizes = sizes

    def size(self, function: Symbol) -> int:
        return self._sizes.get(function, function.size)


class _SavedTypes(Types):
    def __init__(self, values: Mapping[str, Any], little_endian: bool) -> None:
        self.known = {
            name: Known(
                {Definition(size, tuple(told)): units for size, told, units in each}, set(use)
            )
            for name, (each, use) in values["known"].items()
        }
        self.variables = {name: (told, 0) for name, told in values["variables"].items()}
        self.users = {name: set(types) for name, types in values["users"].items()}
        self.untyped = values["untyped"]
        self._leaves_of = {
            name: tuple(Leaf(at, n, member, kind, little_endian) for at, n, member, kind in told)
            for name, told in values["leaves"].items()
        }

    def leaves(self, name: str) -> tuple[Leaf, ...]:
        return self._leaves_of.get(name, ())


def _piece(reader: Reader, row: Row) -> Piece:
    section, names, referred, content, size = row
    return Piece(section, frozenset(names), referred, reader.content(content), size)


class SavedBuild(Build):
    """A build as it was saved.

    Args:
        image: what is known of the file.
        names: of its symbols, that mean the same in the other file.
        values: what was saved.
        only: what is wanted; all by default.

    Attributes:
        uncovered: its data in no variable.
    """

    def __init__(
        self, image: SavedImage, names: Names, values: Mapping[str, Any], only: Selection | None
    ) -> None:
        self.image = image
        self.only = only
        self._names = names
        symbols = image.symbols
        reader = Reader(values["places"], lambda n: n if isinstance(n, str) else names(symbols[n]))
        self._forms = {symbols[n]: reader.form(form) for n, _, form in values["functions"]}
        sizes = {symbols[n]: size for n, size, _ in values["functions"]}
        data = {symbols[n]: reader.content(content) for n, content in values["data"]}
        whole = {n: reader.content(content) for n, content in values["started"]}
        self.reader = _SavedReader(values["masks"], sizes)
        self.holder = _SavedHolder(data, {n: c for n, c in whole.items() if c is not None})
        self.code = self._found(lambda image, symbol: symbol in sizes)
        self.variables = self._found(lambda image, symbol: symbol in data)
        self.problem = values["problem"]
        self.known = {}
        for row in values["prototypes"]:
            function = FunctionInfo(*row)
            if only is None or function.name in only:
                self.known.setdefault(function.symbol, []).append(function)
        types = values["types"]
        self.types = None if types is None else _SavedTypes(types, image.little_endian)
        # Only whether there was any is asked of it.
        self.debug = None if types is None else DebugInfo.__new__(DebugInfo)
        self.unnamed_code = values["unnamed_code"]
        self.uncovered = [_piece(reader, row) for row in values["uncovered"]]
        self.dynamic = _dynamic(values["linkage"])

    def form(self, name: str) -> Form | None:
        """The code of a function; None if the file did not hold it."""
        return self._forms[self.code[name]]


def _dynamic(values: Mapping[str, Any]) -> Dynamic:
    exports = {
        name: tuple(Export(Symbol(*row), version) for row, version in each)
        for name, each in values["exports"].items()
    }
    return Dynamic(
        exports,
        values["imports"],
        {what: tuple(told) for what, told in values["said"].items()},
        values["needs"],
        {what: tuple(names) for what, names in values["started"].items()},
    )

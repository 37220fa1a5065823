"""Where exported names lie that are no variable of their own: absolute, or inside another."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Final

from replay.elf.dynamic import Export
from replay.elf.image import Image, Symbol
from replay.elf.names import plain

MADE: Final = frozenset(
    ("_end", "_edata", "_etext", "__bss_start", "end", "edata", "etext", "_GLOBAL_OFFSET_TABLE_")
)
"""Names that the linker defines, whose values depend on layout alone."""


class Insides:
    """The variables of a file by where they lie, for the names inside them."""

    def __init__(self, image: Image) -> None:
        found: dict[int, dict[int, Symbol]] = {}
        for symbol in image.symbols:
            if symbol.is_variable and symbol.size and symbol.section is not None:
                starts = found.setdefault(symbol.section, {})
                known = starts.get(symbol.value)
                # The largest of those that start here, and of equals the first by name.
                if known is None or (-symbol.size, symbol.name) < (-known.size, known.name):
                    starts[symbol.value] = symbol
        self._linked = image.type != "ET_REL"
        self._sorted = {
            section: [starts[at] for at in sorted(starts)] for section, starts in found.items()
        }

    def told(self, exports: Iterable[Export]) -> str:
        """Where the versions of a name lie, in words; empty for variables and functions."""
        return ", ".join(sorted({place for e in exports if (place := self._place(e.symbol))}))

    def _place(self, symbol: Symbol) -> str:
        if symbol.place == "ABS":
            # Linkers write names for places in variables as absolute ones, too.
            inside = (self._inside(symbol, each) for each in self._sorted.values())
            found = next(filter(None, inside), "") if self._linked else ""
            return f"absolute {found or hex(symbol.value)}"
        if symbol.section is None or symbol.type not in ("OBJECT", "NOTYPE", "TLS"):
            return ""
        return self._inside(symbol, self._sorted.get(symbol.section, []))

    def _inside(self, symbol: Symbol, variables: Sequence[Symbol]) -> str:
        """The variable that a symbol lies in, and the distance."""
        number = bisect_right(variables, symbol.value, key=lambda s: s.value)
        # One that starts before may end behind several that lie in it.
        for other in reversed(variables[max(number - 8, 0) : number]):
            distance = symbol.value - other.value
            if distance < other.size and (distance or symbol.type == "NOTYPE"):
                return f"{plain(other.name)}+{distance:#x}"
        return ""

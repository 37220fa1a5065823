"""Values that matter: the constants of libraries, those of what changed first.

What code compares with is where it behaves otherwise. The constants here are as the code
has them; their neighbours are drawn with them, see ``replay.repo.drawing``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

from replay.elf.errors import ElfError
from replay.repo.constants import Held, read_constants

T = TypeVar("T")

MOST_NEAR: Final = 64
"""Integers, floating numbers and texts, each, of what changed; and of all:"""
MOST_ALL: Final = 256


@dataclass(frozen=True, slots=True)
class Constants:
    """Constants without repetition, those first that say most of what changed.

    Attributes:
        ints: signed, as the code has them: the same bits may be an unsigned number.
        floats: finite.
        texts: of characters that are no NUL; also single ones, and ``letters`` are those.

    """

    ints: tuple[int, ...] = ()
    floats: tuple[float, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def letters(self) -> str:
        """The single characters among the texts."""
        return "".join(text for text in self.texts if len(text) == 1)

    @property
    def words(self) -> tuple[str, ...]:
        """The others."""
        return tuple(text for text in self.texts if len(text) > 1)


@dataclass(frozen=True, slots=True)
class Mined:
    """What was mined: from the functions that changed, and from all."""

    near: Constants = Constants()
    all: Constants = Constants()


NOTHING: Final = Mined()
"""Where nothing was mined."""


def mine(libraries: Sequence[Path], changed: frozenset[str] | None = None) -> Mined:
    """The constants of libraries; a function of their contents, their order and ``changed``.

    A library that cannot be read, or is of a machine that is not known, gives what it can.

    Args:
        libraries: shared libraries, as of the commits of a range.
        changed: names of the functions that changed; None for those that are not the same
            in all of the libraries, as far as that is told here.

    """
    held = [_read(path, changed or frozenset()) for path in libraries]
    names = _unlike(held) if changed is None else sorted(changed)
    near = [by_name[name] for name in names for by_name in held if name in by_name]
    every = [one for by_name in held for one in by_name.values()]
    common = _common(held, names)
    return Mined(_constants(near, common, MOST_NEAR), _constants([*near, *every], common, MOST_ALL))


def _read(path: Path, first: frozenset[str]) -> dict[str, Held]:
    try:
        status = path.stat()
        return _kept(path, (status.st_size, status.st_mtime_ns), first)
    except (ElfError, OSError):
        return {}


@lru_cache(maxsize=64)
def _kept(path: Path, state: tuple[int, int], first: frozenset[str]) -> dict[str, Held]:
    """A library is part of many comparisons; ``state`` tells when its file is another one."""
    return read_constants(path, first)


def _unlike(held: Sequence[dict[str, Held]]) -> list[str]:
    """The functions that are not the same everywhere."""
    names = sorted(set().union(*held))
    return [n for n in names if len({one[n].form if n in one else "" for one in held}) > 1]


def _common(held: Sequence[dict[str, Held]], names: Iterable[str]) -> frozenset[object]:
    """The constants that these functions hold in each library: what changed is not of them."""
    sides: list[set[object]] = [
        {
            (type(value), value)
            for name in names if name in one
            for values in (one[name].ints, one[name].floats, one[name].texts)
            for value in values
        }
        for one in held
    ]  # fmt: skip
    return frozenset(set.intersection(*sides)) if sides else frozenset()


def _constants(held: Sequence[Held], common: frozenset[object], most: int) -> Constants:
    def ranked(values: Iterable[T]) -> tuple[T, ...]:
        once = list(dict.fromkeys(values))
        once.sort(key=lambda value: (type(value), value) in common)
        return tuple(once[:most])

    return Constants(
        ranked(value for values in ([o.ints for o in held], [o.sums for o in held])
               for one in values for value in one),
        ranked(value for one in held for value in one.floats),
        ranked(value for one in held for value in one.texts),
    )  # fmt: skip

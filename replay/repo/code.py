"""Whether two libraries have the same code, and which functions differ if not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replay.elf.comparison import Change, compare
from replay.elf.errors import ElfError
from replay.elf.image import Image
from replay.errors import UsageError


@dataclass(frozen=True, slots=True)
class CodeComparison:
    """The code of two libraries.

    Attributes:
        identical: a proof that code and data are equal.
        changed: the names of the functions, static ones too, whose code differs, is new or
            gone.
        unknown: why it cannot be told which changed; empty if it can.

    """

    identical: bool
    changed: frozenset[str] = frozenset()
    unknown: str = ""


def compare_code(old: Path, new: Path) -> CodeComparison:
    """Compare the code of two libraries; what cannot be compared is unknown, never equal."""
    try:
        with Image(old) as one, Image(new) as other:
            if one.fingerprint == other.fingerprint:
                return CodeComparison(True)
        found = compare(old, new)
    except (ElfError, UsageError) as error:
        return CodeComparison(False, unknown=str(error))
    names = (
        (side.name.rpartition(":")[2] for side in (one.before, one.after) if side is not None)
        for one in found.functions
        if one.change is not Change.SAME
    )
    return CodeComparison(False, frozenset(name for both in names for name in both))

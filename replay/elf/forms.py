"""The code of a function in a form in which two builds of it can be compared."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from replay.elf.referents import Match, Referent, Renamed, described, match


class Code(enum.Enum):
    """What comparing a function's code found."""

    IDENTICAL = "identical"
    """The same instructions, and every reference leads to the same place."""
    MASKED = "identical as far as compared"
    """The same instructions, but some references lead to what has no name."""
    BYTES = "identical bytes, compared without masking"
    """Nothing is known of the references."""
    DATA = "the same instructions, other data"
    """A variable or constant that it refers to holds something else."""
    DIFFERENT = "different"
    """Other instructions, or a reference to something else."""
    OTHER_BYTES = "different bytes, compared without masking"
    """Perhaps only because other things lie elsewhere."""
    ONE_SIDE = "in one file only"
    """Inlined everywhere, or absent, in the other."""
    NONE = "no code of its own"
    """Inlined everywhere in both."""
    UNKNOWN = "not in the file"
    """The file does not hold the bytes."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A place in a function that leads elsewhere.

    Attributes:
        offset: bytes from the start of the function.
        how: 0 for the plain address, else by the number of the relocation.
    """

    offset: int
    how: int
    place: Referent


@dataclass(frozen=True, slots=True)
class Form:
    """A function's code.

    Attributes:
        code: its bytes; those of references are zero, unless ``raw``.
        references: in order. If ``raw``, the relocations.
        doubtful: uses of thread-local variables, at distances that the linker chose.
        raw: why the bytes are as they are; empty if they are masked.
    """

    code: bytes
    references: tuple[Reference, ...]
    doubtful: int = 0
    raw: str = ""


@dataclass(frozen=True, slots=True)
class FormMatch:
    """What comparing two forms found.

    Attributes:
        retargeted: references that lead elsewhere, as (before, after).
        uncompared: references and operands that could not be compared.
    """

    code: Code
    retargeted: tuple[tuple[str, str], ...] = ()
    uncompared: int = 0


def compare_forms(a: Form | None, b: Form | None, renamed: Renamed) -> FormMatch:
    """Compare two functions.

    IDENTICAL is claimed only if all references lead to places known to be the same.
    """
    if a is None or b is None:
        return FormMatch(Code.UNKNOWN)
    alike = a.code == b.code and [(r.offset, r.how) for r in a.references] == [
        (r.offset, r.how) for r in b.references
    ]
    if not alike:
        return FormMatch(Code.OTHER_BYTES if a.raw or b.raw else Code.DIFFERENT)
    pairs = list(zip(a.references, b.references, strict=True))
    matches = [match(x.place, y.place, renamed) for x, y in pairs]
    if a.raw or b.raw:
        same = a.raw and b.raw and Match.OTHER not in matches
        return FormMatch(Code.BYTES if same else Code.OTHER_BYTES)
    told = (
        described(x.place, y.place, renamed)
        for (x, y), found in zip(pairs, matches, strict=True)
        if found is Match.OTHER
    )
    retargeted = tuple(dict.fromkeys(told))
    uncompared = matches.count(Match.UNKNOWN) + max(a.doubtful, b.doubtful)
    if retargeted:
        return FormMatch(Code.DIFFERENT, retargeted, uncompared)
    return FormMatch(Code.MASKED if uncompared else Code.IDENTICAL, (), uncompared)

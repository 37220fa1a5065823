"""Which step of the series a file was built from, by the prototypes it was built with.

Each function of the declared API is evidence:

* strong against a step: the file defines or uses a function that the step's API does not
  have, or defines one with other types;
* medium against it: it defines one with the same types but other names of parameters;
* weak against it: the file does not show a function that the step's API has. A
  ``static inline`` function that is not called leaves no trace, and one object file
  defines only its part of the API.

A step is *possible* if there is no strong and no medium evidence against it, and among
the possible ones those are *best* that miss the fewest functions. Steps whose API is the
same cannot be told apart.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from replay.elf.contents import read_functions, select
from replay.elf.debug import DebugInfo
from replay.elf.image import Image
from replay.elf.prototype import Prototype, parse_prototype
from replay.errors import UsageError

Found: TypeAlias = dict[str, set[tuple[str, str]]]
"""By name, the prototypes of functions with and without names of parameters."""


class Identity(enum.Enum):
    """How far a file could be identified."""

    STEP = "one step"
    STEPS = "several steps that cannot be told apart"
    NO_STEP = "no step fits"
    NO_API = "nothing of the API is in the file"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A step, and what speaks against it.

    Attributes:
        unknown: functions in the file that the step's API does not have.
        conflicts: functions with other types, as (declared, found).
        renamed: functions with other names of parameters, as (declared, found).
        missing: prototypes of the step's API that the file does not show.
        present: how many functions of the step's API it shows.
    """

    step: int
    unknown: tuple[str, ...]
    conflicts: tuple[tuple[str, str], ...]
    renamed: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    present: int

    @property
    def distance(self) -> tuple[int, int, int]:
        """How many pieces of strong, medium and weak evidence are against it."""
        return len(self.unknown) + len(self.conflicts), len(self.renamed), len(self.missing)

    @property
    def possible(self) -> bool:
        """Whether nothing but absence speaks against it."""
        return self.distance[:2] == (0, 0)


@dataclass(frozen=True, slots=True)
class Identification:
    """What a file was identified as.

    Attributes:
        steps: the steps that fit best, ascending; none if no step fits.
        possible: all steps against which there is only absence.
        best: the candidates nearest to the file, nearest first.
        found: the prototypes of the API's functions that the file defines.
        used: names of the API's functions that it uses but does not define.
    """

    path: str
    identity: Identity
    steps: tuple[int, ...]
    possible: tuple[int, ...]
    best: tuple[Candidate, ...]
    found: tuple[str, ...]
    used: tuple[str, ...]


def identify(path: Path | str, apis: Mapping[int, Iterable[str]], most: int = 5) -> Identification:
    """Say from which step a file was built.

    Args:
        path: an object, shared library or executable with debug information.
        apis: the prototypes of each step's whole API, in any spelling. Only functions
            whose names are in one of them are looked at.
        most: how many candidates to report when no step fits; those that fit best are
            reported all.

    Raises:
        ElfError: the file cannot be read, or has no debug information.
        UsageError: there is no step, or a prototype is none, or a step has two
            prototypes for one function.
    """
    if not apis:
        raise UsageError("there is no step to compare with; give each step's prototypes")
    tables = {step: _table(step, prototypes) for step, prototypes in apis.items()}
    names = {name for table in tables.values() for name in table}
    found, used = _evidence(path, names)
    ranked = sorted(
        (_candidate(step, table, found, used) for step, table in tables.items()),
        key=lambda c: (c.distance, c.step),
    )
    nearest = [c for c in ranked if c.distance == ranked[0].distance]
    anything = bool(found or used)
    possible = tuple(sorted(c.step for c in ranked if c.possible and anything))
    steps = tuple(c.step for c in nearest) if possible else ()
    return Identification(
        str(path),
        _identity(anything, len(steps)),
        steps,
        possible,
        tuple(nearest if len(nearest) >= most else ranked[:most]),
        tuple(sorted(text for shapes in found.values() for text, _ in shapes)),
        tuple(sorted(used)),
    )


def _identity(anything: bool, steps: int) -> Identity:
    if not anything:
        return Identity.NO_API
    if not steps:
        return Identity.NO_STEP
    return Identity.STEP if steps == 1 else Identity.STEPS


def _table(step: int, prototypes: Iterable[str]) -> dict[str, Prototype]:
    table: dict[str, Prototype] = {}
    for text in prototypes:
        prototype = parse_prototype(text)
        other = table.setdefault(prototype.name, prototype)
        if other.text != prototype.text:
            raise UsageError(
                f"step {step} has two prototypes for {prototype.name}: {other.text!r} and "
                f"{prototype.text!r}; keep one"
            )
    return table


def _evidence(path: Path | str, names: set[str]) -> tuple[Found, set[str]]:
    """The API's functions that a file defines, and those that it uses only."""
    with Image(path) as image:
        functions = read_functions(DebugInfo(image), select(names))
        found: Found = {}
        for function in functions:
            shape = function.prototype, function.types
            found.setdefault(function.name, set()).add(shape)
        used = {s.name for s in image.symbols if s.name in names and s.place == "UNDEF"}
    return found, used - set(found)


def _candidate(step: int, api: dict[str, Prototype], found: Found, used: set[str]) -> Candidate:
    conflicts, renamed = [], []
    for name in sorted(found.keys() & api.keys()):
        declared = api[name]
        for text, types in sorted(found[name]):
            if types != declared.types:
                conflicts.append((declared.text, text))
            elif text != declared.text:
                renamed.append((declared.text, text))
    shown = found.keys() | used
    return Candidate(
        step,
        tuple(sorted(shown - api.keys())),
        tuple(conflicts),
        tuple(renamed),
        tuple(api[name].text for name in sorted(api.keys() - shown)),
        len(shown & api.keys()),
    )


def ranges(steps: Iterable[int]) -> str:
    """Numbers of steps in words: ``3``, ``5-7, 9``."""
    spans: list[list[int]] = []
    for step in sorted(set(steps)):
        if spans and spans[-1][1] == step - 1:
            spans[-1][1] = step
        else:
            spans.append([step, step])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in spans)

"""Trees → libraries that can be called: built, read, and bound to one interface.

Every stage takes what the one before gave, and gives a value for each tree. What a tree
lacks on the way is an obstacle, which goes with its value, and no error. The trees need
not be neighbours in a history: whoever compares them says which with which.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

from replay.build.compiler import sanitizer
from replay.elf.errors import ElfError
from replay.repo.binding import Binding, Interface
from replay.repo.binding import Mapping as Rule
from replay.repo.bound import Bound, Unbound, bind
from replay.repo.building import Builder, Built
from replay.repo.errors import RepoError
from replay.repo.guessed import binding_of
from replay.repo.mining import mine
from replay.repo.runner import Runner, library_head, model_head
from replay.repo.shapes import LibraryShape, read_shape
from replay.search.verdict import Verdict

Progress: TypeAlias = Callable[[float, float, str], None]
"""Called with how much is done, of how much, and what that is."""


@dataclass(frozen=True, slots=True)
class Target:
    """What is called: a library as bound to the interface, or (with ``model``) the model.

    ``reach`` asks its worker which lines are reached, see ``replay.repo.reach``.
    """

    bound: Bound
    library: Path
    checksum: str
    preload: str = ""
    model: str = ""
    reach: Mapping[str, Any] = field(default_factory=dict, compare=False)
    key: str = field(init=False, compare=False, repr=False)
    """Equal for two that must behave the same."""

    def __post_init__(self) -> None:
        # It is asked for with every trace, and made of all that is bound.
        object.__setattr__(self, "key", self.checksum + json.dumps(self.bound.to_json()))

    def open(self, cpu: float, fill: int = 0) -> Runner:
        """A worker with it; ``fill`` as in ``Runner``.

        Raises:
            Unbound: it cannot be loaded.

        """
        if self.model:
            return Runner(model_head(self.bound, self.library, self.model), cpu=cpu)
        head = {**library_head(self.bound, self.library), **self.reach}
        return Runner(head, self.preload, cpu, fill)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Why a tree cannot be compared: NOT_BUILT or NOT_JUDGED, and what a build printed."""

    verdict: Verdict
    reason: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of a tree on its way to a library that can be called.

    Attributes:
        notes: what a reader should know of it.
        built: its library; None where there is none.
        shape: what the library says of itself; None where it cannot be read.
        target: what to call, once it is bound; None where it cannot be.
        obstacle: why the way ended early; None where it did not.

    """

    notes: tuple[str, ...] = ()
    built: Built | None = None
    shape: LibraryShape | None = None
    target: Target | None = None
    obstacle: Obstacle | None = None

    def noting(self, note: str) -> Prepared:
        """The same with one more note."""
        return replace(self, notes=(*self.notes, note))

    def stopped(self, reason: str) -> Prepared:
        """The same, which cannot be judged."""
        return replace(self, target=None, obstacle=Obstacle(Verdict.NOT_JUDGED, reason))


def prepare(
    builder: Builder, trees: Sequence[str], jobs: int, progress: Progress
) -> list[Prepared]:
    """Build each tree once and read what it gives, as far as that goes."""
    once = dict.fromkeys(trees)
    done = 0

    def one_more() -> None:
        nonlocal done
        done += 1
        progress(done, len(once), f"{done} of {len(once)} trees built")

    progress(0, len(once), "building")
    outcomes = builder.build_all(once, jobs, one_more)
    shapes: dict[str, LibraryShape | str] = {}
    made: dict[str, Prepared] = {}
    last: LibraryShape | str = ""
    for tree, outcome in outcomes.items():
        if isinstance(outcome, Built):
            if outcome.checksum not in shapes:
                shape = _shape(outcome.library)
                # Of a thousand neighbours most have the same: it is kept once.
                last = shapes[outcome.checksum] = last if shape == last else shape
            made[tree] = _read(Prepared(outcome.notes, outcome), shapes[outcome.checksum])
        else:
            obstacle = Obstacle(Verdict.NOT_BUILT, outcome.reason, outcome.output)
            made[tree] = Prepared(outcome.notes, obstacle=obstacle)
    return [made[tree] for tree in trees]


def _read(prepared: Prepared, shape: LibraryShape | str) -> Prepared:
    if isinstance(shape, str):
        return prepared.stopped(shape)
    read = replace(prepared, shape=shape)
    return read.noting(f"its calls are unchecked: {shape.problem}") if shape.problem else read


def _shape(library: Path) -> LibraryShape | str:
    try:
        return read_shape(library)
    except ElfError as error:
        return f"the library: {error.problem}; {error.cure}"


def drafted(prepared: Sequence[Prepared]) -> Binding:
    """A binding from the libraries that could be read; one of them could.

    Raises:
        RepoError: they say nothing of their functions.

    """
    shapes = [one.shape for one in prepared if one.shape is not None]
    if not any(shape.functions for shape in shapes):
        raise RepoError(
            f"no prototypes to draft a binding from ({shapes[0].problem or 'nothing is exported'});"
            " write one and give it with --binding"
        )
    return binding_of(shapes)


def mining(interface: Interface, prepared: Sequence[Prepared]) -> Interface:
    """The interface, whose values are also drawn from the constants of these libraries."""
    libraries = {one.built.checksum: one.built.library for one in prepared if one.built}
    return replace(interface, mined=mine(tuple(libraries.values())))


def bound_to(
    interface: Interface, prepared: Prepared, holds: Callable[[Rule], bool], *,
    lenient: bool = False,
) -> Prepared:  # fmt: skip
    """A tree's library as it is to be called, by the maps of the binding that hold there.

    ``lenient``: without what is not there, see :func:`replay.repo.bound.bind`.
    """
    if prepared.shape is None or prepared.built is None:
        return prepared
    rules: dict[str, list[Rule]] = {}
    for rule in interface.binding.maps:
        if holds(rule):
            rules.setdefault(rule.op, []).append(rule)
    try:
        bound = bind(interface, prepared.shape, rules, lenient=lenient)
    except Unbound as error:
        return prepared.stopped(str(error))
    built, preload = prepared.built, sanitizer(prepared.shape.needed)
    ready = replace(prepared, target=Target(bound, built.library, built.checksum, preload))
    if not bound.missing or bound.drafted:
        return ready
    return ready.noting(f"without {', '.join(bound.missing)}, not there yet or gone")

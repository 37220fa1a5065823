"""The proofs of a verification: each pair that traces found the same, rung by rung.

A changed function is proved where its own code is equal under some compiler and so are, or
are proved otherwise, the changed functions that it leads to; or by all its arguments; or by an
engine. One that is not exported is covered, too, where all exported functions that lead to it
are proved as a whole. A pair is proved where all its changed functions are: what did not
change does the same as long as what it calls does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from replay.base.pool import Threads
from replay.build.command import Commands
from replay.elf.errors import ElfError
from replay.errors import UsageError
from replay.repo.binding import Interface
from replay.repo.building import Builder
from replay.repo.calls import CallTrace
from replay.repo.code import CodeComparison, compare_code
from replay.repo.pairing import Pair
from replay.repo.prove.bounded import Bench, checked
from replay.repo.prove.called import Called, ways
from replay.repo.prove.engines import MISSING, Engine, doubt, find_engine
from replay.repo.prove.enumerating import Libraries, enumerated
from replay.repo.prove.leading import Leading
from replay.repo.prove.proof import FunctionProof, NotProved, Proof, Proved, Rung
from replay.repo.prove.recompiling import Recompiled, recompiled
from replay.repo.prove.sources import Sources, recorded
from replay.repo.shapes import LibraryShape, prototypes

Confirm: TypeAlias = Callable[[CallTrace], bool]
"""Whether the libraries of a pair differ on a trace."""


@dataclass(slots=True)
class Prover:
    """Proves pairs.

    Attributes:
        builder: of the trees.
        interface: how their functions are called.
        jobs: builds, and questions to an engine, at a time.

    """

    builder: Builder
    interface: Interface
    jobs: int
    _sources: dict[str, Sources | str] = field(default_factory=dict)
    _engine: Engine | str | None = None
    commands: Commands = field(default_factory=Commands)

    def prove(
        self, pair: Pair, trees: tuple[str, str], shapes: tuple[LibraryShape, LibraryShape],
        confirm: Confirm,
    ) -> Proof:  # fmt: skip
        """Prove that the two libraries of a pair do the same, as far as that goes.

        Args:
            pair: on which no trace differs.
            trees: the two trees.
            shapes: of the libraries.
            confirm: asked of calls on which the two should differ; where they do, there is
                no more to prove.

        """
        sides = pair.before.library, pair.after.library
        code = compare_code(*sides)
        again = recompiled(self.builder, trees, self.jobs, code.changed, sides)
        if again.whole is not None:
            return Proof(Proved(Rung.CODE, f"proved: equal code by {again.whole.text}"))
        if code.unknown:
            return Proof(why=f"what changed is not known ({code.unknown})")
        try:
            leading = Leading.read(sides[0]), Leading.read(sides[1])
        except (ElfError, UsageError) as error:
            return Proof(why=str(error))
        problem = _problem(*leading)
        if problem:
            return Proof(why=problem)
        with Threads(self.jobs) as threads:
            try:
                one = _Pair(self, pair, trees, shapes, leading, code, again, confirm)
                return one.prove(threads)
            finally:
                # Before the threads are waited for: what they run may take long.
                self.commands.stop()
                self.commands.resume()

    def engine(self) -> Engine | str:
        """The engine; a text says why there is none."""
        if self._engine is None:
            found = find_engine(self.commands)
            self._engine = MISSING if found is None else doubt(found) or found
        return self._engine

    def sources(self, tree: str, library: Path) -> Sources | str:
        """The sources of a tree; a text says why there are none."""
        if tree not in self._sources:
            record = self.builder.source.place / f"record-{len(self._sources)}"
            self._sources[tree] = recorded(self.builder, tree, library, record)
        return self._sources[tree]


def _problem(old: Leading, new: Leading) -> str:
    """What changed of a pair that no function shows."""
    gone = sorted(old.public - new.public)
    if gone:
        return f"{', '.join(gone)} is no longer exported"
    each = sorted(old.exported)
    lost = [name for name in each if old.contents[name] != new.contents.get(name)]
    return f"{lost[0]}, which is exported, starts as something else" if lost else ""


class _Pair:
    """A pair whose libraries are read."""

    def __init__(
        self, prover: Prover, pair: Pair, trees: tuple[str, str],
        shapes: tuple[LibraryShape, LibraryShape], leading: tuple[Leading, Leading],
        code: CodeComparison, again: Recompiled, confirm: Confirm,
    ) -> None:  # fmt: skip
        self.prover, self.pair, self.trees, self.shapes = prover, pair, trees, shapes
        self.again, self.confirm = again, confirm
        self.both = Libraries(
            (pair.before.library, pair.after.library),
            leading,
            pair.before.bound.setup,
            prover.commands,
        )
        self.public = leading[0].public & leading[1].public
        # What only the later one exports has nothing before it to be compared with.
        self.changed = sorted(code.changed - (leading[1].public - leading[0].public))
        self.ways: dict[str, list[Called] | str] = {
            name: ways(name, prover.interface, pair, shapes) for name in self.public
        }
        self.tried: dict[str, Proved | dict[Rung, str]] = {}
        self.suspects: list[CallTrace] = []
        self.engine: Engine | str = ""
        self.sources: tuple[Sources, Sources] | str = ""

    def prove(self, threads: Threads) -> Proof:
        proofs = {name: self.again.proved(name) for name in self.changed}
        found = {name: one for name, one in proofs.items() if one is not None}
        rest = [(name, name) for name in self.changed if name not in found]
        if rest:
            self.engine = self.prover.engine()
            self.sources = self._both_sources()
        for name, one in threads.map(self._whole, rest):
            self.tried[name] = one
            if isinstance(one, Proved):
                found[name] = one
            elif any(map(self.confirm, self._taken())):
                return Proof(why="the libraries differ")
        while more := self._given(found):
            found |= more
        through = {
            name: self._through(name) for name in self.changed
            if name not in found and name not in self.public
        }  # fmt: skip
        rows = [
            FunctionProof(
                name, found.get(name), {} if name in found else self._why(name),
                through.get(name, ()),
            )
            for name in self.changed
        ]  # fmt: skip
        roots = {root for one in through.values() for root in one} - set(self.changed)
        rows += [FunctionProof(root, self._sure(root)) for root in sorted(roots)]
        return Proof(functions=tuple(rows))

    def _given(self, found: Mapping[str, Proved]) -> dict[str, Proved]:
        """Functions with equal code that lead to nothing but proved ones."""
        known = frozenset(found)
        each = {name: self.again.proved(name, known) for name in self.changed if name not in found}
        return {name: one for name, one in each.items() if one is not None}

    def _through(self, name: str) -> tuple[str, ...]:
        """The exported functions that lead to a function, if all of them are proved."""
        if any(name in side.pointed for side in self.both.leading):
            return ()
        roots = set()
        for root in sorted(self.public):
            reached = self.both.reached(root)
            if isinstance(reached, str):
                return ()
            if name in reached[0].functions | reached[1].functions:
                roots.add(root)
        sure = all(self._sure(root) is not None for root in sorted(roots))
        return tuple(sorted(roots)) if sure else ()

    def _sure(self, root: str) -> Proved | None:
        """The proof of a function with all that it leads to, which need not be proved itself."""
        closed = self.again.proved(root)
        if closed is not None:
            return closed
        found = self.whole(root)
        return found if isinstance(found, Proved) else None

    def whole(self, name: str) -> Proved | dict[Rung, str]:
        """The proof of a function with all that it leads to; or why there is none, by rung."""
        if name not in self.tried:
            self.tried[name] = self._whole(name)
        return self.tried[name]

    def _whole(self, name: str) -> Proved | dict[Rung, str]:
        called = self.ways.get(name) if name in self.public else self._local(name)
        if called is None or isinstance(called, str):
            why = called or "it is not exported on both sides"
            return {Rung.RANGES: why, Rung.BOUNDED: why}
        reasons: dict[Rung, str] = {}
        for rung, ask in ((Rung.RANGES, self._enumerated), (Rung.BOUNDED, self._checked)):
            said = ask(name, called)
            if isinstance(said, Proved):
                return said
            reasons[rung] = said.why
            if said.suspect is not None:
                self.suspects.append(said.suspect)
                break
        return reasons

    def _local(self, name: str) -> list[Called] | str:
        """How a function is called that is not exported: by its prototype alone."""
        files = self.both.paths
        try:
            known = [prototypes(path, frozenset([name])) for path in files]
        except ElfError as error:
            return error.problem
        both = tuple(
            replace(shape, functions={**shape.functions, **one})
            for shape, one in zip(self.shapes, known, strict=True)
        )
        return ways(name, self.prover.interface, self.pair, (both[0], both[1]))

    def _enumerated(self, name: str, called: Sequence[Called]) -> Proved | NotProved:
        if name not in self.public:
            return NotProved("it is not exported")
        if self.pair.before.preload or self.pair.after.preload:
            return NotProved("the libraries need a sanitizer")
        return enumerated(called, self.ways, self.both)

    def _checked(self, name: str, called: Sequence[Called]) -> Proved | NotProved:
        if isinstance(self.engine, str):
            return NotProved(self.engine)
        if isinstance(self.sources, str):
            return NotProved(self.sources)
        return checked(called, Bench(self.engine, self.sources, self.both))

    def _both_sources(self) -> tuple[Sources, Sources] | str:
        if isinstance(self.engine, str):
            return self.engine
        files = zip(self.trees, self.both.paths, strict=True)
        old, new = (self.prover.sources(tree, path) for tree, path in files)
        if isinstance(old, str) or isinstance(new, str):
            return old if isinstance(old, str) else str(new)
        return old, new

    def _taken(self) -> list[CallTrace]:
        """The calls that rungs suspect, each told once."""
        taken, self.suspects = self.suspects, []
        return taken

    def _why(self, name: str) -> dict[Rung, str]:
        """Why no rung reached a function."""
        tried = self.whole(name)
        reasons = {Rung.CODE: self.again.reason(name)}
        return reasons if isinstance(tried, Proved) else {**reasons, **tried}

"""Where C and model part: whether a machine gets there, and by which shortest trace.

The search goes by the model, which up to there does as the C. What it finds counts only
when the library of the step, compiled as users do, shows it: then the trace is run, and
where what differs is not seen at once, with one more operation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from replay.build.compile import BuildFailed, build
from replay.build.output import telling_line
from replay.dirty.explore.concolic.banks import Plan, operations, shifts
from replay.dirty.explore.concolic.running import Different
from replay.dirty.explore.errors import ToolError
from replay.dirty.explore.pairs import SUSPECT
from replay.dirty.explore.reach import Reached
from replay.dirty.explore.search import Request, Shortest
from replay.dirty.explore.state import Shape, cells_of
from replay.dirty.explore.tables import Effects, Leaf, Tree, question
from replay.dirty.language.domain import follow
from replay.dirty.language.trace import Op, Trace
from replay.dirty.language.values import op_text
from replay.dirty.machine.lockstep import run_steps
from replay.dirty.native.encode import encode
from replay.dirty.native.model import word_flags
from replay.dirty.native.session import Libraries, Session
from replay.dirty.rules.diff import first_difference

MOST_CUBES: Final = 64
"""Ways through an operation that are looked for."""
MOST_TRIES: Final = 24
"""Traces that are tried on the library."""

Cube = dict[int, int]
"""The values of the cells that a way asked for."""


class Reaching:
    """The differences of a step, and the search for them.

    Attributes:
        touched: what they touch.
        where: one of them in words.
        shown: the shortest trace, if the library shows any.
        unreached: whether no machine gets to any of them.
        problem: why neither is known.

    """

    def __init__(
        self, request: Request, machines: Sequence[type[Any]], step: int, plan: Plan,
        different: Sequence[Different], files: Mapping[str, bytes],
    ) -> None:  # fmt: skip
        self.request, self.machines, self.step = request, machines, step
        self.plan, self.different, self.files = plan, different, files
        self.cells = cells_of(request.scope)
        self.entries: dict[int, list[tuple[int, Op]]] = {}
        self.touched = tuple(dict.fromkeys(name for one in different for name in one.names))
        self.where = self._words(different[0])
        self.shown: list[Shortest] = []
        self.unreached = False
        self.problem = ""
        self.tries = 0

    # --- what was told ---

    def _operation(self, one: Different) -> tuple[int, Op]:
        """The place of the operation among all of its shape, and the operation."""
        entries = self.entries.get(one.bank)
        if entries is None:
            code = self.plan.codes[self.plan.of[self.step][one.bank]]
            entries = self.entries[one.bank] = [
                found for number in code.shapes
                for found in operations(self.request.scope, self.plan.shapes[number], code.name)
            ]  # fmt: skip
        return entries[one.entry]

    def _cube(self, one: Different) -> Cube:
        places = shifts(self.cells)
        return {
            cell: one.state >> shift & (3 if self.cells.sizes[cell] == 3 else 1)
            for cell, shift in enumerate(places) if one.asked >> shift & 1
        }  # fmt: skip

    def _words(self, one: Different) -> str:
        """A difference: the operation, the blocks, the cells that were asked for."""
        _, op = self._operation(one)
        shape = self.plan.shapes[one.shape]
        blocks = "+".join(str(count) for _, count in shape.blocks) or "no"
        names = self.cells.names
        values = ", ".join(
            f"{names[cell][0]} of page {names[cell][1]} {value}"
            for cell, value in self._cube(one).items()
        )
        what = f"differs in {', '.join(one.names)}, with {values or 'any state'}"
        return f"{op_text(op)} on blocks of {blocks} pages {what}"

    @cached_property
    def trees(self) -> dict[tuple[Shape, int], Tree]:
        """The states from which an operation is said to differ, as trees with tags."""
        cubes: dict[tuple[Shape, int], list[Cube]] = {}
        for one in self.different:
            at, _ = self._operation(one)
            cubes.setdefault((self.plan.shapes[one.shape], at), []).append(self._cube(one))
        return {
            key: _tree(key[0], found[:MOST_CUBES], self.cells.sizes) for key, found in cubes.items()
        }

    # --- the search ---

    def search(self) -> None:
        """Search until the library shows a difference, or no state is left.

        Raises:
            ReplayError: the scope is too large, or the library cannot be made or run.

        """
        request = self.request
        effects = Effects.of(self.machines[self.step], request.scope)
        reached = Reached(effects, self.trees, request.jobs, request.memory)
        many: dict[tuple[Shape, int], int] = {}
        for one in self.different:
            key = (self.plan.shapes[one.shape], self._operation(one)[0])
            many[key] = many.get(key, 0) + 1
        whole = all(count <= MOST_CUBES for count in many.values())
        met = False
        with self._session() as held:
            while True:
                depth = len(reached.layers) - 1
                for key in reached.shown:
                    place = reached.engine.find(key, SUSPECT, reached.layers[depth])
                    if place is None:
                        continue
                    met = True
                    if self._confirmed(held, reached.trace(depth, place, key[1])):
                        return
                if reached.deeper() is None or self.tries >= MOST_TRIES:
                    break
        self.unreached = reached.fixpoint and whole and not met
        if met:
            self.problem = f"{self.where}; the library did not show it on {self.tries} traces"
        elif not self.unreached:
            self.problem = f"{self.where}; whether a machine gets there is not known"

    def _session(self) -> Session:
        bits = self.request.scope.word_bits
        made = build(self.step, self.files, flags=word_flags(bits))
        if isinstance(made, BuildFailed):
            raise ToolError(f"the step's library does not build: {telling_line(made.text)}")
        return Session(Libraries(((self.step, str(made.path)),), "", bits))

    def _confirmed(self, held: Session, trace: Trace) -> bool:
        """Whether the library shows a difference on a trace, or on one operation more."""
        self.tries += 1
        if self._shows(held, [trace]):
            return True
        layout = self.request.scope.start()
        for op in trace.ops[len(self.request.scope.prefix) :]:
            follow(op, layout, trace.config)
        more = self.request.scope.operations(layout)
        return self._shows(held, [trace.with_ops((*trace.ops, op)) for op in more])

    def _shows(self, held: Session, traces: Sequence[Trace]) -> bool:
        """Whether the library parts from the model on one of these; that is then entered."""
        runs = held.records(
            encode(traces, self.request.scope.word_bits),
            [(self.step, at) for at in range(len(traces))],
            in_domain=True,
        )  # fmt: skip
        for one, run in zip(traces, runs, strict=True):
            model = run_steps(self.machines, one, (self.step,))[self.step]
            parted = first_difference(model, run)
            if parted:
                shorter = one.with_ops(one.ops[: parted.index + 1])
                self.shown.append(Shortest("", shorter, tuple(parted.fields)))
                return True
        return False


def _tree(shape: Shape, cubes: Sequence[Cube], sizes: Sequence[int]) -> Tree:
    """A tree whose leaves have the tag where one of the cubes holds."""
    if not cubes:
        return Leaf(shape, ())
    if not all(cubes):
        return Leaf(shape, (), SUSPECT)
    cell = min(cubes[0])
    children = []
    for value in range(sizes[cell]):
        rest = [
            {other: held for other, held in cube.items() if other != cell}
            for cube in cubes if cube.get(cell, value) == value
        ]  # fmt: skip
        children.append(_tree(shape, rest, sizes))
    return question(cell, children)

"""The states that a step reaches, breadth first, over the tables of what operations do.

Two cuts, which change nothing that can be told. A cell that has one value whatever happens
is not asked for: :func:`possible` finds values that contain all that can be reached. A cell
that no operation and nothing that is looked for asks about is no part of a state: states
that differ in it alone do the same for ever, and so count as one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

from replay.dirty.explore.engine import SHAPE, Engine, Root
from replay.dirty.explore.errors import ExploreError, Refused
from replay.dirty.explore.expansion import States
from replay.dirty.explore.halting import Ended, Stop, never
from replay.dirty.explore.state import Shape
from replay.dirty.explore.tables import Effects, Leaf, Question, Tree, leaves, question, untagged
from replay.dirty.language.trace import Op, Trace

Roots: TypeAlias = dict[Shape, list[Root]]
Shown: TypeAlias = tuple[Shape, int]
"""A tree to look for: of a shape, and the index of an operation."""


class Begun(NamedTuple):
    """The first state of a search.

    Attributes:
        shape: its shape.
        values: of its cells, those that are not 0.
        tagged: the operation that leads to it and is what is looked for; None mostly.

    """

    shape: Shape
    values: dict[int, int]
    tagged: int | None = None


def start(effects: Effects) -> Begun:
    """The first state of a search."""
    shape, values = Shape(), dict[int, int]()
    for index, op in enumerate(effects.form.scope.prefix):
        (leaf,) = effects.all(shape, [op])
        while isinstance(leaf, Question):
            # An empty machine has nothing to ask for; the books of a property have.
            leaf = leaf.children[values.get(leaf.cell, 0)]
        if leaf.tag:
            return Begun(shape, values, index)
        shape = leaf.shape
        values |= dict(leaf.sets)
    return Begun(shape, values)


class Reached:
    """The states that a step reaches, layer after layer.

    Args:
        effects: of the step.
        shown: further trees to look for, by shape and operation; those of the step that
            have a tag come to them.
        jobs: threads.
        memory: bytes that the states may take.
        cut: whether to leave out what no state answers and nothing asks for.
        stop: asked while the tables are made whether to end.

    Attributes:
        shown: these trees, without what no state answers.
        layers: the states by how many operations lead to them.
        fixpoint: whether there are no others.
        ended: why the search was given up; empty if it was not.

    Raises:
        Ended: ``stop`` gave a reason before the tables were made.
        ExploreError: a scope that is too large, or no compiler.

    """

    def __init__(
        self, effects: Effects, shown: Mapping[Shown, Tree],
        jobs: int, memory: int, cut: bool = True, stop: Stop = never,
    ) -> None:  # fmt: skip
        self.scope, self.jobs, self.memory = effects.form.scope, jobs, memory
        cells = effects.form.cells
        self.begun = begun = start(effects)
        first, values = begun.shape, begun.values
        self.shown = dict(shown)
        roots, kept = self._roots(effects, first, stop), frozenset(range(len(cells.names)))
        if cut:
            roots, self.shown = _possible_only(roots, self.shown, values, cells.sizes)
            roots, self.shown = _trimmed(roots, self.shown)
            kept = _asked(roots, self.shown)
        extra = {key: (key[0], tree) for key, tree in self.shown.items()}
        self.engine = Engine(cells, roots, extra, kept)
        if self.engine.bytes > memory:
            raise ExploreError(
                f"the set of the states of this scope takes {self.engine.bytes >> 20} MiB: "
                "take fewer pages, or give --memory"
            )
        packing, numbers = self.engine.packing, self.engine.numbers
        begin = {cell: value for cell, value in values.items() if cell in kept}
        layer = array("Q", [packing.word(numbers[first], begin)])
        self.engine.enter(layer)
        self.layers = [layer]
        self.fixpoint, self.ended = False, ""

    def _roots(self, effects: Effects, first: Shape, stop: Stop) -> Roots:
        roots: Roots = {}
        todo = [first]
        while todo:
            shape = todo.pop(0)
            if shape in roots:
                continue
            ops = tuple(self.scope.operations(shape.layout))
            found: dict[Tree, int] = {}
            for index, whole in enumerate(effects.all(shape, ops)):
                if reason := stop():
                    raise Ended(reason)
                tree = untagged(whole)
                if any(leaf.tag for leaf in leaves(whole)):
                    self.shown[shape, index] = whole
                if tree != Leaf(shape, ()):
                    found.setdefault(tree, index)
            roots[shape] = [Root(tree, index) for tree, index in found.items()]
            todo += dict.fromkeys(leaf.shape for tree in found for leaf in leaves(tree))
        return roots

    @property
    def states(self) -> int:
        """How many states were met."""
        return sum(map(len, self.layers))

    @property
    def shaped(self) -> list[int]:
        """How many states of each of the engine's shapes were met."""
        counts = [0] * len(self.engine.shapes)
        for layer in self.layers:
            # A layer is sorted, and the shape stands on top of a state.
            ends = [bisect_left(layer, shape << SHAPE) for shape in range(len(counts) + 1)]
            for shape, (begin, end) in enumerate(pairwise(ends)):
                counts[shape] += end - begin
        return counts

    @property
    def transitions(self) -> int:
        """Operations from all states, whether one effect stands for several or not."""
        counts = [sum(1 for _ in self.scope.operations(s.layout)) for s in self.engine.shapes]
        return sum(count * states for count, states in zip(counts, self.shaped, strict=True))

    @property
    def bytes(self) -> int:
        """The memory that the search holds: tables, the set of states, and the layers."""
        return self.engine.bytes + 8 * self.states

    def deeper(self, stop: Stop = never) -> States | None:
        """Search one operation deeper; the new layer, or None where there is no more.

        At a fixpoint there is none; nor where ``ended`` then says why: the memory was used
        up, or ``stop`` gave a reason. All layers stay as they were.
        """
        if self.ended or self.fixpoint:
            return None
        left = self.memory - self.bytes
        try:
            layer = self.engine.next_layer(self.layers[-1], self.jobs, left, stop)
        except Ended as error:
            self.ended = str(error)
            return None
        if not layer:
            self.fixpoint = True
            return None
        self.layers.append(layer)
        return layer

    def fits(self, states: int) -> None:
        """See to it that there is memory for so many states.

        Raises:
            Refused: there is not.

        """
        held = self.engine.bytes + 8 * states
        if held > self.memory:
            raise Refused(
                f"the states that were kept take {(held >> 20) + 1} MiB: give --memory more"
            )

    def resume(self, layers: list[States], fixpoint: bool) -> None:
        """Go on from layers that the same search made before.

        Raises:
            Refused: there is no memory for so many states.

        """
        self.fits(sum(map(len, layers)))
        self.engine.forget()
        for layer in layers:
            self.engine.enter(layer)
        self.layers, self.fixpoint, self.ended = layers, fixpoint, ""

    def trace(self, depth: int, place: int, last: int) -> Trace:
        """The operations to a state of a layer, and one more."""
        state = self.layers[depth][place]
        ops = [self._operation(state, last)]
        for layer in reversed(self.layers[:depth]):
            state, operation = self.engine.parent(layer, state)
            ops.append(self._operation(state, operation))
        return Trace((*self.scope.prefix, *reversed(ops)), self.scope.config)

    def _operation(self, state: int, index: int) -> Op:
        shape = self.engine.shapes[state >> SHAPE]
        return next(op for at, op in enumerate(self.scope.operations(shape.layout)) if at == index)


def possible(
    roots: Mapping[Shape, Sequence[Root]], first: Mapping[int, int], sizes: Sequence[int]
) -> list[set[int]]:
    """For each cell the values that it can have at most, whatever the others have.

    More states than can be reached, never fewer: where a cell has one value here, it has no
    other in any state.
    """
    values = [{first.get(cell, 0)} for cell in range(len(sizes))]
    before = 0
    while sum(map(len, values)) != before:
        before = sum(map(len, values))
        for row in roots.values():
            for root in row:
                for leaf in leaves(pruned(root.tree, values)):
                    for cell, value in leaf.sets:
                        values[cell].add(value)
    return values


def pruned(tree: Tree, values: Sequence[set[int]]) -> Tree:
    """A tree without the answers that no state gives."""
    if isinstance(tree, Leaf):
        return tree
    children = [pruned(tree.children[value], values) for value in sorted(values[tree.cell])]
    if len(children) == 1:
        return children[0]
    full = [
        children[sorted(values[tree.cell]).index(value)] if value in values[tree.cell]
        else children[0]
        for value in range(len(tree.children))
    ]  # fmt: skip
    return tree._replace(children=tuple(full))


def asked(tree: Tree) -> Iterator[int]:
    """The cells that a tree asks for."""
    if isinstance(tree, Question):
        yield tree.cell
        for child in tree.children:
            yield from asked(child)


def _asked(roots: Roots, shown: Mapping[Shown, Tree]) -> frozenset[int]:
    """The cells that any tree asks for."""
    trees = [*(root.tree for row in roots.values() for root in row), *shown.values()]
    return frozenset(cell for tree in trees for cell in asked(tree))


def _possible_only(
    roots: Roots, shown: Mapping[Shown, Tree], first: Mapping[int, int], sizes: Sequence[int]
) -> tuple[Roots, dict[Shown, Tree]]:
    """The same without the answers that no state gives."""
    values = possible(roots, first, sizes)
    return (
        {
            shape: [root._replace(tree=pruned(root.tree, values)) for root in row]
            for shape, row in roots.items()
        },
        {key: pruned(tree, values) for key, tree in shown.items() if key[0] in roots},
    )


def _trimmed(roots: Roots, shown: dict[Shown, Tree]) -> tuple[Roots, dict[Shown, Tree]]:
    """The same without what becomes of cells that none of them asks for."""
    while True:
        kept = _asked(roots, shown)
        new: Roots = {}
        for shape, row in roots.items():
            trees: dict[Tree, int] = {}
            for root in row:
                tree = _without(root.tree, kept)
                if tree != Leaf(shape, ()):
                    trees.setdefault(tree, root.operation)
            new[shape] = [Root(tree, operation) for tree, operation in trees.items()]
        shown = {key: _without(tree, kept) for key, tree in shown.items()}
        if new == roots:
            return roots, shown
        roots = new


def _without(tree: Tree, kept: frozenset[int]) -> Tree:
    if isinstance(tree, Leaf):
        return tree._replace(sets=tuple(pair for pair in tree.sets if pair[0] in kept))
    return question(tree.cell, [_without(child, kept) for child in tree.children])

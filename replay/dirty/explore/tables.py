"""What an operation does, for every state there is: a tree of questions about cells.

The ways through an operation, in their order, are the paths of a tree: each node asks for
a cell, each leaf says what becomes of the state. Questions whose answer changes nothing are
left out, so that operations with the same effect have the same tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Self, TypeAlias, TypeVar

from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.bits import Way, literal
from replay.dirty.explore.errors import ToolError
from replay.dirty.explore.state import After, Form, Shape, cells_of, settled
from replay.dirty.language.trace import Op, Trace
from replay.dirty.machine.moment import execute

Value = TypeVar("Value")


class Leaf(NamedTuple):
    """What becomes of a state: of the cells that are named, the value; the rest stays.

    Attributes:
        shape: of the state.
        sets: (cell, value), ascending, of those that change.
        tag: what else is to be known of it; 0 for nothing.

    """

    shape: Shape
    sets: tuple[tuple[int, int], ...]
    tag: int = 0


class Question(NamedTuple):
    """The cell that is asked for, and the tree for each of its values."""

    cell: int
    children: tuple[Any, ...]


Tree: TypeAlias = "Leaf | Question"


def ways(way: Way, run: Callable[[], Value]) -> Iterator[Value]:
    """What a function gives on each way through it, in order."""
    script: list[int] | None = []
    while script is not None:
        way.begin(script)
        yield run()
        script = way.following()


def executed(form: Form, shape: Shape, name: str, args: tuple[Any, ...]) -> After:
    """One way through an operation of a step, from a state of a shape.

    Raises:
        ToolError: the code did with an unknown value what cannot be followed.
        Unfit: it left the machine in no state.

    """
    vm = form.put(shape)
    ret, status, events = execute(vm, name, args)
    if status == "crash" and str(ret).startswith("TypeError"):
        raise ToolError(f"{name}{args} of step {form.machine.STEP_NUMBER}: {ret}")
    after, values = form.take(vm, shape) if status != "crash" else (shape, ())
    return After(ret, status, events, after, values, vm.migration_dirty_pages)


def leaf_of(form: Form, before: Shape, after: After, tag: int = 0) -> Leaf:
    """The effect of a way from a shape, with all asked for that it takes to tell it."""
    there = form.live(before)
    way, sizes = form.way, form.cells.sizes
    values = settled(after.values, way, form.cells)
    sets = []
    for cell, value in enumerate(values):
        own = cell + 3 if sizes[cell] == 3 else literal(cell)
        if value != own and value != (way.values.get(cell, -1) if cell in there else 0):
            sets.append((cell, value))
    return Leaf(after.shape, tuple(sets), tag)


def leaves(tree: Tree) -> Iterator[Leaf]:
    """All leaves of a tree."""
    if isinstance(tree, Leaf):
        yield tree
    else:
        for child in tree.children:
            yield from leaves(child)


class Growing:
    """A tree that grows by one way after the other, each with its leaf."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.paths: list[tuple[tuple[int, ...], tuple[int, ...], Leaf]] = []

    def add(self, leaf: Leaf) -> None:
        """The leaf of the way that was just gone."""
        order = tuple(self.way.order)
        values = tuple(self.way.values[cell] for cell in order)
        self.paths.append((order, values, leaf))

    def tree(self, sizes: Sequence[int]) -> Tree:
        """The whole, with the questions left out that make no difference."""
        return _tree(self.paths, 0, len(self.paths), 0, sizes)


def _tree(paths: Any, low: int, high: int, depth: int, sizes: Sequence[int]) -> Tree:
    order, _, leaf = paths[low]
    if high - low == 1 and len(order) == depth:
        return leaf  # type: ignore[no-any-return]
    cell = order[depth]
    children, begin = [], low
    for value in range(sizes[cell]):
        end = begin
        while end < high and paths[end][1][depth] == value:
            end += 1
        children.append(_tree(paths, begin, end, depth + 1, sizes))
        begin = end
    return question(cell, children)


def question(cell: int, children: Sequence[Tree]) -> Tree:
    """A question, unless all answers lead to the same."""
    first = children[0]
    if all(child == first for child in children[1:]):
        return first
    # Where a value is left as it is in one branch and set to itself in another.
    merged = _merged(cell, children)
    return merged if merged is not None else Question(cell, tuple(children))


def _merged(cell: int, children: Sequence[Tree]) -> Tree | None:
    """One leaf for all, where each sets the cell to the same or has it already."""
    if not all(isinstance(child, Leaf) for child in children):
        return None
    leaves: list[Any] = list(children)
    goals = {dict(leaf.sets).get(cell, value) for value, leaf in enumerate(leaves)}
    rest = {
        (leaf.shape, leaf.tag, tuple(pair for pair in leaf.sets if pair[0] != cell))
        for leaf in leaves
    }
    if len(goals) != 1 or len(rest) != 1:
        return None
    ((shape, tag, others),) = rest
    return Leaf(shape, tuple(sorted((*others, (cell, goals.pop())))), tag)


def effect(form: Form, shape: Shape, name: str, args: tuple[Any, ...]) -> Tree:
    """What an operation of a step does to a state of a shape; a death leaves all as it was.

    Raises:
        ToolError, Unfit: as :func:`executed`.

    """
    grown = Growing(form.way)

    def once() -> None:
        after = executed(form, shape, name, args)
        grown.add(leaf_of(form, shape, after) if after.status == "ok" else Leaf(shape, ()))

    for _ in ways(form.way, once):
        pass
    return grown.tree(form.cells.sizes)


class Effects:
    """What the operations of a step do, as trees.

    Args:
        form: how its machines hold a state.

    """

    def __init__(self, form: Form) -> None:
        self.form = form

    @classmethod
    def of(cls, machine: type[Any], scope: Scope) -> Self:
        """Those of a machine class at a scope."""
        return cls(Form(machine, scope, Way(cells_of(scope).sizes)))

    def tree(self, shape: Shape, op: Op, call: tuple[str, tuple[Any, ...]]) -> Tree:
        """What an operation does to a state of a shape.

        Raises:
            ToolError, Unfit: as :func:`executed`.

        """
        return effect(self.form, shape, *call)

    def all(self, shape: Shape, ops: Sequence[Op]) -> Iterator[Tree]:
        """The trees of some operations, in order."""
        program = Trace(tuple(ops), self.form.scope.config).program
        for op, call in zip(ops, program, strict=True):
            yield self.tree(shape, op, call)


def untagged(tree: Tree) -> Tree:
    """The same without tags."""
    if isinstance(tree, Leaf):
        return tree._replace(tag=0)
    return question(tree.cell, [untagged(child) for child in tree.children])

"""What a model's operation does, as arrays of numbers for the engine.

Steps share most of their code: a *bank* holds the trees of one operation, from all shapes
of states, for all the steps that execute it by the same code. A state has another packing
here than in the search: what lies in one word of C lies together.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.bits import Count, Way
from replay.dirty.explore.errors import ToolError
from replay.dirty.explore.halting import Ended, Stop, never
from replay.dirty.explore.reach import start
from replay.dirty.explore.state import After, Cells, Form, Shape, Unfit, cells_of
from replay.dirty.explore.tables import (
    Effects,
    Growing,
    Leaf,
    Question,
    Tree,
    executed,
    leaf_of,
    ways,
)
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import Op, Trace
from replay.dirty.machine.samecode import same_start, signatures
from replay.dirty.native.decode import EVENTS
from replay.dirty.native.encode import OPCODES, WORDS_AT

WIDE: Final = ("vga", "code", "migration", "bitmap")
"""Cells that there are for each bit of the store; the others are for the pages of RAM."""
NARROW: Final = ("has_code", "described", "unused", "tlb")
STATUS: Final = {"ok": 0, "abort": 1}
OTHER: Final = 2
"""The number of a status that the C has not."""
EVENT: Final = {name: number for number, name in EVENTS.items()}
NUMBER: Final = {
    name: {value: number for number, value in spec.result.meaning.items()}
    for name, spec in OPS.items()
}
"""What a model's result is in C."""


def shifts(cells: Cells) -> tuple[int, ...]:
    """Where each cell stands in a state."""
    narrow = len(WIDE) * cells.room
    return tuple(
        WIDE.index(name) * cells.room + page if name in WIDE
        else narrow + NARROW.index(name) * cells.pages + page * (2 if name == "tlb" else 1)
        for name, page in cells.names
    )  # fmt: skip


def signed(number: int) -> int:
    """The same 64 bits as a signed number."""
    return number - (1 << 64) if number >> 63 else number


@dataclass
class _Flat:
    """Trees and replies as rows; equal ones once."""

    cells: Cells
    shapes: Mapping[Shape, int]
    nodes: array[int] = field(default_factory=lambda: array("q"))
    leaves: array[int] = field(default_factory=lambda: array("q"))
    replies: array[int] = field(default_factory=lambda: array("q"))
    known: dict[Tree, int] = field(default_factory=dict)
    replied: dict[tuple[int, ...], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.shifts = shifts(self.cells)

    def reply(self, name: str, after: After) -> int:
        """The place of what an operation gave, among all replies."""
        ok = after.status == "ok"
        number, relative = _number(name, after.ret) if ok else (0, False)
        counts = isinstance(after.counted, Count)
        count = after.counted.added if counts else after.counted
        said = (relative, number, counts, count) if ok else (0, 0, 0, 0)
        row = [STATUS.get(after.status, OTHER), *said, len(after.events)]
        for kind, first, second in after.events:
            row += (EVENT[kind], signed(first % (1 << 64)), signed(second % (1 << 64)))
        key = tuple(map(int, row))
        found = self.replied.get(key)
        if found is None:
            found = self.replied[key] = len(self.replies)
            self.replies.extend(key)
        return found

    def number(self, tree: Tree) -> int:
        """The number of a tree: of a node, or ~ of a leaf."""
        found = self.known.get(tree)
        if found is None:
            found = self.known[tree] = self._new(tree)
        return found

    def _new(self, tree: Tree) -> int:
        if isinstance(tree, Leaf):
            keep, given = (1 << 64) - 1, 0
            for cell, value in tree.sets:
                shift = self.shifts[cell]
                keep &= ~((3 if self.cells.sizes[cell] == 3 else 1) << shift)
                given |= value << shift
            shape = self.shapes[tree.shape]
            self.leaves.extend((signed(keep), signed(given), shape, tree.tag))
            return ~(len(self.leaves) // 4 - 1)
        assert isinstance(tree, Question)
        children = [self.number(child) for child in tree.children]
        self.nodes.extend(
            (self.shifts[tree.cell], len(children), *children, *[0] * (3 - len(children)))
        )
        return len(self.nodes) // 5 - 1


def _number(name: str, ret: Any) -> tuple[int, bool]:
    """A model's result as the C gives it, and whether the count of dirty pages is added.

    Raises:
        ToolError: the C gives none such.

    """
    if isinstance(ret, Count):
        return ret.added, True
    meaning = NUMBER[name]
    if isinstance(ret, int | str | None) and ret in meaning:
        return meaning[ret], False
    if meaning or not isinstance(ret, int) or isinstance(ret, bool):
        raise ToolError(f"{name} of the model gives {ret!r}, which the C cannot")
    return ret, False


@dataclass(frozen=True, slots=True)
class Code:
    """An operation by one code: of steps whose machines begin alike.

    Attributes:
        name: of the operation.
        step: the first step that has it.
        shapes: the shapes from which those steps execute it, as numbers.

    """

    name: str
    step: int
    shapes: tuple[int, ...]


def operations(scope: Scope, shape: Shape, name: str) -> Iterable[tuple[int, Op]]:
    """The operations of a name from a shape, each with its place among all."""
    return ((at, op) for at, op in enumerate(scope.operations(shape.layout)) if op.name == name)


def bank(
    machine: type[Any], scope: Scope, code: Code, shapes: Sequence[Shape], stop: Stop = never
) -> bytes:
    """The trees of an operation, as the engine reads them.

    Raises:
        Ended: ``stop`` gave a reason to end.
        ToolError: the model does what cannot be followed.

    """
    cells = cells_of(scope)
    form = Form(machine, scope, Way(cells.sizes))
    flat = _Flat(cells, {shape: number for number, shape in enumerate(shapes)})
    words, entries = array("Q"), array("q")
    for number in code.shapes:
        shape = shapes[number]
        for at, op in operations(scope, shape, code.name):
            if reason := stop():
                raise Ended(reason)
            ((_, args),) = Trace((op,), scope.config).program
            root = flat.number(_tree(flat, form, shape, code.name, args))
            entries.extend((number, at, *row(code.name, args, words), root))
    parts = (flat.nodes, flat.leaves, flat.replies)
    head = array("q", [*map(len, parts), len(words), len(entries) // 7])
    return b"".join(one.tobytes() for one in (head, *parts, words, entries))


def row(name: str, args: tuple[Any, ...], words: array[int]) -> tuple[int, ...]:
    """The four numbers of an operation; what it has of log words is added to ``words``."""
    at = WORDS_AT.get(name)
    if at is not None:
        log = args[at]
        args = (*args[:at], len(words), *args[at + 1 :])
        words.extend(log)
    return (OPCODES[name], *args, *(0,) * (3 - len(args)))


def _tree(flat: _Flat, form: Form, shape: Shape, name: str, args: tuple[Any, ...]) -> Tree:
    grown = Growing(form.way)

    def once() -> None:
        try:
            after = executed(form, shape, name, args)
        except Unfit as error:
            raise ToolError(f"{name}{args} of the model: {error}") from None
        tag = flat.reply(name, after)
        ok = after.status == "ok"
        leaf = leaf_of(form, shape, after, tag) if ok else Leaf(shape, (), tag)
        if leaf.shape != shape and OPS[name].moves is None:
            raise ToolError(f"{name} changes the shape of the machine")
        if leaf.shape not in flat.shapes:
            raise ToolError(f"{name} of the model leads to a shape that was not met")
        grown.add(leaf)

    for _ in ways(form.way, once):
        pass
    return grown.tree(form.cells.sizes)


# --- which codes there are ---------------------------------------------------------------


@dataclass
class Plan:
    """The shapes of all steps, the codes of their operations, and who has which.

    Attributes:
        shapes: all there are, ``starts``: the number of the first one of each step, and
            ``first``: the state of that shape that a machine begins in.
        codes: all codes.
        of: of each step, the places of its codes.

    """

    shapes: list[Shape] = field(default_factory=list)
    starts: dict[int, int] = field(default_factory=dict)
    first: dict[int, int] = field(default_factory=dict)
    codes: list[Code] = field(default_factory=list)
    of: dict[int, tuple[int, ...]] = field(default_factory=dict)
    problems: dict[int, str] = field(default_factory=dict)


def planned(machines: Sequence[type[Any]], scope: Scope, steps: Sequence[int]) -> Plan:
    """What there is to be executed at some steps."""
    plan = Plan()
    numbers: dict[Shape, int] = {}
    moves = _Moves(scope)
    having: dict[tuple[int, int, str], set[int]] = {}
    first: dict[tuple[int, int, str], int] = {}
    keys: dict[int, list[tuple[int, int, str]]] = {}
    for step in steps:
        try:
            shapes = moves.shapes(machines, step)
        except ToolError as error:
            plan.problems[step] = str(error)
            continue
        for shape in shapes:
            if shape not in numbers:
                numbers[shape] = len(plan.shapes)
                plan.shapes.append(shape)
        plan.starts[step] = numbers[shapes[0]]
        plan.first[step] = _state(scope, start(Effects.of(machines[step], scope)).values)
        keys[step] = []
        for name in scope.names:
            key = (*moves.code(machines, step, name), name)
            having.setdefault(key, set()).update(numbers[shape] for shape in shapes)
            first.setdefault(key, step)
            keys[step].append(key)
    places = {key: place for place, key in enumerate(having)}
    plan.codes = [Code(key[2], first[key], tuple(sorted(found))) for key, found in having.items()]
    plan.of = {step: tuple(places[key] for key in own) for step, own in keys.items()}
    return plan


def _state(scope: Scope, values: Mapping[int, int]) -> int:
    """A state, as the engine packs it."""
    places = shifts(cells_of(scope))
    return signed(sum(value << places[cell] for cell, value in values.items()))


class _Moves:
    """The shapes that steps lead to, and the codes of their operations."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.alike: list[Any] = []
        self.led: dict[tuple[int, int, Shape, Op], list[Shape]] = {}

    def code(self, machines: Sequence[type[Any]], step: int, name: str) -> tuple[int, int]:
        """The number of the machines that begin alike, and that of the code.

        Raises:
            ToolError: it has none.

        """
        machine: Any = machines[step]
        alike = (at for at, other in enumerate(self.alike) if same_start(other, machine))
        number = next(alike, len(self.alike))
        if number == len(self.alike):
            self.alike.append(machine)
        signature = signatures(machine)[name]
        if signature is None:
            raise ToolError(
                f"{name} of step {step} may depend on more than the machine: on what a module "
                "keeps, or on chance"
            )
        return number, signature

    def shapes(self, machines: Sequence[type[Any]], step: int) -> list[Shape]:
        """All shapes of a step, the first one first."""
        effects = Effects.of(machines[step], self.scope)
        form = effects.form
        codes = {name: self.code(machines, step, name) for name in self.scope.names}
        todo, met = [start(effects).shape], dict[Shape, None]()
        while todo:
            shape = todo.pop(0)
            if shape in met:
                continue
            met[shape] = None
            for op in self.scope.operations(shape.layout):
                if OPS[op.name].moves is not None:
                    todo += self._led(form, codes[op.name], shape, op)
        return list(met)

    def _led(self, form: Form, code: tuple[int, int], shape: Shape, op: Op) -> list[Shape]:
        key = (*code, shape, op)
        found = self.led.get(key)
        if found is None:
            ((name, args),) = Trace((op,), self.scope.config).program
            found = self.led[key] = []
            for after in ways(form.way, lambda: _executed(form, shape, name, args)):
                if after.status == "ok" and after.shape not in found:
                    found.append(after.shape)
        return found


def _executed(form: Form, shape: Shape, name: str, args: tuple[Any, ...]) -> After:
    try:
        return executed(form, shape, name, args)
    except Unfit as error:
        raise ToolError(f"{name}{args} of step {form.machine.STEP_NUMBER}: {error}") from None

"""The search itself, compiled: states as words, trees as tables, layer after layer.

A state is met once. The states at a distance from the first one make a layer, sorted, so
that nothing depends on the number of threads.
"""

from __future__ import annotations

import ctypes
import hashlib
import mmap
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from replay.build.compiler import find_compiler
from replay.build.errors import BuildError
from replay.build.helper import NotCompiledError, compiled_helper
from replay.dirty.explore.errors import ExploreError
from replay.dirty.explore.expansion import MOST, ROOM, Expansion, States
from replay.dirty.explore.halting import Stop, never
from replay.dirty.explore.state import Cells, Shape, live
from replay.dirty.explore.tables import Leaf, Question, Tree

FORMAT: Final = "replay-explore/1"
SOURCE: Final = Path(__file__).with_name("explore.c")
FLAGS: Final = ("-std=gnu11", "-O3", "-fPIC", "-shared")
SHAPE: Final = 48
"""The bit of a state from which on its shape stands."""
BYTES: Final = 6


@cache
def _library() -> Any:
    """The compiled search.

    Raises:
        ExploreError: there is no C compiler, or it fails.

    """
    try:
        path = compiled_helper(find_compiler(), SOURCE, FLAGS, FORMAT)
    except (BuildError, NotCompiledError) as error:
        raise ExploreError(f"the search cannot be compiled: {error}") from None
    library = ctypes.CDLL(str(path))
    for name in ("enter", "expand", "find", "parent"):
        getattr(library, f"explore_{name}").restype = ctypes.c_uint64
    library.explore_sort.restype = None
    return library


class Packing:
    """Where each cell that is part of a state stands in it: none lies across two bytes.

    Raises:
        ExploreError: a state has more bits than a word has for them.

    """

    def __init__(self, cells: Cells, kept: frozenset[int]) -> None:
        self.cells = cells
        self.shifts: list[int] = []
        at = 0
        for cell, size in enumerate(cells.sizes):
            if cell not in kept:
                self.shifts.append(0)
                continue
            width = (size - 1).bit_length()
            if at % 8 + width > 8:
                at += 8 - at % 8
            self.shifts.append(at)
            at += width
        if at > SHAPE:
            raise ExploreError(
                f"a state of this scope takes {at} bits, and {SHAPE} are there: "
                "take fewer pages or smaller words"
            )

    def mask(self, cell: int) -> int:
        """The bits of a cell, at its place."""
        return (1 << (self.cells.sizes[cell] - 1).bit_length()) - 1 << self.shifts[cell]

    def word(self, shape: int, values: Mapping[int, int]) -> int:
        """The state of a shape with these values of cells, and 0 of the others."""
        packed = sum(value << self.shifts[cell] for cell, value in values.items())
        return shape << SHAPE | packed

    def value(self, state: int, cell: int) -> int:
        """The value of a cell in a state."""
        return (state & self.mask(cell)) >> self.shifts[cell]


class _Node(ctypes.Structure):
    _fields_ = (
        ("shift", ctypes.c_uint32), ("mask", ctypes.c_uint32), ("child", ctypes.c_int32 * 4),
    )  # fmt: skip


class _Leaf(ctypes.Structure):
    _fields_ = (("keep", ctypes.c_uint64), ("set", ctypes.c_uint64), ("tag", ctypes.c_uint64))


class _Shape(ctypes.Structure):
    _fields_ = (
        ("first", ctypes.c_uint32), ("count", ctypes.c_uint32),
        ("rank", ctypes.c_uint64 * 256 * BYTES),
    )  # fmt: skip


class _Tables(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_void_p) for name in ("nodes", "leaves", "roots", "shapes"))


class Root(NamedTuple):
    """An effect of a shape: its tree, and the index of the operation that stands for it."""

    tree: Tree
    operation: int


@dataclass(slots=True)
class _Encoder:
    """Trees as rows of numbers; equal trees once."""

    packing: Packing
    shapes: Mapping[Shape, int]
    nodes: list[tuple[int, int, list[int]]] = field(default_factory=list)
    leaves: list[tuple[int, int, int]] = field(default_factory=list)
    _known: dict[Tree, int] = field(default_factory=dict)

    def number(self, tree: Tree) -> int:
        """The number of a tree: of a node, or ~ of a leaf."""
        known = self._known.get(tree)
        if known is None:
            known = self._known[tree] = self._new(tree)
        return known

    def _new(self, tree: Tree) -> int:
        if isinstance(tree, Leaf):
            keep = (1 << SHAPE) - 1
            for cell, _ in tree.sets:
                keep &= ~self.packing.mask(cell)
            self.leaves.append(
                (keep, self.packing.word(self.shapes[tree.shape], dict(tree.sets)), tree.tag)
            )
            return ~(len(self.leaves) - 1)
        assert isinstance(tree, Question)
        children = [self.number(child) for child in tree.children]
        shift = self.packing.shifts[tree.cell]
        mask = self.packing.mask(tree.cell) >> shift
        self.nodes.append((shift, mask, children + [children[0]] * (4 - len(children))))
        return len(self.nodes) - 1


class Engine:
    """The tables of a search, and the set of the states that it met.

    Args:
        cells: of the scope.
        roots: the effects of each shape that a state can have.
        extra: further trees, by any key, that :meth:`find` can ask.
        kept: the cells that are part of a state; the others are 0.

    Raises:
        ExploreError: no compiler, or a state does not fit.

    """

    def __init__(
        self, cells: Cells, roots: Mapping[Shape, Sequence[Root]],
        extra: Mapping[Any, tuple[Shape, Tree]] | None = None,
        kept: frozenset[int] | None = None,
    ) -> None:  # fmt: skip
        self.kept = frozenset(range(len(cells.names))) if kept is None else kept
        self.packing = Packing(cells, self.kept)
        self.shapes = list(roots)
        self.roots = roots
        self.numbers = {shape: number for number, shape in enumerate(self.shapes)}
        self._library = _library()
        encoder = _Encoder(self.packing, self.numbers)
        rows = [[encoder.number(root.tree) for root in roots[shape]] for shape in self.shapes]
        self.extra = {
            key: (self.numbers[shape], encoder.number(tree))
            for key, (shape, tree) in (extra or {}).items()
        }
        if max(map(len, rows), default=0) > MOST:
            raise ExploreError(f"a machine of this scope has more than {MOST} effects")
        self.nodes, self.leaves = encoder.nodes, encoder.leaves
        self.bits = self._fill(rows)
        self.met = mmap.mmap(-1, 8 * (self.bits // 64 + 1))

    def _fill(self, rows: Sequence[Sequence[int]]) -> int:
        """Make the tables; gives the bits that the set of all states takes."""
        nodes = (_Node * max(1, len(self.nodes)))()
        for at, (shift, mask, children) in enumerate(self.nodes):
            nodes[at] = _Node(shift, mask, (ctypes.c_int32 * 4)(*children))
        leaves = (_Leaf * max(1, len(self.leaves)))(*(_Leaf(*one) for one in self.leaves))
        flat = [number for row in rows for number in row]
        roots = (ctypes.c_int32 * max(1, len(flat)))(*flat)
        shapes = (_Shape * max(1, len(self.shapes)))()
        base = first = 0
        for at, (shape, row) in enumerate(zip(self.shapes, rows, strict=True)):
            shapes[at].first, shapes[at].count = first, len(row)
            first += len(row)
            base = self._rank(shapes[at], shape, base)
        self._kept = nodes, leaves, roots, shapes
        self._tables = _Tables(*(ctypes.addressof(one) for one in self._kept))
        return base

    def _rank(self, row: _Shape, shape: Shape, base: int) -> int:
        packing, stride = self.packing, 1
        strides: dict[int, int] = {}
        for cell in live(shape, packing.cells):
            if cell not in self.kept:
                continue
            strides[cell] = stride
            stride *= packing.cells.sizes[cell]
        for byte in range(BYTES):
            inside = [cell for cell in strides if packing.shifts[cell] // 8 == byte]
            for value in range(256):
                place = base if byte == 0 else 0
                for cell in inside:
                    place += strides[cell] * packing.value(value << 8 * byte, cell)
                row.rank[byte][value] = place
        return base + stride

    # --- the search ---

    @property
    def bytes(self) -> int:
        """The memory that the tables and the set of states take."""
        return len(self.met) + sum(ctypes.sizeof(one) for one in self._kept)

    @cached_property
    def digest(self) -> str:
        """Of all that a search goes by: equal where models do the same, whatever their text."""
        digest = hashlib.sha256()
        for table in self._kept:
            digest.update(bytes(table))
        operations = [[root.operation for root in self.roots[shape]] for shape in self.shapes]
        digest.update(repr((self.shapes, operations, list(self.extra.items()))).encode())
        return digest.hexdigest()

    def enter(self, states: States) -> int:
        """Enter states as met; how many of them were not before."""
        return int(
            self._library.explore_enter(
                ctypes.byref(self._tables), *self._met(), *_given(states),
            )
        )  # fmt: skip

    def forget(self) -> None:
        """Begin anew: no state was met."""
        self.met = mmap.mmap(-1, len(self.met))

    def next_layer(self, layer: States, jobs: int, memory: int, stop: Stop = never) -> States:
        """The states one operation away from a layer that were not met before, in order.

        Args:
            layer: the states to go on from.
            jobs: threads.
            memory: bytes that making it may take, over what is there.
            stop: asked again and again whether to end.

        Raises:
            Ended: the memory did not do, or ``stop`` said so. The set of states holds some
                that are in no layer then: :meth:`forget` it, and enter the layers again.

        """
        parts = Expansion(self.expand, layer, memory - jobs * 8 * ROOM, stop).parts(jobs)
        found = _joined(parts)
        scratch = array("Q", (0,)) * len(found)
        count = ctypes.c_uint64(len(found))
        self._library.explore_sort(*_address(found), *_address(scratch), count)
        return found

    def expand(self, states: States, begin: int, end: int, out: States) -> tuple[int, int]:
        """What follows on some of the states, as far as there is room in ``out``.

        Returns:
            How many states were found, and how many gone through.

        """
        done = ctypes.c_uint64()
        used = self._library.explore_expand(
            ctypes.byref(self._tables), *self._met(), *_given(states, begin, end),
            *_address(out), ctypes.c_uint64(len(out)), ctypes.byref(done),
        )  # fmt: skip
        return int(used), done.value

    def find(self, key: Any, tags: int, states: States) -> int | None:
        """The place of the first state whose leaf in an extra tree has one of the tags."""
        shape, root = self.extra[key]
        at = self._library.explore_find(
            ctypes.byref(self._tables), ctypes.c_int32(root), ctypes.c_uint64(shape),
            ctypes.c_uint64(tags), *_given(states),
        )  # fmt: skip
        return int(at) if at < len(states) else None

    def parent(self, states: States, target: int) -> tuple[int, int]:
        """The first state of a layer from which an operation leads to a target, and which."""
        root = ctypes.c_uint32()
        at = self._library.explore_parent(
            ctypes.byref(self._tables), *_given(states), ctypes.c_uint64(target),
            ctypes.byref(root),
        )  # fmt: skip
        assert at < len(states), "a state of a layer has a parent in the one before"
        shape = self.shapes[states[at] >> SHAPE]
        return states[at], self.roots[shape][root.value].operation

    def _met(self) -> tuple[Any]:
        return (ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(self.met))),)


def _address(states: States) -> tuple[Any]:
    return (ctypes.c_void_p(states.buffer_info()[0]),)


def _given(states: States, begin: int = 0, end: int | None = None) -> tuple[Any, Any]:
    first = states.buffer_info()[0] + states.itemsize * begin
    count = (len(states) if end is None else end) - begin
    return ctypes.c_void_p(first), ctypes.c_uint64(count)


def _joined(parts: list[States]) -> States:
    """All parts in one; each goes as it is taken over, so that there is no third copy."""
    found = array("Q", (0,)) * sum(map(len, parts))
    end = len(found)
    while parts:
        begin = end - len(parts[-1])
        found[begin:end] = parts.pop()
        end = begin
    return found

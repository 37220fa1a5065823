"""Two adjacent steps on every state there is: whether they do the same, and where not.

Both steps execute an operation from the same state on the same way: a cell that one asked
for has that value for the other. Where they part, the laws of the later step are asked what
it must show; what they do not explain is a *suspect*: a difference on the states that answer
the questions of the way so. Whether such a state can be reached, a search must tell; a pair
without suspects does the same, or deviates as declared, from every state of the scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.bits import Count, Entries, Way, items_of, made
from replay.dirty.explore.errors import ToolError
from replay.dirty.explore.state import After, Form, Shape, Unfit, cells_of, made_bit
from replay.dirty.explore.tables import (
    Growing,
    Leaf,
    Tree,
    executed,
    leaf_of,
    ways,
)
from replay.dirty.language.operations import OPS
from replay.dirty.language.trace import CLIENTS, Op, Trace
from replay.dirty.machine.moment import Moment
from replay.dirty.machine.samecode import differing, same_start, signatures
from replay.dirty.rules.laws import LAW_OPS, LAWS
from replay.series.declared import Deviation

SUSPECT: Final = 1
"""The tag of a way on which two steps part as no law says; those of laws follow."""
REPLY: Final = ("ret", "status", "events")
"""What a difference may touch and leave the state alone."""
FIELDS: Final = {
    "bitmap": "migration_bitmap", "has_code": "has_code", "described": "hidden", "tlb": "tlb",
    "unused": "hidden",
}  # fmt: skip


class Joint(NamedTuple):
    """The shape of a state of two steps: of the later one, and the earlier one's room."""

    shape: Shape
    room: int


@dataclass(slots=True)
class Told:
    """What executing two steps on all states of a shape told.

    Attributes:
        ways: how many ways were gone.
        shared: operations that both execute by the same code, and that were not executed.
        suspects: the ways on which they part undeclared.
        shown: the trees of the operations that show a deviation or are suspect: a leaf's
            tag has bit 0 for a suspect, and bit i + 1 for the i-th deviation.
        moved: whether a declared difference touches the state, so that other states follow.
        following: the shapes that follow, with the room of the earlier step's store.
        loose: whether unused bits came to differ, which only the later step's state keeps;
            ``asked``: whether the earlier step asked for any.

    """

    ways: int = 0
    shared: int = 0
    suspects: int = 0
    shown: dict[int, Tree] = field(default_factory=dict)
    moved: bool = False
    following: list[Joint] = field(default_factory=list)
    loose: bool = False
    asked: bool = False


@dataclass
class Pair:
    """Two adjacent steps at a scope.

    Args:
        step: the number of the later one.
        old, new: their machine classes.
        deviations: those of the later step that traces can show.
        scope: the scope of the search.
        share: whether operations that both execute by the same code are left out.
        strict: whether unused bits have to be the same, too: not so where the earlier step
            asks for none, since what follows is executed from the later one's state.

    """

    step: int
    old: type[Any]
    new: type[Any]
    deviations: Sequence[Deviation]
    scope: Scope
    share: bool = True
    strict: bool = False

    def __post_init__(self) -> None:
        self.cells = cells_of(self.scope)
        self.way = Way(self.cells.sizes)
        self.before = Form(self.old, self.scope, self.way)
        self.after = Form(self.new, self.scope, self.way)
        self.unused = frozenset(
            number for (name, _), number in self.cells.number.items() if name == "unused"
        )
        self.laws = [
            (number, deviation, LAWS[deviation.law], LAW_OPS[deviation.law])
            for number, deviation in enumerate(d for d in self.deviations if d.scope == "trace")
        ]

    @cached_property
    def differing(self) -> frozenset[str]:
        """The operations that the two may do otherwise, from the same state."""
        old: Any = self.old
        new: Any = self.new
        return differing(old, new) if same_start(old, new) else frozenset(OPS)

    def compare(self, joint: Joint) -> Told:
        """Execute every operation from every state of a shape."""
        told = Told()
        shape, room = joint
        ops = tuple(self.scope.operations(shape.layout))
        program = Trace(ops, self.scope.config).program
        for index, (name, args) in enumerate(program):
            shared = name not in self.differing and shape.room == room
            if self.share and shared and OPS[name].moves is None:
                told.shared += 1
                continue
            self._followed(name)
            if self._compared(told, joint, ops[index], (name, args)):
                told.shown[index] = self._tree(joint, ops[index], (name, args))
        told.following = list(dict.fromkeys(told.following))
        return told

    def _followed(self, name: str) -> None:
        """See that an operation depends on nothing but the machine and its arguments.

        Raises:
            ToolError: it may: then one way through it says nothing of the next.

        """
        for form, machine in ((self.before, self.old), (self.after, self.new)):
            known: Any = machine
            if signatures(known)[name] is None:
                raise ToolError(
                    f"{name} of step {form.machine.STEP_NUMBER} may depend on more than the "
                    "machine: on what a module keeps, or on chance"
                )

    def _compared(
        self, told: Told, joint: Joint, op: Op, call: tuple[str, tuple[Any, ...]]
    ) -> bool:
        """Go all ways through one operation at both steps; whether any of them is told apart."""
        apart = False
        for tag, _ in ways(self.way, lambda: self._once(told, joint, op, call)):
            told.ways += 1
            told.suspects += tag & SUSPECT
            apart |= bool(tag)
        return apart

    def _once(
        self, told: Told, joint: Joint, op: Op, call: tuple[str, tuple[Any, ...]]
    ) -> tuple[int, After | None]:
        """One way through an operation: its tag, and what is left of the machine."""
        shape, room = joint
        old = self._executed(self.before, shape._replace(room=room), *call)
        told.asked |= not self.unused.isdisjoint(self.way.order)
        new = self._executed(self.after, shape, *call)
        tag = self._parted(told, shape, op, old, new)
        if not isinstance(new, After) or new.status != "ok":
            return tag, None
        left = old.shape.room if isinstance(old, After) and old.status == "ok" else room
        self._follow(told, op, joint, Joint(new.shape, left))
        return tag, new

    def _tree(self, joint: Joint, op: Op, call: tuple[str, tuple[Any, ...]]) -> Tree:
        """What the later step makes of a state, each leaf with its tag."""
        grown = Growing(self.way)

        def once() -> None:
            tag, new = self._once(Told(), joint, op, call)
            shape = joint.shape
            grown.add(leaf_of(self.after, shape, new, tag) if new else Leaf(shape, (), tag))

        for _ in ways(self.way, once):
            pass
        return grown.tree(self.cells.sizes)

    @staticmethod
    def _follow(told: Told, op: Op, joint: Joint, after: Joint) -> None:
        """Note what follows.

        Raises:
            ToolError: the search cannot follow it.

        """
        if after == joint:
            return
        if OPS[op.name].moves is None:
            raise ToolError(f"{op.name} changes the shape of the machine")
        if after.room > after.shape.room:
            raise ToolError(f"{op.name} leaves the earlier step the larger store")
        told.following.append(after)

    @staticmethod
    def _executed(form: Form, shape: Shape, name: str, args: tuple[Any, ...]) -> After | str:
        """What a step makes of the state; what is wrong with that, where it is no state."""
        try:
            return executed(form, shape, name, args)
        except Unfit as error:
            return str(error)

    def _parted(self, told: Told, shape: Shape, op: Op, old: After | str, new: After | str) -> int:
        """The tag of a way."""
        if isinstance(old, str) or isinstance(new, str):
            return 0 if old == new else SUSPECT
        tag = 0
        here = [(n, d, rule) for n, d, rule, ops in self.laws if op.name in ops]
        if here:
            before = self._moment(self._untouched(shape))
            stage = self._moment(old)
            for number, _, rule in here:
                after = rule(self.scope.config, before, op, stage)
                touched = self._unlike(stage, after) if after is not stage else ()
                if touched:
                    tag |= 2 << number
                    told.moved |= not set(touched) <= set(REPLY)
                stage = after
            fields = self._unlike(stage, self._moment(new))
        else:
            fields = self._differences(told, old, new)
        return tag | (SUSPECT if fields else 0)

    # --- as the laws see it ---

    def _untouched(self, shape: Shape) -> After:
        vm = self.after.put(shape)
        _, values = self.after.take(vm, shape)
        return After(None, "ok", (), shape, values, Count())

    def _moment(self, after: After) -> Moment:
        """An outcome as laws take it, its page sets made of cells."""
        shape = after.shape
        bitmap = None
        if shape.bitmap is not None:
            bitmap = self._set(after, "bitmap", shape.bitmap)
        return Moment(
            after.ret, after.status, after.events,
            self._dirty(after), self._entries(after),
            self._set(after, "has_code", self.cells.pages), bitmap, after.counted,
            shape.logging, shape.blocks, shape.room,
        )  # fmt: skip

    def _dirty(self, after: After) -> Any:
        return tuple(self._set(after, name, after.shape.room) for name in CLIENTS)

    def _entries(self, after: After) -> Any:
        number = self.cells.number
        return Entries(self.way, {p: after.values[number["tlb", p]] for p in after.shape.pages})

    def _set(self, after: After, name: str, room: int) -> Any:
        number = self.cells.number
        return made(self.way, [after.values[number[name, page]] for page in range(room)])

    def _unlike(self, one: Moment, two: Moment) -> tuple[str, ...]:
        """The fields in which two moments differ."""
        found = self._replies(one, two)
        if one.status != "ok" or two.status != "ok":
            return found
        inside = one.pages
        for name, ours, theirs in zip(CLIENTS, one.dirty, two.dirty, strict=True):
            found += self._sets(name, ours, theirs, inside)
        pages = [page for page in range(self.cells.pages) if inside >> page & 1]
        if any(one.tlb.get(page) is not two.tlb.get(page) for page in pages):
            found += ("tlb",)
        found += self._sets("has_code", one.has_code, two.has_code, -1)
        if (one.bitmap is None) is not (two.bitmap is None):
            found += ("migration_bitmap",)
        elif one.bitmap is not None:
            found += self._sets("migration_bitmap", one.bitmap, two.bitmap, -1)
        if not _same_count(one.migration_dirty_pages, two.migration_dirty_pages):
            found += ("migration_dirty_pages",)
        if one.logging is not two.logging:
            found += ("logging",)
        return found if one.blocks == two.blocks else (*found, "hidden")

    def _sets(self, name: str, one: Any, two: Any, inside: int) -> tuple[str, ...]:
        width = self.cells.room
        pairs = zip(items_of(one, width), items_of(two, width), strict=True)
        apart = [page for page, items in enumerate(pairs) if not self._same(*items)]
        seen = any(inside >> page & 1 for page in apart)
        hidden = any(not inside >> page & 1 for page in apart)
        return (name,) * seen + ("hidden",) * hidden

    def _same(self, one: int, two: int) -> bool:
        return one == two or made_bit(self.way, one) == made_bit(self.way, two)

    # --- without laws ---

    @staticmethod
    def _replies(one: Any, two: Any) -> tuple[str, ...]:
        found: tuple[str, ...] = ()
        if not _same_reply(one.ret, two.ret):
            found += ("ret",)
        if one.status != two.status:
            found += ("status",)
        return found if one.events == two.events else (*found, "events")

    def _differences(self, told: Told, old: After, new: After) -> tuple[str, ...]:
        """The fields in which two outcomes differ, cell by cell."""
        found = self._replies(old, new)
        if old.status != "ok" or new.status != "ok":
            return found
        ours, theirs = old.shape, new.shape
        inside = set(ours.pages)
        room = min(ours.room, theirs.room)
        for (name, page), one, two in zip(self.cells.names, old.values, new.values, strict=True):
            if one == two or (name in CLIENTS and page >= room):
                continue
            if name == "unused" and not self.strict:
                told.loose = True
                continue
            if name == "bitmap" and page >= min(ours.bitmap or 0, theirs.bitmap or 0):
                continue
            same = self._entry(one) == self._entry(two) if name == "tlb" else self._same(one, two)
            if not same:
                shown = FIELDS.get(name, name if page in inside else "hidden")
                found += (shown,)
        if not _same_count(old.counted, new.counted):
            found += ("migration_dirty_pages",)
        if ours._replace(room=0) != theirs._replace(room=0):
            found += ("shape",)
        return tuple(dict.fromkeys(found))

    def _entry(self, value: int) -> int:
        return value if value < 3 else self.way.value(value - 3)


def _same_reply(one: Any, two: Any) -> bool:
    if isinstance(one, Count) or isinstance(two, Count):
        return _same_count(one, two)
    return bool(one == two) and one.__class__ is two.__class__


def _same_count(one: Any, two: Any) -> bool:
    return one.__class__ is two.__class__ and bool(one == two)

"""What the operations of a step do, with a property watching: its books are part of a state.

On each way through an operation the property's monitor is shown what the operation left of
the machine, as far as it is known by then; the bits of its books are cells like those of
the machine. A way that breaks the property is tagged, and leads nowhere: what is looked for
is the first time.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from replay.dirty.explore.alphabet import Scope
from replay.dirty.explore.bits import DIRECT, NONE, Count, Pages, Way, items_of, literal, made
from replay.dirty.explore.errors import ToolError
from replay.dirty.explore.state import After, Form, Shape, Unfit, cells_of, made_bit
from replay.dirty.explore.tables import Effects, Growing, Leaf, Tree, executed, leaf_of, ways
from replay.dirty.language.trace import CLIENTS, Op
from replay.dirty.machine.model import Record, Visible
from replay.dirty.machine.samecode import signatures
from replay.dirty.rules.monitors import Monitor

BROKEN: Final = 1
"""The tag of a way that breaks the property."""
Known: TypeAlias = dict[Any, Tree]
"""Trees by all that they depend on: steps with the same code have the same."""


class Watch(Effects):
    """The operations of a step and a property.

    Args:
        machine: the machine class of the step.
        scope: of the search.
        monitor: the property.
        known: trees that were made before, at other steps, which is added to.

    """

    def __init__(
        self, machine: type[Any], scope: Scope, monitor: type[Monitor], known: Known | None = None
    ) -> None:
        self.cells = cells_of(scope, monitor.BOOKS)
        super().__init__(Form(machine, scope, Way(self.cells.sizes), self.cells))
        self.monitor, self.known = monitor, {} if known is None else known
        plain: Any = machine
        self.step = plain.STEP_NUMBER
        self.signatures = signatures(plain)
        self.way = self.form.way
        self.ways = 0
        """That were gone, of operations that were not known."""

    def tree(self, shape: Shape, op: Op, call: tuple[str, tuple[Any, ...]]) -> Tree:
        """What an operation does to a state of a shape, and to the books.

        Raises:
            ToolError: it does what cannot be followed.

        """
        signature = self.signatures[op.name]
        if signature is None:
            raise ToolError(
                f"{op.name} of step {self.step} may depend on more than the machine: on what a "
                "module keeps, or on chance"
            )
        form = self.form
        key = (shape, op, signature, form.bytewise, tuple(form.clients.items()))
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = self._tree(shape, op, call)
        return found

    def _tree(self, shape: Shape, op: Op, call: tuple[str, tuple[Any, ...]]) -> Tree:
        grown = Growing(self.way)

        def once() -> None:
            self.ways += 1
            grown.add(self._once(shape, op, call))

        for _ in ways(self.way, once):
            pass
        return grown.tree(self.cells.sizes)

    def _once(self, shape: Shape, op: Op, call: tuple[str, tuple[Any, ...]]) -> Leaf:
        try:
            after = executed(self.form, shape, *call)
        except Unfit as error:
            raise ToolError(f"{op.name} of step {self.step}: {error}") from None
        if after.status != "ok":
            return Leaf(shape, ())
        monitor = self.monitor(self.form.scope.config)
        monitor.books = self._books(shape)
        before, record = self._seen(shape, after)
        mask = sum(1 << page for page in after.shape.pages)
        if monitor.follow(op, before, record, mask):
            return Leaf(shape, (), BROKEN)
        values = list(after.values)
        for name, pages in zip(self.cells.books, monitor.books, strict=True):
            for page, item in enumerate(items_of(pages, self.cells.pages)):
                values[self.cells.number[name, page]] = item
        return leaf_of(self.form, shape, after._replace(values=tuple(values)))

    def _books(self, shape: Shape) -> list[Any]:
        number, inside = self.cells.number, set(shape.pages)
        return [
            made(self.way, [literal(number[name, page]) if page in inside else 0
                            for page in range(self.cells.pages)])
            for name in self.cells.books
        ]  # fmt: skip

    # --- as the monitor sees it ---

    def _seen(self, shape: Shape, after: After) -> tuple[Visible, Record]:
        sees, there = self.monitor.SEES, after.shape
        number, values = self.cells.number, after.values
        dirty = tuple(
            made(self.way, [values[number[name, page]] for page in range(there.room)])
            for name in CLIENTS
        )
        code = Pages(self.way, {p: values[number["has_code", p]] for p in there.pages})
        was, entries = self._entries(shape, after) if "tlb" in sees else ({}, {})
        if "migration_dirty_pages" in sees:
            bitmap, count = self._counted(shape, after)
        else:
            bitmap, count = self._bitmap(after), 0
        visible: Any = Visible(dirty, entries, code, bitmap, count, there.logging)  # type: ignore[arg-type]
        before = Visible((0, 0, 0), was, frozenset(), None, 0, shape.logging)
        return before, Record(after.ret, after.status, after.events, visible)

    def _bitmap(self, after: After) -> Any:
        number, shape = self.cells.number, after.shape
        if shape.bitmap is None:
            return None
        return made(
            self.way, [after.values[number["bitmap", page]] for page in range(shape.nominal)]
        )

    def _entries(self, shape: Shape, after: After) -> tuple[dict[int, bool], dict[int, bool]]:
        """The entries before and after of pages of which something changed."""
        was, now = dict[int, bool](), dict[int, bool]()
        held = self.form.live(shape)
        for page in after.shape.pages:
            entry = self.cells.number["tlb", page]
            if self._as_before(after, held, page):
                continue
            for found, value in (
                (was, entry + 3 if entry in held else NONE), (now, after.values[entry]),
            ):  # fmt: skip
                known = value if value <= DIRECT else self.way.value(value - 3)
                if known != NONE:
                    found[page] = known == DIRECT
        return was, now

    def _as_before(self, after: After, held: frozenset[int], page: int) -> bool:
        """Whether neither a page's entry nor a dirty bit of it was touched."""
        for name in ("tlb", *CLIENTS):
            cell = self.cells.number[name, page]
            own = cell + 3 if name == "tlb" else literal(cell)
            if after.values[cell] != (own if cell in held else 0):
                return False
        return True

    def _counted(self, shape: Shape, after: After) -> tuple[int | None, int]:
        """The bits of the migration bitmap that changed, and a count to match.

        What was counted before is taken to be right: the property was not broken before.
        """
        if after.shape.bitmap is None:
            return None, 0
        held = self.form.live(shape)
        began = isinstance(after.counted, int)
        bits, count = 0, 0
        for page in range(after.shape.nominal):
            cell = self.cells.number["bitmap", page]
            own, now = literal(cell) if cell in held else 0, after.values[cell]
            if began or own != now:
                bits |= made_bit(self.way, now) << page
                count += 0 if began else made_bit(self.way, own)
        if began:
            return bits, int(after.counted)
        if shape.bitmap is None:
            raise ToolError("a migration begins to count where the last one ended")
        assert isinstance(after.counted, Count)
        return bits, count + after.counted.added

"""Properties that are followed operation by operation, with books of their own.

A *monitor* is what a property knows of a run so far. It is shown what an operation left of
the machine, and says whether that breaks the property. ``check`` has it follow the records
of a run; ``explore`` has it follow unknown states, where a page set has bits that get a
value only when they are asked for. So a monitor asks for no more than it needs, and does
with page sets only what both can: ``&``, ``|``, ``~``, ``>>``, and whether any is left.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from replay.dirty.language.domain import Layout, follow
from replay.dirty.language.trace import Config, Op, Trace
from replay.dirty.machine.model import Record, Visible
from replay.dirty.machine.pagesets import span
from replay.series.subject import Violation

Check: TypeAlias = Callable[[Trace, Sequence[Record]], Violation | None]
"""A property of a run. Pure: equal records, equal answer."""

RUN_PROPERTIES: Final[dict[str, Check]] = {}


class Monitor:
    """A property, followed.

    Class attributes:
        BOOKS: the names of the page sets that it keeps.
        SEES: the parts of the state that it looks at, of ``tlb`` and
            ``migration_dirty_pages``, where it looks at what an operation changed of them:
            of an entry, or of the dirty bits of its page; of the migration bitmap.

    Attributes:
        books: these page sets, in order.

    """

    BOOKS: ClassVar[tuple[str, ...]] = ()
    SEES: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, config: Config) -> None:
        self.config = config
        self.books: list[Any] = [0] * len(self.BOOKS)

    @classmethod
    def asks(cls, config: Config) -> bool:
        """Whether the property says anything of such a machine."""
        return True

    @classmethod
    def needs(cls, config: Config) -> tuple[frozenset[str], ...]:
        """Sets of operations: without any of one of them no trace comes to break it."""
        return ()

    @classmethod
    def speaks(cls, config: Config, names: Collection[str]) -> bool:
        """Whether traces of these operations may break it, on such a machine."""
        return cls.asks(config) and all(not n.isdisjoint(names) for n in cls.needs(config))

    def follow(self, op: Op, before: Visible, record: Record, mask: int) -> str | None:
        """Enter an operation that the machine survived.

        Args:
            op: the operation.
            before: what was to be seen before it.
            record: what it gave, and what is to be seen after it.
            mask: the pages that belong to a block after it.

        Returns:
            What is broken, in words; None where nothing is.

        """
        raise NotImplementedError


MONITORS: Final[dict[str, type[Monitor]]] = {}
"""The properties that ``explore`` can follow."""

NOTHING: Final = Visible((0, 0, 0), {}, frozenset(), None, 0, False)
"""What is to be seen before the first operation."""

Class = TypeVar("Class", bound=type[Monitor])


def followed(name: str) -> Callable[[Class], Class]:
    """Enter a monitor as a property, for ``check`` and for ``explore``."""

    def enter(monitor: Class) -> Class:
        MONITORS[name] = monitor
        RUN_PROPERTIES[name] = lambda trace, records: watched(monitor, trace, records)
        return monitor

    return enter


def of_runs(name: str) -> Callable[[Check], Check]:
    """Enter a property of whole runs under its name; ``explore`` cannot follow such a one."""

    def enter(check: Check) -> Check:
        RUN_PROPERTIES[name] = check
        return check

    return enter


def watched(monitor: type[Monitor], trace: Trace, records: Sequence[Record]) -> Violation | None:
    """Where a run first breaks a property."""
    if not monitor.asks(trace.config):
        return None
    books, before = monitor(trace.config), NOTHING
    for index, (op, record, mask) in enumerate(zip(trace.ops, records, masks(trace), strict=False)):
        if record.status != "ok":
            return None
        said = books.follow(op, before, record, mask)
        if said:
            return Violation(index, said)
        before = record.visible
    return None


@lru_cache(maxsize=8)
def masks(trace: Trace) -> tuple[int, ...]:
    """The pages that belong to a block after each operation of a trace."""
    layout, mask, found = Layout(), 0, []
    for op in trace.ops:
        if op.name in ("ram_alloc", "ram_free"):
            follow(op, layout, trace.config)
            mask = 0
            for first, pages in layout.blocks:
                mask |= span(first, pages)
        found.append(mask)
    return tuple(found)

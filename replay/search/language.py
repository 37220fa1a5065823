"""What a search must know of the traces of a subject, and nothing more.

A *language* is a set of traces with an order: which are valid, which of two is smaller,
how one is drawn, taken apart and written down. Traces of operations on a machine and traces
of calls into a library are two languages; the campaign and the shrinker serve both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from replay.search.shrink import Shrinker

T = TypeVar("T")

Pass: TypeAlias = "Callable[[Shrinker[Any]], None]"
"""One way to make traces smaller: it offers candidates to the shrinker that it is given."""


class Language(Protocol[T]):
    """The traces of a subject."""

    @property
    def ops(self) -> int:
        """Operations, or calls, of a trace as it is drawn."""
        ...

    @property
    def begin(self) -> Sequence[Pass]:
        """Passes that run once, before the others."""
        ...

    @property
    def passes(self) -> Sequence[Pass]:
        """Passes that run in this order until a round makes nothing smaller."""
        ...

    def drawing(self, ops: int) -> Language[T]:
        """The same language, whose traces are drawn with so many operations."""
        ...

    def draw(self, seed: int, number: int) -> T:
        """The trace with this number of a seed: a function of the two alone."""
        ...

    def length(self, trace: T) -> int:
        """How many operations, or calls, a trace has."""
        ...

    def without(self, trace: T, gone: AbstractSet[int]) -> T | None:
        """A trace without the operations at these places, and without what needs them."""
        ...

    def normal(self, trace: T) -> T | None:
        """The form in which a candidate is measured; None where it makes no sense at all."""
        ...

    def is_valid(self, trace: T) -> bool:
        """Whether a trace in its normal form may be run."""
        ...

    def size(self, trace: T) -> Any:
        """What traces are ordered by: of two that differ the smaller is the simpler one."""
        ...

    def to_text(self, trace: T, name: str) -> str:
        """A trace as a file holds it: the same trace gives the same bytes."""
        ...

    def read(self, path: Path) -> T:
        """The trace in a file.

        Raises:
            TraceError: it is none; the message names the line and the cure.

        """
        ...

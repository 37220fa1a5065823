"""What a campaign does, and what has come of it so far; each kind of campaign fills this in.

:class:`Work` goes to the workers, who make a batch of each range of traces. :class:`Sums`
stays: it says how the traces are cut into ranges, takes the batches in their order, and
becomes the rows of a state. What it comes to is a function of the traces alone: not of who
ran them, nor of how often the campaign was stopped and resumed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, NamedTuple, Protocol, Self


class Task(NamedTuple):
    """Traces of some numbers, and what these are led to: see :meth:`Sums.lead`. Picklable."""

    numbers: range
    lead: Any = None


class Batch(Protocol):
    """What the traces of a task showed. Picklable."""

    @property
    def numbers(self) -> range:
        """Those of the task."""
        ...

    @property
    def ops(self) -> int:
        """Operations, or calls, that were made."""
        ...


class Work(Protocol):
    """What is done with a task. Picklable; a worker gets it once."""

    def run(self, task: Task) -> Any:
        """The batch of a task: a function of the work and the task.

        Raises:
            ReplayError: this process cannot do it; the message says what to do.

        """
        ...

    def packed(self) -> Work:
        """The same as it goes to another machine, with the files that it needs.

        Raises:
            ReplayError: it cannot be run elsewhere, or a file cannot be read.

        """
        ...


class Row(NamedTuple):
    """A value of a state; the last one of a part and name counts."""

    part: str
    name: str
    value: str


class Sums(ABC):
    """What a campaign has done so far.

    Attributes:
        kind: of campaign; a state tells it.
        made: a name for all that its verdicts depend on.
        end: the traces from the first to here are done.
        ops: operations, or calls, made.
        seconds: that it ran.

    """

    kind: ClassVar[str]
    made: str
    end: int
    ops: int
    seconds: float

    # --- what stands in the state ----------------------------------------------------------

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What it asks, as JSON can hold it. It never changes."""

    @classmethod
    @abstractmethod
    def of(cls, about: dict[str, Any], made: str) -> Self:
        """Nothing done yet.

        Raises:
            KeyError, ValueError, TypeError: this is none of a campaign of this kind.

        """

    @abstractmethod
    def rows(self) -> Iterator[Row]:
        """All that may have changed since the last :meth:`written`."""

    @abstractmethod
    def written(self) -> None:
        """What :meth:`rows` gave is in the state."""

    @abstractmethod
    def take(self, rows: Iterable[Row]) -> None:
        """What stands in a state, in the order of the parts and names.

        Raises:
            KeyError, ValueError, TypeError: these are no such rows.

        """

    # --- the traces ------------------------------------------------------------------------

    @abstractmethod
    def cut(self, first: int) -> int:
        """Where the range ends that begins with this trace."""

    @abstractmethod
    def lead(self, first: int) -> Any | None:
        """What the traces from this one on are led to.

        None until so many traces are merged that it is known, and for good where no trace is
        left to run.
        """

    @abstractmethod
    def merge(self, batch: Any) -> None:
        """Add the range that comes next."""

    # --- what it comes to ------------------------------------------------------------------

    @abstractmethod
    def differences(self) -> int:
        """How much was found that nothing declares."""

    @abstractmethod
    def reached(self) -> str:
        """What the traces have come by, in a few words: ``12/40 paths``."""

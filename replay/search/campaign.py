"""One campaign: numbered traces in shares, the soonest kept, run again alone, made small.

The traces are numbered, and cut into shares that are each a function of their numbers
alone. What the shares show is merged in the order of the numbers, so that the result does
not depend on how many processes took part, or in which order they ended. Of each thing
that is found the trace is kept that shows it soonest; that one is run again alone, made
smaller as long as it shows the same, and becomes the example.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from replay.search.language import Language
from replay.search.shrink import shrink

T = TypeVar("T")
C = TypeVar("C")
W = TypeVar("W")
S_co = TypeVar("S_co", bound="Tally", covariant=True)
F_contra = TypeVar("F_contra", contravariant=True)
E_co = TypeVar("E_co", covariant=True)
Task = TypeVar("Task")
Result = TypeVar("Result")
Tag = TypeVar("Tag")

Told = Callable[[int], None]
"""Is told how many traces, or examples, were just done."""


def untold(count: int) -> None:
    """For whoever asks for no progress."""


class Tally(Protocol):
    """What a share of the traces showed: all that has to come back from it."""

    def merge(self, other: Self) -> None:
        """Add the share that comes next."""
        ...


class Watcher(Protocol):
    """Counts what runs of traces reach. Fit to travel between processes."""

    def add(self, trace: Any, runs: Any, number: int) -> None:
        """Look at the runs of one trace, by step, with its number."""
        ...

    def merge(self, other: Any) -> None:
        """Add what others counted, at the same steps."""
        ...

    def words(self) -> list[str]:
        """What it comes to, in a few lines."""
        ...


class Workers(Protocol):
    """How tasks are spread over processes or threads; results come in the order of tasks."""

    def map(
        self,
        work: Callable[[Task], Result],
        tasks: Iterable[tuple[Tag, Task]],
        label: Callable[[Task], str] = ...,
    ) -> Iterator[tuple[Tag, Result]]:
        """(tag, work(task)) for each; ``label`` says what a task is, should it fail."""
        ...


class Campaign(Protocol[S_co, F_contra, E_co]):
    """What is looked for, and on which traces. Over processes it has to be picklable."""

    @property
    def share(self) -> int:
        """Traces in a share."""
        ...

    def nothing(self) -> S_co:
        """The tally of no traces."""
        ...

    def look(self, numbers: range) -> S_co:
        """Run the traces of these numbers."""
        ...

    def example(self, finding: F_contra, budget: int) -> E_co:
        """An example of a finding, made small with at most ``budget`` questions."""
        ...


def gather(
    campaign: Campaign[S_co, Any, Any], total: int, spread: Workers, told: Told = untold
) -> S_co:
    """What all traces of a campaign show; ``told`` hears of the traces of each share."""
    whole = campaign.nothing()
    cuts = [
        range(first, min(first + campaign.share, total))
        for first in range(0, total, campaign.share)
    ]
    tasks = [(numbers, (campaign, numbers)) for numbers in cuts]
    for numbers, tally in spread.map(_look, tasks, lambda task: f"trace {task[1].start}"):
        whole.merge(tally)
        told(len(numbers))
    return whole


def _look(task: tuple[Campaign[S_co, Any, Any], range]) -> S_co:
    campaign, numbers = task
    return campaign.look(numbers)


def examples(
    campaign: Campaign[Any, F_contra, E_co],
    findings: Sequence[F_contra],
    budget: int,
    spread: Workers,
    told: Told = untold,
) -> Iterator[E_co]:
    """An example of each finding, in their order; ``told`` hears 1 for each."""
    tasks = [(finding, (campaign, finding, budget)) for finding in findings]
    for _, example in spread.map(_example, tasks, lambda task: str(task[1])):
        yield example
        told(1)


def _example(task: tuple[Campaign[Any, F_contra, E_co], F_contra, int]) -> E_co:
    campaign, finding, budget = task
    return campaign.example(finding, budget)


@dataclass(slots=True)
class Seen:
    """How often something was seen, and where soonest: (operation, trace number).

    Attributes:
        count: traces that show it.
        soonest: the operation at which it shows and the number of the trace: the least
            of these.
        text: what was seen there.
        fields: which fields of the observation differ there.

    """

    count: int = 0
    soonest: tuple[int, int] = (1 << 60, 0)
    text: str = ""
    fields: tuple[str, ...] = ()

    def add(self, index: int, trace: int, text: str = "", fields: tuple[str, ...] = ()) -> None:
        """One more trace that shows it."""
        self.count += 1
        if (index, trace) < self.soonest:
            self.soonest, self.text, self.fields = (index, trace), text, fields

    def merge(self, other: Seen) -> None:
        """Add what another share saw."""
        self.count += other.count
        if other.soonest < self.soonest:
            self.soonest, self.text, self.fields = other.soonest, other.text, other.fields


@dataclass(frozen=True, slots=True)
class Showing(Generic[T, W]):
    """A trace that shows something alone.

    Attributes:
        trace: it.
        witness: what it shows.
        complete: whether nothing smaller was left to try.

    """

    trace: T
    witness: W
    complete: bool


def soonest_alone(
    candidates: Iterable[C], shows: Callable[[C], W | None], order: Callable[[C, W], Any]
) -> tuple[C, W] | None:
    """Of several that showed something among others, the one to make smaller.

    Args:
        candidates: traces, or what stands for them; each is run once, alone.
        shows: what one shows alone, None where nothing.
        order: the least is chosen, of equals the first.

    Returns:
        The one chosen and what it shows; None where none shows anything alone.

    """
    shown = [(one, found) for one in candidates if (found := shows(one)) is not None]
    return min(shown, key=lambda pair: order(*pair), default=None)


def shortest(
    trace: T,
    language: Language[T],
    shows: Callable[[T], W | None],
    budget: int,
    holds: Callable[[T], bool] | None = None,
) -> Showing[T, W] | None:
    """Run a trace again alone, and make it smaller as long as it shows the same.

    Args:
        trace: it showed something among others.
        language: of the trace.
        shows: what a trace shows of this, None where it does not.
        budget: questions that making it smaller may take.
        holds: what is asked of smaller traces, where that is more, or sooner answered, than
            whether they show it.

    Returns:
        The smallest trace found, or the trace as it was where that does not show it when
        asked once more. None where the trace alone shows nothing: what it showed depends
        on something else than the trace.

    """
    first = shows(trace)
    if first is None:
        return None
    holds = holds or (lambda candidate: shows(candidate) is not None)
    shrunk = shrink(trace, language, holds, budget)
    found = shows(shrunk.trace)
    if found is None:
        return Showing(trace, first, False)
    return Showing(shrunk.trace, found, shrunk.complete)

"""What declared differences make of a verdict: as declared, or declared and never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from replay.repo.expected import Declared
from replay.repo.expectfile import Entry
from replay.search.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Told:
    """A declared difference of a commit that was judged, and what traces show of it.

    ``unseen`` are its results that no trace shows.
    """

    entry: Entry
    shown: Declared = field(default_factory=Declared)
    unseen: tuple[str, ...] = ()

    @property
    def is_shown(self) -> bool:
        """Whether it shows, with all its results."""
        return bool(self.shown.traces) and not self.unseen


class Declares(Protocol):
    """What is declared of a pair, see ``replay.repo.expected`` and ``program.expecting``."""

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Each difference."""


class Shows(Protocol):
    """What was found of a pair, see ``replay.repo.results``."""

    @property
    def declared(self) -> Mapping[int, Declared]:
        """What is shown of each declared difference, by the number of its entry."""


def told(expected: Declares | None, found: Shows | None) -> tuple[Told, ...]:
    """What is declared of a pair, with what traces show of it."""
    if expected is None:
        return ()
    shown = found.declared if found is not None else {}
    return tuple(
        Told(
            entry, declared := shown.get(entry.number, Declared()),
            tuple(one.text for one in entry.results if one.text not in declared.parts),
        )
        for entry in expected.entries
    )  # fmt: skip


def settled(
    verdict: Verdict, reason: str, every: Sequence[Told], traces: int, given: bool,
    called: str = "traces",
) -> tuple[Verdict, str]:  # fmt: skip
    """The verdict on a commit, given that on what is not declared, and the reason.

    Args:
        verdict: on what is left when all that is declared is left out.
        reason: of that verdict.
        every: what is declared of it.
        traces: on how many it was compared; 0 where its code is identical.
        given: whether a single trace was, which need not show what is declared.
        called: what traces are called.

    """
    if not every or verdict not in (Verdict.SAME, Verdict.UNDECIDED):
        return verdict, reason
    absent = [one for one in every if not one.is_shown]
    if absent and not given:
        on = f"on {traces} {called}" if traces else "as the code is identical"
        parts = [f"{one.entry.place}: {_never(one)} {on}" for one in absent]
        return Verdict.UNSHOWN, "; ".join(filter(None, (*parts, reason)))
    if verdict is Verdict.SAME and any(one.shown.traces for one in every):
        return Verdict.DEVIATES, reason
    return verdict, reason


def _never(one: Told) -> str:
    if one.shown.traces:
        return f"never shown: {', '.join(one.unseen)},"
    return f"{one.entry.text}: never shown"

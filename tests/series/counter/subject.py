"""A counter with a limit, refactored in four steps: the smallest subject there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from replay.series.small import Made, SmallRecord, State, subject
from replay.series.small_language import SmallOp, SmallTrace
from replay.series.subject import Violation


class Counter:
    """What every step's machine stands on."""

    __slots__ = ()
    FIELDS: ClassVar[Mapping[str, Any]] = {}

    def __init__(self) -> None:
        for name, first in self.FIELDS.items():
            setattr(self, name, first(self))

    def observe(self) -> dict[str, Any]:
        """The number, however it is kept."""
        machine: Any = self
        return {"count": machine.value()}


def reset_gives_the_count(before: State, op: SmallOp, made: Made) -> Made:
    """Step 2: a reset gives the number that was counted before it."""
    return (before["count"], made[1]) if op.name == "reset" else made


def within_limit(trace: SmallTrace, records: Sequence[SmallRecord]) -> Violation | None:
    """The counter is never below nought and never above 25."""
    for index, record in enumerate(records):
        count = record.state.get("count", 0)
        if not 0 <= count <= 25:
            return Violation(index, f"it stands at {count}")
    return None


SUBJECT = subject(
    Path(__file__).parent,
    base=Counter,
    words={
        "add": {"n": range(1, 13)},
        "take": {"n": range(1, 13)},
        "reset": {},
    },
    laws={"reset_gives_the_count": reset_gives_the_count},
    properties={"within-limit": within_limit},
)

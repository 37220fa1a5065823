"""What a check finds that is told nothing: with no deviation declared, and no property given up.

Each defect of the gallery should come to light at its step, and no other step be blamed. A
step that differs inside, where no trace sees it, is a difference as declared and no defect.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import msgspec

from refmodels.later import Later
from replay.dirty.gallery.defects import Defect, defects_of
from replay.dirty.gallery.hunting import operations
from replay.dirty.language.language import TraceLanguage
from replay.dirty.subject import SUBJECT
from replay.series.check import Plan, check
from replay.series.declared import Series
from replay.series.subject import Subject


@dataclass(frozen=True, slots=True)
class Recalled:
    """A defect, and after how many operations a check shows it; None where it does not."""

    name: str
    step: int
    operations: int | None


@dataclass(frozen=True, slots=True)
class Recall:
    """What a check that is told nothing finds.

    Attributes:
        defects: of the series itself: those that only a line of fixes shows are not asked.
        blamed: the steps that it says differ, or break a property.
        inner: those of them that differ inside alone, as they declare.
        false_alarms: those of them that have no defect and declare no difference.
        missed: the steps with a defect that it does not blame.
        traces, ops: of the check.

    """

    defects: tuple[Recalled, ...]
    blamed: tuple[int, ...]
    inner: tuple[int, ...]
    false_alarms: tuple[int, ...]
    missed: tuple[int, ...]
    traces: int
    ops: int


@dataclass(frozen=True, kw_only=True, eq=False)
class _Untold(Subject):
    """A subject whose series declares no difference."""

    @property
    def series(self) -> Series:
        """Without deviations, and without properties that are given up."""
        told = SUBJECT.series
        replace = msgspec.structs.replace
        steps = tuple(replace(step, deviations=(), breaks=()) for step in told.steps)
        properties = tuple(replace(prop, broken_at_start="") for prop in told.properties)
        return replace(told, steps=steps, properties=properties)


def recall(seed: int = 1, traces: int = 1200) -> Recall:
    """Run such a check, on the models, and hold it against the gallery."""
    values: dict[str, Any] = {f.name: getattr(SUBJECT, f.name) for f in fields(Subject)}
    plan = Plan(_Untold(**values), TraceLanguage(), seed, traces, SUBJECT.steps, ())
    result = check(plan, budget=0)
    blamed = {step.step for step in result.steps if step.failures}
    blamed |= {0} if result.start else set()
    defects = [one for one in defects_of(SUBJECT) if not isinstance(one.step, Later)]
    # Where step 27 mends what step 0 had, it is step 27 that differs.
    guilty = {one.step for one in defects}
    declared = {step.number for step in SUBJECT.series.steps if step.deviations or step.breaks}
    return Recall(
        tuple(_recalled(one, seed, traces * result.ops) for one in defects),
        tuple(sorted(blamed)),
        tuple(sorted(blamed & declared - guilty)),
        tuple(sorted(blamed - declared - guilty)),
        tuple(sorted(guilty - blamed)),
        traces,
        result.ops,
    )


def _recalled(defect: Defect, seed: int, most: int) -> Recalled:
    return Recalled(defect.name, defect.step, operations(defect, seed, most))

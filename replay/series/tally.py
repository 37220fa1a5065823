"""What the traces of a check showed, and how to tell that another trace shows it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from replay.search.campaign import Seen, Watcher
from replay.series.subject import Calls, Machine, Subject, Violation


@dataclass(slots=True)
class Share:
    """What a share of the traces showed: all that has to come back from a worker.

    Attributes:
        traces: how many they were.
        differing: step to the traces on which its run differs from that of the step before.
        from_start: step to the traces on which it differs from that of step 0.
        shown: (step, declared deviation) to the traces that show it.
        broken: (step, property) to the traces that break it, and did not at the step before.
        mended: the same of those that do not break it, and did at the step before; at steps
            that are to mend it.
        wrong: step to the traces on which it differs as nothing declares.
        calls: step to what direct calls of its inner API showed.
        watched: what the traces reached, where that is counted.

    """

    traces: int = 0
    differing: dict[int, int] = field(default_factory=dict)
    from_start: dict[int, int] = field(default_factory=dict)
    shown: dict[tuple[int, str], Seen] = field(default_factory=dict)
    broken: dict[tuple[int, str], Seen] = field(default_factory=dict)
    mended: dict[tuple[int, str], Seen] = field(default_factory=dict)
    wrong: dict[int, Seen] = field(default_factory=dict)
    calls: dict[int, Calls] = field(default_factory=dict)
    watched: Watcher | None = None

    def merge(self, other: Share) -> None:
        """Add another share. Merge in order of the traces: the same result always."""
        self.traces += other.traces
        for mine, theirs in (
            (self.differing, other.differing),
            (self.from_start, other.from_start),
        ):
            for step, count in theirs.items():
                mine[step] = mine.get(step, 0) + count
        for step, seen in other.wrong.items():
            self.wrong.setdefault(step, Seen()).merge(seen)
        for kept, more in (
            (self.shown, other.shown), (self.broken, other.broken), (self.mended, other.mended),
        ):  # fmt: skip
            for key, seen in more.items():
                kept.setdefault(key, Seen()).merge(seen)
        for step, result in other.calls.items():
            self.add_calls(step, result)
        if other.watched is not None:
            if self.watched is None:
                self.watched = other.watched
            else:
                self.watched.merge(other.watched)

    def add_calls(self, step: int, result: Calls) -> None:
        """Add what more direct calls showed at a step."""
        if step in self.calls:
            self.calls[step].merge(result)
        else:
            self.calls[step] = result


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a trace shows at a step, and how to tell that another shows it too.

    Attributes:
        what: "deviation", "difference", "property", "inner", a property of the inside, or
            "mended".
        step: the step.
        number: of the trace that shows it soonest.
        name: of the deviation or the property.
        fields: those that differ.
        index: the operation at which it does.

    """

    what: str
    step: int
    number: int
    name: str = ""
    fields: tuple[str, ...] = ()
    index: int = 0

    def shows(self, subject: Subject, machines: Sequence[Machine], trace: Any) -> Violation | None:
        """The operation at which a trace shows it, with words; None where it does not."""
        old, new = machines[max(subject.before(self.step), 0)], machines[self.step]
        if self.what == "inner":
            rule = subject.inside[self.name]
            first = next(p.first for p in subject.series.properties if p.name == self.name)
            found = rule(new, trace)
            held = self.step == first or rule(old, trace) is None
            return found if held else None
        if self.what == "property":
            return self._breaks(subject, old, new, trace)
        if self.what == "mended":
            broke = subject.violation(self.name, subject.run(subject.before(self.step), old, trace))
            holds = broke and not subject.violation(self.name, subject.run(self.step, new, trace))
            return broke if holds else None
        return self._differs(subject, old, new, trace)

    def _breaks(self, subject: Subject, old: Machine, new: Machine, trace: Any) -> Violation | None:
        violation = subject.violation(self.name, subject.run(self.step, new, trace))
        if violation is None or self.step == 0:
            return violation
        before = subject.run(subject.before(self.step), old, trace)
        return None if subject.violation(self.name, before) else violation

    def _differs(
        self, subject: Subject, old: Machine, new: Machine, trace: Any
    ) -> Violation | None:
        deviations = subject.deviations(self.step)
        if self.what == "difference" and not deviations:
            parting = subject.parting(
                subject.run(subject.before(self.step), old, trace),
                subject.run(self.step, new, trace),
            )
            if parting is None or parting.fields != self.fields:
                return None
            return Violation(parting.index, parting.words())
        result = subject.follow(old, new, trace, deviations)
        if self.what == "deviation":
            index = result.shown.get(self.name)
            return None if index is None else Violation(index, "")
        if result.wrong and result.wrong[1] == self.fields:
            return Violation(result.wrong[0], result.words())
        return None

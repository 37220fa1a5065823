"""Run × run → difference: two steps on one trace, plainly or under the laws of a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

from replay.dirty.language.trace import PAGE_SETS, Observation, Trace, differences
from replay.dirty.machine.model import Run, alike
from replay.dirty.machine.moment import Moment, adopt, execute, look, same_state
from replay.dirty.machine.run import start
from replay.dirty.rules.laws import LAW_OPS, LAWS
from replay.series.declared import Deviation


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs part at an operation; ``old`` or ``new`` is None where a run had ended.

    ``fields`` are names of ``language.trace.FIELDS``; where one run had ended it is
    ``("status",)``. Where a run is compared with what was recorded, that is ``old``.
    """

    index: int
    fields: tuple[str, ...]
    old: Observation | None
    new: Observation | None

    @classmethod
    def between(cls, index: int, old: Observation | None, new: Observation | None) -> Self | None:
        """The difference between two observations of operation ``index``, if there is one."""
        fields = differences(old, new)
        return cls(index, fields, old, new) if fields else None

    def values(self) -> Iterator[tuple[str, Any, Any]]:
        """(field, old value, new value); None stands for the status of a run that had ended."""
        for name in self.fields:
            yield (
                name,
                None if self.old is None else self.old.get(name),
                None if self.new is None else self.new.get(name),
            )

    def words(self) -> str:
        """What differs, old against new."""
        if self.old is None or self.new is None:
            return "one of the two had ended before"
        return "; ".join(
            f"{name} is {show(name, new)}, was {show(name, old)}"
            for name, old, new in self.values()
        )


def show(name: str, value: Any) -> str:
    """A field's value for a message: page sets in hexadecimal, events one by one."""
    if name in PAGE_SETS and value is not None:
        return f"{value:x}"
    if name == "events":
        return " ".join(f"{kind}({a:#x}, {b:#x})" for kind, a, b in value) or "none"
    return "null" if value is None else str(value)


def first_difference(old: Run, new: Run) -> Difference | None:
    """Where two runs of one trace part, None where they never do."""
    if old.records == new.records:
        return None
    for index, (a, b) in enumerate(zip(old.records, new.records, strict=False)):
        if not alike(a, b):
            seen, shown = old.observation(index), new.observation(index)
            return Difference(index, differences(seen, shown), seen, shown)
    index = min(len(old.records), len(new.records))
    return Difference(index, ("status",), old.observation(index), new.observation(index))


class Breach(NamedTuple):
    """Where a step did not do what the laws say, and the fields in which it did not."""

    operation: int
    fields: tuple[str, ...]


@dataclass(slots=True)
class Lawful:
    """A trace at a step that deviates, operation by operation against the step before.

    Attributes:
        shown: deviation id to the index of the first operation that showed it.
        wrong: where the step did not do what the laws say, if it did not.
        expected: what the laws asked for there.
        got: what the step did there.

    """

    shown: dict[str, int] = field(default_factory=dict)
    wrong: Breach | None = None
    expected: Moment | None = None
    got: Moment | None = None

    def words(self) -> str:
        """What the step did where it should have done something else."""
        if self.wrong is None or self.expected is None or self.got is None:
            return ""
        expected, got = self.expected, self.got
        return "; ".join(
            f"{name} is {show(name, got.get(name))}, should be {show(name, expected.get(name))}"
            for name in self.wrong.fields
        )


def follow_laws(
    old: type[Any], new: type[Any], trace: Trace, deviations: Sequence[Deviation]
) -> Lawful:
    """Compare two steps under the new one's laws.

    Both machines enter every operation in the same state: after a declared difference the
    old machine takes over the new one's state, so that the rest of the trace is compared
    as strictly as its beginning, and nothing hides behind a declared difference.
    """
    result = Lawful()
    a, b = start(old, trace), start(new, trace)
    laws = [(d, LAWS[d.law], LAW_OPS[d.law]) for d in deviations if d.scope == "trace"]
    for index, (name, args) in enumerate(trace.program):
        here = [(d, rule) for d, rule, ops in laws if name in ops]
        before = look(a) if here else None
        made, did = execute(a, name, args), execute(b, name, args)
        if made.equals(did) and same_state(a, b):
            if made.status != "ok":
                break
            if before is None:
                continue
        expected, got = look(a, *made), look(b, *did)
        if before is not None:
            for deviation, rule in here:
                stage = rule(trace.config, before, trace.ops[index], expected)
                touched = expected.differences(stage)
                if touched:
                    result.shown.setdefault(deviation.id, index)
                    excess = set(touched) - {*deviation.fields, "hidden"}
                    assert not excess, f"law {deviation.law} touches {sorted(excess)}"
                expected = stage
        wrong = expected.differences(got)
        if wrong:
            result.wrong, result.expected, result.got = Breach(index, wrong), expected, got
            break
        if got.status != "ok":
            break
        adopt(a, b)
    return result

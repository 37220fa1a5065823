"""Run × run → difference: two steps on one trace, plainly or under the laws of a step."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from replay.dirty.language.trace import PAGE_SETS, Observation, Trace
from replay.dirty.machine.model import Run
from replay.dirty.machine.moment import Moment, execute, look
from replay.dirty.machine.run import start
from replay.dirty.rules.laws import LAW_OPS, LAWS
from replay.series.declared import Deviation


@dataclass(frozen=True, slots=True)
class Difference:
    """Two runs part at an operation; ``old`` or ``new`` is None where a run had ended."""

    index: int
    fields: tuple[str, ...]
    old: Observation | None
    new: Observation | None

    def words(self) -> str:
        """What differs, old against new."""
        if self.old is None or self.new is None:
            return "one of the two had ended before"
        return "; ".join(
            f"{name} is {show(name, self.new.get(name))}, was {show(name, self.old.get(name))}"
            for name in self.fields
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
        if a != b or isinstance(a[0], bool) != isinstance(b[0], bool):
            seen, shown = old.observation(index), new.observation(index)
            assert seen is not None and shown is not None
            return Difference(index, seen.differences(shown), seen, shown)
    index = min(len(old.records), len(new.records))
    return Difference(index, ("status",), old.observation(index), new.observation(index))


@dataclass(slots=True)
class Lawful:
    """A trace at a step that deviates, operation by operation against the step before.

    Attributes:
        shown: deviation id to the index of the first operation that showed it.
        wrong: where the step did not do what the laws say: (index, fields), or None.
        expected: what the laws asked for there.
        got: what the step did there.

    """

    shown: dict[str, int] = field(default_factory=dict)
    wrong: tuple[int, tuple[str, ...]] | None = None
    expected: Moment | None = None
    got: Moment | None = None

    def words(self) -> str:
        """What the step did where it should have done something else."""
        if self.wrong is None or self.expected is None or self.got is None:
            return ""
        expected, got = self.expected.shown(), self.got.shown()
        return "; ".join(
            f"{name} is {show(name, got[name])}, should be {show(name, expected[name])}"
            for name in self.wrong[1]
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
        if made == did and type(made[0]) is type(did[0]) and _same_state(a, b):
            if made[1] != "ok":
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
            result.wrong, result.expected, result.got = (index, wrong), expected, got
            break
        if got.status != "ok":
            break
        adopt(a, b)
    return result


def _same_state(a: Any, b: Any) -> bool:
    bitmap = a.migration_bitmap
    return (
        a.store_content() == b.store_content()
        and a.tlb == b.tlb
        and a.has_code == b.has_code
        and (bitmap is None) == (b.migration_bitmap is None)
        and (bitmap is None or bitmap == b.migration_bitmap)
        and a.migration_dirty_pages == b.migration_dirty_pages
        and a.in_migration == b.in_migration
    )


SHARED = ("blocks", "has_code", "migration_bitmap", "page_descs", "tlb")


def adopt(machine: Any, other: Any) -> None:
    """Give a machine another's state. Both keep their store in the same form."""
    for name in SHARED:
        setattr(machine, name, copy.copy(getattr(other, name)))
    for name in machine.FIELDS:
        setattr(machine, name, copy.deepcopy(getattr(other, name)))
    for name in ("ram_list_version", "in_migration", "migration_dirty_pages"):
        setattr(machine, name, getattr(other, name))

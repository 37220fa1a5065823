"""What is left out when two runs are compared: fields that are not the same twice."""

from __future__ import annotations

import json
import re
import struct
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, overload

from replay.repo.calls import CallTrace
from replay.repo.runner import Run

ADDRESS: Final = "an address"
TIME: Final = "the time"
RUBBISH: Final = "random, or memory that was never written"

_BY_CALL: Final = ("skipped", "ret", "made", "errno")
_BY_NAME: Final = ("out", "said")
_ANYWHERE: Final = ("after", "start", "data", "behind")
_WORDS: Final = {
    "skipped": "whether {op} is called", "ret": "what {op} returns",
    "made": "whether {op} makes an object", "errno": "errno after {op}",
    "out": "what {op} writes to {name}", "said": "what {op} writes to {name}",
    "after": "what {name} tells", "data": "the data {name}",
    "called": "what callbacks are given in {op}",
    "behind": "the memory behind a {name}", "end": "how {op} ends",
}  # fmt: skip


class Field(NamedTuple):
    """One thing that is observed.

    Attributes:
        key: of the record, see ``replay.repo.worker``; ``data`` for ``start`` too, ``end``
            for how a call ends.
        op: the function; empty where it is the same whichever was called: what an observer
            tells, data, memory.
        name: the parameter, the stream, the observer, the kind of handle; of data the path
            without indices.

    """

    key: str
    op: str = ""
    name: str = ""

    @property
    def words(self) -> str:
        """As a sentence has it."""
        return _WORDS[self.key].format(op=self.op, name=self.name)


def fields_of(op: str, record: Mapping[str, Any]) -> Iterator[tuple[Field, str, str]]:
    """All that a record of a call holds: the field, and where (key, label)."""
    for key in _BY_CALL:
        if key in record:
            yield Field(key, op), key, ""
    for key in _BY_NAME:
        for label in record.get(key, ()):
            yield Field(key, op, label), key, label
    for label in record.get("called", ()):
        yield Field("called", op), "called", label
    for key in _ANYWHERE:
        for label in record.get(key, ()):
            yield _anywhere(key, label), key, label


def _anywhere(key: str, label: str) -> Field:
    if key == "after":
        return Field(key, name=label.partition("(")[0])
    if key == "behind":
        return Field(key, name=label.rstrip("0123456789"))
    return Field("data", name=re.sub(r"\[\d+\]|\+0x[0-9a-f]+$", "", label))


def at_place(record: Mapping[str, Any], key: str, label: str) -> Any:
    """What a record holds at a place; None where it holds nothing."""
    return record.get(key, {}).get(label) if label else record.get(key)


def unlike(op: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> dict[Field, tuple[Any, Any]]:
    """What differs between two records of one call, with an example of each."""
    found: dict[Field, tuple[Any, Any]] = {}
    for what, key, label in (*fields_of(op, one), *fields_of(op, two)):
        both = at_place(one, key, label), at_place(two, key, label)
        if both[0] != both[1]:
            found.setdefault(what, both)
    if "skipped" in one or "skipped" in two:
        return {what: both for what, both in found.items() if what.key == "skipped"}
    return found


def not_repeated(trace: CallTrace, first: Run, again: Run) -> dict[Field, tuple[Any, Any]]:
    """What differs between two runs of one library."""
    found: dict[Field, tuple[Any, Any]] = {}
    for call, one, two in zip(trace, first.records, again.records, strict=False):
        if one != two:
            found = unlike(call.op, json.loads(one), json.loads(two)) | found
    if (first.end, len(first.records)) != (again.end, len(again.records)):
        at = min(len(first.records), len(again.records))
        op = trace[at].op if at < len(trace) else ""
        found[Field("end", op)] = (first.detail, again.detail)
    return found


def kind_of(values: tuple[Any, Any], fill: int) -> str:
    """A guess why the two differ; ``fill`` is a byte that unwritten memory held in one run."""
    numbers = [number for value in values for number in _numbers(value)]
    if f"{fill:02x}" * 3 in "".join(f" {number:x}" for number in numbers):
        return RUBBISH
    now = time.time()
    if numbers and all(
        any(abs(number / scale - now) < 1e5 for scale in (1, 1e3, 1e6, 1e9)) for number in numbers
    ):
        return TIME
    if numbers and all(1 << 32 < number < 1 << 48 for number in numbers):
        return ADDRESS
    return RUBBISH


def _numbers(value: Any) -> list[int]:  # noqa: PLR0911 - a line a kind
    """The integers that a value holds: itself, the bits of a float, the words of bytes."""
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int):
        return [value]
    if isinstance(value, list | dict):
        inner = value.values() if isinstance(value, dict) else value
        return [number for one in inner for number in _numbers(one)]
    text = str(value)
    if found := re.findall(r"0x([0-9a-f]{8,16})", text):
        return [int(digits, 16) for digits in found]
    if re.fullmatch(r"([0-9a-f]{16})+", text):
        raw = bytes.fromhex(text)
        return [word for word in struct.unpack(f"<{len(raw) // 8}Q", raw) if word >> 32]
    try:
        return [int(struct.unpack("<Q", struct.pack("<d", float(text)))[0])]
    except (ValueError, OverflowError):
        return []


def without(record: dict[str, Any], gone: Iterable[tuple[str, str]]) -> bytes:
    """A record less what is at some places, (key, label); an empty label is the whole key."""
    for key, label in gone:
        inside, name = (record.get(key, {}), label) if label else (record, key)
        inside.pop(name, None)
    kept = {key: value for key, value in record.items() if value != {} or key in _BY_CALL}
    return json.dumps(kept, separators=(",", ":")).encode()


class Declares(Protocol):
    """What is declared of a pair, see ``replay.repo.expected``."""

    def applied(self, trace: CallTrace, before: Run, after: Run) -> tuple[Run, Run]:
        """Both runs without what is declared."""


@dataclass(frozen=True, slots=True)
class Mask:
    """What is left out of the comparison of a pair.

    Attributes:
        fields: what is not the same twice on one of the two sides, each with a guess why.
        absent: paths of data that only one of the two libraries has.
        declared: differences that are declared; None for none.
        one_sided: what is observed at calls of one side alone, each with the reason; and
            ``parts``: the out-parameters of observers that one side alone has.

    """

    fields: Mapping[Field, str] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()
    declared: Declares | None = None
    one_sided: Mapping[Field, str] = field(default_factory=dict)
    parts: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields or self.absent or self.one_sided or self.parts)

    def hides(self, what: Field) -> bool:
        """Whether a field is left out."""
        if what in self.fields or what in self.one_sided:
            return True
        return what.key == "data" and what.name in self.absent

    @overload
    def applied(self, trace: CallTrace, before: Run, after: Run) -> tuple[Run, Run]: ...

    @overload
    def applied(
        self, trace: CallTrace, before: Run | None, after: Run | None
    ) -> tuple[Run | None, Run | None]: ...

    def applied(
        self, trace: CallTrace, before: Run | None, after: Run | None
    ) -> tuple[Run | None, Run | None]:
        """Both runs without it: two that differ in nothing else become equal."""
        if before is None or after is None:
            return before, after
        runs = self.repeatable(trace, before, after)
        return runs if self.declared is None else self.declared.applied(trace, *runs)

    def repeatable(self, trace: CallTrace, before: Run, after: Run) -> tuple[Run, Run]:
        """Both runs without what is not the same twice, or on one side only."""
        if not self or (before.records == after.records and before.end == after.end):
            return before, after
        return self._both(trace, before, after)

    def _both(self, trace: CallTrace, before: Run, after: Run) -> tuple[Run, Run]:
        rows = zip(trace, before.records, after.records, strict=False)
        both = [
            (one, two) if one == two else self._without(call.op, one, two)
            for call, one, two in rows
        ]
        # A flaky end cuts both short; what was before it is compared.
        common = len(both)
        if (before.end, len(before.records)) != (after.end, len(after.records)):
            op = trace[common].op if common < len(trace) else ""
            if Field("end", op) in self.fields:
                return Run(tuple(o for o, _ in both)), Run(tuple(t for _, t in both))
        return (
            Run((*(o for o, _ in both), *before.records[common:]), before.end, before.detail),
            Run((*(t for _, t in both), *after.records[common:]), after.end, after.detail),
        )

    def _without(self, op: str, one: bytes, two: bytes) -> tuple[bytes, bytes]:
        old, new = json.loads(one), json.loads(two)
        if ("skipped" in old) != ("skipped" in new) and self.hides(Field("skipped", op)):
            return b"{}", b"{}"
        return self._narrowed(op, old), self._narrowed(op, new)

    def _narrowed(self, op: str, record: dict[str, Any]) -> bytes:
        gone = [(key, label) for what, key, label in fields_of(op, record) if self.hides(what)]
        for label, value in record.get("after", {}).items() if self.parts else ():
            absent = self.parts.get(label.partition("(")[0])
            if absent and isinstance(value, list):
                kept = {name: part for name, part in value[1].items() if name not in absent}
                record["after"][label] = [value[0], kept] if kept else value[0]
        return without(record, gone)

    def notes(self, calls: Mapping[str, int]) -> tuple[str, ...]:
        """What a reader should know: what was left out, why, and of how many calls."""
        notes = []
        for what, kind in sorted(self.fields.items()):
            count = calls.get(what.op, 0) if what.op else sum(calls.values())
            notes.append(f"{what.words} is not the same twice ({kind}): left out of {count} calls")
        notes += [
            f"{what.words} is not compared: {why}" for what, why in sorted(self.one_sided.items())
        ]
        notes += [
            f"what {name} writes to {', '.join(sorted(few))} is not compared: one side alone has it"
            for name, few in sorted(self.parts.items())
        ]
        return tuple(notes)
